"""The vocabulary in which tables are declared: `Column` and `TableModel`.

A model is the single source of a table's Arrow schema, its pandas form, its checks and its page in
the docs. The tables themselves are declared in `tables.py`; nothing here knows any of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

ColumnType = Literal["string", "label", "int", "float", "bool", "strings", "ints", "vector"]
"""`label` is a string that repeats in many rows: a dictionary in Arrow, a category in pandas."""

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "label": pa.dictionary(pa.int32(), pa.string()),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "strings": pa.list_(pa.string()),
    "ints": pa.list_(pa.int64()),
    "vector": pa.list_(pa.float32()),
}


class TableError(ValueError):
    """Rows do not fit their table model; the message names table, column and first bad row."""


@dataclass(frozen=True)
class Column:
    """One column: its type, its meaning, and what its values may be."""

    name: str
    type: ColumnType
    description: str
    nullable: bool = False
    allowed: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    length: int | None = None
    """How many items each of a column of lists holds, where that is fixed."""

    @property
    def arrow(self) -> pa.Field:
        """The column as an Arrow field."""
        return pa.field(self.name, ARROW_TYPES[self.type], nullable=self.nullable)


@dataclass(frozen=True)
class Used:
    """What a table's rows keep to where they are used, and where they are not.

    Where `flag` is true `reason` is empty, and where it is false `reason` says why.
    """

    flag: str
    reason: str = "reason"
    filled: tuple[str, ...] = ()
    """Columns that are not empty where the flag is true."""
    after: tuple[tuple[str, str], ...] = ()
    """Pairs of columns, the first greater than the second where the flag is true."""


@dataclass(frozen=True)
class TableModel:
    """One table: its stage, columns and key. `partitioned` tables hold one file a benchmark."""

    name: str
    stage: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partitioned: bool = True
    version_columns: tuple[str, ...] | None = None
    """What the data version is made from, where not every column (vectors: their keys)."""
    used: Used | None = None
    """The rules of a table that also lists what is not used."""

    def __post_init__(self) -> None:
        named = {*self.key, *(self.version_columns or ())}
        if self.used:
            named |= {
                self.used.flag,
                self.used.reason,
                *self.used.filled,
                *sum(self.used.after, ()),
            }
        unknown = named - set(self.names)
        if unknown:
            raise TableError(f"table {self.name}: no such columns: {sorted(unknown)}")

    @property
    def names(self) -> list[str]:
        """Column names, in order."""
        return [column.name for column in self.columns]

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema."""
        return pa.schema([column.arrow for column in self.columns])

    def column(self, name: str) -> Column:
        """One column by name."""
        return next(column for column in self.columns if column.name == name)

    def frame(self, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        """Bring rows into the table's form: its columns by name, its types, sorted by its key.

        Args:
            rows: a frame or dicts. Columns are matched by name; a nullable one may be absent.

        Raises:
            TableError: a column is unknown, missing or of another type.
        """
        given = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        unknown = [str(name) for name in given.columns if name not in self.names]
        if unknown:
            raise TableError(f"table {self.name}: unknown columns {unknown}")
        columns = {column.name: self._conform(given, column) for column in self.columns}
        frame = pd.DataFrame(columns, index=range(len(given)))
        order = [name for name in self.key if self.column(name).type in _SORTABLE]
        return frame.sort_values(order, ignore_index=True, kind="stable") if order else frame

    def _conform(self, given: pd.DataFrame, column: Column) -> pd.Series:
        if column.name in given.columns:
            values = given[column.name].reset_index(drop=True)
        elif column.nullable or given.empty:
            values = pd.Series([None] * len(given), dtype=object)
        else:
            raise TableError(f"table {self.name}: column {column.name} is missing")
        try:
            return _CONFORM[column.type](values, column.nullable)
        except (TypeError, ValueError) as error:
            raise TableError(
                f"table {self.name}: column {column.name} is not {column.type}: {error}"
            ) from error

    def to_arrow(self, frame: pd.DataFrame) -> pa.Table:
        """A conforming frame as Arrow, by column name; nulls where pandas holds NaN or None.

        Raises:
            TableError: a column is missing, of another type, or empty where it must not be.
        """
        table = self._lenient_arrow(frame, self.names)
        for column in self.columns:
            nulls = table[column.name].null_count
            if nulls and not column.nullable:
                row = table[column.name].is_null().to_pylist().index(True)
                raise TableError(
                    f"table {self.name}: column {column.name} is empty in {nulls} rows, "
                    f"first in row {row}: {_row_name(frame, self.key, row)}"
                )
        return table.cast(self.schema)

    def _lenient_arrow(self, frame: pd.DataFrame, names: Sequence[str]) -> pa.Table:
        fields = [self.column(name).arrow.with_nullable(True) for name in names]
        try:
            table = pa.Table.from_pandas(
                frame[list(names)], schema=pa.schema(fields), preserve_index=False
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError, KeyError) as error:
            raise TableError(f"table {self.name}: {error}") from error
        return table.replace_schema_metadata(None)

    def from_arrow(self, table: pa.Table) -> pd.DataFrame:
        """The pandas form of stored rows (see `frame`), which are sorted and well-typed already.

        Only what Arrow and pandas hold otherwise is converted: rows may be millions.
        """
        stored = table.select(self.names).to_pandas()
        return pd.DataFrame(
            {
                column.name: _CONFORM[column.type](stored[column.name], column.nullable)
                if column.type in _OTHERWISE_IN_PANDAS
                else stored[column.name]
                for column in self.columns
            }
        )

    def version(self, frame: pd.DataFrame) -> str:
        """Content hash of a conforming frame: equal rows give equal versions."""
        digest = hashlib.sha256(f"{self.name}:{len(frame)}".encode())
        names = self.version_columns or self.names
        table = self._lenient_arrow(frame, names)
        for name in names:
            digest.update(name.encode())
            _update(digest, table[name])
        return digest.hexdigest()


_OTHERWISE_IN_PANDAS = {"label", "int", "bool"}
_SORTABLE = {"string", "label", "int", "float", "bool"}


def _objects(values: pd.Series, nullable: bool) -> pd.Series:
    return values.astype(object).where(values.notna(), None)


def _strings(values: pd.Series, nullable: bool) -> pd.Series:
    values = _objects(values, nullable)
    wrong = [v for v in values if v is not None and not isinstance(v, str)]
    if wrong:
        raise TypeError(f"{wrong[0]!r} is no string")
    return values


def _labels(values: pd.Series, nullable: bool) -> pd.Series:
    """Categories sorted, so that sorting by code is sorting by name, and only those in use."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.remove_unused_categories()
        names = sorted(values.cat.categories)
        return values if names == list(values.cat.categories) else values.cat.set_categories(names)
    values = _strings(values, nullable)
    return values.astype(pd.CategoricalDtype(sorted(set(values.dropna()))))


def _lists(dtype: Any) -> Any:
    def conform(values: pd.Series, nullable: bool) -> pd.Series:
        cells = [
            None
            if cell is None or cell is pd.NA or isinstance(cell, float)
            else np.asarray(cell, dtype=dtype)
            for cell in values
        ]
        return pd.Series(cells, dtype=object)

    return conform


_CONFORM: dict[ColumnType, Any] = {
    "string": _strings,
    "label": _labels,
    "int": lambda values, nullable: values.astype("Int64" if nullable else "int64"),
    "float": lambda values, nullable: values.astype("float64"),
    "bool": lambda values, nullable: values.astype("boolean" if nullable else "bool"),
    "strings": _lists(object),
    "ints": _lists(np.int64),
    "vector": _lists(np.float32),
}


def _row_name(frame: pd.DataFrame, key: tuple[str, ...], row: int) -> str:
    return ", ".join(f"{name}={frame[name].iloc[row]}" for name in key)


def _update(digest: Any, values: pa.ChunkedArray | pa.Array) -> None:
    """Feed a column into a hash: which cells are null, then lengths, then values."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    digest.update(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes())
    array = array.drop_null()
    if pa.types.is_dictionary(array.type):
        _update(digest, array.dictionary)
        _update(digest, array.indices)
    elif pa.types.is_list(array.type):
        digest.update(array.value_lengths().to_numpy(zero_copy_only=False).tobytes())
        _update(digest, array.flatten())
    elif pa.types.is_string(array.type):
        _, offsets, characters = array.buffers()
        ends = np.frombuffer(offsets or b"", np.int32)[array.offset :][: len(array) + 1]
        digest.update(np.diff(ends).tobytes())
        if len(array):
            digest.update(memoryview(characters)[ends[0] : ends[-1]] if characters else b"")
    else:
        digest.update(np.ascontiguousarray(array.to_numpy(zero_copy_only=False)).tobytes())
