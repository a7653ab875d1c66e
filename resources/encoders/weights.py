"""Files that encoders are made of: where they are kept, and what they must be.

One folder holds them all, `<cache_dir>/weights`, so that it can be filled by hand on a machine
without network. Files with a known sha256 are fetched once if they are not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resources.downloads import DownloadError, download
from resources.encoders.protocol import EncoderUnavailable
from resources.hashing import file_sha256
from resources.media.memory import MediaMemory, stat_of

_HUGGING_FACE = "https://huggingface.co"


@dataclass(frozen=True)
class PinnedFile:
    """A file of somebody else's: its place in the folder, its address and its content.

    `sha256` is None where no value that we could verify is published: then it is not fetched.
    """

    path: str
    url: str
    sha256: str | None

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(self.path).name


ROBERTA = (
    PinnedFile(
        "roberta-base/vocab.json",
        f"{_HUGGING_FACE}/FacebookAI/roberta-base/resolve/main/vocab.json",
        "9e7f63c2d15d666b52e21d250d2e513b87c9b713cfa6987a82ed89e5e6e50655",
    ),
    PinnedFile(
        "roberta-base/merges.txt",
        f"{_HUGGING_FACE}/FacebookAI/roberta-base/resolve/main/merges.txt",
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    ),
)
BERT = (
    PinnedFile(
        "bert-base-uncased/vocab.txt",
        f"{_HUGGING_FACE}/google-bert/bert-base-uncased/resolve/main/vocab.txt",
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    ),
)
LAION_CLAP = {
    name: PinnedFile(
        f"{name}.pt", f"{_HUGGING_FACE}/lukewys/laion_clap/resolve/main/{name}.pt", sha
    )
    for name, sha in {
        "630k-best": None,
        "630k-audioset-best": "8053c9775516af2f4902e1e8281e356cc1bf7a85e8b761908170767b77c3f037",
        "630k-fusion-best": None,
        "630k-audioset-fusion-best": None,
    }.items()
}
WAVCAPS = {
    name: PinnedFile(f"{name}.pt", "the checkpoint from the WavCaps project's page", None)
    for name in ("HTSAT-BERT-FT-AudioCaps", "HTSAT-BERT-FT-Clotho")
}
KNOWN_SHA256 = frozenset(file.sha256 for file in LAION_CLAP.values() if file.sha256)
"""Checkpoints that the restricted reader may read without being told to."""


def remembered_sha256(path: Path, cache_dir: Path) -> str:
    """A file's sha256; it is read again only when its size or time has changed.

    Raises:
        FileNotFoundError: it is not there.
    """
    with MediaMemory(cache_dir) as memory:
        known = memory.content_hash(path)
        if known is None:
            stat = stat_of(path)
            known = file_sha256(path)
            memory.remember_file(path, stat, known)
    return known


def ensure(file: PinnedFile, folder: Path, cache_dir: Path) -> Path:
    """Where a published file lies; it is fetched if it is not there yet, and checked.

    Raises:
        EncoderUnavailable: it is not there and can't be fetched, or is not what it should be.
    """
    path = folder / file.path
    if not path.exists():
        if file.sha256 is None:
            raise EncoderUnavailable(
                "weights missing",
                f"{path} is not there, and is not fetched, because no sha256 of it is known to "
                f"be right. Download {file.url}, put it there, and set `trust: true`.",
            )
        try:
            download(file.url, path, f"sha256:{file.sha256}")
        except DownloadError as error:
            raise EncoderUnavailable("weights missing", str(error)) from error
    check(file, path, cache_dir)
    return path


def check(file: PinnedFile, path: Path, cache_dir: Path) -> None:
    """Make sure that a published file that is here is what it should be.

    Raises:
        EncoderUnavailable: it is another one.
    """
    found = remembered_sha256(path, cache_dir)
    if file.sha256 not in {None, found}:
        raise EncoderUnavailable(
            "weights wrong", f"{path} has sha256 {found}, not {file.sha256}. Fetch it again."
        )
