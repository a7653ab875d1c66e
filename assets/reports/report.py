"""The HTML report: one file that opens from disk, without network and without script.

Everything that it shows is read from the published DuckDB file, so that it can't disagree with
what people query. It holds no times: the same file and config give the same page.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup, escape

from assets.reports import charts
from assets.reports.findings import findings, hardest_queries, moved_queries
from assets.reports.pages import environment, hash_of, write_page
from assets.reports.paper_tables import PaperTable, paper_tables
from assets.reports.provenance import Provenance, provenance
from assets.reports.ratings.section import rating_section
from assets.reports.tables import DIRECTION_NAMES, METRIC_NAMES
from resources.settings import MelRidgeSettings, Settings
from resources.warehouse import reading

if TYPE_CHECKING:
    import duckdb


def write_report(duckdb_file: Path, settings: Settings, target: Path) -> bool:
    """Write the report of a published file in one step, unless it is there already.

    Args:
        duckdb_file: what `resources.warehouse.publish` wrote.
        settings: the config it was made with, for its provenance.
        target: the HTML file.

    Returns:
        Whether it was written: False where the page was made from exactly this.

    Raises:
        WarehouseError: the DuckDB file is not there or can't be read.
    """
    with reading(duckdb_file) as connection:
        origin = provenance(settings, connection.sql("SELECT * FROM publication").df())
        made_from = hash_of(origin)
        return write_page(
            target, made_from, lambda: _render(connection, settings, origin, made_from)
        )


def render(duckdb_file: Path, settings: Settings) -> str:
    """The report's HTML (see `write_report`)."""
    with reading(duckdb_file) as connection:
        origin = provenance(settings, connection.sql("SELECT * FROM publication").df())
        return _render(connection, settings, origin, hash_of(origin))


def _render(
    connection: duckdb.DuckDBPyConnection, settings: Settings, origin: Provenance, made_from: str
) -> str:
    templates = environment()
    templates.filters["cell"] = cell_text
    templates.filters["breakable"] = _breakable
    content = {**_content(connection, settings), "origin": origin, "made_from": made_from}
    return templates.get_template("report.html.j2").render(content)


def _breakable(name: str) -> Markup:
    """A name that may be broken after its underscores, so that it fits a narrow column."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=_)", name))


def cell_text(value: Any) -> str:
    """A value of a data table as text: figures short, nothing where there is nothing."""
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1 else f"{value:.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return {**METRIC_NAMES, **DIRECTION_NAMES}.get(str(value), str(value))


def _content(connection: duckdb.DuckDBPyConnection, settings: Settings) -> dict[str, Any]:
    def rows(sql: str) -> pd.DataFrame:
        return connection.sql(sql).df()

    lift = rows("SELECT * FROM lift_over_visual WHERE similarity = 'cosine'")
    figures = [
        charts.standing(rows("SELECT * FROM headline_scores")),
        charts.gain(lift),
        charts.informativeness(rows("SELECT * FROM informativeness_curve")),
        charts.recall(rows("SELECT * FROM score_cells")),
        charts.style(rows("SELECT * FROM style_against_gain")),
        charts.cost(rows("SELECT * FROM cost_by_prompt"), lift),
    ]
    tables: list[PaperTable] = paper_tables(
        {number: rows(f"SELECT * FROM paper_table_{number}") for number in range(1, 6)},  # noqa: S608
        rows("SELECT * FROM published_figures"),
    )
    return {
        "name": settings.name,
        "is_sample": settings.sample is not None,
        "fitted": {
            name: encoder.fit_to.replace("_", " ")
            for name, encoder in settings.encoders.items()
            if isinstance(encoder, MelRidgeSettings)
        },
        "summary": findings(rows("SELECT * FROM headline_scores")),
        "tables": tables,
        "figures": figures,
        "gained": moved_queries(rows, best=True),
        "lost": moved_queries(rows, best=False),
        "hardest": hardest_queries(rows),
        "ratings": rating_section(rows),
        "counts": rows("SELECT * FROM item_counts"),
        "excluded": rows("SELECT * FROM excluded_by_reason"),
        "prompts": rows(
            "SELECT variant, purpose, model, parameters, len(examples) AS examples, "
            "template_hash, file FROM prompts ORDER BY purpose, variant"
        ),
        "costs": rows("SELECT * FROM cost_by_prompt"),
        "stored": rows(
            "SELECT name, benchmark, version FROM publication WHERE kind = 'table' "
            "ORDER BY benchmark, name"
        ),
    }
