"""Taking vectors out of the store that nobody uses any more, where it lies on this machine.

Parts are written whole and never changed, so what is left of one is written as a new part first.
A run that merges parts meanwhile may bring a vector back; none that is in use can be lost.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resources.folders import open_folder
from resources.hashing import canonical_hash
from resources.vector_store import VectorStoreError


def others(folder: Path, keys: Collection[str], before: float) -> tuple[int, int]:
    """How many vectors of an encoder have none of these keys, and their bytes.

    Args:
        folder: the encoder's.
        keys: those that are in use.
        before: only in parts that were written before this time (seconds since the epoch).

    Raises:
        VectorStoreError: a part can't be read.
    """
    count, size = 0, 0.0
    for part in _parts(folder, before):
        present = _keys(part)
        unused = sum(key not in keys for key in present)
        count += unused
        size += part.stat().st_size * unused / max(len(present), 1)
    return count, round(size)


def keep(folder: Path, keys: Collection[str], before: float) -> None:
    """Drop the vectors that `others` counts; what is left of a part keeps the part's time."""
    for part in _parts(folder, before):
        present = _keys(part)
        left = [row for row, key in enumerate(present) if key in keys]
        if len(left) == len(present):
            continue
        if left:
            _rewrite(part, left, [present[row] for row in left])
        part.unlink()


def _rewrite(part: Path, rows: list[int], keys: list[str]) -> None:
    written = part.stat().st_mtime
    table = pq.read_table(part, partitioning=None).take(rows)
    name = f"part-{canonical_hash(keys)[:16]}.parquet"
    open_folder(part.parent).write(
        name, lambda file: pq.write_table(table, file, compression="zstd")
    )
    os.utime(part.with_name(name), (written, written))


def _parts(folder: Path, before: float) -> list[Path]:
    return [part for part in folder.glob("part-*.parquet") if part.stat().st_mtime < before]


def _keys(part: Path) -> list[str]:
    try:
        table = pq.read_table(part, columns=["key"], partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        raise VectorStoreError(
            f"{part} can't be read: {error}. Delete it: its vectors are computed again."
        ) from error
    found: list[str] = table["key"].to_pylist()
    return found
