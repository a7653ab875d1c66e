"""Dagster's history in SQLite files, made quick: a connection that this process keeps to each.

For every event Dagster makes an engine, opens its file, waits for the disk, and closes it again;
who closes a file last has SQLite write its journal back. That was more than half of a run in which
nothing changed. Reaches into one release family of Dagster, which is pinned; a test watches it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from sqlalchemy import Engine, QueuePool, event


def keep_connections() -> None:
    """Have Dagster's SQLite storage keep engine and connection to each file in this process."""
    for module in (sqlite_event_log, sqlite_run_storage):
        make = module.create_engine
        if not isinstance(make, _KeptEngines):
            module.create_engine = _KeptEngines(make)  # type: ignore[attr-defined]


class _KeptEngines:
    """Makes an engine the first time that its address is asked for."""

    def __init__(self, make: Callable[..., Engine]) -> None:
        self.make = make
        self.engines: dict[str, Engine] = {}

    def __call__(self, address: str, **options: Any) -> Engine:
        if address not in self.engines:
            engine = self.make(address, **{**options, "poolclass": _KeptPool})
            event.listen(engine, "connect", _wait_for_no_disk)
            self.engines[address] = engine
        return self.engines[address]


class _KeptPool(QueuePool):
    """Connections that stay open, though Dagster disposes of its engine after each event."""

    def dispose(self) -> None:
        """Nothing: the connections end with the process."""

    def recreate(self) -> Self:
        """This very pool."""
        return self


def _wait_for_no_disk(connection: Any, _: Any) -> None:
    """Commit to the journal alone: a killed process loses nothing, a power cut the last events.

    Files stay consistent either way (SQLite's journal is a WAL here). A run whose end is lost so
    is found dead by the sensor and repeated; what was paid for has a ledger of its own.
    """
    connection.execute("PRAGMA synchronous = NORMAL")
