"""The HTML report: one file that opens from disk, without network and without script.

Everything that it shows is read from the published DuckDB file, so that it can't disagree with
what people query. It holds no times: the same file and config give the same page.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup, escape

from assets.reports import charts
from assets.reports.paper_tables import PaperTable, paper_tables
from assets.reports.provenance import Provenance, provenance
from assets.reports.tables import DIRECTION_NAMES, METRIC_NAMES, interval, number, signed
from resources.settings import MelRidgeSettings, Settings
from resources.tables import VISUAL
from resources.warehouse import reading

if TYPE_CHECKING:
    import duckdb

TEMPLATES = Path(__file__).parent / "templates"
_SHOWN = 4
"""Queries shown of each benchmark, at either end; the DuckDB file holds them all."""
Rows = Callable[[str], pd.DataFrame]
"""A query's rows."""


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
    environment.filters["breakable"] = _breakable
    return environment.get_template("report.html.j2").render(**content)


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
        "gained": _moved(rows, best=True),
        "lost": _moved(rows, best=False),
        "hardest": _hardest(rows),
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
    p: str
    floor: str


def _summary(headline: pd.DataFrame) -> list[Finding]:
    """One finding a benchmark, metric, direction and encoder; the mean says nothing of its own."""
    findings = []
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
        findings.append(
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
            )
        )
    return findings


def _p(value: float) -> str:
    if pd.isna(value):
        return ""
    return "corrected p < 0.001" if value < 0.001 else f"corrected p = {value:.2g}"


def _verdict(row: pd.Series) -> str:
    if not row["mark"]:
        return "open"
    return "gain" if row["delta"] > 0 else "loss"


def _moved(rows: Rows, best: bool) -> list[Moved]:
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


def _hardest(rows: Rows) -> pd.DataFrame:
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
