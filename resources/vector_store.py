"""Vectors by content key, in Parquet, shared by all configs: what was embedded once stays.

One folder an encoder (by fingerprint), in it parts that are written whole and never changed. Any
number of processes may add at once; whoever finds many small parts merges them under a lock.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from resources.hashing import canonical_hash

Vector = npt.NDArray[np.float32]

_FOLDER_DIGITS = 24
_MERGE_FROM = 32
"""So many small parts are merged into one."""

_SMALL_BYTES = 64 * 2**20
_ROWS_A_GROUP = 4096


class VectorStoreError(Exception):
    """A part of the store can't be used; the message names it and the remedy."""


class VectorStore:
    """The vectors of one encoder.

    Args:
        root: the folder of all encoders' vectors.
        fingerprint: the encoder's.
    """

    def __init__(self, root: Path, fingerprint: str) -> None:
        self.folder = root / fingerprint[:_FOLDER_DIGITS]

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
                f"{self.folder}: {vectors.shape} is not one finite vector for each of "
                f"{len(keys)} keys"
            )
        self._write(dict(zip(keys, vectors, strict=True)))
        self._merge_small_parts()

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _groups(self, keys: set[str], columns: list[str]) -> list[dict[str, Any]]:
        """The wanted rows of every row group that holds some, column by column."""
        while True:
            try:
                return [
                    group
                    for part in (self._parts() if keys else ())
                    for group in _wanted_rows(part, keys, columns)
                ]
            except FileNotFoundError:
                continue  # another process merged parts since they were listed: look again

    def _write(self, vectors: Mapping[str, Vector]) -> Path:
        """Write one part, sorted by key, under a name made from its keys."""
        keys = sorted(vectors)
        rows = np.stack([vectors[key] for key in keys]).astype(np.float32)
        values = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
        table = pa.table({"key": pa.array(keys, pa.string()), "vector": values})
        part = self.folder / f"part-{canonical_hash(keys)[:16]}.parquet"
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(suffix=".tmp", dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                pq.write_table(table, file, compression="zstd", row_group_size=_ROWS_A_GROUP)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(part)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return part

    def _merge_small_parts(self) -> None:
        """Make one part of many small ones; another process that does so already is left to it."""
        with suppress(Timeout), FileLock(self.folder / "merge.lock", timeout=0):
            small = [part for part in self._parts() if part.stat().st_size < _SMALL_BYTES]
            if len(small) < _MERGE_FROM:
                return
            tables = [pq.read_table(part, partitioning=None) for part in small]
            merged = self._write(_by_key(pa.concat_tables(tables)))
            for part in small:
                if part != merged:
                    part.unlink()


def _wanted_rows(part: Path, keys: set[str], columns: list[str]) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(part) as file:
            for number in range(file.num_row_groups):
                present = file.read_row_group(number, columns=["key"])["key"].to_pylist()
                rows = [row for row, key in enumerate(present) if key in keys]
                if rows:
                    group = file.read_row_group(number, columns=columns).take(rows)
                    yield {name: _values(group[name]) for name in columns}
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise VectorStoreError(
            f"{part} can't be read: {error}. Delete it: its vectors are computed again."
        ) from error


def _values(column: pa.ChunkedArray) -> Any:
    """Keys as a list, vectors as one `(n, d)` array."""
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_pylist()
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), column.type.list_size)


def _by_key(table: pa.Table) -> dict[str, Vector]:
    return dict(zip(_values(table["key"]), _values(table["vector"]), strict=True))
