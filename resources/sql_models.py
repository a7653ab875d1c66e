"""SQL models as files: one SELECT each, what it says about itself, what it reads.

A model's file starts with comment lines, its header: the description; then, where needed, lines
`-- column NAME: text` for columns that no table describes (`*` in a name stands for anything), and
`-- materialized: table` where the rows are to be stored and not computed at every reading.
Dependencies and the lineage of columns are read from the SQL itself. Nothing here opens a database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from resources.settings import PROJECT_ROOT
from resources.tables import TABLES

SQL_FOLDER = PROJECT_ROOT / "dbt_like_sql"
DIALECT = "duckdb"
Lineage = dict[str, dict[str, list[tuple[str, str]]]]
"""For each model, for each of its columns: the (table or model, column) pairs it is made from."""

_COLUMN_LINE = re.compile(r"column ([\w*]+):\s*(.*)")
_MATERIALIZED_LINE = re.compile(r"materialized:\s*(table|view)\s*$")


class SqlModelError(ValueError):
    """A SQL file can't be used; the message names it."""


@dataclass(frozen=True)
class SqlModel:
    """One SQL file: a model, or a check."""

    name: str
    file: Path
    text: str
    """The whole file, header included."""
    sql: str
    """The SELECT, without header and final semicolon."""
    description: str
    reads: tuple[str, ...]
    """Tables and models that it selects from, sorted."""
    materialized: bool = False
    """Stored as a table; otherwise a view."""
    columns: dict[str, str] = field(default_factory=dict, hash=False)
    """Descriptions of columns, from the header; names may hold `*`."""

    def said_of(self, column: str) -> str | None:
        """What the header says of a column: its last line whose name fits."""
        fitting = [text for name, text in self.columns.items() if fnmatchcase(column, name)]
        return fitting[-1] if fitting else None


def read_model(file: Path) -> SqlModel:
    """One file.

    Raises:
        SqlModelError: it is not one SELECT, or has no description.
    """
    return _model(file, file.read_text(encoding="utf-8"))


@lru_cache(maxsize=256)
def _model(file: Path, text: str) -> SqlModel:
    """What a file with this text says; it is read at every publication, and parsed when new."""
    lines = text.splitlines()
    length = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    description, columns, materialized = _header([line[2:].strip() for line in lines[:length]])
    if not description:
        raise SqlModelError(f"{file}: its first lines must say in comments (`-- ...`) what it is")
    sql = "\n".join(lines[length:]).strip().removesuffix(";")
    return SqlModel(
        file.stem, file, text, sql, description, _reads(file, sql), materialized, columns
    )


def read_models(sql_folder: Path) -> list[SqlModel]:
    """The models of a folder, `*.sql`, by name.

    Raises:
        SqlModelError: a file is not one SELECT, or has no description.
    """
    return [read_model(file) for file in sorted(sql_folder.glob("*.sql"))]


def read_checks(sql_folder: Path) -> list[SqlModel]:
    """The checks of a folder, `checks/*.sql`: queries that must return no row."""
    return read_models(sql_folder / "checks")


def in_order(models: Iterable[SqlModel], known: Iterable[str] = tuple(TABLES)) -> list[SqlModel]:
    """Models so that each comes after those it reads.

    Raises:
        SqlModelError: one reads what is neither a known table nor a model, or reads itself.
    """
    by_name = {model.name: model for model in models}
    tables = set(known)
    for model in by_name.values():
        if model.name in tables:
            raise SqlModelError(f"{model.file}: {model.name} is a table already: rename the file")
        unknown = sorted(set(model.reads) - tables - set(by_name))
        if unknown:
            raise SqlModelError(f"{model.file}: no such table or model: {', '.join(unknown)}")
    graph = {name: sorted(set(by_name[name].reads) & set(by_name)) for name in sorted(by_name)}
    try:
        return [by_name[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = " reads ".join(reversed(error.args[1]))
        raise SqlModelError(f"SQL models read one another in a circle: {circle}") from error


def column_lineage(models: Iterable[SqlModel]) -> Lineage:
    """Where each column of each model comes from, one step back.

    Args:
        models: in the order in which they can be created (see `in_order`).

    Raises:
        SqlModelError: a column is not in the table it is selected from.
    """
    known: dict[str, list[str]] = {name: model.names for name, model in TABLES.items()}
    lineage: Lineage = {}
    for model in models:
        read = [(name, tuple(known[name])) for name in model.reads if name in known]
        lineage[model.name] = _model_lineage(model, tuple(read))
        known[model.name] = list(lineage[model.name])
    return lineage


def _header(lines: list[str]) -> tuple[str, dict[str, str], bool]:
    """Description, descriptions of columns, and whether the rows are stored."""
    description: list[str] = []
    columns: dict[str, str] = {}
    materialized = False
    for line in lines:
        if match := _COLUMN_LINE.fullmatch(line):
            columns[match[1]] = match[2]
        elif match := _MATERIALIZED_LINE.fullmatch(line):
            materialized = match[1] == "table"
        elif columns:
            last = next(reversed(columns))
            columns[last] = f"{columns[last]} {line}".strip()
        else:
            description.append(line)
    return " ".join(description).strip(), columns, materialized


def _parse(file: Path, sql: str) -> Any:
    import sqlglot
    from sqlglot import errors, exp

    try:
        statements = sqlglot.parse(sql, dialect=DIALECT)
    except errors.SqlglotError as error:
        raise SqlModelError(f"{file}: {error}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise SqlModelError(f"{file}: one SELECT a file, and nothing else")
    return statements[0]


def _reads(file: Path, sql: str) -> tuple[str, ...]:
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    # A table function, such as `range(3)`, is a source without a name.
    names = {
        source.name
        for scope in traverse_scope(_parse(file, sql))
        for source in scope.sources.values()
        if isinstance(source, exp.Table)
    }
    return tuple(sorted(names - {""}))


@lru_cache(maxsize=256)
def _model_lineage(
    model: SqlModel, read: tuple[tuple[str, tuple[str, ...]], ...]
) -> dict[str, list[tuple[str, str]]]:
    """For each column the stored columns at the ends of its lineage.

    `read` names what the model selects from, with the columns of each.
    """
    from sqlglot import errors
    from sqlglot.lineage import lineage

    # Names suffice to trace columns: the types are of no account here.
    known = dict(read)
    schema = {name: dict.fromkeys(columns, "VARCHAR") for name, columns in known.items()}
    try:
        nodes = lineage(
            None,
            _parse(model.file, model.sql),
            schema=schema,
            dialect=DIALECT,
            trim_selects=False,
        )
    except errors.SqlglotError as error:
        raise SqlModelError(f"{model.file}: {error}") from error
    strange = [name for name in model.columns if not any(fnmatchcase(c, name) for c in nodes)]
    if strange:
        raise SqlModelError(f"{model.file}: its header describes columns it lacks: {strange}")
    return {column: _origins(model, node, known) for column, node in nodes.items()}


def _origins(
    model: SqlModel, node: Any, known: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, str]]:
    from sqlglot import exp

    origins = {
        (leaf.expression.name, leaf.name.rpartition(".")[2].strip('"'))
        for leaf in node.walk()
        if isinstance(leaf.expression, exp.Table) and leaf.expression.name in known
    }
    for table, column in sorted(origins):
        if column not in known[table]:
            raise SqlModelError(f"{model.file}: {table} has no column {column}")
    return sorted(origins)
