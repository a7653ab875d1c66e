"""Published figures derived again from what lies upstream of every score, in a place of its own.

Texts, descriptions, levels, vectors and relevance are read from the lake; scores, comparisons and
result tables are made of them by the very functions and SELECTs that a run uses, without network
or GPU. Nothing that was scored or published before is read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from assets.retrieval.galleries import RetrievalTables
from assets.retrieval.scoring import score_queries
from assets.retrieval.summaries import aggregate_scores, compare_variants
from resources.lake import Lake
from resources.settings import MetricsSettings
from resources.sql_models import SQL_FOLDER, read_model
from resources.tables import COMPARISONS, SCORES, TABLES
from resources.warehouse import publish


def retrieval_tables(lake: Lake, benchmark: str) -> RetrievalTables:
    """The tables that scoring reads.

    Raises:
        TableError: one is not there.
    """
    names = [field.name for field in fields(RetrievalTables)]
    return RetrievalTables(**{name: lake.read(TABLES[name], benchmark) for name in names})


def result_tables() -> list[str]:
    """The tables in the paper's arrangement, by name."""
    return sorted(file.stem for file in SQL_FOLDER.glob("paper_table_*.sql"))


@contextmanager
def recomputed(
    lake: Lake,
    metrics: MetricsSettings,
    benchmarks: Iterable[str],
    tables: Iterable[str],
    compared: bool = True,
) -> Iterator[Path]:
    """A DuckDB file with scores and result tables computed anew, there as long as it is used.

    Whole benchmarks are computed: Holm's correction looks at all comparisons of one.

    Args:
        lake: read, never written.
        metrics: how numbers are made.
        benchmarks: whose rows are wanted.
        tables: the result tables that are wanted, by the names of their SQL models.
        compared: whether differences between variants are wanted, which take the longest.

    Raises:
        TableError: a table upstream of the scores is not there.
        RetrievalError: the tables can't be scored.
    """
    with tempfile.TemporaryDirectory(prefix="sound-approach-") as name:
        folder = Path(name)
        aside = Lake(folder / "lake")
        for benchmark in benchmarks:
            upstream = retrieval_tables(lake, benchmark)
            query_scores = score_queries(upstream, metrics).query_scores
            aside.write(SCORES, aggregate_scores(upstream, query_scores, metrics), benchmark)
            if compared:
                differences = compare_variants(upstream, query_scores, metrics)
                aside.write(COMPARISONS, differences, benchmark)
        target = folder / "recomputed.duckdb"
        publish(aside, _models(folder / "sql", tables), target)
        yield target


def _models(folder: Path, wanted: Iterable[str]) -> Path:
    """A folder with the wanted SQL models and all that they read."""
    folder.mkdir()
    waiting = list(wanted)
    while waiting:
        file = SQL_FOLDER / f"{waiting.pop()}.sql"
        link = folder / file.name
        if file.exists() and not link.exists():
            link.symlink_to(file)
            waiting += read_model(file).reads
    return folder
