"""The chain of assets, and the one job, `refresh`, that carries a change through all of it.

One run then carries an edit from prompt file to published tables in one process; two partition
dimensions can't be spanned by a run, and a process a step costs seconds each.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets.benchmarks.assets import BENCHMARK_TABLES
from assets.descriptions.assets import DESCRIPTION_CHECKS, DESCRIPTION_TABLES
from assets.embeddings.assets import EMBEDDING_CHECKS, EMBEDDING_TABLES
from assets.retrieval.assets import RETRIEVAL_TABLES
from resources.table_assets import TableAsset, TableCheck

REFRESH = "refresh"

CHAIN: tuple[TableAsset, ...] = (
    *BENCHMARK_TABLES,
    *DESCRIPTION_TABLES,
    *EMBEDDING_TABLES,
    *RETRIEVAL_TABLES,
)
"""Every table's asset, in the order data flows; publication comes after them."""

CHECKS: tuple[TableCheck, ...] = (*DESCRIPTION_CHECKS, *EMBEDDING_CHECKS)
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
