"""The five tables of the paper as the report lays them out: cells with interval, floor and mark.

`paper_table_1` .. `paper_table_5` of the DuckDB file hold the figures, one row per benchmark,
encoder, variant, direction, grader and subset. Here they are arranged as one reads them: a block
per benchmark and direction, a line per encoder and text, and levels side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from assets.reports.tables import DIRECTION_NAMES, METRIC_NAMES, interval, number, signed
from resources.tables import LEVELS, VISUAL


@dataclass(frozen=True)
class Cell:
    """One figure as it is printed; empty strings where there is nothing to say."""

    value: str
    interval: str = ""
    floor: str = ""
    delta: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """One encoder with one text."""

    encoder: str
    variant: str
    is_visual: bool
    cells: list[Cell]


@dataclass(frozen=True)
class Block:
    """Lines that can be compared: one benchmark and direction."""

    title: str
    sizes: str
    note: str
    lines: list[Line]


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper."""

    number: int
    title: str
    sentence: str
    headings: list[str]
    blocks: list[Block]
    published: list[str]
    """Figures that others published, in words."""


@dataclass(frozen=True)
class _Layout:
    """What one table shows: metrics by heading; with levels, each metric once a level."""

    number: int
    title: str
    sentence: str
    metrics: dict[str, str]
    by_level: bool = False


_LAYOUTS = (
    _Layout(
        1,
        "AudioEpicMIR",
        "Kitchen clips found by their narration, and narrations by their clips.",
        {
            "mAP": "map_published",
            "nDCG": "ndcg",
            "mAP, binary": "map_binary",
            "R@1": "recall_at_1",
            "R@5": "recall_at_5",
            "R@10": "recall_at_10",
        },
    ),
    _Layout(
        2,
        "AudioEgoMCQ",
        "Which of five clips does the sentence describe? Chance is 20 %.",
        {"inter-video": "accuracy_inter", "intra-video": "accuracy_intra"},
    ),
    _Layout(
        3,
        "EpicSoundsRet",
        "Clips found by the name of their sound class, and classes by their clips.",
        {
            "mAP": "map_published",
            "nDCG": "ndcg",
            "mAP, binary": "map_binary",
            "class accuracy": "class_accuracy",
        },
    ),
    _Layout(
        4,
        "AudioEpicMIR by informativeness",
        "The benchmark of table 1 cut into three smaller ones by how well an action can be told "
        "from its sound. Each has a floor of its own: compare what lies above it.",
        {"mAP": "map_published", "nDCG": "ndcg"},
        by_level=True,
    ),
    _Layout(
        5,
        "AudioEgoMCQ by informativeness",
        "The questions of table 2 by how well the action asked for can be told from its sound.",
        {"inter": "accuracy_inter", "intra": "accuracy_intra"},
        by_level=True,
    ),
)


def paper_tables(frames: dict[int, pd.DataFrame], published: pd.DataFrame) -> list[PaperTable]:
    """All five tables.

    Args:
        frames: `paper_table_1` .. `paper_table_5`, by number.
        published: `published_figures`.
    """
    return [
        PaperTable(
            layout.number,
            layout.title,
            layout.sentence,
            _headings(layout),
            list(_blocks(layout, frames[layout.number])),
            _published(layout, published),
        )
        for layout in _LAYOUTS
    ]


def _headings(layout: _Layout) -> list[str]:
    if not layout.by_level:
        return list(layout.metrics)
    return [f"{heading}, {level}" for heading in layout.metrics for level in LEVELS]


def _blocks(layout: _Layout, frame: pd.DataFrame) -> Iterator[Block]:
    """Benchmarks by name; within each, text queries first and the mean last."""
    order = frame["direction"].map({name: i for i, name in enumerate(DIRECTION_NAMES)})
    frame = frame.assign(_order=order).sort_values(["benchmark", "_order"], kind="stable")
    keys = ["benchmark", "direction", "grader"]
    groups: Any = frame.groupby(keys, dropna=False, sort=False)
    for (benchmark, direction, grader), rows in groups:
        title = [benchmark, DIRECTION_NAMES.get(direction, "")]
        if layout.by_level:
            title.append(f"graded by {grader}")
        yield Block(
            " · ".join(part for part in title if part),
            "mean of both directions" if direction == "mean" else _sizes(layout, rows),
            "" if layout.by_level else "; ".join(rows["note"].dropna().unique()),
            list(_lines(layout, rows)),
        )


def _sizes(layout: _Layout, rows: pd.DataFrame) -> str:
    """How many queries and candidates the figures of a block rest on."""
    if not layout.by_level:
        return _size(layout, rows.iloc[0])
    levels = {level: rows[rows["subset"] == level] for level in LEVELS}
    return "; ".join(
        f"{level}: {_size(layout, group.iloc[0])}" for level, group in levels.items() if len(group)
    )


def _size(layout: _Layout, row: pd.Series) -> str:
    resampled = f", intervals by {row['cluster']}" if row["cluster"] else ""
    if "queries" in row:
        return f"{row['queries']:,} queries × {row['candidates']:,} candidates{resampled}"
    counts = [
        f"{int(row[f'{metric}_queries']):,} {heading}"
        for heading, metric in layout.metrics.items()
        if pd.notna(row[f"{metric}_queries"])
    ]
    return f"{' and '.join(counts)} questions{resampled}"


def _lines(layout: _Layout, rows: pd.DataFrame) -> Iterator[Line]:
    groups: Any = rows.groupby(["encoder", "variant"], sort=False)
    for (encoder, variant), group in groups:
        if layout.by_level:
            by_level = {row["subset"]: row for _, row in group.iterrows()}
            cells = [
                _cell(by_level.get(level), metric)
                for metric in layout.metrics.values()
                for level in LEVELS
            ]
        else:
            cells = [_cell(group.iloc[0], metric) for metric in layout.metrics.values()]
        yield Line(encoder, variant, variant == VISUAL, cells)


def _cell(row: pd.Series | None, metric: str) -> Cell:
    if row is None or pd.isna(row[metric]):
        return Cell("–")
    delta = row.get(f"{metric}_delta")
    return Cell(
        number(row[metric]),
        interval(row[f"{metric}_ci_low"], row[f"{metric}_ci_high"]),
        number(row[f"{metric}_floor"]),
        signed(delta),
        row.get(f"{metric}_mark") or "",
    )


def _published(layout: _Layout, figures: pd.DataFrame) -> list[str]:
    """What others report for this table, or for its benchmark with other means."""
    benchmark = {1: "epic_mir", 2: "ego_mcq"}.get(layout.number)
    theirs = figures[
        (figures["paper_table"] == layout.number)
        | (figures["paper_table"].isna() & (figures["benchmark"] == benchmark))
    ]
    return [_said(row) for row in theirs.to_dict("records")]


def _said(figure: dict[Any, Any]) -> str:
    """One published figure in words, with its source."""
    name = METRIC_NAMES.get(figure["metric"], figure["metric"])
    parts = (
        f"{name} {number(figure['value'])} %",
        DIRECTION_NAMES.get(figure["direction"], ""),
        figure["what"],
    )
    return f"{', '.join(part for part in parts if part)} — {figure['source']}"
