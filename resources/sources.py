"""The official files: where each comes from, what it must be, and under what licence.

What is public is fetched once into `<cache_dir>/sources`; what needs a licence is asked for by
hand. A path in the config always wins: then nothing here is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resources.downloads import Progress, download

SOURCES_FOLDER = "sources"

_EPIC = (
    "https://raw.githubusercontent.com/epic-kitchens/epic-kitchens-100-annotations/"
    "ea8b40457a400c3fffa1c7f406ef3dc169cc2522/retrieval_annotations"
)
_EPIC_SOUNDS = (
    "https://raw.githubusercontent.com/epic-kitchens/epic-sounds-annotations/"
    "57a922f0d352e9429f1ef8a37eee21758dd3a33c"
)
_AUDIOCAPS = (
    "https://raw.githubusercontent.com/cdjkim/audiocaps/"
    "d004db3ea1b01cf4fd0347dd8d27db90cadc8809/dataset"
)
_KINETICS = "https://s3.amazonaws.com/kinetics/700_2020/annotations"
_CLOTHO = "https://zenodo.org/records/4783391/files"

_CC_BY_NC = "CC BY-NC 4.0"
_AUDIOCAPS_LICENCE = "MIT; its README asks for academic use only"


class SourceError(ValueError):
    """An official file is not there; the message says where to ask and where to put it."""


@dataclass(frozen=True)
class Source:
    """One official file.

    Attributes:
        path: where it lies under the folder of sources.
        url: where it is fetched from, pinned where its host can; None: it has to be asked for.
        digest: `sha256:...` or, where its host publishes nothing else, `md5:...`; None where
            nothing is published: then only its header is known.
        licence: under what terms.
        columns: its header, for a CSV file.
        how: for a file that has to be asked for, where.
    """

    path: str
    url: str | None
    digest: str | None
    licence: str
    columns: tuple[str, ...] = ()
    how: str = ""


_KINETICS_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
_AUDIOCAPS_COLUMNS = ("audiocap_id", "youtube_id", "start_time", "caption")

SOURCES = (
    Source(
        "epic_kitchens_100/EPIC_100_retrieval_test.csv",
        f"{_EPIC}/EPIC_100_retrieval_test.csv",
        "sha256:35f7932ba0a1127a96cac215a98d35398946f343e3cea9ad6688ed17eee9d75d",
        _CC_BY_NC,
        (
            "narration_id",
            "participant_id",
            "video_id",
            "narration_timestamp",
            "start_timestamp",
            "stop_timestamp",
            "start_frame",
            "stop_frame",
            "narration",
            "verb",
            "verb_class",
            "noun",
            "noun_class",
            "all_nouns",
            "all_noun_classes",
        ),
    ),
    Source(
        "epic_kitchens_100/EPIC_100_retrieval_test_sentence.csv",
        f"{_EPIC}/EPIC_100_retrieval_test_sentence.csv",
        "sha256:9ccf771a88ceb3e15f9a2842344ef2d7c13176f9e66af8c5c15b6935fd25c46c",
        _CC_BY_NC,
        ("narration_id", "narration"),
    ),
    Source(
        "epic_sounds/EPIC_Sounds_validation.csv",
        f"{_EPIC_SOUNDS}/EPIC_Sounds_validation.csv",
        "sha256:fff66485d8478762fd9cde1a829e6d91713a5f2f7f917e3af746cf891dd62e5a",
        _CC_BY_NC,
        (
            "annotation_id",
            "participant_id",
            "video_id",
            "start_timestamp",
            "stop_timestamp",
            "start_sample",
            "stop_sample",
            "description",
            "class",
            "class_id",
        ),
    ),
    Source(
        "ego4d/egomcq.json",
        None,
        None,
        "Ego4D licence agreement",
        how="sign the Ego4D licence at ego4ddataset.com, then take egomcq.json from the links of "
        "github.com/showlab/EgoVLP (or the authors' filtered file from those of "
        "github.com/oncescuandreea/audio_egovlp)",
    ),
    *(
        Source(
            f"audiocaps/{split}.csv",
            f"{_AUDIOCAPS}/{split}.csv",
            f"sha256:{sha256}",
            _AUDIOCAPS_LICENCE,
            _AUDIOCAPS_COLUMNS,
        )
        for split, sha256 in {
            "train": "c0c5223db682b3bf724ce7e7ce58d5b36929f74572e8526a7211f92d2eef7c8e",
            "val": "dab1c96641d5f3053ddb99dca3949450da9a75737bda53e11cc0aa8b102be0c3",
            "test": "b91c4b7ded2f4f6e7db5b9c4983dc1e1dca3d556f505b61e3fd65cac7e1c638a",
        }.items()
    ),
    *(
        Source(
            f"kinetics_700_2020/{split}.csv",
            f"{_KINETICS}/{split}.csv",
            None,
            "CC BY 4.0",
            _KINETICS_COLUMNS,
        )
        for split in ("train", "val")
    ),
    Source(
        "clotho/clotho_captions_evaluation.csv",
        f"{_CLOTHO}/clotho_captions_evaluation.csv",
        "md5:1b16b9e57cf7bdb7f13a13802aeb57e2",
        "Tampere University: non-commercial use, with attribution",
        ("file_name", *(f"caption_{number}" for number in range(1, 6))),
    ),
)


def source_at(path: Path, cache_dir: Path) -> Source | None:
    """The official file whose place this is; None for a user's own path."""
    folder = cache_dir / SOURCES_FOLDER
    if not path.is_relative_to(folder):
        return None
    name = path.relative_to(folder).as_posix()
    return next((source for source in SOURCES if source.path == name), None)


def ensure(path: Path, cache_dir: Path, progress: Progress | None = None) -> Path:
    """See to it that an official file is at its place; a user's own path is left alone.

    Raises:
        SourceError: the file has to be asked for by hand.
        DownloadError: it can't be fetched, or is not what it should be.
    """
    source = source_at(path, cache_dir)
    if source is None or path.exists():
        return path
    if source.url is None:
        raise SourceError(
            f"{path}: not there, and not public ({source.licence}): {source.how}. Put it at that "
            f"path, or name your own in the config."
        )
    return download(source.url, path, source.digest, progress, columns=source.columns)
