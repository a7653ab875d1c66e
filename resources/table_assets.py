"""How a table model becomes a Dagster asset: the decorator, types and storage of every assets.py.

What belongs here is Dagster's side of tables, written once: column schema, dagster-pandas type,
the IO manager over the lake, versions and metadata of a materialization. What a table holds is
said in `tables.py`, how it is made in its stage's plain modules.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from dagster_pandas import PandasColumn, create_dagster_pandas_dataframe_type
from dagster_pandas.constraints import (
    ColumnConstraint,
    ColumnConstraintViolationException,
    ConstraintViolationException,
    DataFrameConstraint,
)

from resources.column_origins import ANNOTATION_COLUMNS, ANNOTATIONS, column_origins, traced
from resources.config_file import load_settings
from resources.expectations import judge, remember, standing_failures
from resources.lake import Lake, Stamp
from resources.overviews import overview, report_section
from resources.settings import Settings
from resources.sql_models import Lineage
from resources.table_model import Column, ColumnType, TableModel
from resources.tables import TABLES

# dagster-pandas and partitioned checks are in use here knowingly, pinned to one release family.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

OWNERS = ["team:sound-approach"]
PREVIEW_ROWS = 10
PROGRESS_EVERY_S = 2.0

_UI_TYPES: dict[ColumnType, str] = {
    "label": "string",
    "strings": "list<string>",
    "ints": "list<int>",
    "vector": "list<float32>",
}


class ProjectConfig(dg.ConfigurableResource):
    """The config file a run works on, read anew by every step, so that an edit needs no reload."""

    config_file: str
    limit: int | None = None
    budget_usd: float | None = None

    def settings(self) -> Settings:
        """The config as it is now (see `config_file.load_settings`)."""
        settings = load_settings(Path(self.config_file), limit=self.limit)
        return settings.with_budget(self.budget_usd)


@dataclass(frozen=True)
class Stage:
    """What a stage's function gets: the config, the partition, and tables made before."""

    settings: Settings
    benchmark: str
    """The partition; empty for tables that have none."""
    log: Callable[[str], None] = print

    @cached_property
    def lake(self) -> Lake:
        """Where tables lie."""
        return Lake(self.settings.lake_dir)

    @property
    def verdicts(self) -> Path:
        """Where it is remembered what checks said of tables."""
        return self.settings.output / "verdicts"

    def table(self, model: TableModel) -> pd.DataFrame:
        """A table made earlier; of a partitioned one this benchmark's rows."""
        return self.lake.read(model, self.benchmark)

    def previous(
        self, model: TableModel, columns: Sequence[str] | None = None
    ) -> pd.DataFrame | None:
        """The table as the last run left it, if there is one in this release's form.

        Of a large one only some `columns` may be wanted: the others are then not read.
        """
        if self.lake.stamp(model, self.benchmark) is None:
            return None
        if columns:
            return self.lake.columns(model, self.benchmark, columns)
        return self.lake.read(model, self.benchmark)

    def progress(self, what: str) -> Callable[..., None]:
        """A callback `(done, total, note="")` that logs them, with rate and time left, at times."""
        start = last = time.monotonic()

        def report(done: int, total: int, note: str = "") -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PROGRESS_EVERY_S and done:
                last = now
                rate = done / (now - start)
                left = (total - done) / rate
                self.log(f"{what}: {done:,} of {total:,}, {rate:.1f}/s, {left:.0f} s left {note}")

        return report


@dataclass(frozen=True)
class Made:
    """A table as a stage's function made it."""

    frame: pd.DataFrame
    counts: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = True
    """False where rows are missing that another run may find: it is then made again."""

    @classmethod
    def whole(
        cls, frame: pd.DataFrame, metadata: Mapping[str, Any] | None = None, failed: int = 0
    ) -> "Made":
        """A table that is made whole or not at all: all its rows are new.

        So many of them may have `failed`: they say why, and another run may do better.
        """
        counts = {"wanted": len(frame), "reused": 0, "new": len(frame) - failed, "failed": failed}
        return cls(frame, counts, metadata or {}, complete=failed == 0)


@dataclass(frozen=True)
class Kept:
    """Stands for a stored table that is what would be made now: nobody need read its rows."""


class _Rule(ColumnConstraint):
    """One column's rule, from its model: nulls, allowed values, range."""

    def __init__(self, column: Column) -> None:
        super().__init__(_rule_text(column), _rule_text(column))
        self.column = column

    def validate(self, dataframe: pd.DataFrame, column_name: str) -> None:
        """Raise if the column breaks its rule; the message names the first bad row."""
        values = dataframe[column_name]
        bad = _broken(values, self.column)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise ColumnConstraintViolationException(
                constraint_name="table model",
                constraint_description=f"{self.column.name}: {_rule_text(self.column)}; "
                f"{int(bad.sum())} rows break it, first row {row}: {values.iloc[row]!r}",
                column_name=column_name,
            )


def _broken(values: pd.Series, column: Column) -> pd.Series:
    empty = values.isna()
    bad = pd.Series(False, index=values.index) if column.nullable else empty
    if column.allowed is not None:
        bad = bad | (~values.isin(column.allowed) & ~empty)
    if column.minimum is not None:
        bad = bad | (values < column.minimum).fillna(False).astype(bool)
    if column.maximum is not None:
        bad = bad | (values > column.maximum).fillna(False).astype(bool)
    if column.length is not None:
        bad = bad | (values[~empty].map(len) != column.length).reindex(
            values.index, fill_value=False
        )
    return bad


def _rule_text(column: Column) -> str:
    """All that a column's values keep to, in words."""
    rules = [] if column.nullable else ["never empty"]
    return "; ".join(rules + _value_rules(column)) or "any value"


def _value_rules(column: Column) -> list[str]:
    rules = []
    if column.allowed is not None:
        rules.append("one of " + ", ".join(column.allowed))
    if column.minimum is not None:
        rules.append(f"at least {column.minimum:g}")
    if column.maximum is not None:
        rules.append(f"at most {column.maximum:g}")
    if column.length is not None:
        rules.append(f"{column.length} items")
    return rules


class _UniqueKey(DataFrameConstraint):
    """Rows differ in their table's key, and columns are the model's."""

    def __init__(self, model: TableModel) -> None:
        rule = f"key {', '.join(model.key)}"
        super().__init__(rule, rule)
        self.model = model

    def validate(self, dataframe: pd.DataFrame) -> None:
        """Raise if columns differ from the model's, or a key occurs twice."""
        if list(dataframe.columns) != self.model.names:
            raise ConstraintViolationException(
                f"{self.model.name}: columns {list(dataframe.columns)} are not "
                f"those of the table model: {self.model.names}"
            )
        twice = dataframe.duplicated(subset=list(self.model.key))
        if twice.any():
            row = dataframe.loc[twice, list(self.model.key)].iloc[0].to_dict()
            raise ConstraintViolationException(
                f"{self.model.name}: {int(twice.sum())} rows repeat the key of another, first {row}"
            )


def pandas_type(model: TableModel) -> dg.DagsterType:
    """The dagster-pandas type that stops a malformed table before it is written.

    A table that stays as it was stored passed it then.
    """
    of_frames = create_dagster_pandas_dataframe_type(
        name=f"{model.name}_table",
        description=model.description,
        columns=[
            PandasColumn(column.name, constraints=[_Rule(column)]) for column in model.columns
        ],
        dataframe_constraints=[_UniqueKey(model)],
    )

    def check(context: dg.TypeCheckContext, value: Any) -> dg.TypeCheck:
        if isinstance(value, Kept):
            return dg.TypeCheck(success=True)
        return of_frames.type_check(context, value)

    return dg.DagsterType(check, name=of_frames.key, description=of_frames.description)


def column_schema(model: TableModel) -> dg.TableSchema:
    """The columns as Dagster's UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=_UI_TYPES.get(column.type, column.type),
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, other=_value_rules(column)
                ),
            )
            for column in model.columns
        ]
    )


def annotations_spec() -> dg.AssetSpec:
    """The benchmarks' own files: nothing here makes them, and columns lead back to theirs."""
    columns = [dg.TableColumn(name, description=text) for name, text in ANNOTATION_COLUMNS.items()]
    return dg.AssetSpec(
        ANNOTATIONS,
        description="The benchmarks' own files, as their authors published them: what the config "
        "names under `benchmarks:`.",
        group_name="benchmarks",
        owners=OWNERS,
        kinds={"csv", "json"},
        metadata={"dagster/column_schema": dg.TableSchema(columns)},
    )


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
        return [_check(model, benchmarks) for model in self.models]

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


def failed_checks(stage: Stage, models: Iterable[TableModel]) -> list[str]:
    """Tables whose rows, as stored now, failed a check that stops what is downstream.

    Dagster stops it within the run that judged; this holds in any later one, of whatever tables.
    """
    failed = {
        model: standing_failures(stage.lake, model, stage.benchmark, stage.verdicts)
        for model in models
    }
    return [
        f"`{model.name}` failed its checks, so nothing is made from it: {failures[0]} Mend the "
        f"cause and materialize it again, or delete {stage.lake.path(model, stage.benchmark)}."
        for model, failures in failed.items()
        if failures
    ]


@dataclass(frozen=True)
class TableCheck:
    """The declaration of a check beyond the table model: `find` lists what is wrong.

    A blocking check stops what is downstream; any other only warns.
    """

    find: Callable[[Stage], Sequence[str]]
    model: TableModel
    blocking: bool

    def definition(self, benchmarks: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
        """The Dagster check."""
        severity = dg.AssetCheckSeverity.ERROR if self.blocking else dg.AssetCheckSeverity.WARN

        @dg.asset_check(
            name=self.find.__name__,
            asset=self.model.name,
            blocking=self.blocking,
            partitions_def=benchmarks if self.model.partitioned else None,
            description=self.find.__doc__,
        )
        def check(
            context: dg.AssetCheckExecutionContext, project: ProjectConfig
        ) -> dg.AssetCheckResult:
            benchmark = context.partition_key if self.model.partitioned else ""
            stage = Stage(project.settings(), benchmark, context.log.info)
            found = list(self.find(stage))
            if self.blocking:
                name = self.find.__name__
                remember(stage.lake, self.model, benchmark, name, found, stage.verdicts)
            shown = "\n".join(f"- {line}" for line in found[:PREVIEW_ROWS])
            return dg.AssetCheckResult(
                passed=not found,
                severity=severity,
                metadata={"found": len(found), "first": dg.MetadataValue.md(shown)},
            )

        return check


def table_check(
    model: TableModel, blocking: bool
) -> Callable[[Callable[[Stage], Sequence[str]]], TableCheck]:
    """Declare a check of a table; the function's name and docstring are the check's."""
    return lambda find: TableCheck(find, model, blocking)


def as_metadata(frame: pd.DataFrame) -> dg.MetadataValue:
    """A small frame as a table in the UI."""
    records = [
        dg.TableRecord({str(name): _cell(value) for name, value in row.items()})
        for row in frame.to_dict("records")
    ]
    return dg.MetadataValue.table(records) if records else dg.MetadataValue.text("none")


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


def _check(model: TableModel, benchmarks: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name="great_expectations",
        asset=model.name,
        blocking=True,
        partitions_def=benchmarks if model.partitioned else None,
        description=f"What was written to `{model.name}` keeps to its table model.",
    )
    def check(
        context: dg.AssetCheckExecutionContext, project: ProjectConfig
    ) -> dg.AssetCheckResult:
        settings = project.settings()
        benchmark = context.partition_key if model.partitioned else None
        stage = Stage(settings, benchmark or "")
        verdict = judge(stage.lake, model, benchmark, stage.verdicts)
        return dg.AssetCheckResult(
            passed=verdict.passed,
            metadata={
                "expectations": verdict.expectations,
                "failures": dg.MetadataValue.md("\n".join(f"- {f}" for f in verdict.failures)),
                "version": verdict.data_version,
            },
        )

    return check


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
            **{name: _shown(value) for name, value in overview(model.name, read).items()},
            "report": dg.MetadataValue.url(
                f"{stage.settings.report_file.as_uri()}#{report_section(model.name)}"
            ),
            "preview": preview(first, column_schema(model)),
            "dagster/column_lineage": _lineage(model),
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


def _lineage(model: TableModel) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(dg.AssetKey(name), origin) for name, origin in origins]
            for column, origins in column_origins(model.name).items()
        }
    )


def lineage_in_words(name: str, models: Lineage) -> dg.MetadataValue:
    """Where columns come from as a table of text, since not every edition of the UI draws it."""
    lines = [
        f"| {column} | {', '.join(made_from)} | {', '.join(annotations)} |"
        for column, made_from, annotations in traced(name, models)
    ]
    head = "| column | made from | annotation columns behind it |\n| --- | --- | --- |\n"
    return dg.MetadataValue.md(head + "\n".join(lines))


def _shown(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return as_metadata(value)
    return bars(value) if isinstance(value, Mapping) else value


def bars(values: Mapping[str, float]) -> dg.MetadataValue:
    """Numbers by name as a small chart of characters, which the UI draws wherever it shows text."""
    if not values:
        return dg.MetadataValue.text("none")
    width = max(map(len, values))
    largest = max(*values.values(), 0) or 1
    lines = [
        f"{name:<{width}}  {'█' * round(24 * max(value, 0) / largest):<24} {value:>9,.4g}"
        for name, value in values.items()
    ]
    return dg.MetadataValue.md("```\n" + "\n".join(lines) + "\n```")


def preview(frame: pd.DataFrame, schema: dg.TableSchema) -> dg.MetadataValue:
    """The first rows, vectors and long texts shortened."""
    records = [
        dg.TableRecord(
            {name: _cell(value) for name, value in zip(map(str, frame.columns), row, strict=True)}
        )
        for row in frame.head(PREVIEW_ROWS).itertuples(index=False)
    ]
    return dg.MetadataValue.table(records, schema=schema)


def _cell(value: Any) -> str | int | float | bool:
    if isinstance(value, (np.ndarray, list)):
        text = str(list(value[:8]))
    elif pd.isna(value):
        return ""
    elif isinstance(value, (bool, int, float)):
        return value
    else:
        text = str(value)
    return text if len(text) <= 120 else text[:119] + "…"
