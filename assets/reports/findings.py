"""What a reader wants to know first: gains and losses in a few cards, and queries worth reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from assets.reports.tables import DIRECTION_NAMES, METRIC_NAMES, interval, number, signed
from resources.tables import VISUAL

Rows = Callable[[str], pd.DataFrame]
"""A query's rows."""
_SHOWN = 4
"""Queries shown of each benchmark, at either end; the DuckDB file holds them all."""


@dataclass(frozen=True)
class Finding:
    """The best description against the visual text, for one benchmark, encoder and direction."""

    what: str
    encoder: str
    visual: str
    best: str
    best_variant: str
    delta: str
    interval: str
    verdict: str
    """`gain`, `loss` or `open`."""
    p: str
    floor: str
    queries: str


@dataclass(frozen=True)
class Moved:
    """A query that a description serves better, or worse, than the visual text."""

    text: str
    description: str
    where: str
    before: str
    after: str
    change: str
    rank_before: str
    rank_after: str


def findings(headline: pd.DataFrame) -> list[Finding]:
    """One finding a benchmark, metric, direction and encoder; the mean says nothing of its own."""
    found = []
    shown = headline[headline["direction"] != "mean"]
    keys = ["benchmark", "metric", "direction", "encoder"]
    groups: Any = shown.groupby(keys, dropna=False, sort=False)
    for (benchmark, metric, direction, encoder), rows in groups:
        others = rows[rows["variant"] != VISUAL].dropna(subset=["delta"])
        visual = rows[rows["variant"] == VISUAL]
        if others.empty or visual.empty:
            continue
        best = others.sort_values("delta", kind="stable").iloc[-1]
        what = [benchmark, METRIC_NAMES[metric], DIRECTION_NAMES.get(direction, "")]
        found.append(
            Finding(
                " · ".join(part for part in what if part),
                encoder,
                number(visual["value"].iloc[0]),
                number(best["value"]),
                best["variant"],
                signed(best["delta"]),
                interval(best["delta_ci_low"], best["delta_ci_high"]),
                _verdict(best),
                _p(best["p_holm"]),
                number(best["floor"]),
                f"{best['queries']:,}",
            )
        )
    return found


def _p(value: float) -> str:
    if pd.isna(value):
        return ""
    return "corrected p < 0.001" if value < 0.001 else f"corrected p = {value:.2g}"


def _verdict(row: pd.Series) -> str:
    if not row["mark"]:
        return "open"
    return "gain" if row["delta"] > 0 else "loss"


def moved_queries(rows: Rows, best: bool) -> list[Moved]:
    """The queries that moved most, from each benchmark as many, a text no more than once."""
    sign = "DESC" if best else "ASC"
    found = rows(
        f"""
        WITH texts AS (
            SELECT * FROM most_changed_by_rewriting WHERE change {">" if best else "<"} 0
            QUALIFY row_number() OVER (
                PARTITION BY benchmark, text_id ORDER BY change {sign}, variant, encoder, query_id
            ) = 1
        )
        SELECT * FROM texts
        QUALIFY row_number() OVER (
            PARTITION BY benchmark ORDER BY change {sign}, text_id
        ) <= {_SHOWN}
        ORDER BY benchmark, change {sign}, text_id
        """  # noqa: S608
    )
    return [_moved_query(row) for row in found.to_dict("records")]


def _moved_query(row: dict[Any, Any]) -> Moved:
    metric, direction = METRIC_NAMES[row["metric"]], DIRECTION_NAMES.get(row["direction"], "")
    where = (row["benchmark"], metric, direction, row["variant"], row["encoder"])
    return Moved(
        row["text"],
        row["description"] or "",
        " · ".join(part for part in where if part),
        number(row["visual_value"]),
        number(row["value"]),
        signed(row["change"]),
        "" if pd.isna(row["visual_rank"]) else f"{row['visual_rank']:,.0f}",
        "" if pd.isna(row["rank"]) else f"{row['rank']:,.0f}",
    )


def hardest_queries(rows: Rows) -> pd.DataFrame:
    """Visual texts with the lowest mean score over encoders, from each benchmark as many."""
    return rows(
        f"""
        SELECT text, benchmark, metric, direction, mean_value, best_rank, encoders
        FROM hardest_queries WHERE variant = 'visual'
        QUALIFY row_number() OVER (
            PARTITION BY benchmark ORDER BY mean_value, best_rank DESC, direction, query_id
        ) <= {_SHOWN}
        ORDER BY benchmark, mean_value, best_rank DESC, direction, query_id
        """  # noqa: S608
    )
