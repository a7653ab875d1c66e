"""What counts as relevant to what: kept as class factors or pairs, served in blocks of rows.

A graded relevance of captions x clips is never held whole here: EPIC's is small, a 20,000 x 20,000
one is not. `BlockMatrix` is what retrieval asks for, of relevances and of similarities alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

ClassKind = Literal["caption", "verb", "noun", "class"]


class BlockMatrix(Protocol):
    """A captions x clips matrix that gives float32 blocks of rows from either side."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of captions and clips."""

    def caption_rows(self, rows: slice) -> np.ndarray:
        """Rows of some captions: (captions in `rows`, all clips), float32."""

    def clip_rows(self, rows: slice) -> np.ndarray:
        """Rows of some clips: (clips in `rows`, all captions), float32."""


class Relevance(BlockMatrix, Protocol):
    """A relevance in [0, 1]; 1 is fully right."""

    def subset(self, captions: np.ndarray, clips: np.ndarray) -> Relevance:
        """The relevance between some captions and some clips, given by position."""


@dataclass(frozen=True)
class ClassRelevance:
    """Relevance by verb and noun classes (method section 2.4), or by identity of one class (4.2).

    Attributes:
        kind: `verb` and `class`: 1 for the same verb (or sound) class, else 0; `noun`: shared
            nouns over all nouns of both; `caption`: the mean of verb and noun.
        verbs: verb class of each distinct (verb, nouns) combination, NaN where it has none.
        nouns: which nouns it has, 0 or 1: (combinations, noun classes).
        captions, clips: the combination of each caption and clip.
    """

    kind: ClassKind
    verbs: np.ndarray
    nouns: np.ndarray
    captions: np.ndarray
    clips: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of captions and clips."""
        return len(self.captions), len(self.clips)

    def caption_rows(self, rows: slice) -> np.ndarray:
        """Relevance of all clips to some captions."""
        return self._rows(self.captions[rows], self.clips)

    def clip_rows(self, rows: slice) -> np.ndarray:
        """Relevance of all captions to some clips."""
        return self._rows(self.clips[rows], self.captions)

    def subset(self, captions: np.ndarray, clips: np.ndarray) -> ClassRelevance:
        """The same between some captions and clips, given by position."""
        return replace(self, captions=self.captions[captions], clips=self.clips[clips])

    def _rows(self, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        distinct, inverse = np.unique(queries, return_inverse=True)
        return self._between(distinct).take(candidates, axis=1)[inverse]

    def _between(self, combinations: np.ndarray) -> np.ndarray:
        """Relevance of some combinations to every combination, float32."""
        if self.kind == "noun":
            return self._noun_overlap(combinations)
        verb = (self.verbs[combinations, None] == self.verbs[None, :]).astype(np.float32)
        if self.kind == "caption":
            return (verb + self._noun_overlap(combinations)) / 2
        return verb

    def _noun_overlap(self, combinations: np.ndarray) -> np.ndarray:
        shared = self.nouns[combinations] @ self.nouns.T
        sizes = self.nouns.sum(axis=1)
        union = sizes[combinations, None] + sizes[None, :] - shared
        return shared / np.maximum(union, 1)


@dataclass(frozen=True)
class PairRelevance:
    """Relevance given pair by pair; what is not given is 0. Sparse, once for each side."""

    by_caption: Any
    by_clip: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of captions and clips."""
        return tuple(self.by_caption.shape)

    def caption_rows(self, rows: slice) -> np.ndarray:
        """Relevance of all clips to some captions."""
        return self.by_caption[rows].toarray()

    def clip_rows(self, rows: slice) -> np.ndarray:
        """Relevance of all captions to some clips."""
        return self.by_clip[rows].toarray()

    def subset(self, captions: np.ndarray, clips: np.ndarray) -> PairRelevance:
        """The same between some captions and clips, given by position."""
        return PairRelevance(self.by_caption[captions][:, clips], self.by_clip[clips][:, captions])


@dataclass(frozen=True)
class DenseMatrix:
    """A matrix of captions x clips that somebody holds whole: a relevance or a similarity."""

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of captions and clips."""
        return self.values.shape[0], self.values.shape[1]

    def caption_rows(self, rows: slice) -> np.ndarray:
        """Rows of the matrix."""
        return np.asarray(self.values[rows], dtype=np.float32)

    def clip_rows(self, rows: slice) -> np.ndarray:
        """Columns of the matrix, as rows."""
        return np.ascontiguousarray(self.values[:, rows].T, dtype=np.float32)

    def subset(self, captions: np.ndarray, clips: np.ndarray) -> DenseMatrix:
        """The same between some captions and clips, given by position."""
        return DenseMatrix(self.values[np.ix_(captions, clips)])


def class_relevance(captions: pd.DataFrame, clips: pd.DataFrame, kind: ClassKind) -> ClassRelevance:
    """Relevance from the columns `verb_class` and `noun_classes` of both tables.

    Args:
        captions: rows of the table `captions`.
        clips: rows of the table `clips`, the gallery's only.
        kind: see `ClassRelevance`.
    """
    combinations = _combinations([captions, clips])
    distinct = sorted(set(combinations), key=lambda item: (item[0] is None, item))
    position = {combination: index for index, combination in enumerate(distinct)}
    codes = np.array([position[combination] for combination in combinations], dtype=np.int64)
    noun_classes = sorted({noun for _, nouns in distinct for noun in nouns})
    column = {noun: index for index, noun in enumerate(noun_classes)}
    membership = np.zeros((len(distinct), len(noun_classes)), dtype=np.float32)
    for row, (_, nouns) in enumerate(distinct):
        membership[row, [column[noun] for noun in nouns]] = 1
    return ClassRelevance(
        kind=kind,
        verbs=np.array([np.nan if verb is None else verb for verb, _ in distinct], dtype=float),
        nouns=membership,
        captions=codes[: len(captions)],
        clips=codes[len(captions) :],
    )


def pair_relevance(
    captions: pd.DataFrame, clips: pd.DataFrame, pairs: pd.DataFrame
) -> PairRelevance:
    """Relevance from rows of the table `relevance`.

    Pairs of captions or clips that are not among those given are left out, as a clip that is not
    usable leaves the gallery. The first of `captions` is the first row of the result, and so on.
    """
    from scipy.sparse import csr_array

    rows = pd.Index(captions["caption_id"]).get_indexer(pd.Index(pairs["caption_id"]))
    columns = pd.Index(clips["clip_id"]).get_indexer(pd.Index(pairs["clip_id"]))
    known = (rows >= 0) & (columns >= 0)
    values = pairs["relevance"].to_numpy(dtype=np.float32)[known]
    matrix = csr_array((values, (rows[known], columns[known])), shape=(len(captions), len(clips)))
    return PairRelevance(matrix, csr_array(matrix.T))


_Combination = tuple[int | None, tuple[int, ...]]


def _combinations(tables: Iterable[pd.DataFrame]) -> list[_Combination]:
    """(verb class, noun classes as a sorted set) of every row of the tables."""
    return [
        (
            None if pd.isna(verb) else int(verb),
            () if nouns is None else tuple(sorted({int(noun) for noun in nouns})),
        )
        for table in tables
        for verb, nouns in zip(table["verb_class"], table["noun_classes"], strict=True)
    ]
