"""What nothing needs any more: vectors, tables and half-written files, found and then removed.

Only on this machine's disks: of an object store nobody here knows who else relies on it. Answers of
a language model are never among it: they were paid.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from resources.cache_users import CacheUser
from resources.folders import Address, open_folder
from resources.settings import Settings
from resources.table_model import TableModel
from resources.tables import (
    AUDIO_EMBEDDINGS,
    DESCRIPTIONS,
    INFORMATIVENESS,
    TABLES,
    TEXT_EMBEDDINGS,
)
from resources.vector_sweep import keep, others

DAY_S = 86_400.0
VECTORS = (AUDIO_EMBEDDINGS, TEXT_EMBEDDINGS)
ANSWERS = (DESCRIPTIONS, INFORMATIVENESS)


@dataclass(frozen=True)
class Garbage:
    """Things of one kind that can go.

    Attributes:
        what: in words.
        count: how many.
        size: their bytes; of vectors that share a file with others, their part of it.
        remove: deletes them.
    """

    what: str
    count: int
    size: int
    remove: Callable[[], None]


def stale_files(settings: Settings) -> list[Path]:
    """Tables in the lake, and their verdicts, of benchmarks that the config no longer names.

    Files of tables that this release does not know are among them.
    """
    folders = (*_local(settings.lake_dir), settings.output / "verdicts")
    files = [path for folder in folders for path in folder.glob("*/*.*") if path.suffix != ".tmp"]
    return sorted(path for path in files if _is_stale(path, settings))


def stale_tables(settings: Settings) -> Iterator[Garbage]:
    """The same, a benchmark at a time."""
    files = stale_files(settings)
    for name in sorted({_benchmark(path) for path in files}):
        what = "tables of no benchmark" if name in settings.benchmarks else f"tables of {name}"
        yield _of_files(what, [path for path in files if _benchmark(path) == name])


def unfinished_files(settings: Settings) -> Iterator[Garbage]:
    """Files whose writer was killed before it could rename them, a day ago or more."""
    folders = (*_local(settings.lake_dir), *_local(settings.vectors_dir))
    found = [path for folder in folders for path in folder.glob("*/*.tmp")]
    found += settings.output.glob(".publishing-*/*")
    old = [path for path in found if time.time() - path.stat().st_mtime > DAY_S]
    if old:
        yield _of_files("files of writers that were killed", old)


def orphaned_vectors(
    settings: Settings, users: Iterable[CacheUser], before: float
) -> Iterator[Garbage]:
    """Vectors that no table of any output holds, an encoder at a time.

    Args:
        settings: names the store, and tables that are no longer wanted.
        users: every output that relies on the store.
        before: only vectors in files last written before this time.

    Raises:
        VectorStoreError: a file of the store can't be read.
    """
    used = used_keys(settings, users, VECTORS)
    for store in _local(settings.vectors_dir):
        for folder in sorted(path for path in store.glob("*") if path.is_dir()):
            count, size = others(folder, used, before)
            if count:
                what = f"vectors of encoder {folder.name[:8]}"
                yield Garbage(what, count, size, partial(keep, folder, used, before))


def used_keys(
    settings: Settings, users: Iterable[CacheUser], models: Iterable[TableModel]
) -> frozenset[str]:
    """The row keys in all outputs' tables, but for those that are stale themselves."""
    stale = {str(file) for file in stale_files(settings)}
    keys: set[str] = set()
    for user in users:
        lake = open_folder(user.lake)
        for model in models:
            names = [f"{model.name}/{file}" for file in lake.sizes(model.name)]
            for name in names:
                if name.endswith(".parquet") and str(lake.place(name)) not in stale:
                    keys |= set(lake.read(name, _read_keys))
    return frozenset(keys)


def _read_keys(source: Any) -> list[str]:
    found: list[str] = pq.read_table(source, columns=["key"], partitioning=None)["key"].to_pylist()
    return found


def _local(address: Address) -> tuple[Path, ...]:
    """A folder, if it is one on disk."""
    return (address,) if isinstance(address, Path) else ()


def _is_stale(path: Path, settings: Settings) -> bool:
    model = TABLES.get(path.parent.name)
    if model is None:
        return True
    return model.partitioned and _benchmark(path) not in settings.benchmarks


def _benchmark(path: Path) -> str:
    """Whose file it is: a verdict's name goes on with that of its check, after a point."""
    return path.name.partition(".")[0]


def _of_files(what: str, files: list[Path]) -> Garbage:
    def remove() -> None:
        for file in files:
            file.unlink(missing_ok=True)
            if not any(file.parent.iterdir()):
                file.parent.rmdir()

    return Garbage(what, len(files), sum(file.stat().st_size for file in files), remove)
