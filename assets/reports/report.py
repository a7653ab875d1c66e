"""The HTML report: one file that opens from disk, without network and without script.

Everything that it shows is read from the published DuckDB file, so that it can't disagree with
what people query. It holds no times: the same file and config give the same page.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from assets.reports import charts
from assets.reports.paper_tables import PaperTable, paper_tables
from assets.reports.provenance import Provenance, provenance
from assets.reports.tables import DIRECTION_NAMES, METRIC_NAMES, interval
from resources.settings import MelRidgeSettings, Settings
from resources.tables import VISUAL
from resources.warehouse import reading

if TYPE_CHECKING:
    import duckdb

TEMPLATES = Path(__file__).parent / "templates"
_SHOWN = 8
"""Queries shown at either end of a list; the DuckDB file holds them all."""


@dataclass(frozen=True)
class Section:
    """A list of queries: what it shows, and its rows."""

    title: str
    sentence: str
    rows: pd.DataFrame


def write_report(duckdb_file: Path, settings: Settings, target: Path) -> None:
    """Write the report of a published file, in one step.

    Args:
        duckdb_file: what `resources.warehouse.publish` wrote.
        settings: the config it was made with, for its provenance.
        target: the HTML file.

    Raises:
        WarehouseError: the DuckDB file is not there or can't be read.
    """
    page = render(duckdb_file, settings)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(page)
        Path(temporary).chmod(0o644)  # mkstemp's files are private; a page is to be shared
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def render(duckdb_file: Path, settings: Settings) -> str:
    """The report's HTML (see `write_report`)."""
    import jinja2

    with reading(duckdb_file) as connection:
        content = _content(connection, settings)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell_text
    return environment.get_template("report.html.j2").render(**content)


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
        charts.cost(rows("SELECT * FROM cost_by_prompt"), lift),
    ]
    tables: list[PaperTable] = paper_tables(
        {number: rows(f"SELECT * FROM paper_table_{number}") for number in range(1, 6)},  # noqa: S608
        rows("SELECT * FROM published_figures"),
    )
    origin: Provenance = provenance(settings, rows("SELECT * FROM publication"))
    return {
        "name": settings.name,
        "is_sample": settings.sample is not None,
        "fitted": {
            name: encoder.fit_to.replace("_", " ")
            for name, encoder in settings.encoders.items()
            if isinstance(encoder, MelRidgeSettings)
        },
        "summary": _summary(rows("SELECT * FROM headline_scores")),
        "tables": tables,
        "figures": figures,
        "queries": _queries(rows),
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
        "origin": origin,
    }


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
    floor: str


def _summary(headline: pd.DataFrame) -> list[Finding]:
    """One finding a benchmark, metric, direction and encoder; the mean says nothing of its own."""
    findings = []
    shown = headline[headline["direction"] != "mean"]
    keys = ["benchmark", "metric", "direction", "encoder"]
    for (benchmark, metric, direction, encoder), rows in shown.groupby(
        keys, dropna=False, sort=False
    ):
        others = rows[rows["variant"] != VISUAL].dropna(subset=["delta"])
        visual = rows[rows["variant"] == VISUAL]
        if others.empty or visual.empty:
            continue
        best = others.sort_values("delta", kind="stable").iloc[-1]
        what = [benchmark, METRIC_NAMES[metric], DIRECTION_NAMES.get(direction, "")]
        findings.append(
            Finding(
                " · ".join(part for part in what if part),
                encoder,
                f"{visual['value'].iloc[0]:.1f}",
                f"{best['value']:.1f}",
                best["variant"],
                f"{best['delta']:+.1f}",
                interval(best["delta_ci_low"], best["delta_ci_high"]),
                _verdict(best),
                f"{best['floor']:.1f}",
            )
        )
    return findings


def _verdict(row: pd.Series) -> str:
    if not row["mark"]:
        return "open"
    return "gain" if row["delta"] > 0 else "loss"


def _queries(rows: Any) -> list[Section]:
    """The queries at either end: where one looks first for what to mend in a prompt."""
    columns = (
        "benchmark, direction, encoder, variant, text, description, "
        "visual_value, value, change, visual_rank, rank"
    )
    order = "benchmark, encoder, variant, direction, query_id"
    return [
        Section(
            "Gained most",
            "Queries that a description serves better than the visual text.",
            rows(
                f"SELECT {columns} FROM most_changed_by_rewriting WHERE change > 0 "  # noqa: S608
                f"ORDER BY change DESC, {order} LIMIT {_SHOWN}"
            ),
        ),
        Section(
            "Lost most",
            "Queries that a description serves worse.",
            rows(
                f"SELECT {columns} FROM most_changed_by_rewriting WHERE change < 0 "  # noqa: S608
                f"ORDER BY change, {order} LIMIT {_SHOWN}"
            ),
        ),
        Section(
            "Hardest for every encoder",
            "Visual texts with the lowest mean score over encoders.",
            rows(
                "SELECT benchmark, direction, text, mean_value, best_rank, encoders "  # noqa: S608
                "FROM hardest_queries WHERE variant = 'visual' "
                f"ORDER BY mean_value, best_rank DESC, benchmark, direction, query_id LIMIT {_SHOWN}"
            ),
        ),
    ]
