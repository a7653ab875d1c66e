"""What is listened to: lists of a published result's queries, with their scores before and after.

Everything returned here is plain data, as the page reads it (`templates/listening.js`). What a
query found is in `rankings`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from assets.reports.tables import DIRECTION_NAMES, METRIC_NAMES
from resources.tables import VISUAL

if TYPE_CHECKING:
    import duckdb

PAGE_ROWS = 10
TABS = ("all", "gains", "losses", "disagreements")

_QUERIES = """
WITH scored AS (
    SELECT * FROM main_query_scores
    WHERE
        benchmark IN (SELECT unnest($benchmarks))
        AND ($metric::VARCHAR IS NULL OR metric = $metric)
        AND ($metric IS NULL OR direction IS NOT DISTINCT FROM $direction::VARCHAR)
), compared AS (
    SELECT
        v.benchmark, v.direction, v.metric, v.query_id, v.text_id, v.text, v.encoder,
        r.variant, r.description,
        100 * v.value AS value_before, 100 * r.value AS value_after,
        v.rank AS rank_before, r.rank AS rank_after, 100 * (r.value - v.value) AS gain
    FROM scored AS v
    LEFT JOIN scored AS r
        ON r.variant <> 'visual' AND r.benchmark = v.benchmark AND r.metric = v.metric
        AND r.direction IS NOT DISTINCT FROM v.direction
        AND r.encoder = v.encoder AND r.query_id = v.query_id
    WHERE v.variant = 'visual'
), spreads AS (
    SELECT
        benchmark, direction, metric, query_id,
        100 * (max(value) - min(value)) AS spread, max(rank) - min(rank) AS rank_spread
    FROM scored WHERE variant <> 'visual' GROUP BY ALL
), graded AS (
    SELECT
        benchmark, text_id,
        list({'grader': grader, 'level': level} ORDER BY grader) AS levels
    FROM informativeness GROUP BY ALL
), queries AS (
    SELECT c.*, s.spread, s.rank_spread, coalesce(g.levels, []) AS levels
    FROM compared AS c
    LEFT JOIN spreads AS s
        ON s.benchmark = c.benchmark AND s.metric = c.metric AND s.query_id = c.query_id
        AND s.direction IS NOT DISTINCT FROM c.direction
    LEFT JOIN graded AS g ON g.benchmark = c.benchmark AND g.text_id = c.text_id
)
"""
"""Every query once an encoder and description, beside its visual text (a variant may be null)."""

_ORDERS = {
    "all": ("TRUE", "lower(text), query_id"),
    "gains": (
        "(gain > 0 OR (gain = 0 AND rank_after < rank_before))",
        "gain DESC, rank_before - rank_after DESC, query_id",
    ),
    "losses": (
        "(gain < 0 OR (gain = 0 AND rank_after > rank_before))",
        "gain, rank_after - rank_before DESC, query_id",
    ),
    "disagreements": (
        "(spread > 0 OR rank_spread > 0)",
        "spread DESC, rank_spread DESC, query_id",
    ),
}
"""Each tab's condition and order."""


class ListeningError(ValueError):
    """Nothing can be shown for what was asked; the message says why."""


@dataclass(frozen=True)
class Task:
    """One way of searching a benchmark: its main metric in one direction, or one kind of question.

    Attributes:
        benchmark, direction, metric: as in the table `scores`.
        encoders, variants: those that were scored; variants without the visual text.
    """

    benchmark: str
    direction: str | None
    metric: str
    encoders: tuple[str, ...]
    variants: tuple[str, ...]

    @property
    def name(self) -> str:
        """The benchmark, and what is searched with what."""
        kind = METRIC_NAMES[self.metric].removeprefix("accuracy, ")
        what = DIRECTION_NAMES[self.direction] if self.direction else f"{kind} questions"
        return f"{self.benchmark} · {what}"

    @property
    def key(self) -> str:
        """A name for addresses."""
        return f"{self.benchmark}/{self.direction or self.metric}"

    def data(self) -> dict[str, Any]:
        """The task as the page reads it."""
        return {
            "key": self.key,
            "name": self.name,
            "benchmark": self.benchmark,
            "direction": self.direction,
            "metric": METRIC_NAMES[self.metric],
            "encoders": list(self.encoders),
            "variants": list(self.variants),
        }


@dataclass(frozen=True)
class Wanted:
    """What the reader asked for, within one task.

    Attributes:
        encoder, variant: whose scores, and which description is set beside the visual text.
        level: only texts that a grader put on this level; empty for all.
        words: what their text or description contains; empty for all.
        tab: one of `TABS`.
        page: from 0.
    """

    encoder: str
    variant: str | None
    level: str = ""
    words: str = ""
    tab: str = "all"
    page: int = 0


class Listening:
    """A published result, to be listened to; reads through one connection (`warehouse.reading`)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, benchmarks: Iterable[str]) -> None:
        self._connection = connection
        self._benchmarks = list(benchmarks)

    def tasks(self) -> list[Task]:
        """All tasks that were scored: texts that search for sounds first, questions last."""
        rows = self._rows(
            "SELECT DISTINCT benchmark, direction, metric, encoder, variant FROM headline_scores "
            "WHERE benchmark IN (SELECT unnest($benchmarks)) "
            "AND direction IS DISTINCT FROM 'mean' "
            "ORDER BY direction DESC NULLS LAST, benchmark, metric, encoder, variant",
            benchmarks=self._benchmarks,
        )
        groups: Any = rows.groupby(["direction", "benchmark", "metric"], dropna=False, sort=False)
        return [
            Task(
                benchmark,
                None if pd.isna(direction) else direction,
                metric,
                tuple(dict.fromkeys(group["encoder"])),
                tuple(dict.fromkeys(group["variant"][group["variant"] != VISUAL])),
            )
            for (direction, benchmark, metric), group in groups
        ]

    def queries(self, task: Task, wanted: Wanted) -> dict[str, Any]:
        """One page of a task's queries: `total` and `queries`."""
        condition, order = _ORDERS[wanted.tab]
        rows = self._rows(
            f"""{_QUERIES}
            SELECT *, count(*) OVER () AS total FROM queries
            WHERE encoder = $encoder AND variant IS NOT DISTINCT FROM $variant AND {condition}
                AND ($level = '' OR len(list_filter(levels, lambda l: l.level = $level)) > 0)
                AND contains(lower(concat_ws(' ', text, description)), lower($words))
            ORDER BY {order} LIMIT {PAGE_ROWS} OFFSET {PAGE_ROWS * wanted.page}
            """,  # noqa: S608
            benchmarks=[task.benchmark],
            metric=task.metric,
            direction=task.direction,
            encoder=wanted.encoder,
            variant=wanted.variant,
            level=wanted.level,
            words=wanted.words.strip(),
        )
        total = int(rows["total"].iloc[0]) if len(rows) else 0
        return {"total": total, "queries": _records(rows.drop(columns="total"), task.key)}

    def chosen(self, tasks: Iterable[Task], count: int) -> list[tuple[Task, dict[str, Any]]]:
        """Queries worth hearing: of each task and tab in turn the next one, each text once."""
        by_setting = {(task.benchmark, task.direction, task.metric): task for task in tasks}
        places = "\nUNION ALL\n".join(
            f"""SELECT {number} AS tab, *, row_number() OVER (
                    PARTITION BY benchmark, direction, metric ORDER BY {order}, encoder, variant
                ) AS place
                FROM (
                    SELECT * FROM queries WHERE {condition}
                    QUALIFY row_number() OVER (
                        PARTITION BY benchmark, direction, metric, text_id
                        ORDER BY {order}, encoder, variant
                    ) = 1
                )
                QUALIFY place <= {count}"""  # noqa: S608
            for number, (condition, order) in enumerate(
                [
                    *(_ORDERS[tab] for tab in TABS if tab != "all"),
                    ("TRUE", "md5(query_id)"),
                ]
            )
        )
        rows = self._rows(
            f"{_QUERIES} SELECT * FROM ({places}) "  # noqa: S608
            "ORDER BY place, tab, benchmark, direction DESC, metric",
            benchmarks=self._benchmarks,
            metric=None,
            direction=None,
        )
        rows = rows.drop_duplicates(["benchmark", "direction", "metric", "text_id"]).head(count)
        found = []
        for _, row in rows.iterrows():
            direction = None if pd.isna(row["direction"]) else row["direction"]
            task = by_setting[(row["benchmark"], direction, row["metric"])]
            [record] = _records(row.to_frame().T.drop(columns=["tab", "place"]), task.key)
            found.append((task, record))
        return found

    def places(self, benchmark: str, clip_ids: Iterable[str]) -> dict[str, dict[Any, Any]]:
        """Where usable clips lie, by id: `path, start_s, stop_s, content_hash`."""
        if benchmark not in self._benchmarks:
            return {}
        rows = self._rows(
            "SELECT c.clip_id, m.path, c.start_s, c.stop_s, m.content_hash FROM clips AS c "
            "JOIN media AS m USING (benchmark, video_id) WHERE c.benchmark = $benchmark "
            "AND c.clip_id IN (SELECT unnest($clip_ids)) AND c.usable",
            benchmark=benchmark,
            clip_ids=list(clip_ids),
        )
        records: list[dict[Any, Any]] = rows.to_dict("records")
        return {row.pop("clip_id"): row for row in records}

    def _rows(self, sql: str, **parameters: Any) -> pd.DataFrame:
        return self._connection.execute(sql, parameters).df()


def _records(rows: pd.DataFrame, task_key: str) -> list[dict[str, Any]]:
    """Rows of queries as the page reads them."""
    dropped = ["benchmark", "direction", "metric", "text_id", "rank_spread"]
    return [
        {"task": task_key, **{str(name): plain(value) for name, value in row.items()}}
        for row in rows.drop(columns=dropped).to_dict("records")
    ]


def plain(value: Any) -> Any:
    """A value as JSON has it: lists as lists, no NaN, figures short."""
    if isinstance(value, (list, np.ndarray)):
        return [dict(item) for item in value]
    if value is None or pd.isna(value):
        return None
    return round(float(value), 3) if isinstance(value, (int, float, np.number)) else str(value)
