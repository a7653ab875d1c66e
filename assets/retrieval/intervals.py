"""How sure a number is: cluster bootstrap, paired randomisation test, Holm's correction.

Queries of one recording (or participant, or text) are alike, so that whole clusters are drawn, not
queries. A resample or a draw of signs is a row of weights over clusters; metrics enter as sums by
cluster, so that all metrics of a setting cost one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

APPROXIMATE_BELOW = 40
"""With fewer clusters an interval is only approximate, and marked so."""
CONFIDENCE = 0.95
_CHUNK = 1 << 22


@lru_cache(maxsize=4)
def resample_weights(clusters: int, resamples: int, seed: tuple[int, ...]) -> np.ndarray:
    """How often each cluster is drawn in each resample: (resamples, clusters), float64."""
    return np.concatenate(list(weight_blocks(clusters, resamples, seed)))


def weight_blocks(clusters: int, resamples: int, seed: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The rows of `resample_weights` some at a time, for more clusters than fit at once."""
    generator = np.random.default_rng(seed)
    size = max(1, _CHUNK // max(clusters, 1))
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        drawn = generator.integers(0, clusters, (rows, clusters))
        drawn += np.arange(rows)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield counts.reshape(rows, clusters).astype(np.float64)


def cluster_sums(values: np.ndarray, codes: np.ndarray, clusters: int) -> np.ndarray:
    """Sums of queries' values by cluster; `codes` gives each query's cluster, from 0."""
    return np.bincount(codes, values, clusters).astype(np.float64)


def resampled_means(sums: np.ndarray, sizes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means of every resample, NaN where one drew no query.

    Args:
        sums: (clusters, metrics): sums of queries' values.
        sizes: (clusters, metrics): numbers of queries.
        weights: from `resample_weights`.

    Returns:
        (resamples, metrics).
    """
    drawn = weights @ sizes
    return np.divide(weights @ sums, drawn, out=np.full(drawn.shape, np.nan), where=drawn > 0)


def resampled_medians(values: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median of every resample, with its clusters' queries repeated as drawn: (resamples,).

    Queries in order of value are cut into runs: sums over runs (one matrix product) tell in which
    run a resample's median lies, and only that run is looked at query by query.
    """
    order = np.argsort(values, kind="stable")
    values, codes = values[order], codes[order]
    width = int(np.ceil(np.sqrt(len(values))))
    runs = np.arange(len(values)) // width
    clusters, count = weights.shape[1], int(runs[-1]) + 1
    members = np.bincount(codes * count + runs, minlength=clusters * count)
    mass = weights @ members.reshape(clusters, count).astype(np.float64)
    cumulative = np.cumsum(mass, axis=1)
    half = cumulative[:, -1:] / 2
    every = np.arange(len(weights))

    def middle(reaches: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        run = reaches(cumulative, half).argmax(axis=1)
        before = cumulative[every, run] - mass[every, run]
        places = np.minimum(run[:, None] * width + np.arange(width), len(values) - 1)
        within = before[:, None] + np.cumsum(weights[every[:, None], codes[places]], axis=1)
        return values[places[every, reaches(within, half).argmax(axis=1)]]

    medians = (middle(np.greater_equal) + middle(np.greater)) / 2
    return np.where(half[:, 0] > 0, medians, np.nan)


def percentile_interval(resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of the central 95 % of resamples (axis 0)."""
    tail = (1 - CONFIDENCE) / 2 * 100
    # The function that leaves NaN out goes column by column, which takes many times as long.
    percentile = np.nanpercentile if np.isnan(resampled).any() else np.percentile
    low, high = percentile(resampled, [tail, 100 - tail], axis=0)
    return low, high


def flipped_sums(differences: np.ndarray, draws: int, seed: tuple[int, ...]) -> np.ndarray:
    """Sums of differences whose signs are drawn at random, cluster by cluster.

    If two variants do not differ, swapping them in a cluster is as likely as not.

    Args:
        differences: (clusters, metrics): sums of paired differences by cluster.
        draws: how many.
        seed: of the draws.

    Returns:
        (draws, metrics).
    """
    clusters = len(differences)
    generator = np.random.default_rng(seed)
    size = max(1, _CHUNK // max(clusters, 1))
    blocks = []
    for start in range(0, draws, size):
        rows = min(size, draws - start)
        signs = generator.integers(0, 2, (rows, clusters), dtype=np.int8)
        blocks.append((2.0 * signs - 1.0) @ differences)
    return np.concatenate(blocks)


def randomisation_p(observed: np.ndarray, flipped: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Two-sided p-values of the paired randomisation test.

    The share of draws at least as far from 0 as what was observed, the observation counted among
    them. Where no draw comes that far, the share only says "less than one in so many": there
    Hoeffding's bound for sums of random signs, 2 exp(-t^2 / (2 * sum of squares)), stands in if
    it is smaller. It can only be too large, so that the test stays valid after a correction for
    many tests.

    Args:
        observed: (metrics,).
        flipped: (draws, metrics), from `flipped_sums`.
        squares: (metrics,): sum over clusters of the squared differences.
    """
    reached = (np.abs(flipped) >= np.abs(observed) * (1 - 1e-9)).sum(axis=0)
    p = (reached + 1) / (len(flipped) + 1)
    bound = 2 * np.exp(-np.square(observed) / np.maximum(2 * squares, np.finfo(float).tiny))
    return np.where(reached == 0, np.minimum(p, bound), p)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down correction over all given p-values; NaN stays NaN and counts for none."""
    corrected = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return corrected
