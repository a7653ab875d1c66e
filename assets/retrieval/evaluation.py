"""Metrics and intervals for anybody's matrices: a similarity and a relevance, from files or arrays.

The same functions that the tables `query_scores` and `scores` are made with, without the tables:
block by block over the matrix, then a bootstrap over the queries' scores (method section 8).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from assets.retrieval.intervals import (
    APPROXIMATE_BELOW,
    cluster_sums,
    percentile_interval,
    resample_weights,
    resampled_means,
    resampled_medians,
)
from assets.retrieval.metrics import (
    BOTH_DIRECTIONS,
    RECALL_AT,
    MetricError,
    QueryMetrics,
    query_metrics,
    relevance_profiles,
)
from resources.settings import MetricsSettings

Figures = dict[str, dict[str, dict[str, float]]]
"""By direction (both, and `mean`) and metric: `value`, `ci_low`, `ci_high`."""

GROUP_COLUMNS = ("row", "group")
RANKS = ("median_rank", "mean_rank")
_BLOCK_ROWS = 1024


class EvaluationError(ValueError):
    """Matrices or groups can't be evaluated; the message names the file or row, and the remedy."""


@dataclass(frozen=True)
class Evaluation:
    """Figures, and how they are to be read.

    Attributes:
        figures: see `evaluate`.
        notes: what was resampled and left out, a sentence a line.
    """

    figures: Figures
    notes: str

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Direction, metric, value, interval: fractions in percent, ranks as they are."""
        return [
            (direction, name, _text(name, by["value"]), _interval_text(name, by))
            for direction, by_metric in self.figures.items()
            for name, by in by_metric.items()
        ]

    def write(self, file: Path) -> None:
        """Write the figures as JSON."""
        file.write_text(json.dumps(self.figures, indent=2) + "\n", encoding="utf-8")


def read_and_evaluate(similarity: Path, relevance: Path, groups: Path | None = None) -> Evaluation:
    """Evaluate matrices that lie in files (see `read_matrix`, `read_groups`, `evaluate`).

    Raises:
        EvaluationError: a file can't be read, or the matrices can't be evaluated.
    """
    similar, relevant = read_matrix(similarity), read_matrix(relevance)
    group_of = read_groups(groups, len(similar)) if groups else None
    figures = evaluate(similar, relevant, group_of)
    return Evaluation(figures, "\n".join(_notes(relevant, group_of)))


def evaluate(
    similarity: np.ndarray,
    relevance: np.ndarray,
    groups: np.ndarray | None = None,
    settings: MetricsSettings | None = None,
) -> Figures:
    """Metrics of a similarity against a relevance in both directions, with 95 % intervals.

    A query with nothing right to be found is in no mAP, recall or rank (`nothing_right` counts
    them). The intervals resample groups of audio queries, and texts one by one.

    Args:
        similarity: (audio, texts); any float type, worked on as float32. `audio_to_text` ranks
            the columns for each row, `text_to_audio` the rows for each column.
        relevance: of the same shape, in [0, 1]; 1 is fully right.
        groups: (audio,): what each row belongs to, such as its recording; None: rows are drawn
            one by one.
        settings: resamples and seed; None: the defaults.

    Returns:
        `{direction: {metric: {value, ci_low, ci_high}}}` with the directions `text_to_audio`,
        `audio_to_text` and `mean`, and the metrics' names as in the table `scores`. Fractions,
        but for ranks. A direction in which nothing is relevant is absent.

    Raises:
        EvaluationError: shapes differ, a value is NaN, a relevance is outside [0, 1], or nothing
            is relevant at all.
    """
    settings = settings or MetricsSettings()
    _check(similarity, relevance)
    codes = None if groups is None else _group_codes(groups, len(similarity))
    similar, relevant = _AudioByText(similarity), _AudioByText(relevance)
    estimates: dict[str, _Estimates] = {}
    for number, direction in enumerate(BOTH_DIRECTIONS, start=1):
        try:
            metrics = query_metrics(similar, relevant, direction)
        except MetricError as error:
            raise EvaluationError(str(error)) from error
        clusters = codes if direction == "audio_to_text" else None
        estimates[direction] = _estimates(metrics, clusters, settings, (settings.seed, number))
    if not any(estimates.values()):
        raise EvaluationError("relevance is 0 everywhere: there is nothing to be found")
    estimates["mean"] = _mean(*estimates.values())
    return {
        direction: {name: _figures(estimate) for name, estimate in by_metric.items()}
        for direction, by_metric in estimates.items()
        if by_metric
    }


def nothing_right(relevance: np.ndarray) -> dict[str, int]:
    """Number of queries of each direction that have no candidate of relevance 1."""
    matrix = _AudioByText(relevance)
    return {
        direction: int((relevance_profiles(matrix, direction).right == 0).sum())
        for direction in BOTH_DIRECTIONS
    }


def read_matrix(file: Path) -> np.ndarray:
    """A matrix from an `.npy` file, mapped into memory; pickled objects are refused.

    Raises:
        EvaluationError: it can't be read, or holds no two-dimensional numbers.
    """
    try:
        matrix: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise EvaluationError(
            f"{file} can't be read as an .npy file ({error}): write it with numpy.save"
        ) from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "fiub":
        raise EvaluationError(f"{file} does not hold one matrix of numbers, audio x texts")
    return matrix


def read_groups(file: Path, rows: int) -> np.ndarray:
    """The group of every row of a matrix, from a CSV with the columns `row` and `group`.

    Args:
        file: `row` is the position of an audio query in the matrix, from 0; `group` is what it
            belongs to: a recording, a participant. Every row is named once, in any order.
        rows: how many rows the matrix has.

    Raises:
        EvaluationError: columns are missing, or a row is missing, doubled or unknown.
    """
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{file} can't be read as CSV in UTF-8: {error}") from error
    if missing := [name for name in GROUP_COLUMNS if name not in table.columns]:
        raise EvaluationError(
            f"{file} has no column {' and no column '.join(missing)}: "
            "`row` counts the matrix's rows from 0, `group` is what the row belongs to"
        )
    known = {str(row): row for row in range(rows)}
    positions = table["row"].str.strip().map(known)
    groups = table["group"].str.strip()
    for wrong, problem in (
        (positions.isna(), f"is no row of a matrix of {rows} rows (they count from 0)"),
        (positions.duplicated(), "is there twice"),
        (groups == "", "has no group"),
    ):
        if wrong.any():
            line = int(wrong.to_numpy().argmax())
            raise EvaluationError(
                f"{file}, line {line + 2}: row {table['row'].iloc[line]!r} {problem}"
            )
    if absent := sorted(set(known.values()) - set(positions)):
        raise EvaluationError(
            f"{file}: row {absent[0]} has no line ({len(absent)} of {rows} rows are missing)"
        )
    return groups.to_numpy()[np.argsort(positions.to_numpy())]


# ----------------------------------------------------------------------------------- words


def _notes(relevance: np.ndarray, groups: np.ndarray | None) -> Iterator[str]:
    yield "In percent, but ranks. Both matrices are worked on as float32."
    rows, columns = relevance.shape
    clusters = rows if groups is None else len(set(groups))
    name = "rows" if groups is None else "groups"
    for count, what in ((columns, f"{columns} columns"), (clusters, f"{clusters} {name}")):
        approximate = (
            f" (approximate: under {APPROXIMATE_BELOW})" if count < APPROXIMATE_BELOW else ""
        )
        yield f"Intervals resample {what}{approximate}."
    for direction, count in nothing_right(relevance).items():
        if count:
            yield f"{direction}: {count} queries have nothing right to be found; left out."


def _text(metric: str, value: float) -> str:
    return f"{value:.1f}" if metric in RANKS else f"{100 * value:.1f}"


def _interval_text(metric: str, figures: dict[str, float]) -> str:
    return f"{_text(metric, figures['ci_low'])} to {_text(metric, figures['ci_high'])}"


# ---------------------------------------------------------------------------------- checks


def _check(similarity: np.ndarray, relevance: np.ndarray) -> None:
    for name, matrix in (("similarity", similarity), ("relevance", relevance)):
        if matrix.ndim != 2:
            raise EvaluationError(f"{name} has shape {matrix.shape}: it must be audio x texts")
    if similarity.shape != relevance.shape:
        raise EvaluationError(
            f"similarity has shape {similarity.shape} and relevance {relevance.shape}: "
            "both are audio x texts"
        )
    for start in range(0, len(relevance), _BLOCK_ROWS):
        block = np.asarray(relevance[start : start + _BLOCK_ROWS])
        outside = ((block < 0) | (block > 1)).any(axis=1)
        if outside.any():
            row = start + int(outside.argmax())
            raise EvaluationError(
                f"relevance is outside [0, 1] in row {row}: divide it by its largest value"
            )
        for name, values in (
            ("relevance", block),
            ("similarity", np.asarray(similarity[start : start + _BLOCK_ROWS])),
        ):
            missing = np.isnan(values).any(axis=1)
            if missing.any():
                row = start + int(missing.argmax())
                raise EvaluationError(
                    f"{name} is NaN in row {row}: leave that query out of both matrices"
                )


def _group_codes(groups: np.ndarray, rows: int) -> np.ndarray:
    if groups.shape != (rows,):
        raise EvaluationError(
            f"groups has shape {groups.shape}: one group for each of the {rows} rows is wanted"
        )
    return np.unique(groups, return_inverse=True)[1]


@dataclass(frozen=True)
class _AudioByText:
    """An audio x texts matrix as the `BlockMatrix`, texts x audio, that metrics are computed on."""

    matrix: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of texts and of audio clips."""
        audio, texts = self.matrix.shape
        return texts, audio

    def caption_rows(self, rows: slice) -> np.ndarray:
        """All clips' values for some texts."""
        return np.ascontiguousarray(self.matrix[:, rows].T, dtype=np.float32)

    def clip_rows(self, rows: slice) -> np.ndarray:
        """All texts' values for some clips."""
        return np.ascontiguousarray(self.matrix[rows], dtype=np.float32)


# ------------------------------------------------------------------------------- bootstrap


@dataclass(frozen=True)
class _Estimate:
    """One metric: its value, and those of the resamples."""

    value: float
    resampled: np.ndarray


_Estimates = Mapping[str, _Estimate]


def _estimates(
    metrics: QueryMetrics,
    codes: np.ndarray | None,
    settings: MetricsSettings,
    seed: tuple[int, int],
) -> _Estimates:
    """Every metric that at least one query has; all share the same resamples."""
    by_metric = _by_metric(metrics)
    found = {name: ~np.isnan(values) for name, values in by_metric.items()}
    anything = np.logical_or.reduce(list(found.values()))
    if not anything.any():
        return {}
    codes = np.arange(len(anything)) if codes is None else codes
    drawn = np.unique(codes[anything])
    weights = resample_weights(len(drawn), settings.resamples, seed)
    estimates = {}
    for name, values in by_metric.items():
        kept = values[found[name]]
        if len(kept):
            clusters = np.searchsorted(drawn, codes[found[name]])
            estimates[name] = _estimate(name, kept, clusters, weights)
    return estimates


def _estimate(name: str, values: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> _Estimate:
    if name == "median_rank":
        return _Estimate(float(np.median(values)), resampled_medians(values, codes, weights))
    clusters = weights.shape[1]
    sums = cluster_sums(values, codes, clusters)[:, None]
    sizes = cluster_sums(np.ones(len(values)), codes, clusters)[:, None]
    return _Estimate(float(values.mean()), resampled_means(sums, sizes, weights)[:, 0])


def _by_metric(metrics: QueryMetrics) -> dict[str, np.ndarray]:
    return {
        "map_published": metrics.map_published,
        "map_binary": metrics.map_binary,
        "ndcg": metrics.ndcg,
        **{f"recall_at_{k}": metrics.recall[:, column] for column, k in enumerate(RECALL_AT)},
        "median_rank": metrics.rank,
        "mean_rank": metrics.rank,
    }


def _mean(one: _Estimates, other: _Estimates) -> _Estimates:
    """The mean of both directions, of the metrics that both have; they are drawn independently."""
    return {
        name: _Estimate(
            (one[name].value + other[name].value) / 2,
            (one[name].resampled + other[name].resampled) / 2,
        )
        for name in one
        if name in other
    }


def _figures(estimate: _Estimate) -> dict[str, float]:
    low, high = percentile_interval(estimate.resampled)
    return {"value": estimate.value, "ci_low": float(low), "ci_high": float(high)}
