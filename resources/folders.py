"""A folder of whole files: on this machine's disk, or in any store that `pyarrow.fs` knows by URL.

A file appears whole or not at all, and who reads meanwhile gets the old one or the new one. On disk
it is written aside and renamed. An object store renames by copying, but shows an object only once
it was put whole: a small one in one request, a large one in parts that count when all are there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar
from uuid import uuid4

T = TypeVar("T")
Address = Path | str
"""Where a folder lies: a path, or a URL such as `s3://bucket/prefix?region=eu-west-1`."""


class FolderError(OSError):
    """A store can't be read or written; the message names the file and what to look at."""


class Folder(Protocol):
    """Whole files by name; a name may have folders of its own in front, with slashes."""

    def place(self, name: str) -> Path | str:
        """Where a file lies: its path or URL."""
        ...

    def within(self, name: str) -> Folder:
        """A folder in this one."""
        ...

    def sizes(self, name: str = "") -> dict[str, int]:
        """The files that lie directly in a folder of this one, by file name, with their bytes."""
        ...

    def state(self, name: str) -> str | None:
        """What changes whenever a file is written; None if there is none."""
        ...

    def read(self, name: str, use: Callable[[Any], T]) -> T:
        """What a function makes of a file, all of it as it was at one moment.

        Args:
            name: the file's.
            use: is given what `pyarrow` reads a file from, and may be called again if another file
                takes its name meanwhile.

        Raises:
            FileNotFoundError: there is none.
            FolderError: the store can't be read.
        """
        ...

    def glance(self, name: str, use: Callable[[Any], T]) -> T:
        """Like `read`, for something small that is asked for again and again.

        An object store is asked only whether the file is still the one that was read, which is one
        request instead of three or more.

        Args:
            name: the file's.
            use: a function of its module; what it makes must not be changed.
        """
        ...

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Have a file filled, durably, in place of the one that had its name.

        Raises:
            FolderError: the store can't be written; what had this name is still there.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


def open_folder(address: Address) -> Folder:
    """The folder at a path or URL; it need not exist yet."""
    return _Local(address) if isinstance(address, Path) else _Remote(address)


class _Local:
    """On this machine's disk, or on one that it has mounted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def place(self, name: str) -> Path:
        """See `Folder`."""
        return self.path / name

    def within(self, name: str) -> _Local:
        """See `Folder`."""
        return _Local(self.path / name)

    def sizes(self, name: str = "") -> dict[str, int]:
        """See `Folder`."""
        found = {}
        for file in (self.path / name).glob("*"):
            try:
                found[file.name] = file.stat().st_size
            except FileNotFoundError:
                continue  # somebody removed it meanwhile
        return found

    def state(self, name: str) -> str | None:
        """See `Folder`."""
        try:
            stat = (self.path / name).stat()
        except FileNotFoundError:
            return None
        return f"{stat.st_size}-{stat.st_mtime_ns}"

    def read(self, name: str, use: Callable[[Any], T]) -> T:
        """See `Folder`."""
        return use(self.path / name)

    def glance(self, name: str, use: Callable[[Any], T]) -> T:
        """See `Folder`; a disk is quick enough."""
        return self.read(name, use)

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """See `Folder`."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not by `mkstemp`: only their owner may read its files, and a cache is often shared.
        temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
        try:
            with temporary.open("xb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def remove(self, name: str) -> None:
        """See `Folder`."""
        (self.path / name).unlink(missing_ok=True)


class _Remote:
    """In an object store, or any other store that `pyarrow.fs` knows."""

    def __init__(self, url: str, folder: str = "") -> None:
        self.store, self.root = _connect(url)
        self.url = url
        self.folder = folder

    def place(self, name: str) -> str:
        """See `Folder`."""
        return "/".join(filter(None, [self.url.partition("?")[0].rstrip("/"), self.folder, name]))

    def within(self, name: str) -> _Remote:
        """See `Folder`."""
        return _Remote(self.url, f"{self.folder}/{name}".strip("/"))

    def sizes(self, name: str = "") -> dict[str, int]:
        """See `Folder`."""
        from pyarrow.fs import FileSelector, FileType

        with self._told(name):
            selector = FileSelector(self._path(name).rstrip("/"), allow_not_found=True)
            found = self.store.get_file_info(selector)
        return {entry.base_name: entry.size for entry in found if entry.type == FileType.File}

    def state(self, name: str) -> str | None:
        """See `Folder`."""
        try:
            with self._told(name), self.store.open_input_file(self._path(name)) as file:
                return _tag(file)
        except FileNotFoundError:
            return None

    def read(self, name: str, use: Callable[[Any], T]) -> T:
        """See `Folder`: it is read in several requests, so it is looked at before and after."""
        import pyarrow as pa

        while True:
            with self._told(name), self.store.open_input_file(self._path(name)) as file:
                tag = _tag(file)
                try:
                    made = use(file)
                except (OSError, pa.ArrowInvalid):
                    now = self.state(name)
                    if now is None:
                        raise FileNotFoundError(self.place(name)) from None
                    if now == tag:
                        raise
                    continue
            if self.state(name) == tag:
                return made

    def glance(self, name: str, use: Callable[[Any], T]) -> T:
        """See `Folder`."""
        seen = (self.url, self._path(name), use)
        with self._told(name), self.store.open_input_file(self._path(name)) as file:
            tag = _etag(file)
        if not tag or _glances.get(seen, ("",))[0] != tag:
            _glances[seen] = self.read(name, lambda file: (_etag(file), use(file)))
        found: T = _glances[seen][1]
        return found

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """See `Folder`."""
        import pyarrow as pa

        with tempfile.TemporaryDirectory(prefix="sound-approach-") as aside:
            path = Path(aside, "whole")
            with path.open("wb") as file:
                fill(file)
            # All at once: a stream that is left half-way would count as complete.
            with (
                self._told(name),
                pa.memory_map(str(path)) as whole,
                self.store.open_output_stream(self._path(name)) as stream,
            ):
                stream.write(whole.read_buffer())

    def remove(self, name: str) -> None:
        """See `Folder`."""
        with self._told(name):
            try:
                self.store.delete_file(self._path(name))
            except FileNotFoundError:
                return

    def _path(self, name: str) -> str:
        return "/".join(filter(None, [self.root, self.folder, name]))

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Say of a store's error what it is about; that there is no such object is none."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise FolderError(
                f"{self.place(name)}: the store can't be used: {error}. Does it answer, does the "
                "bucket exist, and are the credentials in the environment those of somebody who "
                "may read and write it? What was stored is as it was; run again."
            ) from error


_glances: dict[tuple[str, str, Callable[[Any], Any]], tuple[str, Any]] = {}
"""By URL, path and function: the tag of the object that was read, and what was made of it."""


def _tag(file: Any) -> str:
    """What tells an object from the next one of its name; stores that have none tell the size."""
    return _etag(file) or str(file.size())


def _etag(file: Any) -> str:
    tag: bytes = file.metadata().get("ETag", b"")
    return tag.decode()


@lru_cache
def _connect(url: str) -> tuple[Any, str]:
    """The store that a URL names, and the folder in it; one connection pool a URL."""
    from pyarrow.fs import FileSystem

    if url.startswith("s3:"):  # small objects in one request
        url += f"{'&' if '?' in url else '?'}allow_delayed_open=true"
    store, root = FileSystem.from_uri(url)
    return store, root.rstrip("/")
