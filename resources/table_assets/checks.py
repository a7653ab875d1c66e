"""Checks of tables: Great Expectations' verdict on each, and a stage's own beyond it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import dagster as dg

from resources.expectations import judge, remember, standing_failures
from resources.table_assets.shown import PREVIEW_ROWS
from resources.table_assets.stage import ProjectConfig, Stage
from resources.table_model import TableModel


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


def suite_check(model: TableModel, benchmarks: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
    """Great Expectations' check of a table, which stops what is downstream."""

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
