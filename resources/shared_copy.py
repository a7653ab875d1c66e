"""The DuckDB file's copy beside a lake in an object store, by which machines share one publication.

DuckDB itself works on this machine's file. What this machine last saw of the copy is noted beside
it, so that a publication from elsewhere is noticed, and an upload that failed is made up for. Of
two machines that publish at the very same moment the later one's copy stays, and the next
publication of either brings the rest back from the lake.
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
        if state is None or (self.target.exists() and state == self._seen().get("state")):
            return
        arriving = self.target.with_name(f".{self.target.name}.arriving")

        def take(copy: Any) -> None:
            with arriving.open("wb") as file:
                shutil.copyfileobj(copy, file, _CHUNK)

        self.folder.read(self.target.name, take)
        arriving.replace(self.target)
        self._remember(state)

    def put(self) -> None:
        """Upload the file, unless this very version lies there."""
        state = self.folder.state(self.target.name)
        if state and self._seen() == {"state": state, "version": self.version(self.target)}:
            return
        with pa.memory_map(str(self.target)) as file:
            self.folder.write(self.target.name, lambda copy: copy.write(file.read_buffer()))
        self._remember(self.folder.state(self.target.name))

    def _seen(self) -> dict[str, str]:
        return json.loads(self._note.read_text()) if self._note.exists() else {}

    def _remember(self, state: str | None) -> None:
        seen = {"state": state, "version": self.version(self.target)}
        self._note.write_text(json.dumps(seen))
