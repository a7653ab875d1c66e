"""From one cell of a result table to everything that it rests on, and back again.

`explain` finds the row that is meant, the score behind the cell, the prompts and answers behind its
texts, and the versions of the tables behind its vectors; on request it derives the number anew
(`recompute`). It reads the lake, and the DuckDB file if there is one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from assets.reports.cell import Cell, find_cell, is_compared
from assets.reports.origins import (
    Section,
    encoder_section,
    level_section,
    query_section,
    relevance_hash,
    text_section,
    version_section,
)
from assets.reports.recompute import recomputed, result_tables
from resources.lake import Lake
from resources.settings import Settings
from resources.tables import AUDIO_EMBEDDINGS
from resources.warehouse import query

TOLERANCE = 1e-9
"""Between machines; on the machine that made it, a number comes out the same bit for bit."""
_TIES = {
    "map_published": "broken by the candidates' positions, ascending (as published)",
    "ndcg": "broken by the candidates' positions, descending (as published)",
    "diagonal": "text to audio: first position of the tie; audio to text: its mean (as published)",
}
_TEXTBOOK_TIES = "expectation over all orders of the tied"
_RECALL_RULES = {
    "duplicates": "every candidate of relevance 1 is right, so duplicates of a text count",
    "diagonal": "only the clip's own text is right (as published)",
}
_CHOICE_TIES = {
    "shared": "shared: a right option that ties with k - 1 others scores 1/k",
    "first": "won by the first option (as published)",
}
_ALL_SCORES = "SELECT * FROM scores"


class ExplainError(ValueError):
    """A cell can't be explained; the message says what is missing, and the remedy."""


@dataclass(frozen=True)
class Explanation:
    """A cell and what it rests on.

    Attributes:
        cell: which one.
        values: its value as `published` and as `recomputed`, as far as there are such; None is
            an empty cell.
        sections: what it rests on.
    """

    cell: Cell
    values: dict[str, Any]
    sections: list[Section]

    @property
    def heading(self) -> Section:
        """The cell itself: its row, its values, and what comparing them says."""
        row = [(name, _said(value)) for name, value in self.cell.key.items()]
        values = [(name, _said(value)) for name, value in self.values.items()]
        verdict = [("they are", self.verdict)] if self.verdict else []
        return Section(f"{self.cell.table}.{self.cell.column}", [*row, *values, *verdict])

    @property
    def verdict(self) -> str:
        """What comparing both values says; empty if there is but one."""
        if len(self.values) < 2:
            return ""
        if same(*self.values.values()):
            return "the same, bit for bit"
        return "the same within 1e-9" if self.agrees else "DIFFERENT from what is published"

    @property
    def agrees(self) -> bool:
        """False where the recomputed value is another than the published one."""
        if len(self.values) < 2 or same(*self.values.values()):
            return True
        published, recomputed = self.values.values()
        if not (isinstance(published, float) and isinstance(recomputed, float)):
            return False
        return math.isclose(published, recomputed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def same(one: Any, other: Any) -> bool:
    """Whether two cells are equal, bit for bit; empty ones are."""
    return bool(pd.isna(one) and pd.isna(other)) or one == other


def explain(
    settings: Settings,
    table: str,
    where: Mapping[str, str],
    column: str,
    recompute: bool = False,
) -> Explanation:
    """Tell where a cell comes from.

    Args:
        settings: the config whose output is meant.
        table: a result table, `paper_table_1` to `paper_table_5`.
        where: columns and their values, `null` for an empty one; they name exactly one row.
        column: the cell's column.
        recompute: derive the number anew from texts, vectors and relevance. Without a DuckDB
            file this also is how the row is found.

    Raises:
        ExplainError: there is no such table, or nothing is published and nothing recomputed.
        CellError: `where` names no row, or several; or there is no such column.
        TableError, RetrievalError: tables upstream are missing, or can't be scored.
    """
    if table not in result_tables():
        raise ExplainError(f"no such table: {table}; there are {', '.join(result_tables())}")
    lake, file = Lake(settings.lake_dir), settings.duckdb_file
    published = _cell(file, table, where, column) if file.exists() else None
    if recompute:
        benchmarks = [published.benchmark] if published else _benchmarks(lake, where)
        compared = is_compared(column)
        with recomputed(lake, settings.metrics, benchmarks, [table], compared) as anew:
            cell = _cell(anew, table, where, column)
            scores = cell.of(query(anew, _ALL_SCORES))
        values = {"published": published.value} if published else {}
        values["recomputed"] = cell.value
    elif published:
        cell, scores = published, published.of(query(file, _ALL_SCORES))
        values = {"published": published.value}
    else:
        raise ExplainError(f"{file} is not there: run first, or add --recompute")
    return Explanation(cell, values, _sections(settings, lake, cell, scores))


def _cell(file: Path, table: str, where: Mapping[str, str], column: str) -> Cell:
    rows = query(file, f'SELECT * FROM "{table}"')  # noqa: S608 (one of `result_tables`)
    return find_cell(rows, table, where, column)


def _benchmarks(lake: Lake, where: Mapping[str, str]) -> list[str]:
    """Those in which the row may be, where nothing published says it."""
    stored = lake.benchmarks(AUDIO_EMBEDDINGS)
    return [name for name in stored if where.get("benchmark", name) == name]


def _sections(settings: Settings, lake: Lake, cell: Cell, scores: pd.DataFrame) -> list[Section]:
    key = cell.key
    sections = [_score_section(settings, score) for score in scores.to_dict("records")]
    if settings.duckdb_file.exists():
        sections += [query_section(settings.duckdb_file, s) for s in scores.to_dict("records")]
    sections.append(text_section(settings, lake, cell.benchmark, str(key["variant"])))
    if key["grader"]:
        sections.append(level_section(settings, lake, cell.benchmark, key["grader"]))
    sections.append(encoder_section(settings, str(key["encoder"])))
    for kind in scores["relevance_kind"]:
        lines = [("kind", kind), ("sha256", relevance_hash(lake, cell.benchmark, kind))]
        sections.append(Section("Relevance", lines))
    return [*sections, version_section(lake, cell.benchmark)]


def _score_section(settings: Settings, score: Mapping[Any, Any]) -> Section:
    """One row of `scores`, and the rules by which it was made."""
    lines = [(name, _said(value)) for name, value in score.items()]
    metric, rule = score["metric"], score["recall_rule"]
    if metric.startswith("accuracy_"):
        ties = _CHOICE_TIES[settings.metrics.multiple_choice_ties]
    else:
        ties = _TIES.get(metric) or _TIES.get(rule, _TEXTBOOK_TIES)
    if rule in _RECALL_RULES:
        lines.append(("recall counts", _RECALL_RULES[rule]))
    lines.append(("ties are", ties))
    lines.append(("resamples", f"{settings.metrics.resamples:,}, seed {settings.metrics.seed}"))
    return Section("The row of `scores` behind it", lines)


def _said(value: Any) -> str:
    return "-" if pd.isna(value) else str(value)
