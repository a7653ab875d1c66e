"""One cell of a result table: finding the row that is meant, and the score that the cell shows.

The columns of `paper_table_1` to `paper_table_5` are named after their metric: `map_published` is
its value, `map_published_ci_low` the lower end of its interval, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from resources.tables import MAIN_RELEVANCE_KINDS, METRICS

KEY = ("benchmark", "encoder", "variant", "direction", "grader", "subset", "crop_rule")
"""What names a row of a result table."""
NULL = "null"
"""How an empty value is written in a condition."""
_OF_COMPARISONS = ("_delta", "_p_holm", "_mark")
_RULED = ("recall_at_", "median_rank", "mean_rank")
_SHOWN = 8


class CellError(ValueError):
    """No cell, or several, are meant; the message lists what there is to choose from."""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        table, column: where it is.
        key: the row's values of `KEY`, None where empty.
        value: what it holds; None if it is empty.
        metric: the metric that its column is about; for columns about the whole row (`queries`,
            `note`) the table's first.
        recall_rule: what recall counts as right, for metrics that have such a rule.
    """

    table: str
    column: str
    key: dict[str, str | None]
    value: Any
    metric: str
    recall_rule: str | None

    @property
    def benchmark(self) -> str:
        """The row's benchmark."""
        return str(self.key["benchmark"])

    def of(self, scores: pd.DataFrame) -> pd.DataFrame:
        """The rows of `scores` that the cell shows: one, or none where there is no such score."""
        wanted = {**self.key, "metric": self.metric, "recall_rule": self.recall_rule}
        chosen = (scores["similarity"] == "cosine") & scores["relevance_kind"].isin(
            MAIN_RELEVANCE_KINDS
        )
        chosen &= scores["protocol"].isna() | (scores["protocol"] == "subset_gallery")
        for name, value in wanted.items():
            chosen &= scores[name].isna() if value is None else scores[name] == value
        return scores[chosen]


def find_cell(rows: pd.DataFrame, table: str, where: Mapping[str, str], column: str) -> Cell:
    """The cell in the one row that conditions name.

    Args:
        rows: the result table.
        table: its name.
        where: columns of `KEY` and the values wanted, as text.
        column: any column of the table.

    Raises:
        CellError: conditions or column do not exist, or the conditions name no row, or several.
    """
    if unknown := [name for name in where if name not in KEY]:
        raise CellError(f"--where can't name {', '.join(unknown)}; there are {', '.join(KEY)}")
    if column not in rows.columns:
        raise CellError(f"{table} has no column {column}; it has {', '.join(rows.columns)}")
    keys = rows[list(KEY)].astype(object)
    keys = keys.where(keys.notna(), None)
    said = keys.map(lambda value: NULL if value is None else str(value))
    chosen = pd.Series(True, index=rows.index)
    for name, value in where.items():
        matching = chosen & (said[name] == value)
        if not matching.any():
            raise CellError(f"{table} has no row with {_where(where)}. {_values(said[chosen])}")
        chosen = matching
    if chosen.sum() != 1:
        raise CellError(
            f"{_where(where)} names {chosen.sum()} rows of {table}: say more. "
            f"{_values(said[chosen])}"
        )
    position = int(chosen.to_numpy().argmax())
    value = rows[column].iloc[position]
    return Cell(
        table,
        column,
        {name: keys[name].iloc[position] for name in KEY},
        None if pd.isna(value) else value,
        *_metric(column, list(rows.columns)),
    )


def is_compared(column: str) -> bool:
    """Whether a column shows a comparison with the visual text."""
    return column.endswith(_OF_COMPARISONS)


def _metric(column: str, columns: list[str]) -> tuple[str, str | None]:
    """Metric and recall rule that a column's name says."""
    found = [metric for metric in METRICS if f"{column}_".startswith(f"{metric}_")]
    metric = found[0] if found else next(name for name in columns if name in METRICS)
    if not metric.startswith(_RULED):
        return metric, None
    return metric, "diagonal" if "_diagonal" in column else "duplicates"


def _where(where: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in where.items()) or "no condition"


def _values(said: pd.DataFrame) -> str:
    """The columns in which rows differ, with their values."""
    parts = []
    for name in said.columns:
        values = sorted(set(said[name]))
        if len(values) > 1:
            shown = ", ".join(values[:_SHOWN]) + (", .." if len(values) > _SHOWN else "")
            parts.append(f"{name}: {shown}")
    if not parts and len(said):
        return "There is " + _where({str(name): said[name].iloc[0] for name in said})
    return "They differ in " + "; ".join(parts) if parts else "It is empty."
