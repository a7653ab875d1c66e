"""The DuckDB file's copy beside a lake in an object store, by which machines share one publication.

DuckDB itself works on this machine's file. What this machine last saw of the copy is noted beside
it, so that a publication from elsewhere is noticed, before a file is built and again before it is
uploaded, and an upload that failed is made up for. A store replaces a file whatever it is by then:
of two machines that upload at the very same time the later one's copy stays, and what only the
other's held comes back with the next run of that benchmark.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from resources.folders import Folder

_CHUNK = 2**24


class SharedCopy:
    """The copy of one DuckDB file.

    Args:
        folder: the lake's.
        target: the DuckDB file on this machine.
        version: tells what a DuckDB file holds.
    """

    def __init__(self, folder: Folder, target: Path, version: Callable[[Path], str]) -> None:
        self.folder = folder
        self.target = target
        self.version = version
        self._note = target.with_name(f".{target.name}.shared.json")

    def fetch(self) -> None:
        """Take the copy over where it is not the one that this machine last saw."""
        state = self.folder.state(self.target.name)
        if state is None:
            self._note.unlink(missing_ok=True)
            return
        if self.target.exists() and state == self._seen().get("state"):
            return
        arriving = self.target.with_name(f".{self.target.name}.arriving")

        def take(copy: Any) -> None:
            with arriving.open("wb") as file:
                shutil.copyfileobj(copy, file, _CHUNK)

        self.folder.read(self.target.name, take)
        arriving.replace(self.target)
        self._remember(state)

    def put(self) -> bool:
        """Upload the file, unless this very version lies there.

        Returns:
            False, and nothing was uploaded, if another machine published since `fetch`.
        """
        state, seen = self.folder.state(self.target.name), self._seen()
        if state != seen.get("state"):
            return False
        if state is None or seen["version"] != self.version(self.target):
            with pa.memory_map(str(self.target)) as file:
                self.folder.write(self.target.name, lambda copy: copy.write(file.read_buffer()))
            self._remember(self.folder.state(self.target.name))
        return True

    def _seen(self) -> dict[str, str]:
        return json.loads(self._note.read_text()) if self._note.exists() else {}

    def _remember(self, state: str | None) -> None:
        seen = {"state": state, "version": self.version(self.target)}
        self._note.write_text(json.dumps(seen))
