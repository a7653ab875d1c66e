"""Metrics of single queries over a similarity and a graded relevance (method section 8).

A query's candidates are ordered by descending similarity. r_k is the relevance of the k-th; a
candidate is *right* if its relevance is exactly 1. One sort a query serves every metric; what is
not relevant is never looked at again after it. Two families differ in how they treat ties:

- as published: `map_published` and `ndcg` break ties by the candidates' positions, stably:
  ascending for mAP, descending for nDCG (the field's code sorts -s for one, and reverses an
  ascending sort of s for the other);
- textbook: `map_binary`, recall and ranks are expectations over all orders of the tied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Literal, Self, TypeVar

import numpy as np

from assets.benchmarks.relevance import BlockMatrix

Direction = Literal["text_to_audio", "audio_to_text"]
BOTH_DIRECTIONS: tuple[Direction, Direction] = ("text_to_audio", "audio_to_text")
RECALL_AT = (1, 5, 10, 50)
BLOCK_ELEMENTS = 1 << 20
"""Query-candidate pairs worked on at a time by one thread: about 50 MB."""
_LOW = np.int64(0xFFFFFFFF)
_T = TypeVar("_T")


class MetricError(ValueError):
    """A matrix can't be scored; the message names the first bad row."""


@dataclass(frozen=True)
class _PerQuery:
    """Arrays of one value a query, that blocks of queries are joined from."""

    @classmethod
    def join(cls, blocks: list[Self]) -> Self:
        """The queries of all blocks, in order."""
        return cls(
            **{
                field.name: np.concatenate([getattr(block, field.name) for block in blocks])
                for field in fields(cls)
            }
        )

    def take(self, positions: np.ndarray) -> Self:
        """Some of the queries."""
        return type(self)(**{f.name: getattr(self, f.name)[positions] for f in fields(self)})

    @classmethod
    def mean(cls, repeats: list[Self]) -> Self:
        """The mean of the same queries' values over repeats, such as seeds."""
        return cls(
            **{
                field.name: np.mean([getattr(repeat, field.name) for repeat in repeats], axis=0)
                for field in fields(cls)
            }
        )


@dataclass(frozen=True)
class RelevanceProfile(_PerQuery):
    """What each query's relevance alone decides: enough for floors, ceilings and normalisation.

    Attributes:
        candidates: number of candidates, the same for all.
        right: number of candidates with relevance 1.
        relevant: number with relevance above 0.
        total: sum of relevance.
        ideal_dcg: DCG of the ideal order (its cut changes nothing: what follows is 0).
    """

    candidates: np.ndarray
    right: np.ndarray
    relevant: np.ndarray
    total: np.ndarray
    ideal_dcg: np.ndarray


@dataclass(frozen=True)
class QueryMetrics(_PerQuery):
    """One value a query, float64; NaN where the query has nothing relevant to be found.

    Attributes:
        map_published: (1/N) * sum over right ranks k of (sum_{j<=k} r_j) / k, N = right
            candidates. The cumulative relevance is graded: partial matches raise it.
        map_binary: the textbook's, with the count of right candidates in its place.
        ndcg: DCG over the first K candidates / the ideal one, K = candidates above 0.
        recall: (queries, len(RECALL_AT)): whether a right candidate is among the first k.
        rank: rank of the first right candidate, from 1.
        right: number of right candidates.
        hits: (queries, len(RECALL_AT)): how many of them are among the first k.
    """

    map_published: np.ndarray
    map_binary: np.ndarray
    ndcg: np.ndarray
    recall: np.ndarray
    rank: np.ndarray
    right: np.ndarray
    hits: np.ndarray


def query_metrics(
    similarity: BlockMatrix, relevance: BlockMatrix, direction: Direction
) -> QueryMetrics:
    """Metrics of every query of one direction, in blocks, on all processors.

    Args:
        similarity: captions x clips.
        relevance: of the same shape, in [0, 1].
        direction: `text_to_audio`: queries are captions, candidates are clips; or the reverse.

    Raises:
        MetricError: shapes differ, or a value is NaN, or a relevance is negative.
    """
    _check_shapes(similarity, relevance)
    similar, relevant = rows_of(similarity, direction), rows_of(relevance, direction)
    queries, candidates = oriented_shape(similarity, direction)
    return QueryMetrics.join(
        list(
            in_blocks(
                lambda rows: block_metrics(similar(rows), relevant(rows), rows.start),
                queries,
                candidates,
            )
        )
    )


def relevance_profiles(relevance: BlockMatrix, direction: Direction) -> RelevanceProfile:
    """`RelevanceProfile` of every query of one direction."""
    rows_from = rows_of(relevance, direction)
    queries, candidates = oriented_shape(relevance, direction)
    return RelevanceProfile.join(
        list(in_blocks(lambda rows: relevance_profile(rows_from(rows)), queries, candidates))
    )


def diagonal_ranks(similarity: BlockMatrix, direction: Direction) -> np.ndarray:
    """Published ranks, from 1, where clip i's own text is the only right one for clip i.

    Args:
        similarity: square: row i is the text of clip i.
        direction: ties are resolved as published: text to audio takes the first position of the
            tie, audio to text its mean position.

    Raises:
        MetricError: not square, or a value is NaN.
    """
    if similarity.shape[0] != similarity.shape[1]:
        raise MetricError(f"the diagonal rule needs a square matrix, not {similarity.shape}")
    similar = rows_of(similarity, direction)

    def ranks(rows: slice) -> np.ndarray:
        block = similar(rows)
        _refuse_nan(block, rows.start, "similarity")
        own = block[np.arange(len(block)), np.arange(rows.start, rows.start + len(block))][:, None]
        rank = 1.0 + np.count_nonzero(block > own, axis=1)
        if direction == "audio_to_text":
            rank += (np.count_nonzero(block == own, axis=1) - 1) / 2
        return rank

    blocks = list(in_blocks(ranks, *similarity.shape))
    return np.concatenate(blocks)


def published_recall(ranks: np.ndarray) -> np.ndarray:
    """Recall under the diagonal rule: (queries, len(RECALL_AT)), NaN where the rank is.

    As published, recall at 1 asks for rank 1 itself, so that a tie's half ranks miss it, and
    recall at a larger k for a rank below k + 1.
    """
    hits = ranks[:, None] < np.array(RECALL_AT) + 1
    hits[:, RECALL_AT.index(1)] = ranks == 1
    return np.where(np.isnan(ranks)[:, None], np.nan, hits)


def choice_accuracy(
    similarity: np.ndarray, answers: np.ndarray, ties: Literal["shared", "first"] = "shared"
) -> np.ndarray:
    """Whether the right option of a multiple-choice question is the most similar.

    Args:
        similarity: (questions, options).
        answers: position of the right option, from 0.
        ties: `shared`: a right option that ties with k - 1 others scores 1/k; `first`: the
            first of the tied is chosen, as published.

    Raises:
        MetricError: a similarity is NaN.
    """
    _refuse_nan(similarity, 0, "similarity")
    if ties == "first":
        return (similarity.argmax(axis=1) == answers).astype(float)
    best = similarity == similarity.max(axis=1, keepdims=True)
    return best[np.arange(len(answers)), answers] / best.sum(axis=1)


def choice_rank(similarity: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Expected rank of the right option, from 1, over all orders of the tied."""
    own = similarity[np.arange(len(answers)), answers][:, None]
    return 1 + (similarity > own).sum(axis=1) + ((similarity == own).sum(axis=1) - 1) / 2


# ------------------------------------------------------------------------------- blocks


def rows_of(matrix: BlockMatrix, direction: Direction) -> Callable[[slice], np.ndarray]:
    """The side of a matrix from which a direction's queries are read."""
    return matrix.caption_rows if direction == "text_to_audio" else matrix.clip_rows


def oriented_shape(matrix: BlockMatrix, direction: Direction) -> tuple[int, int]:
    """Numbers of queries and candidates."""
    captions, clips = matrix.shape
    return (captions, clips) if direction == "text_to_audio" else (clips, captions)


def in_blocks(work: Callable[[slice], _T], queries: int, candidates: int) -> Iterator[_T]:
    """Results of `work` on successive blocks of queries; numpy's sort lets threads run."""
    size = max(1, BLOCK_ELEMENTS // max(candidates, 1))
    blocks = [slice(start, min(start + size, queries)) for start in range(0, queries, size)]
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        yield from pool.map(work, blocks or [slice(0, 0)])


def _check_shapes(similarity: BlockMatrix, relevance: BlockMatrix) -> None:
    if similarity.shape != relevance.shape:
        raise MetricError(
            f"similarity has shape {similarity.shape} and relevance {relevance.shape}: both are "
            "captions x clips"
        )


def _refuse_nan(block: np.ndarray, first_row: int, name: str) -> None:
    if block.size and np.isnan(block.sum()):
        bad = np.isnan(block).any(axis=1)
        if bad.any():
            raise MetricError(f"{name} is NaN in row {first_row + int(bad.argmax())}")


# ------------------------------------------------------------------------- one block


def relevance_profile(relevance: np.ndarray) -> RelevanceProfile:
    """`RelevanceProfile` of a block of queries: (queries, candidates)."""
    queries, candidates = relevance.shape
    flat = np.flatnonzero(relevance)
    row, gain = flat // max(candidates, 1), relevance.ravel()[flat]
    return _profile(row, gain, queries, candidates)


def _profile(row: np.ndarray, gain: np.ndarray, queries: int, candidates: int) -> RelevanceProfile:
    """The profile from the relevant entries alone, in row order."""
    relevant = np.bincount(row, minlength=queries)
    # Positive float32 sort as their bits do; the row in the high half keeps queries apart.
    keys = (row << 32) | (_LOW - gain.view(np.int32))
    keys.sort()
    ideal = (_LOW - (keys & _LOW)).astype(np.int32).view(np.float32)
    place = np.arange(len(row)) - (np.cumsum(relevant) - relevant)[row]
    return RelevanceProfile(
        candidates=np.full(queries, candidates, dtype=np.int64),
        right=np.bincount(row[gain == 1], minlength=queries),
        relevant=relevant,
        total=_sum_by_query(row, gain, queries),
        ideal_dcg=_sum_by_query(row, ideal * discounts(candidates)[place], queries),
    )


def block_metrics(
    similarity: np.ndarray, relevance: np.ndarray, first_row: int = 0
) -> QueryMetrics:
    """`QueryMetrics` of a block of queries, both (queries, candidates).

    Raises:
        MetricError: a value is NaN or a relevance negative; rows count from `first_row`.
    """
    _refuse_nan(similarity, first_row, "similarity")
    _refuse_nan(relevance, first_row, "relevance")
    if relevance.size and relevance.min() < 0:
        bad = first_row + int((relevance < 0).any(axis=1).argmax())
        raise MetricError(f"relevance is negative in row {bad}")
    queries, candidates = relevance.shape
    keys = _descending_keys(similarity)
    ordered = np.take_along_axis(relevance, keys & _LOW, axis=1).ravel()
    flat = np.flatnonzero(ordered)
    row, place = np.divmod(flat, max(candidates, 1))
    entries = _Entries(row, place, ordered[flat])
    profile = _profile(row, entries.gain, queries, candidates)
    ties = _tied_groups(keys, flat, entries)
    return QueryMetrics(
        map_published=_map_published(entries, profile),
        map_binary=_map_binary(entries, ties, profile),
        ndcg=_ndcg(entries, ties, profile),
        **_first_right(entries, ties, profile),
        right=np.where(profile.right > 0, profile.right, np.nan),
        hits=_hits(entries, ties, profile),
    )


def _descending_keys(similarity: np.ndarray) -> np.ndarray:
    """Keys whose ascending order is descending similarity, then ascending position.

    The high half is the similarity's bits, made to sort as its value; the low half is the
    position. Sorting such keys is several times faster than a stable argsort, and gives the same.
    """
    bits = (np.asarray(similarity, dtype=np.float32) + np.float32(0)).view(np.int32)  # -0 is 0
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)  # ascending, as the value
    np.invert(bits, out=bits)
    keys = bits.astype(np.int64)
    keys <<= 32
    keys |= np.arange(similarity.shape[1], dtype=np.int64)
    keys.sort(axis=1)
    return keys


@dataclass(frozen=True)
class _Entries:
    """Relevant candidates in order of row, then place (from 0) in the query's ranking."""

    row: np.ndarray
    place: np.ndarray
    gain: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Which entries are fully right."""
        return self.gain == 1


@dataclass(frozen=True)
class _Ties:
    """Groups of tied candidates that hold a relevant one.

    Attributes:
        row, start, size: of each group: its query, its first place and how many are tied.
        right: right candidates in the group.
        right_before: right candidates of the same query before it.
        group: of each entry, the group that it is in, or -1.
    """

    row: np.ndarray
    start: np.ndarray
    size: np.ndarray
    right: np.ndarray
    right_before: np.ndarray
    group: np.ndarray


def _tied_groups(keys: np.ndarray, flat: np.ndarray, entries: _Entries) -> _Ties:
    """Find ties among sorted keys; `flat` is where the entries are in the raveled ranking."""
    queries, candidates = keys.shape
    same = np.zeros((queries, candidates), dtype=bool)
    # Unsigned: keys of similarities of either sign differ in the sign bit as well.
    np.less((keys[:, 1:] ^ keys[:, :-1]).view(np.uint64), 1 << 32, out=same[:, :-1])
    tied = np.flatnonzero(same)  # tied with the next of the same query
    first = np.flatnonzero(np.diff(tied, prepend=-2) != 1)
    begin = tied[first]
    size = np.diff(np.append(first, len(tied))) + 1
    low, high = np.searchsorted(flat, begin), np.searchsorted(flat, begin + size)
    kept = low < high
    begin, size, low, high = begin[kept], size[kept], low[kept], high[kept]
    group = np.full(len(flat), -1)
    members = np.repeat(np.arange(len(begin)), high - low)
    group[np.repeat(low, high - low) + _within(high - low)] = members
    right = np.append(0, np.cumsum(entries.right))
    row = begin // max(candidates, 1)
    row_low = np.searchsorted(entries.row, row)
    return _Ties(
        row=row,
        start=begin - row * candidates,
        size=size,
        right=right[high] - right[low],
        right_before=right[low] - right[row_low],
        group=group,
    )


def _within(lengths: np.ndarray) -> np.ndarray:
    """0, 1, .. of each of some runs, one after the other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _map_published(entries: _Entries, profile: RelevanceProfile) -> np.ndarray:
    right = entries.right
    cumulative = np.cumsum(entries.gain, dtype=np.float64)
    before = np.append(0, cumulative)[np.cumsum(profile.relevant) - profile.relevant]
    row = entries.row[right]
    precision = (cumulative[right] - before[row]) / (entries.place[right] + 1)
    return _mean_over_right(_sum_by_query(row, precision, len(profile.right)), profile)


def _map_binary(entries: _Entries, ties: _Ties, profile: RelevanceProfile) -> np.ndarray:
    """Expected AP; a tied group's share in closed form (McSherry and Najork, 2008).

    Of n tied after a others, m are right and R were right before: the expected sum of precisions
    is m/n * sum_{j=1..n} (R + 1 + (j-1)(m-1)/(n-1)) / (a+j), where sum 1/(a+j) is a difference
    of harmonic numbers, h, and sum (j-1)/(a+j) = n - (a+1) h.
    """
    right = entries.right
    row, place = entries.row[right], entries.place[right]
    before = (np.cumsum(profile.right) - profile.right)[row]
    precision = (np.arange(len(row)) - before + 1) / (place + 1)
    alone = ties.group[right] < 0
    total = _sum_by_query(row[alone], precision[alone], len(profile.right))
    harmonic = harmonic_numbers(int(profile.candidates.max(initial=0)))
    h = harmonic[ties.start + ties.size] - harmonic[ties.start]
    slope = (ties.right - 1) / np.maximum(ties.size - 1, 1)
    share = (ties.right_before + 1) * h + slope * (ties.size - (ties.start + 1) * h)
    total += _sum_by_query(ties.row, share * ties.right / ties.size, len(profile.right))
    return _mean_over_right(total, profile)


def _ndcg(entries: _Entries, ties: _Ties, profile: RelevanceProfile) -> np.ndarray:
    place = entries.place.copy()
    tied = np.flatnonzero(ties.group >= 0)
    group = ties.group[tied]
    place[tied] = 2 * ties.start[group] + ties.size[group] - 1 - place[tied]
    kept = place < profile.relevant[entries.row]
    gain = entries.gain * discounts(int(profile.candidates.max(initial=0)))[place]
    dcg = _sum_by_query(entries.row[kept], gain[kept], len(profile.relevant))
    return np.where(
        profile.relevant > 0, dcg / np.where(profile.relevant, profile.ideal_dcg, 1), np.nan
    )


def _first_right(
    entries: _Entries, ties: _Ties, profile: RelevanceProfile
) -> dict[str, np.ndarray]:
    """Recall at k, and rank of the first right candidate, as expectations over ties.

    The first group with a right candidate has n tied after a others, m of them right: its first
    right one is expected at a + (n+1)/(m+1), and is among the first k with probability
    1 - C(n-m, s) / C(n, s), where s of the group's places are within the first k.
    """
    found = profile.right > 0
    where_right = np.flatnonzero(entries.right)
    first = where_right[(np.cumsum(profile.right) - profile.right)[found]]
    group = ties.group[first]
    tied = group >= 0
    before = entries.place[first].copy()
    size, right = np.ones_like(before), np.ones_like(before)
    before[tied] = ties.start[group[tied]]
    size[tied], right[tied] = ties.size[group[tied]], ties.right[group[tied]]
    rank = np.full(len(found), np.nan)
    rank[found] = before + (size + 1) / (right + 1)
    recall = np.full((len(found), len(RECALL_AT)), np.nan)
    for column, k in enumerate(RECALL_AT):
        recall[found, column] = 1 - probability_of_none(size, right, np.clip(k - before, 0, size))
    return {"recall": recall, "rank": rank}


def _hits(entries: _Entries, ties: _Ties, profile: RelevanceProfile) -> np.ndarray:
    """Right candidates among the first k; of a tied group those expected in its places up to k."""
    queries = len(profile.right)
    alone = entries.right & (ties.group < 0)
    row, place = entries.row[alone], entries.place[alone]
    hits = np.full((queries, len(RECALL_AT)), np.nan)
    for column, k in enumerate(RECALL_AT):
        found = np.bincount(row[place < k], minlength=queries).astype(np.float64)
        share = np.clip(k - ties.start, 0, ties.size) / ties.size
        found += _sum_by_query(ties.row, ties.right * share, queries)
        hits[:, column] = np.where(profile.right > 0, found, np.nan)
    return hits


def probability_of_none(items: np.ndarray, right: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Probability that `drawn` of `items`, of which some are right, hold no right one."""
    log_factorial = _log_factorial(int(np.max(items, initial=0)))
    wrong = items - right
    possible = drawn <= wrong
    chosen = np.where(possible, drawn, 0)
    logarithm = (
        log_factorial[wrong]
        - log_factorial[wrong - chosen]
        - log_factorial[items]
        + log_factorial[items - chosen]
    )
    return np.where(possible, np.exp(logarithm), 0.0)


def _sum_by_query(row: np.ndarray, values: np.ndarray, queries: int) -> np.ndarray:
    """Sums of values by query, float64 (numpy's counts are integers where there are none)."""
    return np.bincount(row, values, queries).astype(np.float64)


def _mean_over_right(total: np.ndarray, profile: RelevanceProfile) -> np.ndarray:
    return np.where(profile.right > 0, total / np.maximum(profile.right, 1), np.nan)


@lru_cache(maxsize=8)
def discounts(length: int) -> np.ndarray:
    """1 / log2(k + 1) for k = 1 .. length."""
    return 1 / np.log2(np.arange(2, length + 2))


@lru_cache(maxsize=8)
def harmonic_numbers(length: int) -> np.ndarray:
    """Harmonic numbers 0 .. length."""
    return np.append(0, np.cumsum(1 / np.arange(1, length + 1)))


@lru_cache(maxsize=8)
def _log_factorial(length: int) -> np.ndarray:
    """Logarithms of the factorials of 0 .. length."""
    return np.append(0, np.cumsum(np.log(np.arange(1, length + 1))))
