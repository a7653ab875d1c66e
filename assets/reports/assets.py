"""Declares what people read: the DuckDB file with one model a SQL file, and the HTML report."""

from collections.abc import Iterable

import dagster as dg

from resources.lake import Lake
from resources.sql_models import SQL_FOLDER, column_lineage, in_order, read_models
from resources.table_assets import OWNERS, ProjectConfig
from resources.tables import TABLES
from resources.warehouse import PUBLICATION, publish

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
    refreshed = context.run.tags.get("dagster/partition")
    published = publish(
        Lake(settings.lake_dir),
        SQL_FOLDER,
        settings.duckdb_file,
        settings.benchmarks,
        [refreshed] if refreshed else None,
    )
    context.log.info("published" if published.changed else "unchanged: left alone")
    if published.waiting:
        names = ", ".join(published.waiting)
        context.log.warning(f"left out until their next run, made by another release: {names}")
    version = dg.DataVersion(published.version)
    yield dg.MaterializeResult(
        asset_key="warehouse",
        data_version=version,
        metadata={
            "file": dg.MetadataValue.path(published.file),
            "tables": len(published.rows),
            "changed": published.changed,
        },
    )
    lineage = column_lineage(MODELS)
    for model in MODELS:
        columns = {
            column: [dg.TableColumnDep(dg.AssetKey(table), name) for table, name in origins]
            for column, origins in lineage[model.name].items()
        }
        yield dg.MaterializeResult(
            asset_key=model.name,
            data_version=version,
            metadata={
                "dagster/row_count": published.rows[model.name],
                "dagster/column_lineage": dg.TableColumnLineage(columns),
            },
        )


@dg.asset(
    deps=[model.name for model in MODELS],
    group_name="reports",
    owners=OWNERS,
    kinds={"html"},
    code_version="1",
)
def report(project: ProjectConfig) -> dg.MaterializeResult:
    """The HTML report: tables, charts, exclusions, provenance, in one file that opens from disk."""
    from assets.reports.report import write_report

    settings = project.settings()
    changed = write_report(settings.duckdb_file, settings, settings.report_file)
    return dg.MaterializeResult(
        metadata={
            "file": dg.MetadataValue.path(settings.report_file),
            "open": dg.MetadataValue.url(settings.report_file.as_uri()),
            "changed": changed,
        }
    )
