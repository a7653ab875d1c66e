"""Dagster's history in a database, made quick: connections that this process keeps.

For every event Dagster makes an engine, opens its SQLite file, waits for the disk, and closes it
again; who closes a file last has SQLite write its journal back. To PostgreSQL it makes a connection
for every statement, most of which is the password's check. Either was more than half of a run in
which nothing changed. Reaches into one release family of Dagster, which is pinned; tests watch it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import dagster as dg
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from sqlalchemy import Engine, NullPool, QueuePool, event


def keep_connections() -> None:
    """Have Dagster's SQLite storage keep engine and connection to each file in this process."""
    for module in (sqlite_event_log, sqlite_run_storage):
        make = module.create_engine
        if not isinstance(make, _KeptEngines):
            module.create_engine = _KeptEngines(make)  # type: ignore[attr-defined]


def keep_connections_of(instance: dg.DagsterInstance) -> None:
    """Have an instance whose storage is PostgreSQL keep its connections.

    One that was cut meanwhile, as a run may say nothing for hours, is made anew before it is used.
    """
    storages: list[Any] = [
        instance.run_storage,
        instance.event_log_storage,
        instance.schedule_storage,
    ]
    for storage in storages:
        if hasattr(storage, "postgres_url") and isinstance(storage._engine.pool, NullPool):
            from dagster_postgres.utils import create_pg_engine

            storage._engine = create_pg_engine(
                storage.postgres_url,
                storage._token_provider,
                isolation_level="AUTOCOMMIT",
                pool_size=1,
                pool_pre_ping=True,
            )


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
