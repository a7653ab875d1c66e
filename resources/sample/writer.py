"""Writing the sample to a folder: all of it or nothing, and only when it isn't there already."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock

from resources.sample.annotations import write_annotations, write_training_list
from resources.sample.recordings import scored_recordings, training_recordings, write_recording

_HERE = Path(__file__).parent
_MANIFEST = "manifest.json"


class SampleError(ValueError):
    """The sample can't be written where the config wants it."""


def write_sample(folder: Path) -> None:
    """Write recordings, annotations and the training list, unless they are there and current.

    The folder then holds `recordings/<participant>/<video>.*`, `annotations/` with the official
    files, `training/` with `train.csv`, and `manifest.json`, which says what was written. A
    folder of an older version is replaced as a whole.

    Raises:
        SampleError: the folder holds something that this function did not write.
    """
    version = _version()
    if _is_current(folder, version):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if _is_current(folder, version):
            return
        if folder.exists() and any(folder.iterdir()) and not (folder / _MANIFEST).is_file():
            raise SampleError(
                f"{folder}: this folder was not written by the sample, and is left as it is. "
                "Empty it, or name another one under `sample:` in the config."
            )
        with tempfile.TemporaryDirectory(prefix=".sample-", dir=folder.parent) as temporary:
            new = Path(temporary) / "new"
            _write_all(new, version)
            if folder.exists():
                shutil.move(folder, Path(temporary) / "old")
            new.rename(folder)


def _write_all(folder: Path, version: str) -> None:
    scored, training = scored_recordings(), training_recordings()
    folders = [folder / "recordings" / recording.participant_id for recording in scored]
    folders += [folder / "training"] * len(training)
    with ThreadPoolExecutor() as threads:  # numpy and the codecs leave Python's lock
        list(threads.map(write_recording, [*scored, *training], folders))
    write_annotations(scored, folder / "annotations")
    write_training_list(training, folder / "training" / "train.csv")
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    manifest = {"version": version, "files": files}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _is_current(folder: Path, version: str) -> bool:
    """Whether this version of the sample was written here and every file is still there."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return manifest.get("version") == version and all(
        (folder / file).is_file() for file in manifest.get("files", ())
    )


def _version() -> str:
    """sha256 over the code and texts that decide what is written."""
    digest = hashlib.sha256()
    for file in sorted([*_HERE.glob("*.py"), *_HERE.glob("*.csv")]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
