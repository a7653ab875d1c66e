"""`precomputed`: vectors that the user brings, of any model.

Audio vectors carry a `clip_id` (and, where ids of several benchmarks would clash, a `benchmark`),
text vectors a `text` or a `text_id`; both a `vector`. A Parquet file holds all of it; an NPY file
holds the vectors, and a CSV of the same name beside it the ids, row by row. Ids may be numbers, and
may occur again with the same vector; other columns are of no account.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from resources.encoders.protocol import EncoderUnavailable, Vectors, unit_rows
from resources.encoders.weights import remembered_sha256
from resources.hashing import canonical_hash
from resources.settings import PrecomputedSettings
from resources.tables import text_id

_Table = tuple[pd.DataFrame, Vectors]

REASON = "precomputed vectors unusable"

_SAME = 1e-5
"""A model's vectors of one input differ by less than this between batches."""


class Precomputed:
    """Looks vectors up instead of computing them; unit length is made sure of here."""

    CROP_RULE = "precomputed"

    def __init__(self, name: str, settings: PrecomputedSettings, cache_dir: Path) -> None:
        self.name = name
        self._settings = settings
        self._cache_dir = cache_dir

    @cached_property
    def fingerprint(self) -> str:
        """Of both files' content.

        Raises:
            EncoderUnavailable: one is missing.
        """
        try:
            return canonical_hash(
                [remembered_sha256(file, self._cache_dir) for file in self.files()]
            )
        except FileNotFoundError as error:
            raise EncoderUnavailable(REASON, f"{error.filename} is not there.") from error

    def files(self) -> list[Path]:
        """Both sides' files (see `Encoder`)."""
        return [*_files(self._settings.audio), *_files(self._settings.text)]

    @property
    def audio_file(self) -> Path:
        """Where the clips' vectors come from."""
        return self._settings.audio

    def audio_vectors(self, benchmark: str, clip_ids: Collection[str]) -> dict[str, Vectors]:
        """The unit vectors, each `(d,)`, of those clips that have one, by clip id.

        Raises:
            EncoderUnavailable: the files are missing or malformed.
        """
        (table, vectors), _ = self._both
        wanted = table["clip_id"].isin(list(clip_ids))
        if "benchmark" in table:
            wanted &= table["benchmark"] == benchmark
        advice = (
            "" if "benchmark" in table else "; where benchmarks share ids, add a column benchmark"
        )
        return _by_id(self._settings.audio, table.loc[wanted, "clip_id"], vectors[wanted], advice)

    def text_vectors(self, text_ids: Collection[str]) -> dict[str, Vectors]:
        """The unit vectors, each `(d,)`, of those texts that have one, by text id."""
        _, (table, vectors) = self._both
        wanted = table["text_id"].isin(list(text_ids))
        return _by_id(self._settings.text, table.loc[wanted, "text_id"], vectors[wanted])

    @cached_property
    def _both(self) -> tuple[_Table, _Table]:
        """Clips by `clip_id`, texts by `text_id`, of one space."""
        clips, clip_vectors = _load(self._settings.audio, ("clip_id",))
        texts, text_vectors = _load(self._settings.text, ("text_id", "text"))
        if text_vectors.shape[1] != clip_vectors.shape[1]:
            raise EncoderUnavailable(
                REASON,
                f"{self._settings.text} has {text_vectors.shape[1]} dimensions, "
                f"{self._settings.audio} {clip_vectors.shape[1]}: bring both of one space.",
            )
        if "text_id" not in texts:
            texts = texts.assign(text_id=texts["text"].map(text_id))
        return (clips, clip_vectors), (texts, text_vectors)


def vector_key(vector: Vectors) -> str:
    """A brought vector's key: nothing but its own bytes decides it."""
    return hashlib.sha256(np.ascontiguousarray(vector, dtype="<f4").tobytes()).hexdigest()


def _by_id(file: Path, ids: pd.Series, vectors: Vectors, advice: str = "") -> dict[str, Vectors]:
    """The vector of each id; several of one id are fine where they are the same."""
    found: dict[str, Vectors] = {}
    for name, vector in zip(ids, vectors, strict=True):
        kept = found.setdefault(name, vector)
        if kept is not vector and not np.allclose(kept, vector, atol=_SAME):
            raise EncoderUnavailable(
                REASON, f"{file}: id {name} has several vectors. Keep one{advice}."
            )
    return found


def _files(file: Path) -> list[Path]:
    """What holds one side: a Parquet file, or an NPY file and the CSV of its ids."""
    return [file, file.with_suffix(".csv")] if file.suffix == ".npy" else [file]


def _load(file: Path, id_columns: tuple[str, ...]) -> _Table:
    """Ids and unit vectors, row by row, checked."""
    table, vectors = _read(file, (*id_columns, "benchmark"))
    given = next((name for name in id_columns if name in table), None)
    if given is None:
        raise EncoderUnavailable(REASON, f"{file}: add a column {' or '.join(id_columns)}.")
    if not len(table):
        raise EncoderUnavailable(REASON, f"{file} holds no rows.")
    if vectors.ndim != 2 or len(vectors) != len(table):
        raise EncoderUnavailable(
            REASON, f"{file}: {vectors.shape} is not one vector for each of {len(table)} ids."
        )
    _refuse(file, table, table[given].isna().to_numpy(), f"{given} is null")
    wrong = ~np.isfinite(vectors).all(axis=1) | ~vectors.any(axis=1)
    _refuse(file, table, wrong, "the vector is zero or not finite")
    return table, unit_rows(vectors)


def _refuse(file: Path, table: pd.DataFrame, wrong: npt.NDArray[np.bool_], why: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise EncoderUnavailable(
            REASON,
            f"{file}, row {row} ({table.iloc[row].to_dict()}): {why}, as in {int(wrong.sum())} "
            f"rows. Leave such rows out: what has no vector is listed.",
        )


def _read(file: Path, id_columns: Collection[str]) -> _Table:
    """A file's id columns, as strings, and `(n, d)` vectors."""
    try:
        if file.suffix == ".npy":
            ids = pd.read_csv(file.with_suffix(".csv"), dtype=str, keep_default_na=False)
            vectors = np.load(file, allow_pickle=False).astype(np.float32)
            return ids[[name for name in ids if name in id_columns]], vectors
        table = pq.read_table(file, partitioning=None)
        names = [name for name in table.column_names if name in id_columns]
        ids = pa.table({name: table[name].cast(pa.string()) for name in names}).to_pandas()
        return ids, _matrix(file, table["vector"])
    except FileNotFoundError as error:
        raise EncoderUnavailable(REASON, f"{error.filename} is not there.") from error
    except (KeyError, ValueError, OSError, EOFError, pa.ArrowException) as error:
        raise EncoderUnavailable(
            REASON, f"{file}: {error}. A Parquet file of ids and `vector`, or .npy and .csv."
        ) from error


def _matrix(file: Path, column: pa.ChunkedArray) -> Vectors:
    lists = column.combine_chunks().cast(pa.list_(pa.float32()))
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    width = int(lengths.max(initial=0))
    if (lengths != width).any():
        raise EncoderUnavailable(
            REASON, f"{file}: vectors have {lengths.min()} to {width} dimensions."
        )
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), width)
