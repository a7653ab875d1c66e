"""Agreement and preference, with bootstrap intervals.

Everything is a sum over items, so that a resample of items is a row of weights times a matrix.
Alpha is Krippendorff's (Content Analysis, 4th ed., section 12.3), kappa Cohen's with quadratic
weights. Shares and means are resampled over items and raters at once (Owen's pigeonhole
bootstrap): both are drawn from many, and with few raters the intervals become honestly wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from assets.retrieval.intervals import percentile_interval, resample_weights

Scale = Literal["nominal", "ordinal"]


@dataclass(frozen=True)
class Estimate:
    """A statistic and its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


def alpha(judgements: np.ndarray, scale: Scale, resamples: int, seed: int) -> Estimate:
    """Krippendorff's alpha of any number of raters; gaps are allowed.

    Args:
        judgements: (items, raters) values as places on the scale from 0; -1 where there is none.
        scale: whether far apart counts more than just different.
        resamples: bootstrap resamples, over items.
        seed: of the resamples.
    """
    pairs = _coincidences(judgements)
    return _over_items(pairs, lambda summed: _alpha(summed, scale), resamples, seed)


def quadratic_kappa(
    first: np.ndarray, second: np.ndarray, items: np.ndarray, resamples: int, seed: int
) -> Estimate:
    """Cohen's kappa of two raters with quadratic weights.

    Args:
        first: (judgements,) places on the scale from 0.
        second: (judgements,) likewise.
        items: (judgements,) the item of each, from 0: resamples draw items.
        resamples: bootstrap resamples.
        seed: of the resamples.
    """
    size = int(max(first.max(), second.max())) + 1
    confusions = np.zeros((int(items.max()) + 1, size, size))
    np.add.at(confusions, (items, first, second), 1.0)
    return _over_items(confusions, _quadratic_kappa, resamples, seed)


def mean(values: np.ndarray, resamples: int, seed: int) -> Estimate:
    """A mean over items and raters, both resampled.

    Args:
        values: (items, raters); NaN where there is none.
        resamples: bootstrap resamples.
        seed: of the resamples.
    """
    given = ~np.isnan(values)
    filled = np.where(given, values, 0.0)
    by_item = resample_weights(values.shape[0], resamples, (seed, 0))
    by_rater = resample_weights(values.shape[1], resamples, (seed, 1))
    sums = ((by_item @ filled) * by_rater).sum(axis=1)
    sizes = ((by_item @ given.astype(float)) * by_rater).sum(axis=1)
    drawn = np.divide(sums, sizes, out=np.full(resamples, np.nan), where=sizes > 0)
    return _estimate(float(filled.sum() / given.sum()), drawn)


def _coincidences(judgements: np.ndarray) -> np.ndarray:
    """How often values meet in each item: (items, values, values); pairs weigh 1 / (raters - 1)."""
    size = int(judgements.max()) + 1
    counts = (judgements[:, :, None] == np.arange(size)).sum(axis=1).astype(float)
    raters = counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(size)
    return pairs / np.maximum(raters - 1, 1)[:, None, None]


def _alpha(coincidences: np.ndarray, scale: Scale) -> np.ndarray:
    """Alpha of summed coincidences (..., values, values); NaN where only one value occurs."""
    totals = coincidences.sum(axis=-1)
    if scale == "ordinal":
        ranks = np.cumsum(totals, axis=-1) - totals / 2
        distance = (ranks[..., :, None] - ranks[..., None, :]) ** 2
    else:
        distance = np.broadcast_to(1 - np.eye(totals.shape[-1]), coincidences.shape)
    observed = (coincidences * distance).sum(axis=(-2, -1))
    chance = (totals[..., :, None] * totals[..., None, :] * distance).sum(axis=(-2, -1))
    return _one_less((totals.sum(axis=-1) - 1) * observed, chance)


def _quadratic_kappa(confusions: np.ndarray) -> np.ndarray:
    """Kappa of summed confusions (..., values, values); NaN where only one value occurs."""
    places = np.arange(confusions.shape[-1])
    distance = np.subtract.outer(places, places) ** 2
    rows, columns = confusions.sum(axis=-1), confusions.sum(axis=-2)
    chance = rows[..., :, None] * columns[..., None, :] * distance
    observed = confusions.sum(axis=(-2, -1)) * (confusions * distance).sum(axis=(-2, -1))
    return _one_less(observed, chance.sum(axis=(-2, -1)))


def _one_less(observed: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """1 - observed / chance."""
    ratio = np.full(np.shape(chance), np.nan)
    return 1 - np.divide(observed, chance, out=ratio, where=np.asarray(chance) > 0)


def _over_items(by_item: np.ndarray, statistic: object, resamples: int, seed: int) -> Estimate:
    weights = resample_weights(len(by_item), resamples, (seed,))
    drawn = (weights @ by_item.reshape(len(by_item), -1)).reshape(resamples, *by_item.shape[1:])
    return _estimate(float(statistic(by_item.sum(axis=0))), statistic(drawn))  # type: ignore[operator]


def _estimate(value: float, drawn: np.ndarray) -> Estimate:
    if np.isnan(value):
        return Estimate(None, None, None)
    low, high = percentile_interval(drawn)
    return Estimate(value, float(low), float(high))
