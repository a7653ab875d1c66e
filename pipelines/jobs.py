"""The checks, and the job `refresh`, that carries a change through the chain of assets.

One run then carries an edit from prompt file to published tables in one process; two partition
dimensions can't be spanned by a run, and a process a step costs seconds each.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets.descriptions.assets import DESCRIPTION_CHECKS
from assets.embeddings.assets import EMBEDDING_CHECKS
from assets.retrieval.assets import RETRIEVAL_CHECKS
from resources.table_assets.checks import TableCheck

REFRESH = "refresh"
REPORTS = "reports"
PARTITION_TAG = "dagster/partition"
"""On a run: its benchmark."""

CHECKS: tuple[TableCheck, ...] = (*DESCRIPTION_CHECKS, *EMBEDDING_CHECKS, *RETRIEVAL_CHECKS)
"""What is checked beyond the table models."""


def refresh() -> Any:
    """All assets, for one benchmark, in one process."""
    return dg.define_asset_job(
        REFRESH,
        selection=dg.AssetSelection.all(),
        executor_def=dg.in_process_executor,
        description="Everything of one benchmark, from annotations to published tables; "
        "only what changed is computed.",
    )


def reports() -> Any:
    """What people read and what they said, made anew from tables that are there already."""
    return dg.define_asset_job(
        REPORTS,
        selection=dg.AssetSelection.groups(REPORTS),
        executor_def=dg.in_process_executor,
        description="Ratings, the DuckDB file and the report, of all benchmarks.",
    )
