"""Declares what people read: the DuckDB file with one model a SQL file, and the HTML report."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from assets.benchmarks.assets import BENCHMARK_TABLES
from assets.descriptions.assets import DESCRIPTION_TABLES
from assets.embeddings.assets import EMBEDDING_TABLES
from assets.reports.ratings.storage import RatingsFolder
from assets.reports.ratings.tables import (
    build_agreement,
    build_preferences,
    build_raters,
    build_ratings,
    stored_answers,
)
from assets.retrieval.assets import RETRIEVAL_TABLES
from resources.lake import Lake
from resources.overviews import report_section
from resources.settings import Settings
from resources.sql_models import SQL_FOLDER, column_lineage, in_order, read_models
from resources.table_assets.checks import failed_checks
from resources.table_assets.declared import TableAsset, table_asset
from resources.table_assets.shown import OWNERS, PREVIEW_ROWS, lineage_in_words, preview
from resources.table_assets.stage import Made, ProjectConfig, Stage
from resources.tables import (
    RATERS,
    RATING_AGREEMENT,
    RATING_PREFERENCES,
    RATINGS,
    REQUESTS,
    TABLES,
)
from resources.warehouse import PUBLICATION, publish, reading

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@table_asset(
    RATERS,
    RATINGS,
    code_version="1",
    version=lambda stage: RatingsFolder(stage.settings.ratings_dir).version(),
)
def ratings(stage: Stage) -> tuple[Made, pd.DataFrame]:
    """What people heard: imported files, accepted or rejected, and the accepted judgements."""
    folder = RatingsFolder(stage.settings.ratings_dir)
    answers = stored_answers(folder)
    accepted = sum(one.accepted for one in answers)
    verdicts = {"accepted": accepted, "rejected": len(answers) - accepted}
    return Made.whole(build_raters(answers), verdicts), build_ratings(answers, folder)


@table_asset(
    RATING_AGREEMENT,
    RATING_PREFERENCES,
    reads=[RATINGS],
    code_version="1",
    version=lambda stage: stage.settings.metrics.model_dump(
        mode="json", include={"resamples", "seed"}
    ),
)
def rating_agreement(stage: Stage) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How far raters agree, with the model too, and which texts they prefer."""
    judged, metrics = stage.table(RATINGS), stage.settings.metrics
    return build_agreement(judged, metrics), build_preferences(judged, metrics)


CHAIN: tuple[TableAsset, ...] = (
    *BENCHMARK_TABLES,
    *DESCRIPTION_TABLES,
    *EMBEDDING_TABLES,
    *RETRIEVAL_TABLES,
    ratings,
    rating_agreement,
)
"""Every table's asset, in the order data flows; publication comes after them."""

MODELS = in_order(read_models(SQL_FOLDER), known=[*TABLES, PUBLICATION])

_SPECS = [
    dg.AssetSpec(
        "warehouse",
        deps=list(TABLES),
        description="The DuckDB file: every table and every SQL model, replaced in one step.",
        group_name="reports",
        owners=OWNERS,
        kinds={"duckdb"},
    ),
    *(
        dg.AssetSpec(
            model.name,
            deps=[name for name in model.reads if name != PUBLICATION] or ["warehouse"],
            description=f"{model.description}\n\n```sql\n{model.sql}\n```",
            group_name="reports",
            owners=OWNERS,
            kinds={"duckdb", "sql"},
        )
        for model in MODELS
    ),
]


@dg.multi_asset(name="warehouse", specs=_SPECS, pool="warehouse", code_version="1")
def warehouse(
    context: dg.AssetExecutionContext, project: ProjectConfig
) -> Iterable[dg.MaterializeResult]:
    """Publish all tables and SQL models as one DuckDB file, atomically."""
    settings = project.settings()
    whole = _whole(context, settings)
    published = publish(
        Lake(settings.lake_dir), SQL_FOLDER, settings.duckdb_file, settings.benchmarks, whole
    )
    context.log.info("published" if published.changed else "unchanged: left alone")
    if published.waiting:
        names = ", ".join(published.waiting)
        context.log.warning(f"left out until their next run, made by another release: {names}")
    kept = [name for name in settings.benchmarks if name not in whole]
    yield dg.MaterializeResult(
        asset_key="warehouse",
        data_version=dg.DataVersion(published.version),
        metadata={
            "file": dg.MetadataValue.path(published.file),
            "tables": len(published.rows),
            "changed": published.changed,
            "taken from the lake": ", ".join(whole) or "none",
            "as last published": ", ".join(kept) or "none",
        },
    )
    lineage = column_lineage(MODELS)
    with reading(published.file) as connection:
        columns = _columns(connection)
        for model in MODELS:
            origins = {
                column: [dg.TableColumnDep(dg.AssetKey(table), name) for table, name in found]
                for column, found in lineage[model.name].items()
            }
            rows = connection.sql(f"FROM {model.name} LIMIT {PREVIEW_ROWS}").df()
            yield dg.MaterializeResult(
                asset_key=model.name,
                data_version=dg.DataVersion(published.versions[model.name]),
                metadata={
                    "dagster/row_count": published.rows[model.name],
                    "dagster/column_schema": columns[model.name],
                    "dagster/column_lineage": dg.TableColumnLineage(origins),
                    "columns come from": lineage_in_words(model.name, lineage),
                    "preview": preview(rows, columns[model.name]),
                    "report": dg.MetadataValue.url(
                        f"{settings.report_file.as_uri()}#{report_section(model.name)}"
                    ),
                    "file": dg.MetadataValue.path(published.file),
                },
            )


def _whole(context: dg.AssetExecutionContext, settings: Settings) -> list[str]:
    """Benchmarks whose tables in the lake belong together.

    A run of all tables has just made its own benchmark's. Where only some were materialized,
    such as `warehouse` alone, a benchmark counts if each of its tables is what would be made now:
    else new descriptions might be published beside old scores.
    """
    own = context.run.tags.get("dagster/partition")
    if own and is_whole(context.run):
        return [own]
    return [name for name in settings.benchmarks if _is_current(settings, name)]


def is_whole(run: dg.DagsterRun) -> bool:
    """Whether a run makes all tables of its benchmark and publishes them.

    Neither does one of chosen assets, nor one that takes up another where that one failed.
    """
    # A run's selection is empty where it has none. Its steps are listed where the UI launched it
    # or this process, and then are all of them unless some were left out; a sensor lists none.
    steps, selected = run.step_keys_to_execute, run.asset_selection
    return (steps is None or set(steps) >= _WHOLE_STEPS) and (
        not selected or selected >= _WHOLE_KEYS
    )


def _but_history() -> list[TableAsset]:
    """All tables but that of requests: what was asked is never whole."""
    return [table for table in CHAIN if REQUESTS not in table.models]


def outdated_tables(settings: Settings, benchmark: str) -> list[str]:
    """A benchmark's stored tables that were made from something else than what is there now."""
    stage = Stage(settings, benchmark)
    return [table.models[0].name for table in _but_history() if table.is_outdated(stage)]


def incomplete_tables(settings: Settings, benchmark: str) -> list[str]:
    """A benchmark's stored tables that lack rows, such as answers that were not in yet."""
    lake = Lake(settings.lake_dir)
    models = (model for table in _but_history() for model in table.models)
    stamps = {model.name: lake.stamp(model, benchmark) for model in models}
    return [name for name, stamp in stamps.items() if stamp and stamp.made_from == ""]


def _is_current(settings: Settings, benchmark: str) -> bool:
    stage = Stage(settings, benchmark)
    if failed_checks(stage, (model for table in _but_history() for model in table.models)):
        return False
    return all(table.is_current(stage) for table in _but_history())


_WHOLE_STEPS = {*(table.models[0].name for table in CHAIN), warehouse.op.name}
_WHOLE_KEYS = {dg.AssetKey(name) for name in (*TABLES, "warehouse")}


def _columns(connection: "DuckDBPyConnection") -> dict[str, dg.TableSchema]:
    """The columns of every table and SQL model, as the published file describes them."""
    rows = connection.sql(
        "SELECT table_name, column_name, lower(data_type) AS type, coalesce(comment, '') AS text "
        "FROM duckdb_columns() WHERE database_name = 'warehouse' ORDER BY table_name, column_index"
    ).df()
    columns: dict[str, list[dg.TableColumn]] = defaultdict(list)
    for row in rows.to_dict("records"):
        columns[row["table_name"]].append(
            dg.TableColumn(row["column_name"], row["type"], row["text"])
        )
    return {name: dg.TableSchema(found) for name, found in columns.items()}


_page = dg.asset(
    deps=[model.name for model in MODELS],
    group_name="reports",
    owners=OWNERS,
    kinds={"html"},
    code_version="1",
)


def _written(page: Path, changed: bool) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata={
            "file": dg.MetadataValue.path(page),
            "open": dg.MetadataValue.url(page.as_uri()),
            "megabytes": round(page.stat().st_size / 1e6, 1),
            "changed": changed,
        }
    )


@_page
def report(project: ProjectConfig) -> dg.MaterializeResult:
    """The HTML report: tables, charts, exclusions, provenance, in one file that opens from disk."""
    from assets.reports.report import write_report

    settings = project.settings()
    changed = write_report(settings.duckdb_file, settings, settings.report_file)
    return _written(settings.report_file, changed)


@_page
def listening(project: ProjectConfig) -> dg.MaterializeResult:
    """Chosen queries and what they found, to be heard: one page with its sounds inside."""
    from assets.reports.listening_page import write_listening_page

    settings = project.settings()
    changed = write_listening_page(settings.duckdb_file, settings, settings.listening_file)
    return _written(settings.listening_file, changed)
