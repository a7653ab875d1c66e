"""Vectors by content key, in Parquet, shared by all configs: what was embedded once stays.

One folder an encoder (by fingerprint), on disk or in an object store, in it parts that are written
whole and never changed. Any number of processes may add at once. Whoever finds many small parts
merges them; if two do, parts overlap for a while, and nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from resources.folders import Address, Folder, FolderError, open_folder
from resources.hashing import canonical_hash

Vector = npt.NDArray[np.float32]

_FOLDER_DIGITS = 24
_MERGE_FROM = 32
"""So many small parts are merged into one."""

_PART = re.compile(r"part-[0-9a-f]+\.parquet")
_SMALL_BYTES = 64 * 2**20
_ROWS_A_GROUP = 4096


class VectorStoreError(Exception):
    """A part of the store can't be used; the message names it and the remedy."""


class VectorStore:
    """The vectors of one encoder.

    Args:
        root: the folder of all encoders' vectors: a path, or its URL.
        fingerprint: the encoder's.
    """

    def __init__(self, root: Address, fingerprint: str) -> None:
        self.folder = open_folder(root).within(fingerprint[:_FOLDER_DIGITS])

    @property
    def is_empty(self) -> bool:
        """Whether nothing was embedded yet."""
        return not self._parts()

    def known(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that have a vector; no vector is read."""
        return {key for group in self._groups(set(keys), ["key"]) for key in group["key"]}

    def read(self, keys: Collection[str]) -> dict[str, Vector]:
        """The vectors of those keys that have one; row groups that hold none are not read."""
        return {
            key: vector
            for group in self._groups(set(keys), ["key", "vector"])
            for key, vector in zip(group["key"], group["vector"], strict=True)
        }

    def add(self, keys: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        """Store vectors durably: after the return they outlive the process.

        Args:
            keys: one a vector.
            vectors: `(len(keys), d)`, finite.

        Raises:
            VectorStoreError: the vectors are not finite, or not one a key.
        """
        if not keys:
            return
        if vectors.ndim != 2 or len(vectors) != len(keys) or not np.isfinite(vectors).all():
            raise VectorStoreError(
                f"{self.folder.place('')}: {vectors.shape} is not one finite vector for each of "
                f"{len(keys)} keys"
            )
        values = pa.array(vectors.astype(np.float32).ravel())
        columns = [
            pa.array(keys, pa.string()),
            pa.FixedSizeListArray.from_arrays(values, vectors.shape[1]),
        ]
        self._write(pa.table(columns, names=["key", "vector"]))
        self._merge_small_parts()

    def _parts(self) -> dict[str, int]:
        """The parts by name, with their bytes."""
        found = self.folder.sizes()
        return {name: found[name] for name in sorted(found) if _PART.fullmatch(name)}

    def _groups(self, keys: set[str], columns: list[str]) -> list[dict[str, Any]]:
        """The wanted rows of every row group that holds some, column by column."""
        while True:
            try:
                return [
                    group
                    for part in (self._parts() if keys else ())
                    for group in _wanted_rows(self.folder, part, keys, columns)
                ]
            except FileNotFoundError:
                continue  # another process merged parts since they were listed: look again

    def _write(self, rows: pa.Table) -> str:
        """Write one part, a key once and sorted, under a name made from its keys."""
        keys = rows["key"].to_pandas()
        last = keys[~keys.duplicated(keep="last")].sort_values()
        table = rows.take(pa.array(last.index))
        keys = last.tolist()
        part = f"part-{canonical_hash(keys)[:16]}.parquet"
        self.folder.write(
            part,
            lambda file: pq.write_table(
                table, file, compression="zstd", row_group_size=_ROWS_A_GROUP
            ),
        )
        return part

    def _merge_small_parts(self) -> None:
        """Make one part of many small ones, unless another process has just done so."""
        small = [part for part, size in self._parts().items() if size < _SMALL_BYTES]
        if len(small) < _MERGE_FROM:
            return
        with suppress(FileNotFoundError):
            tables = [self.folder.read(part, _read_part) for part in small]
            merged = self._write(pa.concat_tables(tables))
            for part in small:
                if part != merged:
                    self.folder.remove(part)


def _wanted_rows(
    folder: Folder, part: str, keys: set[str], columns: list[str]
) -> list[dict[str, Any]]:
    """The wanted rows of each row group of a part that holds some, column by column."""
    found: list[dict[str, Any]] = []

    def look(source: Any) -> None:
        found.clear()
        with pq.ParquetFile(source) as file:
            for number in range(file.num_row_groups):
                present = file.read_row_group(number, columns=["key"])["key"].to_pylist()
                rows = [row for row, key in enumerate(present) if key in keys]
                if rows:
                    group = file.read_row_group(number, columns=columns).take(rows)
                    found.append({name: _values(group[name]) for name in columns})

    try:
        folder.read(part, look)
    except (FileNotFoundError, FolderError):
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise VectorStoreError(
            f"{folder.place(part)} can't be read: {error}. "
            "Delete it: its vectors are computed again."
        ) from error
    return found


def _values(column: pa.ChunkedArray) -> Any:
    """Keys as a list, vectors as one `(n, d)` array."""
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_pylist()
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), column.type.list_size)


def _read_part(source: Any) -> pa.Table:
    return pq.read_table(source, partitioning=None)
