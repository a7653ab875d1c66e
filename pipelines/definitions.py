"""Assembly only: everything Dagster knows of this project, put together from its declarations."""

from __future__ import annotations

import os

import dagster as dg

from assets.reports.assets import CHAIN, listening, report, warehouse
from pipelines.automation import TaggedProject, inputs_changed, nightly
from pipelines.failures import failure_told
from pipelines.jobs import CHECKS, refresh, reports
from resources.config_file import load_settings
from resources.settings import LIMIT_VARIABLE, Settings
from resources.table_assets.declared import LakeIOManager
from resources.table_assets.shown import annotations_spec


def build_definitions(settings: Settings, budget_usd: float | None = None) -> dg.Definitions:
    """All assets, the job, the sensor and the schedule, for one config and a budget of its own."""
    benchmarks = dg.StaticPartitionsDefinition(list(settings.benchmarks))
    project = TaggedProject(
        config_file=str(settings.config_file), limit=settings.limit, budget_usd=budget_usd
    )
    return dg.Definitions(
        assets=[
            annotations_spec(),
            *(table.definition(benchmarks) for table in CHAIN),
            warehouse,
            report,
            listening,
        ],
        asset_checks=[
            *(check for table in CHAIN for check in table.checks(benchmarks)),
            *(check.definition(benchmarks) for check in CHECKS),
        ],
        jobs=[refresh(), reports()],
        sensors=[inputs_changed(settings), failure_told(settings)],
        schedules=[nightly(settings)],
        resources={"project": project, "lake": LakeIOManager(project=project)},
        executor=dg.in_process_executor,
    )


_limit = os.environ.get(LIMIT_VARIABLE)
defs = build_definitions(load_settings(limit=int(_limit) if _limit else None))
