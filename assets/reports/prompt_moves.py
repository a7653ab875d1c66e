"""What moved between two prompts that were both run, read from the published DuckDB file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from assets.descriptions.agreement import Agreement, grader_agreement
from resources.warehouse import reading

_MOVED_SQL = """
WITH moved AS (
    SELECT text, description_a, description_b, level_a, level_b,
           encoder, direction, metric, count(query_id) AS queries,
           avg(value_a) AS value_a, avg(value_b) AS value_b, avg(change) AS change
    FROM prompt_comparison
    WHERE benchmark = $benchmark AND prompt_a = $first AND prompt_b = $second
    GROUP BY ALL
)
FROM moved
ORDER BY max(abs(change)) OVER (PARTITION BY text) DESC NULLS LAST, text, encoder, metric, direction
"""
_SCORES_SQL = """
SELECT a.encoder, a.direction, a.metric, a.value AS value_a, b.value AS value_b,
       b.value - a.value AS change
FROM headline_scores AS a
INNER JOIN headline_scores AS b
    ON b.benchmark = a.benchmark AND b.encoder = a.encoder AND b.metric = a.metric
    AND b.direction IS NOT DISTINCT FROM a.direction
WHERE a.benchmark = $benchmark AND a.variant = $first AND b.variant = $second
ORDER BY a.encoder, a.metric, a.direction
"""
_DESCRIBED_SQL = """
SELECT count(*) FROM descriptions AS a
INNER JOIN descriptions AS b USING (benchmark, text_id)
WHERE benchmark = $benchmark AND a.variant = $first AND b.variant = $second
"""
_GRADED_SQL = """
SELECT text_id, grader, level FROM informativeness
WHERE benchmark = $benchmark AND grader IN ($first, $second)
"""


@dataclass(frozen=True)
class Moves:
    """What moved in one benchmark between a first and a second prompt.

    Attributes:
        texts: how many texts have an answer of both.
        rows: one a text that moved and, for descriptions, encoder, direction and metric: `text,
            description_a, description_b, level_a, level_b, encoder, direction, metric, queries,
            value_a, value_b, change`; percent and points, means over the text's queries. Those
            that changed most come first.
        scores: the main figures: `encoder, direction, metric, value_a, value_b, change`.
        agreement: of graders that have texts in common.
    """

    texts: int
    rows: pd.DataFrame
    scores: pd.DataFrame
    agreement: Agreement | None

    @property
    def moved(self) -> int:
        """How many texts have different answers."""
        return int(self.rows["text"].nunique())


def read_moves(duckdb_file: Path, benchmark: str, first: str, second: str) -> Moves:
    """Read what moved.

    Args:
        duckdb_file: the published file.
        benchmark: whose texts.
        first: a prompt, by variant.
        second: another.

    Raises:
        WarehouseError: the file is not there, or can't be read.
    """
    swapped = first > second  # the published table names each pair once, in this order
    names = (second, first) if swapped else (first, second)
    given = {"benchmark": benchmark, "first": names[0], "second": names[1]}
    with reading(duckdb_file) as connection:
        rows = connection.execute(_MOVED_SQL, given).df()
        scores = connection.execute(_SCORES_SQL, given).df()
        (described,) = connection.execute(_DESCRIBED_SQL, given).fetchone() or (0,)
        graded = connection.execute(_GRADED_SQL, given).df()
    agreement = next(iter(grader_agreement(graded)), None)
    texts = agreement.texts if agreement else described
    if swapped:
        rows, scores = _swap(rows), _swap(scores)
    return Moves(texts, rows, scores, agreement)


def _swap(rows: pd.DataFrame) -> pd.DataFrame:
    """The same, from the second prompt to the first."""
    other = {"a": "b", "b": "a"}
    names = {
        name: f"{name[:-1]}{other[name[-1]]}"
        for name in map(str, rows.columns)
        if name.endswith(("_a", "_b"))
    }
    return rows.rename(columns=names).assign(change=-rows["change"])
