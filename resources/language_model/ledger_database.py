"""The ledger's tables, and the database that they lie in: SQLite in WAL mode, or PostgreSQL.

Both promise the same: a commit is durable, and of several processes one writes at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from resources.language_model.question import LanguageModelError
from resources.remote import require

CHUNK = 500
"""Keys in one statement; SQLite's limit on variables is far above."""

ONE_WRITER = 0x1ED6E5
"""The number of PostgreSQL's advisory lock that whoever writes holds, as SQLite's write lock."""

METADATA = sa.MetaData()


class _Text(sa.types.TypeDecorator[str]):
    """Any text. PostgreSQL refuses the character NUL: there its printable sign stands for it."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Make a text fit for the database."""
        if value is None or dialect.name != "postgresql":
            return value
        return value.replace("\x00", "\N{SYMBOL FOR NULL}")


ANSWERS = sa.Table(
    "answers",
    METADATA,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),  # open, in_batch, answered, failed
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("text_id", sa.String(16), nullable=False),
    sa.Column("text", _Text, nullable=False),
    sa.Column("fields", sa.Text),
    sa.Column("model", _Text),
    sa.Column("raw", _Text),
    sa.Column("problem", sa.String(16)),
    sa.Column("detail", _Text),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("request_id", sa.String(32)),
    sa.Column("owner", sa.Text, index=True),
    sa.Column("lease_until", sa.Float),
)
"""State `failed` is the quarantine: an answer came, and could not be used."""

REQUESTS = sa.Table(
    "requests",
    METADATA,
    sa.Column("request_id", sa.String(32), primary_key=True),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("answer_schema", sa.Text, nullable=False),
    sa.Column("raw_answer", _Text),
    sa.Column("problem", sa.String(16)),
    sa.Column("prompt_tokens", sa.Integer),
    sa.Column("completion_tokens", sa.Integer),
    sa.Column("reserved_usd", sa.Float),
    sa.Column("cost_usd", sa.Float),
    sa.Column("batch", sa.String(32), index=True),
    sa.Column("owner", sa.Text),
)
"""States: queued, sent, in_batch, answered, failed."""

MEMBERS = sa.Table(
    "members",
    METADATA,
    sa.Column("request_id", sa.String(32), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("key", sa.String(64), nullable=False, index=True),
)

BATCHES = sa.Table(
    "batches",
    METADATA,
    sa.Column("batch", sa.String(32), primary_key=True),
    sa.Column("server", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # intended, uploaded, submitted, collected
    sa.Column("file_id", sa.Text),
    sa.Column("batch_id", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", sa.Float),
)


def open_engine(url: str) -> sa.Engine:
    """An engine for the ledger's database, prepared for several processes at once.

    Raises:
        ExtraMissingError: the database is PostgreSQL, and its driver is not installed.
    """
    if not url.startswith("postgresql"):
        engine = sa.create_engine(url)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    require("psycopg", "ledger")
    engine = sa.create_engine(url, pool_pre_ping=True)  # the server may have been restarted
    sa.event.listen(engine, "connect", _prepare_postgresql)
    sa.event.listen(engine, "begin", _begin_postgresql)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """WAL lets readers read while one writes; a writer waits for another up to a minute."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 60000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """Take the write lock at the start where we mean to write, so that no upgrade can fail."""
    options = connection.get_execution_options()
    if options.get("transaction", True):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    """A commit is durable whatever the server's default; a machine that fell silent lets go."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
        cursor.execute("SET lock_timeout = '60s'")
    connection.commit()


def _begin_postgresql(connection: sa.Connection) -> None:
    """Whoever means to write waits for the one who writes; the lock goes with the transaction."""
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ONE_WRITER})")


_WHAT_TO_LOOK_AT = {
    "sqlite": "Is the disk full, the folder read-only, or has another process been writing for "
    "60 s?",
    "postgresql": "Does the server run, has its disk room, and are user, PGPASSWORD and database "
    "right?",
    "55P03": "Another process has been writing for 60 s: run again when it is through.",
    "42501": "The user of the URL must be allowed to make tables in the database, and to read and "
    "write them: GRANT CREATE, USAGE ON SCHEMA public, by the database's owner.",
}
"""By dialect; by PostgreSQL's own codes where they say more."""


@contextmanager
def telling(engine: sa.Engine, done: str) -> Iterator[None]:
    """Say of a database's refusal which ledger it is about, and what to look at.

    Raises:
        LanguageModelError: the database can't be read or written.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        said = str(error.orig).partition("\n")[0]
        code = getattr(error.orig, "sqlstate", None)
        remedy = _WHAT_TO_LOOK_AT.get(code or "") or _WHAT_TO_LOOK_AT[engine.dialect.name]
        raise LanguageModelError(
            f"the ledger {engine.url.render_as_string()} can't be {done}: {said}. {remedy}"
        ) from error


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that reads (see `telling`)."""
    with telling(engine, "read"), engine.connect() as connection:
        yield connection


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that writes, in one transaction (see `telling`)."""
    with (
        telling(engine, "written"),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        yield connection


def upsert(engine: sa.Engine) -> Any:
    """The dialect's INSERT that knows ON CONFLICT."""
    return {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[engine.dialect.name]


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Items in runs that fit into one statement."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
