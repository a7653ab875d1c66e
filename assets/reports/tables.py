"""The result table that a run prints when it ends, read from the published DuckDB file.

One row per benchmark, encoder, text and direction, with the benchmark's main metric; figures are
percent. How rows are drawn on a terminal is the command line's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from resources.warehouse import query

METRIC_NAMES = {
    "map_published": "mAP",
    "map_binary": "mAP (binary)",
    "ndcg": "nDCG",
    "accuracy_inter": "accuracy, inter-video",
    "accuracy_intra": "accuracy, intra-video",
    "class_accuracy": "class accuracy",
}
"""Metrics in words, as tables and pages name them."""

DIRECTION_NAMES = {
    "text_to_audio": "text → audio",
    "audio_to_text": "audio → text",
    "mean": "mean",
}


@dataclass(frozen=True)
class ResultRow:
    """One line of the result table; figures are percent, differences are points."""

    benchmark: str
    encoder: str
    variant: str
    direction: str
    metric: str
    value: float
    ci_low: float | None
    ci_high: float | None
    floor: float | None
    delta: float | None
    """Gain over the visual text; None for the visual text itself."""
    mark: str
    """Significance of the gain: `***`, `**`, `*` or nothing."""
    queries: int
    candidates: int
    note: str

    def cells(self) -> tuple[str, ...]:
        """The line as text, in the order of `HEADINGS`."""
        return (
            self.variant,
            f"{self.metric} {self.direction}".strip(),
            number(self.value),
            interval(self.ci_low, self.ci_high),
            number(self.floor),
            signed(self.delta) + self.mark,
        )


HEADINGS = ("text", "metric", "%", "interval", "random", "gain")
"""Of the lines of one benchmark and encoder."""

LEGEND = (
    "interval: 95 %, by bootstrap over recordings or texts\n"
    "random: what random similarities reach\n"
    "gain: points over the visual text; paired test, Holm-corrected: "
    "* p < 0.05, ** 0.01, *** 0.001"
)


def number(value: float | None) -> str:
    """A figure with one decimal and a true minus; nothing where there is none."""
    return "" if pd.isna(value) else f"{value:z.1f}".replace("-", "−")


def signed(value: float | None) -> str:
    """A difference with one decimal and its sign."""
    return "" if pd.isna(value) else f"{value:+z.1f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """An interval with one decimal."""
    return "" if pd.isna(low) or pd.isna(high) else f"{number(low)} to {number(high)}"


def result_rows(duckdb_file: Path) -> list[ResultRow]:
    """The result table of a published file: `headline_scores`, in words.

    Raises:
        WarehouseError: the file is not there or can't be read.
    """
    frame = query(duckdb_file, "SELECT * FROM headline_scores")
    return [_row(row) for row in frame.to_dict("records")]


def left_out_encoders(duckdb_file: Path) -> dict[str, str]:
    """By encoder that could not run, why.

    Raises:
        WarehouseError: the file is not there or can't be read.
    """
    found = query(
        duckdb_file,
        "SELECT DISTINCT item_id, reason, detail FROM exclusions WHERE item_kind = 'encoder' "
        "ORDER BY ALL",
    )
    return {str(row.item_id): f"{row.reason}: {row.detail}" for row in found.itertuples()}


def _row(row: dict[Any, Any]) -> ResultRow:
    return ResultRow(
        benchmark=row["benchmark"],
        encoder=row["encoder"],
        variant=row["variant"],
        direction=DIRECTION_NAMES.get(row["direction"], ""),
        metric=METRIC_NAMES.get(row["metric"], row["metric"]),
        value=row["value"],
        ci_low=_number(row["ci_low"]),
        ci_high=_number(row["ci_high"]),
        floor=_number(row["floor"]),
        delta=_number(row["delta"]),
        mark=row["mark"] or "",
        queries=row["queries"],
        candidates=row["candidates"],
        note=row["note"] or "",
    )


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
