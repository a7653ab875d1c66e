"""What encoders with weights share: batches that shrink, files that are fetched and checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resources.downloads import DownloadError
from resources.encoders import torch_runtime, weights
from resources.encoders.laion_clap import LaionClap
from resources.encoders.protocol import EncoderUnavailable
from resources.encoders.torch_runtime import in_batches
from resources.encoders.wavcaps import WavCaps
from resources.encoders.weights import PinnedFile, ensure
from resources.settings import LaionClapSettings, WavCapsSettings


class Memory:
    """A device on which so many items fit at once."""

    def __init__(self, fits: int, error: Exception | None = None) -> None:
        self.fits = fits
        self.error = error or RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.sizes: list[int] = []

    def run(self, items: list[int]) -> np.ndarray:
        self.sizes.append(len(items))
        if len(items) > self.fits:
            raise self.error
        return np.array(items, dtype=np.float32)[:, None]


@pytest.mark.parametrize("error", [None, MemoryError(), RuntimeError("DefaultCPUAllocator: not "
                         "enough memory: you tried to allocate; out of memory")])  # fmt: skip
def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost(error: Exception | None) -> None:
    memory = Memory(fits=5, error=error)
    rows, fitting = in_batches(memory.run, list(range(30)), 16)
    np.testing.assert_array_equal(rows[:, 0], np.arange(30))
    assert memory.sizes[:3] == [16, 8, 4]
    assert fitting == 4


@pytest.mark.parametrize("side", ["audio", "texts"])
def test_the_size_that_fits_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    encoder = LaionClap("clap", LaionClapSettings(kind="laion_clap", batch_size=16), tmp_path)
    memory = Memory(fits=5)

    def run(_: object, items: Any) -> np.ndarray:
        return memory.run([0] * len(items))

    monkeypatch.setattr(encoder, "_run", run)
    monkeypatch.setattr(encoder, "_device", lambda: None)
    monkeypatch.setattr(encoder, "_tokens", lambda texts: [[1] * 256] * len(texts))
    monkeypatch.setattr(torch_runtime.tokens, "padded", lambda lists, padding: lists)
    for _ in range(2):
        if side == "audio":
            encoder.embed_audio([np.zeros(9, np.float32)] * 16, [0] * 16)
        else:
            encoder.embed_texts([str(number) for number in range(16)])
    assert memory.sizes == [16, 8, 4, 4, 4, 4, 4, 4, 4, 4]


def test_an_item_that_does_not_fit_alone_is_said_so() -> None:
    with pytest.raises(MemoryError, match="not even one item fits"):
        in_batches(Memory(fits=0).run, [1, 2, 3], 4)


def test_other_errors_are_not_taken_for_it() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        in_batches(Memory(0, RuntimeError("wrong shape")).run, [1, 2], 2)


def test_a_file_is_fetched_once_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def download(url: str, target: Path, digest: str) -> None:
        calls.append((url, digest))
        target.parent.mkdir(parents=True)
        target.write_bytes(b"abc")

    monkeypatch.setattr(weights, "download", download)
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    file = PinnedFile("folder/a.txt", "https://example.org/a.txt", sha)
    for _ in range(2):
        assert ensure(file, tmp_path / "w", tmp_path).read_bytes() == b"abc"
    assert calls == [("https://example.org/a.txt", f"sha256:{sha}")]
    (tmp_path / "w/folder/a.txt").write_bytes(b"abcd")
    with pytest.raises(EncoderUnavailable, match="not " + sha) as caught:
        ensure(file, tmp_path / "w", tmp_path)
    assert caught.value.reason == "weights wrong"


def test_without_network_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(url: str, target: Path, digest: str) -> None:
        raise DownloadError(f"{url} can't be fetched; put it at {target}.")

    monkeypatch.setattr(weights, "download", offline)
    encoder = LaionClap(
        "clap", LaionClapSettings(kind="laion_clap", checkpoint="630k-audioset-best"), tmp_path
    )
    assert encoder.fingerprint, "told without the file"
    for embed in (
        lambda: encoder.embed_texts(["a text"]),
        lambda: encoder.embed_audio([np.zeros(480, np.float32)], [0]),  # of no use without texts
    ):
        with pytest.raises(EncoderUnavailable, match=r"put it at .*vocab\.json") as caught:
            embed()
        assert caught.value.reason == "weights missing"


@pytest.mark.parametrize(
    ("encoder", "says"),
    [
        (LaionClapSettings(kind="laion_clap"), r"fusion-best\.pt is not there\. Download https://"),
        (WavCapsSettings(kind="wavcaps", checkpoint="HTSAT-BERT-FT-Clotho"), r"Clotho\.pt"),
        (
            WavCapsSettings(kind="wavcaps", checkpoint=Path("/nowhere/my.pt")),
            r"my\.pt is not there\. .*HTSAT-BERT-FT-Clotho\.$",
        ),
    ],
)
def test_a_missing_checkpoint_without_known_digest_is_asked_for(
    tmp_path: Path, encoder: LaionClapSettings | WavCapsSettings, says: str
) -> None:
    kind = LaionClap if isinstance(encoder, LaionClapSettings) else WavCaps
    with pytest.raises(EncoderUnavailable, match=says) as caught:
        _ = kind("ours", encoder, tmp_path).fingerprint  # type: ignore[arg-type]
    assert caught.value.reason == "weights missing"


def test_the_config_s_digest_is_held_against_a_published_one_too(tmp_path: Path) -> None:
    given = LaionClapSettings(kind="laion_clap", checkpoint="630k-audioset-best", sha256="0" * 64)
    with pytest.raises(
        EncoderUnavailable, match=r"sha256 8053c97.* the config says 0000"
    ) as caught:
        _ = LaionClap("ours", given, tmp_path).fingerprint
    assert caught.value.reason == "weights wrong"


def test_a_vocabulary_of_one_s_own_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "my.pt").write_bytes(b"weights")
    given = WavCapsSettings(
        kind="wavcaps", checkpoint=tmp_path / "my.pt", vocabulary=tmp_path / "bert"
    )
    with pytest.raises(EncoderUnavailable, match=r"bert/vocab\.txt not there"):
        _ = WavCaps("ours", given, tmp_path).fingerprint


def test_without_the_extra_the_remedy_is_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_runtime, "has_torch", lambda: False)
    (tmp_path / "my.pt").write_bytes(b"weights")
    for encoder in (
        LaionClap(
            "a", LaionClapSettings(kind="laion_clap", checkpoint=tmp_path / "my.pt"), tmp_path
        ),
        WavCaps("b", WavCapsSettings(kind="wavcaps", checkpoint=tmp_path / "my.pt"), tmp_path),
    ):
        assert encoder.fingerprint
        with pytest.raises(EncoderUnavailable, match="install the extra"):
            encoder.embed_audio([np.zeros(9, np.float32)], [0])
        with pytest.raises(EncoderUnavailable, match="install the extra"):
            encoder.embed_texts(["a text"])


def test_fingerprints_import_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "my.pt").write_bytes(b"weights")
    code = f"""
import sys
from pathlib import Path
from resources.encoders.catalog import build_encoder
from resources.settings import LaionClapSettings, WavCapsSettings
folder = Path({str(tmp_path)!r})
for settings in (
    LaionClapSettings(kind="laion_clap", checkpoint=folder / "my.pt"),
    WavCapsSettings(kind="wavcaps", checkpoint=folder / "my.pt"),
):
    assert len(build_encoder("ours", settings, folder).fingerprint) == 64
heavy = {{"torch", "transformers", "laion_clap", "tokenizers"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
