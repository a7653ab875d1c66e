"""How a table model becomes a Dagster asset: the decorator of every assets.py, and the lake's IO.

What a table holds is said in `resources/tables.py`, how it is made in its stage's plain modules.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import dagster as dg
import pandas as pd

from resources.column_origins import column_origins
from resources.lake import Lake, Stamp
from resources.overviews import overview, report_section
from resources.table_assets.checks import failed_checks, suite_check
from resources.table_assets.frame_types import pandas_type
from resources.table_assets.shown import (
    OWNERS,
    PREVIEW_ROWS,
    column_schema,
    lineage,
    lineage_in_words,
    preview,
    shown,
)
from resources.table_assets.stage import Kept, Made, ProjectConfig, Stage
from resources.table_model import TableModel
from resources.tables import TABLES


class LakeIOManager(dg.ConfigurableIOManager):
    """Stores the frame that an asset returns as its table's Parquet file, unless it is there."""

    project: ProjectConfig

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame | Kept) -> None:
        """Write the table under the stamp that `table_asset` gave it."""
        if isinstance(obj, Kept):
            return
        stamp = Stamp(*(_text(context.output_metadata[name]) for name in ("version", "made_from")))
        model, benchmark = _place(context)
        self._lake().write(model, obj, benchmark, stamp)
        # A run in this process keeps every output until its end: of what is stored, no row.
        obj.drop(columns=list(obj.columns), inplace=True)

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Read the table, for whoever asks Dagster for an asset's value."""
        return self._lake().read(*_place(context))

    def _lake(self) -> Lake:
        return Lake(self.project.settings().lake_dir)


def _place(context: dg.OutputContext | dg.InputContext) -> tuple[TableModel, str | None]:
    model = TABLES[context.asset_key.path[-1]]
    return model, context.partition_key if model.partitioned else None


def _text(value: Any) -> str:
    return str(value.value if isinstance(value, dg.MetadataValue) else value)


@dataclass(frozen=True)
class TableAsset:
    """The declaration of a table's asset, or of several that are made together.

    `make` reads what it needs from its `Stage` and returns a frame, a `Made`, or a tuple of
    these, one a model. It is not called where nothing has changed: code version, table models,
    the versions of the tables read, and what `version` returns.
    """

    make: Callable[[Stage], Any]
    models: tuple[TableModel, ...]
    reads: tuple[TableModel, ...]
    code_version: str
    version: Callable[[Stage], Any]
    pool: str | None

    def definition(self, benchmarks: dg.PartitionsDefinition) -> dg.AssetsDefinition:
        """The Dagster asset, partitioned by benchmark where its tables are."""

        @dg.multi_asset(
            name=self.models[0].name,
            description=self.make.__doc__,
            outs={model.name: _out(model, self.code_version) for model in self.models},
            deps=[*(model.name for model in self.reads), *_outside(self.models)],
            partitions_def=benchmarks if self.models[0].partitioned else None,
            pool=self.pool,
        )
        def asset(
            context: dg.AssetExecutionContext, project: ProjectConfig
        ) -> Iterable[dg.MaterializeResult]:
            benchmark = context.partition_key if self.models[0].partitioned else ""
            stage = Stage(project.settings(), benchmark, context.log.info)
            if failed := failed_checks(stage, self.reads):
                raise dg.Failure("\n".join(failed), allow_retries=False)
            for model, made, stamp in self.tables(stage):
                yield _result(stage, model, made, stamp)

        return asset

    def checks(self, benchmarks: dg.PartitionsDefinition) -> list[dg.AssetChecksDefinition]:
        """Great Expectations' verdict on each table; a failed one stops what is downstream."""
        return [suite_check(model, benchmarks) for model in self.models]

    def is_current(self, stage: Stage) -> bool:
        """Whether the stored tables are what would be made now."""
        return bool(self._current(stage, self._made_from(stage)))

    def is_outdated(self, stage: Stage) -> bool:
        """Whether a stored table was made from something else than what is there now.

        Of one that is known to lack rows nothing is told: it is made again in any case.
        """
        made_from = self._made_from(stage)
        stored = (stage.lake.stamp(model, stage.benchmark) for model in self.models)
        return any(stamp and stamp.made_from not in ("", made_from) for stamp in stored)

    def _current(self, stage: Stage, made_from: str) -> list[Stamp]:
        """The stored tables' stamps, if all of them were made from this; none otherwise."""
        stored = (stage.lake.stamp(model, stage.benchmark) for model in self.models)
        current = [stamp for stamp in stored if stamp and made_from == stamp.made_from != ""]
        return current if len(current) == len(self.models) else []

    def tables(self, stage: Stage) -> Iterable[tuple[TableModel, Made | Kept, Stamp]]:
        """The tables and what they are to be stored under; none is made where nothing changed."""
        made_from = self._made_from(stage)
        if current := self._current(stage, made_from):
            for model, stamp in zip(self.models, current, strict=True):
                yield model, Kept(), stamp
            return
        for model in self.models:
            if stage.lake.is_of_another_release(model, stage.benchmark):
                stage.log(
                    f"{stage.lake.path(model, stage.benchmark)} is in another release's form: made "
                    "again; what was paid or embedded is taken from its store"
                )
        returned = self.make(stage)
        tables = returned if isinstance(returned, tuple) else (returned,)
        for model, one in zip(self.models, tables, strict=True):
            made = one if isinstance(one, Made) else Made.whole(one)
            stamp = Stamp(model.version(made.frame), made_from if made.complete else "")
            yield model, made, stamp

    def _made_from(self, stage: Stage) -> str:
        """Hash of everything that decides the rows; empty if a table to be read isn't there."""
        stamps = {model.name: stage.lake.stamp(model, stage.benchmark) for model in self.reads}
        if None in stamps.values():
            return ""
        parts = {
            "code": self.code_version,
            "schemas": [str(model.schema) for model in self.models],
            "reads": {name: stamp.data_version for name, stamp in stamps.items() if stamp},
            "version": self.version(stage),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def table_asset(
    *models: TableModel,
    reads: Iterable[TableModel] = (),
    code_version: str,
    version: Callable[[Stage], Any] = lambda stage: None,
    pool: str | None = None,
) -> Callable[[Callable[[Stage], Any]], TableAsset]:
    """Declare the asset of a table; its key is the table's name.

    Args:
        models: the table made (or several that are made together).
        reads: the tables read.
        code_version: changes when the meaning of the code changes.
        version: everything else that decides the rows (settings, files), as JSON-able values.
        pool: the Dagster pool that keeps dear steps one at a time.
    """
    return lambda make: TableAsset(make, models, tuple(reads), code_version, version, pool)


def _out(model: TableModel, code_version: str) -> dg.AssetOut:
    return dg.AssetOut(
        description=model.description,
        dagster_type=pandas_type(model),
        io_manager_key="lake",
        group_name=model.stage,
        code_version=code_version,
        owners=OWNERS,
        kinds={"python", "parquet"},
        metadata={"dagster/column_schema": column_schema(model), "dagster/table_name": model.name},
    )


def _result(
    stage: Stage, model: TableModel, made: Made | Kept, stamp: Stamp
) -> dg.MaterializeResult:
    more: Mapping[str, Any]
    read: Callable[[list[str]], pd.DataFrame]
    if isinstance(made, Kept):
        read = partial(stage.lake.columns, model, stage.benchmark)
        first, rows = stage.lake.head(model, stage.benchmark, PREVIEW_ROWS)
        more = {"wanted": rows, "reused": rows, "new": 0}
    else:
        read = made.frame.__getitem__
        first, rows = made.frame, len(made.frame)
        more = {**made.counts, **made.metadata}
    return dg.MaterializeResult(
        asset_key=model.name,
        value=made if isinstance(made, Kept) else made.frame,
        data_version=dg.DataVersion(stamp.data_version),
        metadata={
            "dagster/partition_row_count" if model.partitioned else "dagster/row_count": rows,
            "file": dg.MetadataValue.path(stage.lake.path(model, stage.benchmark or None)),
            **more,
            **{name: shown(value) for name, value in overview(model.name, read).items()},
            "report": dg.MetadataValue.url(
                f"{stage.settings.report_file.as_uri()}#{report_section(model.name)}"
            ),
            "preview": preview(first, column_schema(model)),
            "dagster/column_lineage": lineage(model),
            "columns come from": lineage_in_words(model.name, {}),
            "version": dg.MetadataValue.text(stamp.data_version),
            "made_from": dg.MetadataValue.text(stamp.made_from),
        },
    )


def _outside(models: Iterable[TableModel]) -> list[str]:
    """What the tables come from that is no table: the benchmarks' own files."""
    named = {
        name
        for model in models
        for origins in column_origins(model.name).values()
        for name, _ in origins
    }
    return sorted(named - set(TABLES))
