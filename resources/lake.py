"""The lake: one Parquet file a table and benchmark, whole or not there, and its version.

It lies in a folder on disk or in an object store (see `folders`): a reader sees the old table or
the new one. Files hold no times and no run ids. A file's footer says the version of its rows and
what they were made from (`Stamp`), so that a stage can tell that nothing upstream has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from resources.folders import Address, open_folder
from resources.table_model import TableError, TableModel

_Read = TypeVar("_Read")

WHOLE = "all"
"""The file name of a table that is not partitioned."""


@dataclass(frozen=True)
class Stamp:
    """What a stored table is: the version of its rows, and of everything they were made from."""

    data_version: str
    made_from: str
    """Empty where the table is known to be incomplete: the next run makes it again."""


class Lake:
    """Tables as Parquet under one folder.

    Args:
        root: the folder's path, or its URL.
    """

    def __init__(self, root: Address) -> None:
        self.root = root
        self.folder = open_folder(root)

    @property
    def is_remote(self) -> bool:
        """Whether it lies in an object store, which other machines reach too."""
        return isinstance(self.root, str)

    def path(self, model: TableModel, benchmark: str | None = None) -> Path | str:
        """Where a table's file lies: its path, or its URL."""
        return self.folder.place(_name(model, benchmark))

    def benchmarks(self, model: TableModel) -> list[str]:
        """The benchmarks for which a table is stored."""
        files = (Path(name) for name in self.folder.sizes(model.name))
        return sorted(file.stem for file in files if file.suffix == ".parquet")

    def holds(self, model: TableModel) -> bool:
        """Whether a table without partitions is stored, in whatever form."""
        return Path(_name(model, None)).name in self.folder.sizes(model.name)

    def stamp(self, model: TableModel, benchmark: str | None = None) -> Stamp | None:
        """A stored table's version, or None if it is not stored in this model's form."""
        schema = self._schema(model, benchmark)
        if schema is None or not schema.remove_metadata().equals(model.schema):
            return None
        metadata = schema.metadata or {}
        return Stamp(
            metadata.get(b"data_version", b"").decode(), metadata.get(b"made_from", b"").decode()
        )

    def is_of_another_release(self, model: TableModel, benchmark: str | None = None) -> bool:
        """Whether a table is stored, and in another form than this model's."""
        schema = self._schema(model, benchmark)
        return schema is not None and not schema.remove_metadata().equals(model.schema)

    def _schema(self, model: TableModel, benchmark: str | None) -> pa.Schema | None:
        try:
            return self.folder.glance(_name(model, benchmark), pq.read_schema)
        except FileNotFoundError:
            return None

    def read(self, model: TableModel, benchmark: str | None = None) -> pd.DataFrame:
        """A stored table.

        Raises:
            TableError: it is not stored, or was stored in another form by another release.
        """
        return model.from_arrow(self.read_arrow(model, benchmark))

    def head(self, model: TableModel, benchmark: str | None, rows: int) -> tuple[pd.DataFrame, int]:
        """The first rows of a stored table, and how many it has; the others are not read.

        Raises:
            TableError: it is not stored.
        """

        def read(source: Any) -> tuple[pa.Table, int]:
            file = pq.ParquetFile(source)
            batches = list(islice(file.iter_batches(batch_size=rows), 1))
            return pa.Table.from_batches(batches, file.schema_arrow), file.metadata.num_rows

        first, total = self._read(model, benchmark, read)
        return model.from_arrow(first.replace_schema_metadata(None)), total

    def columns(
        self, model: TableModel, benchmark: str | None, names: Sequence[str]
    ) -> pd.DataFrame:
        """Some columns of a stored table, all its rows; the others are not read.

        Raises:
            TableError: it is not stored.
        """
        found = self._read(
            model, benchmark, lambda source: pq.read_table(source, columns=list(names))
        )
        return found.replace_schema_metadata(None).to_pandas()

    def without_lists(self, model: TableModel, benchmark: str | None) -> pd.DataFrame:
        """A stored table with the length of every list or vector that is there in its place.

        That is all that a check of rows wants to know of them; the table is read in pieces, so
        that they are never held together.

        Raises:
            TableError: it is not stored, or was stored in another form by another release.
        """

        def read(source: Any) -> pa.Table:
            with pq.ParquetFile(source) as file:
                empty = pa.Table.from_batches([], file.schema_arrow)
                pieces = (pa.Table.from_batches([piece]) for piece in file.iter_batches())
                tables = [_without_lists(piece) for piece in chain([empty], pieces)]
            return pa.concat_tables(tables).unify_dictionaries()

        self._require_form(model, benchmark, self._schema(model, benchmark))
        return model.from_arrow(self._read(model, benchmark, read))

    def read_arrow(self, model: TableModel, benchmark: str | None = None) -> pa.Table:
        """A stored table as Arrow (see `read`)."""
        table = self._read(model, benchmark, _read_table).replace_schema_metadata(None)
        self._require_form(model, benchmark, table.schema)
        return table

    def _require_form(
        self, model: TableModel, benchmark: str | None, stored: pa.Schema | None
    ) -> None:
        if stored is not None and not stored.remove_metadata().equals(model.schema):
            raise TableError(
                f"{self.path(model, benchmark)} was written in another form than this release's "
                f"`{model.name}`: materialize it again (nothing is paid or embedded twice)"
            )

    def _read(
        self, model: TableModel, benchmark: str | None, reader: Callable[[Any], _Read]
    ) -> _Read:
        try:
            return self.folder.read(_name(model, benchmark), reader)
        except FileNotFoundError as error:
            raise TableError(
                f"{self.path(model, benchmark)} is not there yet: materialize `{model.name}` first"
            ) from error

    def copy(self, model: TableModel, benchmark: str | None, target: Lake) -> bool:
        """Copy a table's file into another lake, byte for byte; False if there is none."""
        name = _name(model, benchmark)
        try:
            whole = self.folder.read(name, _bytes)
        except FileNotFoundError:
            return False
        target.folder.write(name, lambda file: file.write(whole))
        return True

    def write(
        self,
        model: TableModel,
        frame: pd.DataFrame,
        benchmark: str | None = None,
        stamp: Stamp | None = None,
    ) -> Stamp:
        """Store a table under its model's schema, atomically; one stored as such already stays.

        Args:
            model: the table.
            frame: its rows, in the model's form.
            benchmark: the partition, where the table has any.
            stamp: what the rows are, where the caller knows.

        Raises:
            TableError: the rows do not fit the model; nothing is written.
        """
        if stamp and stamp == self.stamp(model, benchmark):
            return stamp
        table = model.to_arrow(frame)
        stamp = stamp or Stamp(model.version(frame), "")
        metadata = {"data_version": stamp.data_version, "made_from": stamp.made_from}
        table = table.replace_schema_metadata(metadata)
        self.folder.write(
            _name(model, benchmark), lambda file: pq.write_table(table, file, compression="zstd")
        )
        return stamp


def _bytes(file: Any) -> bytes:
    return file.read_bytes() if isinstance(file, Path) else file.read()


def _read_table(file: Any) -> pa.Table:
    return pq.read_table(file, partitioning=None)


def _without_lists(table: pa.Table) -> pa.Table:
    for place, name in enumerate(table.column_names):
        if pa.types.is_list(table[name].type):
            table = table.set_column(place, name, pc.list_value_length(table[name]))
    return table


def _name(model: TableModel, benchmark: str | None) -> str:
    """A table's file in the lake's folder."""
    if model.partitioned and not benchmark:
        raise TableError(f"table {model.name} is partitioned: name a benchmark")
    return f"{model.name}/{benchmark if model.partitioned else WHOLE}.parquet"
