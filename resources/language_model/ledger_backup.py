"""Backing a ledger up, and taking a backup's answers over into another ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from resources.language_model.ledger import Ledger
from resources.language_model.ledger_database import (
    ANSWERS,
    CHUNK,
    MEMBERS,
    METADATA,
    REQUESTS,
    chunks,
    telling,
    transaction,
    upsert,
)
from resources.language_model.question import LanguageModelError

SETTLED = ("answered", "failed")


def back_up(ledger: Ledger, file: Path) -> None:
    """Write a copy that is whole in itself, also while others write.

    Raises:
        LanguageModelError: the file is there already.
    """
    if file.exists():
        raise LanguageModelError(f"{file} is there already: a backup overwrites nothing")
    file.parent.mkdir(parents=True, exist_ok=True)
    if ledger.engine.dialect.name != "sqlite":
        _copy_into_file(ledger.engine, file)
        return
    with (
        telling(ledger.engine, "backed up"),
        ledger.engine.connect().execution_options(transaction=False) as connection,
    ):
        connection.exec_driver_sql("VACUUM INTO ?", (str(file),))


def _copy_into_file(engine: sa.Engine, file: Path) -> None:
    """Copy another database's tables, as they are at one moment, into a new SQLite file."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    copy = sa.create_engine(f"sqlite:///{unfinished}")
    with (
        telling(engine, "backed up"),
        engine.connect().execution_options(isolation_level="REPEATABLE READ") as source,
        copy.begin() as target,
    ):
        METADATA.create_all(target)
        for table in METADATA.sorted_tables:
            # By a cursor of the server: a ledger may be larger than this machine's memory.
            by_parts = {"stream_results": True, "yield_per": CHUNK}
            rows = source.execute(sa.select(table), execution_options=by_parts).mappings()
            for part in rows.partitions():
                target.execute(sa.insert(table), [dict(row) for row in part])
    copy.dispose()
    unfinished.replace(file)


def restore(ledger: Ledger, file: Path) -> int:
    """Take over a backup's answers that are not known here, with its requests; lose nothing here.

    Others may write meanwhile. One that is stopped is completed by the next.

    Returns:
        How many answers were taken over.

    Raises:
        LanguageModelError: there is no such file, or it is no ledger.
    """
    if not file.is_file():
        raise LanguageModelError(f"{file}: no such backup")
    backup = sa.create_engine(f"sqlite:///file:{file.resolve()}?mode=ro&uri=true")
    try:
        with backup.connect() as source:
            settled = sa.select(ANSWERS).where(ANSWERS.c.state.in_(SETTLED))
            answers = _rows(source, settled)
            requests = _rows(source, sa.select(REQUESTS))
            members = _rows(source, sa.select(MEMBERS))
    except sa.exc.DatabaseError as error:
        raise LanguageModelError(f"{file}: no backup of a ledger: {error.orig}") from error
    finally:
        backup.dispose()
    taken = sum(_take_over(ledger.engine, chunk) for chunk in chunks(answers))
    for table, rows in ((REQUESTS, requests), (MEMBERS, members)):
        for chunk in chunks(rows):
            with transaction(ledger.engine) as connection:
                insert = upsert(ledger.engine)(table)
                connection.execute(insert.on_conflict_do_nothing(), chunk)
    return taken


def _take_over(engine: sa.Engine, answers: Sequence[dict[str, Any]]) -> int:
    """Store those that are not known, in a transaction of their own, so that others can write."""
    keys = [row["key"] for row in answers]
    with transaction(engine) as connection:
        settled = sa.select(ANSWERS.c.key).where(ANSWERS.c.key.in_(keys), ANSWERS.c.state != "open")
        known = set(connection.scalars(settled))
        new = [row for row in answers if row["key"] not in known]
        if new:
            insert = upsert(engine)(ANSWERS)
            replaced = {column.name: insert.excluded[column.name] for column in ANSWERS.columns}
            statement = insert.on_conflict_do_update(index_elements=["key"], set_=replaced)
            connection.execute(statement, new)
    return len(new)


def _rows(connection: sa.Connection, statement: sa.Select[Any]) -> Sequence[dict[str, Any]]:
    return [dict(row) for row in connection.execute(statement).mappings()]
