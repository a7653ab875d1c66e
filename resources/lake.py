"""The lake: one Parquet file a table and benchmark, whole or not there, and its version.

Writing goes to a temporary name and is renamed, so that a reader sees the old table or the new
one. Files hold no times and no run ids. A file's footer says the version of its rows and what they
were made from (`Stamp`), so that a stage can tell that nothing upstream has changed.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from resources.table_model import TableError, TableModel

WHOLE = "all"
"""The file name of a table that is not partitioned."""


@dataclass(frozen=True)
class Stamp:
    """What a stored table is: the version of its rows, and of everything they were made from."""

    data_version: str
    made_from: str
    """Empty where the table is known to be incomplete: the next run makes it again."""


class Lake:
    """Tables as Parquet under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, model: TableModel, benchmark: str | None = None) -> Path:
        """Where a table's file lies."""
        if model.partitioned and not benchmark:
            raise TableError(f"table {model.name} is partitioned: name a benchmark")
        return self.root / model.name / f"{benchmark if model.partitioned else WHOLE}.parquet"

    def benchmarks(self, model: TableModel) -> list[str]:
        """The benchmarks for which a table is stored."""
        return sorted(file.stem for file in (self.root / model.name).glob("*.parquet"))

    def stamp(self, model: TableModel, benchmark: str | None = None) -> Stamp | None:
        """A stored table's version, or None if it is not stored in this model's form."""
        path = self.path(model, benchmark)
        if not path.exists():
            return None
        schema = pq.read_schema(path)
        if not schema.remove_metadata().equals(model.schema):
            return None
        metadata = schema.metadata or {}
        return Stamp(
            metadata.get(b"data_version", b"").decode(), metadata.get(b"made_from", b"").decode()
        )

    def read(self, model: TableModel, benchmark: str | None = None) -> pd.DataFrame:
        """A stored table.

        Raises:
            TableError: it is not stored, or was stored in another form by another release.
        """
        return model.from_arrow(self.read_arrow(model, benchmark))

    def read_arrow(self, model: TableModel, benchmark: str | None = None) -> pa.Table:
        """A stored table as Arrow (see `read`)."""
        path = self.path(model, benchmark)
        if not path.exists():
            raise TableError(f"{path} is not there yet: materialize `{model.name}` first")
        table = pq.read_table(path, partitioning=None).replace_schema_metadata(None)
        if not table.schema.equals(model.schema):
            raise TableError(
                f"{path} was written in another form than this release's `{model.name}`: "
                f"materialize it again (nothing is paid or embedded twice)"
            )
        return table

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
        path = self.path(model, benchmark)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return stamp
