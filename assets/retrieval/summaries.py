"""From queries' scores to the tables `scores` and `comparisons`.

`query_scores` is read by setting: all metrics and variants that share encoder, subset, protocol,
kind and direction. A setting's resamples (and, of paired differences, draws of signs) are made
once for all of them. The direction `mean` is the mean of both directions' resamples, which are
drawn independently.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from assets.retrieval.galleries import RetrievalError, RetrievalTables
from assets.retrieval.intervals import (
    APPROXIMATE_BELOW,
    cluster_sums,
    flipped_sums,
    holm,
    percentile_interval,
    randomisation_p,
    resample_weights,
    resampled_means,
    resampled_medians,
    weight_blocks,
)
from assets.retrieval.metrics import BOTH_DIRECTIONS
from assets.retrieval.scales import Scale, ScaleKey, scales
from resources.settings import MetricsSettings
from resources.tables import COMPARISONS, MAIN_METRICS, SCORES, VISUAL

MEDIAN = "median_rank"
APPROXIMATE = " (approximate)"
Column = tuple[str, str]
"""Variant and metric."""

FAMILY = ("metric", "relevance_kind", "similarity", "recall_rule")
"""What Holm's correction counts together: one column of figures, over all encoders, texts,
directions and subsets of a benchmark. A column answers one question; another is another view of the
same queries, and would only hide what the first one shows."""


class Setting(NamedTuple):
    """What scores have in common, variant and metric apart; both directions share one."""

    encoder: str
    grader: str | None
    subset: str
    protocol: str | None
    relevance_kind: str
    crop_rule: str
    similarity: str
    recall_rule: str | None


@dataclass(frozen=True)
class _Values:
    """One metric of one variant: codes of its queries, and their values."""

    queries: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class _DirectionScores:
    """All metrics and variants of one setting and direction.

    Attributes:
        direction: None for questions.
        cluster: what is drawn: `video`, `participant` or `text`.
        clusters: how many of them the queries belong to.
        cluster_of: cluster of each query code.
        columns: by (variant, metric).
    """

    direction: str | None
    cluster: str
    clusters: int
    cluster_of: np.ndarray
    columns: dict[Column, _Values]

    def seed(self, seed: int) -> tuple[int, ...]:
        """Both directions draw independently."""
        return seed, (None, *BOTH_DIRECTIONS).index(self.direction)


def aggregate_scores(
    tables: RetrievalTables, query_scores: pd.DataFrame, settings: MetricsSettings
) -> pd.DataFrame:
    """The table `scores`: one row a metric and setting, with interval, floor and ceiling.

    Args:
        tables: what `query_scores` was made from.
        query_scores: the table, in its model's form.
        settings: resamples, what is drawn (recordings or participants), seed.
    """
    scale_of = scales(tables, settings)
    rows: list[dict[str, Any]] = []
    for setting, directions in _settings(tables, query_scores, settings):
        estimates = {d.direction: _estimate(d, settings) for d in directions}
        if len(directions) == len(BOTH_DIRECTIONS):
            estimates["mean"] = _mean_estimate(*estimates.values())
        for direction, estimate in estimates.items():
            rows += _score_rows(tables, setting, direction, estimate, scale_of)
    return SCORES.frame(rows)


def compare_variants(
    tables: RetrievalTables, query_scores: pd.DataFrame, settings: MetricsSettings
) -> pd.DataFrame:
    """The table `comparisons`: each pair of variants over the queries that both have.

    The original text is the baseline of every other variant; prompts are compared with each
    other too, in order of their names. Medians get an interval but no test: no sum of signed
    differences is theirs.

    Args:
        tables: what `query_scores` was made from.
        query_scores: the table, in its model's form.
        settings: resamples, randomisations, what is drawn, seed.
    """
    rows: list[dict[str, Any]] = []
    for setting, directions in _settings(tables, query_scores, settings):
        differences = {d.direction: _difference(d, settings) for d in directions}
        if len(directions) == len(BOTH_DIRECTIONS):
            differences["mean"] = _mean_difference(*differences.values())
        for direction, difference in differences.items():
            rows += _comparison_rows(tables, setting, direction, difference)
    frame = pd.DataFrame(rows, columns=COMPARISONS.names)
    columns = frame.groupby(list(FAMILY), dropna=False)["p_value"]
    frame["p_holm"] = columns.transform(lambda p: holm(p.to_numpy(dtype=float)))
    return COMPARISONS.frame(frame)


def unclear_gains(comparisons: pd.DataFrame) -> list[str]:
    """Where the interval of a rewritten text's gain over the original does not lie above 0.

    Args:
        comparisons: the table, in its model's form.

    Returns:
        A sentence for each encoder, variant and main metric over the whole benchmark, both
        directions together.
    """
    rows = comparisons[
        (comparisons["baseline"] == VISUAL)
        & (comparisons["subset"] == "all")
        & (comparisons["direction"].isna() | (comparisons["direction"] == "mean"))
        & comparisons["metric"].isin(MAIN_METRICS)
        & (comparisons["similarity"] == "cosine")
        & ~comparisons["relevance_kind"].isin(["verb", "noun"])
        & ~(comparisons["ci_low"] > 0)
    ]
    return [
        f"{row['encoder']}, {row['variant']}: {row['metric']} {100 * row['delta']:+.1f} points "
        f"over the {VISUAL} text, "
        f"95 % interval {100 * row['ci_low']:+.1f} to {100 * row['ci_high']:+.1f}"
        for row in rows.to_dict("records")
    ]


# --------------------------------------------------------------------------------- reading


def _settings(
    tables: RetrievalTables, query_scores: pd.DataFrame, settings: MetricsSettings
) -> Iterator[tuple[Setting, list[_DirectionScores]]]:
    """The scores of each setting, one part a direction."""
    queries, ids = pd.factorize(query_scores["query_id"])
    clusters = _row_clusters(tables, query_scores, queries, ids, settings.cluster)
    values = query_scores["value"].to_numpy()
    parts: dict[Setting, dict[str | None, dict[Column, slice]]] = {}
    for labels, rows in _runs(query_scores):
        setting = Setting(*(labels[name] for name in Setting._fields))  # type: ignore[arg-type]
        columns = parts.setdefault(setting, {}).setdefault(labels["direction"], {})
        columns[str(labels["variant"]), str(labels["metric"])] = rows
    for setting, by_direction in parts.items():
        directions = []
        for direction, slices in by_direction.items():
            cluster_of = np.full(len(ids), -1)
            for rows in slices.values():
                cluster_of[queries[rows]] = clusters[rows]
            distinct, cluster_of = np.unique(cluster_of, return_inverse=True)
            absent = int(distinct[0] < 0)
            directions.append(
                _DirectionScores(
                    direction=direction,
                    cluster="text" if direction == "text_to_audio" else settings.cluster,
                    clusters=len(distinct) - absent,
                    cluster_of=cluster_of - absent,
                    columns={c: _Values(queries[r], values[r]) for c, r in slices.items()},
                )
            )
        yield setting, directions


def _runs(query_scores: pd.DataFrame) -> Iterator[tuple[dict[str, str | None], slice]]:
    """Successive rows that differ in query only: their labels, and where they are."""
    names = [*Setting._fields, "direction", "variant", "metric"]
    starts = np.zeros(len(query_scores), dtype=bool)
    starts[:1] = True
    for name in names:
        codes = query_scores[name].cat.codes.to_numpy()
        starts[1:] |= codes[1:] != codes[:-1]
    bounds = [*np.flatnonzero(starts), len(query_scores)]
    labels = query_scores[names].iloc[bounds[:-1]].astype(object)
    columns = [labels[name].where(labels[name].notna(), None) for name in names]
    for row, start, stop in zip(zip(*columns, strict=True), bounds[:-1], bounds[1:], strict=True):
        yield dict(zip(names, row, strict=True)), slice(start, stop)


def _row_clusters(
    tables: RetrievalTables,
    query_scores: pd.DataFrame,
    queries: np.ndarray,
    ids: pd.Index,
    recordings_by: str,
) -> np.ndarray:
    """The cluster of every row: a text for text queries, else a recording or its participant.

    Under the diagonal rule text queries carry the clip's id, and the clip's text.
    """

    def texts(table: pd.DataFrame, id_column: str) -> np.ndarray:
        of_id = pd.Series(table["text_id"].to_numpy(), index=table[id_column])
        return pd.factorize(of_id.reindex(ids))[0][queries]

    videos = query_scores["video_id"].cat
    if recordings_by == "participant":
        participant = tables.clips.drop_duplicates("video_id").set_index("video_id")
        names = participant["participant_id"].reindex(videos.categories)
        if names.isna().any():
            raise RetrievalError(
                f"clips: recording {names.index[names.isna()][0]} has no participant: "
                "set `metrics: cluster: video`"
            )
        recordings = pd.factorize(names)[0][videos.codes.to_numpy()]
    else:
        recordings = videos.codes.to_numpy()
    from_text = (query_scores["direction"] == "text_to_audio").to_numpy()
    diagonal = (query_scores["recall_rule"] == "diagonal").to_numpy()
    text = np.where(diagonal, texts(tables.clips, "clip_id"), texts(tables.captions, "caption_id"))
    return np.where(from_text, text, recordings)


# ---------------------------------------------------------------------------------- scores


@dataclass(frozen=True)
class _Estimate:
    """Estimates of all columns of a setting and direction.

    Attributes:
        columns: (variant, metric) of each.
        observed: (columns,).
        resampled: (resamples, columns).
        plain: (resamples, columns): of resamples that draw single queries.
        queries: (columns,): numbers of queries.
        cluster: what was drawn, as it is published.
    """

    columns: list[Column]
    observed: np.ndarray
    resampled: np.ndarray
    plain: np.ndarray
    queries: np.ndarray
    cluster: str


def _estimate(scores: _DirectionScores, settings: MetricsSettings) -> _Estimate:
    seed = scores.seed(settings.seed)
    weights = resample_weights(scores.clusters, settings.resamples, seed)
    resampled = _resampled(scores.columns, scores.cluster_of, weights)
    return _Estimate(
        columns=list(scores.columns),
        observed=np.array(
            [
                np.median(column.values) if metric == MEDIAN else column.values.mean()
                for (_, metric), column in scores.columns.items()
            ]
        ),
        resampled=resampled,
        plain=_plain(scores, settings.resamples, seed, resampled),
        queries=np.array([len(column.queries) for column in scores.columns.values()]),
        cluster=_published_cluster(scores),
    )


def _resampled(
    columns: dict[Column, _Values], cluster_of: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Every column's estimate in each resample: (resamples, columns)."""
    clusters = weights.shape[1]
    codes = [cluster_of[column.queries] for column in columns.values()]
    sums = [
        cluster_sums(column.values, code, clusters)
        for column, code in zip(columns.values(), codes, strict=True)
    ]
    sizes = [cluster_sums(np.ones(len(code)), code, clusters) for code in codes]
    resampled = resampled_means(np.stack(sums, axis=1), np.stack(sizes, axis=1), weights)
    for position, ((_, metric), column) in enumerate(columns.items()):
        if metric == MEDIAN:
            medians = resampled_medians(column.values, codes[position], weights)
            resampled[:, position] = medians
    return resampled


def _plain(
    scores: _DirectionScores, resamples: int, seed: tuple[int, ...], resampled: np.ndarray
) -> np.ndarray:
    """As `_resampled`, each query a cluster of its own; the same where that is so anyway."""
    queries = np.unique(np.concatenate([column.queries for column in scores.columns.values()]))
    if len(queries) == scores.clusters:
        return resampled
    code_of = np.zeros(len(scores.cluster_of), dtype=np.int64)
    code_of[queries] = np.arange(len(queries))
    blocks = weight_blocks(len(queries), resamples, seed)
    return np.concatenate([_resampled(scores.columns, code_of, block) for block in blocks])


def _published_cluster(scores: _DirectionScores) -> str:
    few = scores.clusters < APPROXIMATE_BELOW
    return scores.cluster + (APPROXIMATE if few else "")


def _mean_estimate(one: _Estimate, other: _Estimate) -> _Estimate:
    """The mean of both directions, of the columns that both have."""
    columns = [column for column in one.columns if column in other.columns]
    first = [one.columns.index(column) for column in columns]
    second = [other.columns.index(column) for column in columns]
    return _Estimate(
        columns=columns,
        observed=(one.observed[first] + other.observed[second]) / 2,
        resampled=(one.resampled[:, first] + other.resampled[:, second]) / 2,
        plain=(one.plain[:, first] + other.plain[:, second]) / 2,
        queries=one.queries[first] + other.queries[second],
        cluster=_both_clusters(one.cluster, other.cluster),
    )


def _both_clusters(one: str, other: str) -> str:
    names = sorted(name.removesuffix(APPROXIMATE) for name in (one, other))
    approximate = one.endswith(APPROXIMATE) or other.endswith(APPROXIMATE)
    return " and ".join(names) + (APPROXIMATE if approximate else "")


def _mean_scale(one: Scale, other: Scale) -> Scale:
    return Scale(
        candidates=one.candidates,
        seeds=one.seeds,
        floor={m: (v + other.floor[m]) / 2 for m, v in one.floor.items() if m in other.floor},
        ceiling={
            m: (v + other.ceiling[m]) / 2 for m, v in one.ceiling.items() if m in other.ceiling
        },
    )


def _score_rows(
    tables: RetrievalTables,
    setting: Setting,
    direction: str | None,
    estimate: _Estimate,
    scale_of: dict[ScaleKey, Scale],
) -> Iterator[dict[str, Any]]:
    low, high = percentile_interval(estimate.resampled)
    plain_low, plain_high = percentile_interval(estimate.plain)
    for position, (variant, metric) in enumerate(estimate.columns):
        scale = _scale(scale_of, setting, direction, variant)
        yield {
            "benchmark": tables.benchmark,
            **setting._asdict(),
            "variant": variant,
            "direction": direction,
            "metric": metric,
            "value": estimate.observed[position],
            "ci_low": low[position],
            "ci_high": high[position],
            "plain_ci_low": plain_low[position],
            "plain_ci_high": plain_high[position],
            "cluster": estimate.cluster,
            "queries": estimate.queries[position],
            "candidates": scale.candidates,
            "random_floor": scale.floor.get(metric),
            "ceiling": scale.ceiling.get(metric),
            "seeds": scale.seeds,
        }


def _scale(
    scale_of: dict[ScaleKey, Scale], setting: Setting, direction: str | None, variant: str
) -> Scale:
    def of(one_direction: str | None) -> Scale:
        return scale_of[
            ScaleKey(
                setting.encoder,
                variant,
                setting.grader,
                setting.subset,
                setting.protocol,
                one_direction,
                setting.relevance_kind,
                setting.recall_rule,
            )
        ]

    return _mean_scale(*map(of, BOTH_DIRECTIONS)) if direction == "mean" else of(direction)


# ----------------------------------------------------------------------------- comparisons


@dataclass(frozen=True)
class _Difference:
    """Paired differences of a setting and direction.

    Attributes:
        columns: (baseline, variant, metric) of each.
        observed: (columns,).
        resampled: (resamples, columns).
        flipped: (randomisations, columns): differences under random signs.
        squares: (columns,): sum of squared cluster differences, for the tail's bound.
        queries: (columns,): queries that both have.
    """

    columns: list[tuple[str, str, str]]
    observed: np.ndarray
    resampled: np.ndarray
    flipped: np.ndarray
    squares: np.ndarray
    queries: np.ndarray


def _pairs(scores: _DirectionScores) -> list[tuple[str, str, str]]:
    """(baseline, variant, metric), the original text before all prompts."""
    by_metric: dict[str, list[str]] = {}
    for variant, metric in scores.columns:
        by_metric.setdefault(metric, []).append(variant)
    return [
        (baseline, variant, metric)
        for metric, variants in by_metric.items()
        for baseline, variant in combinations(sorted(variants, key=_original_first), 2)
    ]


def _original_first(variant: str) -> tuple[bool, str]:
    return variant != VISUAL, variant


def _difference(scores: _DirectionScores, settings: MetricsSettings) -> _Difference:
    seed = scores.seed(settings.seed)
    weights = resample_weights(scores.clusters, settings.resamples, seed)
    columns: list[tuple[str, str, str]] = []
    observed, sums, sizes, medians = [], [], [], {}
    for baseline, variant, metric in _pairs(scores):
        codes, old, new = _paired(scores, baseline, variant, metric)
        if not len(codes):
            continue
        if metric == MEDIAN:
            medians[len(columns)] = resampled_medians(new, codes, weights) - resampled_medians(
                old, codes, weights
            )
        columns.append((baseline, variant, metric))
        observed.append(np.median(new) - np.median(old) if metric == MEDIAN else (new - old).mean())
        sums.append(cluster_sums(new - old, codes, scores.clusters))
        sizes.append(cluster_sums(np.ones(len(codes)), codes, scores.clusters))
    if not columns:
        empty = np.empty((0, 0))
        return _Difference([], empty, empty, empty, empty, empty)
    by_cluster, counts = np.stack(sums, axis=1), np.stack(sizes, axis=1)
    resampled = resampled_means(by_cluster, counts, weights)
    for position, differences in medians.items():
        resampled[:, position] = differences
    queries = counts.sum(axis=0)
    shares = by_cluster / queries
    return _Difference(
        columns=columns,
        observed=np.array(observed),
        resampled=resampled,
        flipped=flipped_sums(shares, settings.randomisations, seed),
        squares=np.square(shares).sum(axis=0),
        queries=queries.astype(np.int64),
    )


def _paired(
    scores: _DirectionScores, baseline: str, variant: str, metric: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clusters and values of the queries that both variants have."""
    old, new = scores.columns[baseline, metric], scores.columns[variant, metric]
    common, of_old, of_new = np.intersect1d(
        old.queries, new.queries, assume_unique=True, return_indices=True
    )
    return scores.cluster_of[common], old.values[of_old], new.values[of_new]


def _mean_difference(one: _Difference, other: _Difference) -> _Difference:
    """The mean of both directions, of the columns that both have; their signs are independent."""
    columns = [column for column in one.columns if column in other.columns]
    first = [one.columns.index(column) for column in columns]
    second = [other.columns.index(column) for column in columns]
    return _Difference(
        columns=columns,
        observed=(one.observed[first] + other.observed[second]) / 2,
        resampled=(one.resampled[:, first] + other.resampled[:, second]) / 2,
        flipped=(one.flipped[:, first] + other.flipped[:, second]) / 2,
        squares=(one.squares[first] + other.squares[second]) / 4,
        queries=one.queries[first] + other.queries[second],
    )


def _comparison_rows(
    tables: RetrievalTables, setting: Setting, direction: str | None, difference: _Difference
) -> Iterator[dict[str, Any]]:
    if not difference.columns:
        return
    low, high = percentile_interval(difference.resampled)
    p_values = randomisation_p(difference.observed, difference.flipped, difference.squares)
    for position, (baseline, variant, metric) in enumerate(difference.columns):
        yield {
            "benchmark": tables.benchmark,
            **setting._asdict(),
            "baseline": baseline,
            "variant": variant,
            "direction": direction,
            "metric": metric,
            "delta": difference.observed[position],
            "ci_low": low[position],
            "ci_high": high[position],
            "p_value": np.nan if metric == MEDIAN else p_values[position],
            "queries": difference.queries[position],
        }
