"""What random similarities reach, and what a perfect model does: the scale a score is read on.

Expectations over random orders are in closed form wherever there is one; the averaged ties of the
diagonal rule need draws, which are seeded.
"""

from __future__ import annotations

import numpy as np

from assets.retrieval.metrics import (
    RECALL_AT,
    Direction,
    RelevanceProfile,
    discounts,
    harmonic_numbers,
    probability_of_none,
    published_recall,
)

DRAWS = 50


def random_floor(profile: RelevanceProfile) -> dict[str, float]:
    """Expected metrics of a uniformly random order of the candidates, by metric.

    With N candidates, m of them right, total relevance S, H the N-th harmonic number:

    - mAP: (H + (S - 1) / (N - 1) * (N - H)) / N, where binary has m for S: an item at rank k
      sees on average 1 + (k - 1)(S - 1)/(N - 1) before and at it;
    - nDCG: S/N times the sum of the first K discounts, over the ideal DCG;
    - recall at k: 1 - C(N-m, k) / C(N, k); rank of the first right one: (N + 1) / (m + 1).

    Queries without a right candidate (nDCG: without a relevant one) do not count.
    """
    n, m = profile.candidates, profile.right
    found = m > 0
    harmonic = harmonic_numbers(int(n.max(initial=0)))[n]
    cut = np.append(0, np.cumsum(discounts(int(n.max(initial=0)))))[profile.relevant]
    ndcg = (profile.total / np.maximum(n, 1) * cut)[profile.relevant > 0]
    floor = {
        "map_published": _mean(_random_ap(profile.total, n, harmonic)[found]),
        "map_binary": _mean(_random_ap(m, n, harmonic)[found]),
        "ndcg": _mean(ndcg / profile.ideal_dcg[profile.relevant > 0]),
        "mean_rank": _mean((n[found] + 1) / (m[found] + 1)),
        "median_rank": _random_median_rank(n[found], m[found]),
    }
    for k in RECALL_AT:
        missed = probability_of_none(n[found], m[found], np.minimum(k, n[found]))
        floor[f"recall_at_{k}"] = _mean(1 - missed)
    return floor


def _random_ap(total: np.ndarray, n: np.ndarray, harmonic: np.ndarray) -> np.ndarray:
    slope = (total - 1) / np.maximum(n - 1, 1)
    return (harmonic + slope * (n - harmonic)) / np.maximum(n, 1)


def _random_median_rank(n: np.ndarray, m: np.ndarray) -> float:
    """Median of the first right candidate's rank over queries and random orders, by bisection."""
    low, high = 0, int(n.max(initial=0))
    if not high:
        return float("nan")
    while low + 1 < high:
        middle = (low + high) // 2
        later = probability_of_none(n, m, np.minimum(middle, n)).mean()
        low, high = (middle, high) if later > 0.5 else (low, middle)
    return float(high)


def diagonal_floor(
    texts: np.ndarray, queries: np.ndarray, direction: Direction, seed: int
) -> dict[str, float]:
    """Expected metrics of the diagonal rule when every distinct text gets random similarities.

    Args:
        texts: code of the own text of every clip in the gallery.
        queries: positions of the clips that are asked about.
        direction: text to audio: the rank is uniform; audio to text: equal texts tie, and the
            mean position of the tie is drawn `DRAWS` times.
        seed: of the draws.
    """
    if direction == "text_to_audio":
        return rank_metrics(np.arange(1, len(texts) + 1, dtype=float))
    _, codes, counts = np.unique(texts, return_inverse=True, return_counts=True)
    asked = np.bincount(codes[queries], minlength=len(counts))
    order = np.random.default_rng(seed).random((DRAWS, len(counts))).argsort(axis=1)
    before = np.cumsum(counts[order], axis=1) - counts[order]
    ranks = before + (counts[order] + 1) / 2
    return rank_metrics(ranks.ravel(), asked[order].ravel().astype(float))


def diagonal_ceiling(
    texts: np.ndarray, queries: np.ndarray, direction: Direction
) -> dict[str, float]:
    """What a perfect model reaches under the diagonal rule (arguments as in `diagonal_floor`).

    A text that c clips carry can only put them first in some order, so that text to audio finds
    its own clip at a rank from 1 to c; audio to text averages the tie of c: rank (c + 1) / 2.
    """
    _, codes, counts = np.unique(texts, return_inverse=True, return_counts=True)
    if direction == "audio_to_text":
        return rank_metrics((counts[codes[queries]] + 1) / 2)
    asked = np.bincount(codes[queries], minlength=len(counts))
    ranks = np.concatenate([np.arange(1, count + 1) for count in counts] or [np.empty(0)])
    return rank_metrics(ranks.astype(float), np.repeat(asked / counts, counts))


def rank_metrics(ranks: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Published recall at k, mean and median of ranks that count from 1, each with a weight."""
    weights = np.ones(len(ranks)) if weights is None else weights
    total = weights.sum()
    if not total:
        return {}
    recall = weights @ published_recall(ranks) / total
    metrics = {f"recall_at_{k}": float(recall[i]) for i, k in enumerate(RECALL_AT)}
    order = np.argsort(ranks, kind="stable")
    middle = np.searchsorted(np.cumsum(weights[order]), total / 2)
    return metrics | {
        "mean_rank": float(ranks @ weights / total),
        "median_rank": float(ranks[order][middle]),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
