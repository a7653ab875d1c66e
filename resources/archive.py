"""A folder as one zip file and back: the same content gives the same bytes, and nothing leaves it.

A manifest at the folder's top lists every file with size and sha256. Unpacking takes what the
manifest lists and nothing else, below the folder it was given, and checks it on the way.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from resources.hashing import file_sha256

MANIFEST = "manifest.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The only time that files in an archive have: zip knows none before."""
_PLAIN_FILE = 0o100644 << 16
_COMPRESSED_ALREADY = {".parquet"}
_BLOCK = 2**20
_MOST_MANIFEST_BYTES = 64 * 2**20


class ArchiveError(ValueError):
    """A file is no archive of ours, or was changed; the message says what is wrong with it."""


@dataclass(frozen=True)
class Manifest:
    """What an archive holds.

    Attributes:
        about: what its maker says of it.
        files: by path, size in bytes and sha256.
    """

    about: Mapping[str, Any]
    files: Mapping[str, tuple[int, str]]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of an unpacked archive.

        Raises:
            ArchiveError: there is none, or it is not of the form.
        """
        path = folder / MANIFEST
        try:
            return cls.parse(path.read_bytes(), str(path))
        except OSError as error:
            raise ArchiveError(f"{path} can't be read: {error.strerror}") from error

    @classmethod
    def parse(cls, content: bytes, place: str) -> Manifest:
        """A manifest's JSON; paths that would lead out of the folder are refused."""
        try:
            given = json.loads(content)
            files = {
                str(name): (int(one["bytes"]), str(one["sha256"]))
                for name, one in given.pop("files").items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArchiveError(f"{place}: not a manifest of this project") from error
        for name in files:
            _check_name(name, place)
        return cls(given, files)

    def differences(self, folder: Path) -> tuple[list[str], list[str]]:
        """Paths of files that are missing in a folder, and of those with another content."""
        there = {name: folder / name for name in self.files if (folder / name).is_file()}
        altered = [name for name, path in there.items() if file_sha256(path) != self.files[name][1]]
        return sorted(self.files.keys() - there), sorted(altered)


def pack(folder: Path, target: Path, about: Mapping[str, Any]) -> Manifest:
    """Write a folder's manifest, and then all of it as one zip file, in one step.

    Raises:
        ArchiveError: the target is there already.
    """
    if target.exists():
        raise ArchiveError(f"{target} is there already: an archive overwrites nothing")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    listed = {
        name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for name, path in names.items()
    }
    text = json.dumps({**about, "files": listed}, indent=1, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.tmp")
    try:
        with zipfile.ZipFile(temporary, "w") as archive:
            for name, path in {MANIFEST: folder / MANIFEST, **names}.items():
                _add(archive, name, path)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return Manifest.read(folder)


def unpack(archive: Path, folder: Path) -> Manifest:
    """Unpack what an archive's manifest lists into a new folder, which appears when it is whole.

    Raises:
        ArchiveError: it is no archive of ours, a file in it is not what the manifest says, or the
            folder is there and not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArchiveError(f"{folder} is not empty: name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with zipfile.ZipFile(archive) as members:
            manifest = _manifest_in(members, archive)
            for name in manifest.files:
                _extract(members, name, manifest.files[name], aside / name, archive)
        aside.chmod(0o755)
        aside.replace(folder)
    except FileNotFoundError as error:
        raise ArchiveError(f"{error.filename or archive} is not there") from error
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"{archive} is no bundle, or was cut short: {error}") from error
    except (KeyError, OSError) as error:
        raise ArchiveError(f"{archive}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system, info.external_attr = 3, _PLAIN_FILE
    packed_already = path.suffix in _COMPRESSED_ALREADY
    info.compress_type = zipfile.ZIP_STORED if packed_already else zipfile.ZIP_DEFLATED
    info.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(info, "w") as member:
        shutil.copyfileobj(source, member, _BLOCK)


def _manifest_in(members: zipfile.ZipFile, archive: Path) -> Manifest:
    place = f"{archive}, {MANIFEST}"
    if MANIFEST not in members.namelist():
        raise ArchiveError(f"{archive}: no {MANIFEST} in it: not a bundle of this project")
    if members.getinfo(MANIFEST).file_size > _MOST_MANIFEST_BYTES:
        raise ArchiveError(f"{place}: too large to be one")
    content = members.read(MANIFEST)
    manifest = Manifest.parse(content, place)
    digest = hashlib.sha256(content).hexdigest()
    return Manifest(manifest.about, {**manifest.files, MANIFEST: (len(content), digest)})


def _extract(
    members: zipfile.ZipFile, name: str, listed: tuple[int, str], target: Path, archive: Path
) -> None:
    """One member, no longer than the manifest says, whatever the archive claims."""
    size, sha256 = listed
    target.parent.mkdir(parents=True, exist_ok=True)
    with members.open(name) as source, target.open("wb") as file:
        found = _copy(source, file, size)
    if found != sha256:
        raise ArchiveError(f"{archive}: {name} is not what the manifest says: it was changed")


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> str:
    """Copy at most `size` bytes; the sha256 of what there was, up to one block more."""
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        digest.update(block)
        size -= len(block)
        if size < 0:
            break
        target.write(block)
    return digest.hexdigest()


def _check_name(name: str, place: str) -> None:
    """A name is a plain relative path below the folder."""
    path = PurePosixPath(name)
    wrong = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name
    if wrong or not path.parts or path.as_posix() != name:
        raise ArchiveError(f"{place}: {name!r} would lead out of the folder: nothing is unpacked")
