"""The DuckDB file: built aside from the lake and the SQL models, checked, and swapped in whole.

Readers keep the file that they opened; who opens it next sees the new one. Nobody ever writes
into the published file, so nothing that holds it open can be in the way.
`dbt_like_sql/*.sql` are the models; `sql_models` knows what they read and what columns come from.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from resources.lake import Lake
from resources.shared_copy import SharedCopy
from resources.sql_models import SqlModel, column_lineage, in_order, read_checks, read_models
from resources.table_model import ColumnType, TableModel
from resources.tables import TABLES

if TYPE_CHECKING:
    import duckdb

PUBLICATION = "publication"
PUBLICATION_COMMENT = (
    "What this file was made from: one row a Parquet file, table model, SQL model and check. "
    "`version` is a content hash; for a Parquet file it is the table's data version. `rows` counts "
    "those of a whole table or model."
)
_PUBLICATION_COLUMNS = {
    "kind": "A Parquet file (table), a table model (schema), a SQL model, or a check.",
    "name": "Its name.",
    "benchmark": "The partition that a Parquet file holds; null for all else.",
    "version": "Content hash; of a Parquet file the table's data version.",
    "rows": "Rows of the whole table or model; null where that means nothing.",
}
_ASIDE = ".publishing-"
_SHOWN = 5

_DUCKDB_TYPES: dict[ColumnType, str] = {
    "string": "VARCHAR",
    "label": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "strings": "VARCHAR[]",
    "ints": "BIGINT[]",
    "vector": "FLOAT[]",
}


class WarehouseError(RuntimeError):
    """The DuckDB file can't be published or read; the message says which part, and the remedy."""


@dataclass(frozen=True)
class Publication:
    """What `publish` did."""

    file: Path
    version: str
    """Content hash of everything in the file: equal contents, equal version."""
    changed: bool
    """False where the file already held exactly this, and was left alone."""
    rows: dict[str, int]
    """Rows of every table and model."""
    versions: dict[str, str]
    """Of each SQL model: equal where its text and all that it reads, through others too, are."""
    waiting: tuple[str, ...] = ()
    """Benchmarks left out: the lake has them in another release's form, until their next run."""


Part = tuple[str, str, str | None, str]
"""One line of the table `publication`: kind, name, benchmark, version."""
Said = dict[str, dict[str, str | None]]
"""For each table and model, what each of its columns means, where somebody said it."""


@dataclass(frozen=True)
class _Plan:
    """What the file is to hold."""

    models: list[SqlModel]
    checks: list[SqlModel]
    parts: list[Part]
    kept: frozenset[str]
    """Benchmarks whose rows are taken from the published file, not from the lake."""
    waiting: tuple[str, ...]


def publish(
    lake: Lake,
    sql_folder: Path,
    target: Path,
    benchmarks: Collection[str] | None = None,
    refreshed: Collection[str] | None = None,
) -> Publication:
    """Publish every lake table and every SQL model as one DuckDB file, or leave it unchanged.

    Args:
        lake: where the Parquet tables lie; a table that is not there yet becomes an empty one.
        sql_folder: one SELECT a file, and in `checks/` queries that must return no row.
        target: the DuckDB file, replaced in one step. A lake in an object store has a copy of it,
            which is taken first where another machine has published since.
        benchmarks: the partitions to publish; None takes all that the lake holds.
        refreshed: benchmarks whose tables in the lake are whole. All others keep the rows that
            they have in the published file, if any: in the lake they may be half-way through a
            run of their own. None takes every benchmark from the lake.

    Raises:
        WarehouseError: a model is not valid or a check fails. The published file stays as it was.
        TableError: a table without partitions was written in another form by another release.
    """
    from filelock import FileLock

    models = in_order(read_models(sql_folder), known=[*TABLES, PUBLICATION])
    checks = read_checks(sql_folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        shared = SharedCopy(lake.folder, target, _version) if lake.is_remote else None
        changed = is_shared = False
        while not is_shared:
            if shared:
                shared.fetch()
            published = _published(target)
            plan = _plan(lake, models, checks, published, benchmarks, refreshed)
            if published == plan.parts:
                rows = _counted(target)
            else:
                changed = True
                with _aside(target) as temporary:
                    rows = _build(temporary, lake, plan, target)
                    _swap(temporary, target)
            is_shared = not shared or shared.put()
    version = _hash(repr(plan.parts))
    versions = _model_versions(plan, version)
    return Publication(target, version, changed, rows, versions, plan.waiting)


def query(target: Path, sql: str) -> pd.DataFrame:
    """The rows of one query on the published file as it is now, opened for reading only.

    Raises:
        WarehouseError: the file is not there, is held by a writer, or the query is not valid.
    """
    import duckdb

    with reading(target) as connection:
        try:
            return connection.sql(sql).df()
        except duckdb.Error as error:
            raise WarehouseError(f"{target}: {error}") from error


@contextmanager
def reading(target: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads the published file, and keeps this snapshot while it is open.

    The file is attached to a database in memory: opened directly, DuckDB would hand out whatever
    version another connection of this process still holds.

    Raises:
        WarehouseError: the file is not there, or a program holds it open for writing.
    """
    import duckdb

    if not target.is_file():
        raise WarehouseError(
            f"{target} is not there yet: materialize `warehouse` first (or `sound-approach run`)"
        )
    # A file that is no DuckDB file makes DuckDB look for an extension that could read it: not on
    # the network.
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    try:
        try:
            connection.execute(f"ATTACH {_text(str(target))} AS warehouse (READ_ONLY)")
            connection.execute("USE warehouse")
        except duckdb.Error as error:
            raise WarehouseError(
                f"{target} can't be read. If another program has it open for writing, close it "
                f"there or open it read-only (`duckdb -readonly`). DuckDB says: {error}"
            ) from error
        yield connection
    finally:
        connection.close()


def _plan(
    lake: Lake,
    models: list[SqlModel],
    checks: list[SqlModel],
    published: list[Part],
    benchmarks: Collection[str] | None,
    refreshed: Collection[str] | None,
) -> _Plan:
    schemas: list[Part] = [
        ("schema", model.name, None, _hash(repr(model))) for model in TABLES.values()
    ]
    same_schemas = [part for part in published if part[0] == "schema"] == schemas
    known = {part[2] for part in published} - {None}
    kept = known - set(refreshed) if same_schemas and refreshed is not None else set()
    whole = None if refreshed is None else {None, *refreshed, *(known - kept)}
    stored = {
        (model.name, benchmark): lake.stamp(model, benchmark)
        for model in TABLES.values()
        for benchmark in _stored(lake, model)
        if whole is None or benchmark in whole
    }
    waiting = {benchmark for (_, benchmark), stamp in stored.items() if stamp is None} - {None}
    tables: list[Part] = [
        # No stamp here: a table without partitions, which reading it will say, with the remedy.
        ("table", name, benchmark, stamp.data_version if stamp else "")
        for (name, benchmark), stamp in stored.items()
        if benchmark not in waiting
    ]
    tables += [part for part in published if part[0] == "table" and part[2] in kept]
    wanted = [
        part for part in tables if part[2] is None or benchmarks is None or part[2] in benchmarks
    ]
    sql: list[Part] = [("model", model.name, None, _hash(model.text)) for model in models]
    sql += [("check", check.name, None, _hash(check.text)) for check in checks]
    parts = [*schemas, *sorted(wanted, key=lambda part: (part[1], part[2] or "")), *sql]
    return _Plan(models, checks, parts, frozenset(map(str, kept)), tuple(sorted(map(str, waiting))))


def _model_versions(plan: _Plan, whole: str) -> dict[str, str]:
    parts: dict[str, list[Part]] = defaultdict(list)
    for part in plan.parts:
        parts[part[1]].append(part)
    versions = {name: _hash(repr(parts[name])) for name in TABLES} | {PUBLICATION: whole}
    for model in plan.models:
        read = sorted(versions[name] for name in model.reads)
        versions[model.name] = _hash(repr([_hash(model.text), read]))
    return {model.name: versions[model.name] for model in plan.models}


def _stored(lake: Lake, model: TableModel) -> list[str] | list[None]:
    """The partitions of a table in the lake; `[None]` for a table without partitions."""
    if model.partitioned:
        return lake.benchmarks(model)
    return [None] if lake.holds(model) else []


def _build(file: Path, lake: Lake, plan: _Plan, published: Path) -> dict[str, int]:
    """Write the whole database into a new file; returns the rows of every table and model."""
    import duckdb

    # No access to other files: what the models publish must be in the file itself.
    connection = duckdb.connect(str(file), config={"enable_external_access": "false"})
    try:
        with _one_commit(connection):
            for table in TABLES.values():
                _create_table(connection, table)
        for kind, name, benchmark, _ in plan.parts:
            if kind == "table" and benchmark not in plan.kept:
                _insert(connection, name, lake.read_arrow(TABLES[name], benchmark))
        if plan.kept:
            _insert_kept(connection, plan, published)
        _create_publication(connection, plan.parts)
        said = _column_texts(plan.models)
        with _one_commit(connection):
            for model in plan.models:
                _create_model(connection, model, said)
        for check in plan.checks:
            _check(connection, check)
        return _count_rows(connection, plan)
    finally:
        connection.close()


@contextmanager
def _one_commit(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Many definitions and comments at once: a commit for each would take most of the time."""
    connection.begin()
    yield
    connection.commit()


def _count_rows(connection: duckdb.DuckDBPyConnection, plan: _Plan) -> dict[str, int]:
    """Rows of every table and model, noted in the file so that nobody need count again."""
    rows = {}
    for name in [*TABLES, *(model.name for model in plan.models)]:
        counted = connection.execute(f"SELECT count(*) FROM {_name(name)}").fetchall()  # noqa: S608
        rows[name] = int(counted[0][0])
        connection.execute(
            f"UPDATE {PUBLICATION} SET rows = ? "  # noqa: S608
            "WHERE name = ? AND kind IN ('schema', 'model')",
            [rows[name], name],
        )
    return rows


def _insert_kept(connection: duckdb.DuckDBPyConnection, plan: _Plan, published: Path) -> None:
    """Carry on rows from the published file."""
    with reading(published) as old:
        for kind, name, benchmark, _ in plan.parts:
            if kind == "table" and benchmark in plan.kept:
                rows = old.sql(
                    f"SELECT * FROM {_name(name)} WHERE benchmark = ?",  # noqa: S608
                    params=[benchmark],
                )
                _insert(connection, name, rows.to_arrow_table())


def _create_table(connection: duckdb.DuckDBPyConnection, model: TableModel) -> None:
    columns = ", ".join(
        f"{_name(column.name)} {_DUCKDB_TYPES[column.type]}{'' if column.nullable else ' NOT NULL'}"
        for column in model.columns
    )
    connection.execute(f"CREATE TABLE {_name(model.name)} ({columns})")
    key = ", ".join(model.key)
    _comment(connection, "TABLE", model.name, f"{model.description} Key: {key}.")
    for column in model.columns:
        _comment_column(connection, model.name, column.name, column.description)


def _insert(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Add rows by column name. Labels, dictionaries in Arrow, become plain strings on the way."""
    connection.register("incoming", rows)
    try:
        connection.execute(f"INSERT INTO {_name(name)} BY NAME SELECT * FROM incoming")  # noqa: S608
    finally:
        connection.unregister("incoming")


def _create_publication(connection: duckdb.DuckDBPyConnection, parts: list[Part]) -> None:
    connection.execute(
        f"CREATE TABLE {PUBLICATION} "
        "(kind VARCHAR NOT NULL, name VARCHAR NOT NULL, benchmark VARCHAR, version VARCHAR, "
        "rows BIGINT)"
    )
    names = ("kind", "name", "benchmark", "version")
    columns = [pa.array(column, pa.string()) for column in zip(*parts, strict=True)]
    _insert(connection, PUBLICATION, pa.table(columns, names=names))
    _comment(connection, "TABLE", PUBLICATION, PUBLICATION_COMMENT)
    for column, text in _PUBLICATION_COLUMNS.items():
        _comment_column(connection, PUBLICATION, column, text)


def _create_model(connection: duckdb.DuckDBPyConnection, model: SqlModel, said: Said) -> None:
    """One SQL model as a view or table, with its comments."""
    import duckdb

    kind = "TABLE" if model.materialized else "VIEW"
    try:
        connection.execute(f"CREATE {kind} {_name(model.name)} AS {model.sql}")
    except duckdb.Error as error:
        raise WarehouseError(f"{model.file}: {error}") from error
    _comment(connection, kind, model.name, model.description)
    for column, text in said[model.name].items():
        if text:
            _comment_column(connection, model.name, column, text)


def _column_texts(models: list[SqlModel]) -> Said:
    """What each column of each table and model means.

    A model's header says it. A column that carries on one column of a table under the same name
    means what that one means.
    """
    said: Said = {
        table.name: {column.name: column.description for column in table.columns}
        for table in TABLES.values()
    }
    lineage = column_lineage(models)
    for model in models:
        said[model.name] = {
            column: model.said_of(column) or _inherited(said, column, origins)
            for column, origins in lineage[model.name].items()
        }
    return said


def _inherited(said: Said, column: str, origins: list[tuple[str, str]]) -> str | None:
    texts = {said[table].get(name) for table, name in origins if name == column}
    return texts.pop() if len(texts) == 1 else None


def _check(connection: duckdb.DuckDBPyConnection, check: SqlModel) -> None:
    """Run a query that must return no row.

    Raises:
        WarehouseError: it returned some; the message shows the first.
    """
    import duckdb

    try:
        rows = connection.sql(check.sql).df()
    except duckdb.Error as error:
        raise WarehouseError(f"{check.file}: {error}") from error
    if len(rows):
        first = "\n".join(f"  {row}" for row in rows.head(_SHOWN).to_dict("records"))
        raise WarehouseError(
            f"check {check.name} failed, nothing was published: {check.description} "
            f"{len(rows)} row(s), first of them:\n{first}\n"
            f"Materialize the whole chain of that benchmark; if it stays, {check.file} says what "
            "must hold."
        )


def _published(target: Path) -> list[Part]:
    """What the published file was made from; nothing if there is none that can be read."""
    try:
        rows = query(target, f"SELECT kind, name, benchmark, version FROM {PUBLICATION}")  # noqa: S608
    except WarehouseError:
        return []
    columns = (rows[name].where(rows[name].notna(), None) for name in rows.columns)
    return list(zip(*columns, strict=True))


def _version(target: Path) -> str:
    """Content hash of everything in a published file."""
    return _hash(repr(_published(target)))


def _counted(target: Path) -> dict[str, int]:
    """Rows of every table and model, as noted when the file was built."""
    counted = query(target, f"SELECT name, rows FROM {PUBLICATION} WHERE rows IS NOT NULL")  # noqa: S608
    return {str(name): int(rows) for name, rows in counted.itertuples(index=False)}


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A new file's path in a folder of its own beside the target, so that renaming is one step.

    Called under the lock: what a killed publication left behind is removed first.
    """
    for left in target.parent.glob(f"{_ASIDE}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=target.parent))
    try:
        yield folder / target.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _swap(temporary: Path, target: Path) -> None:
    """Put the finished file in the target's place, on disk before its name changes."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(target)


def _comment(connection: duckdb.DuckDBPyConnection, kind: str, name: str, text: str | None) -> None:
    connection.execute(f"COMMENT ON {kind} {_name(name)} IS {_text(text)}")


def _comment_column(
    connection: duckdb.DuckDBPyConnection, table: str, column: str, text: str | None
) -> None:
    connection.execute(f"COMMENT ON COLUMN {_name(table)}.{_name(column)} IS {_text(text)}")


def _name(name: str) -> str:
    """An identifier as SQL; statements that define things take no parameters."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise WarehouseError(f"{name!r} is no name for a table or column: letters, digits and _")
    return f'"{name}"'


def _text(text: str | None) -> str:
    """A string literal as SQL."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
