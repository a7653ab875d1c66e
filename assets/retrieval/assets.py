"""Declares the tables of numbers: scores of queries, scores, comparisons; and what was left out."""

from typing import Any

import pandas as pd

from assets.benchmarks.adapters import read_annotations, source_version
from assets.benchmarks.exclusions import benchmark_exclusions
from assets.retrieval.exclusions import embedding_rows, gather
from assets.retrieval.galleries import RetrievalTables
from assets.retrieval.scoring import score_queries
from assets.retrieval.summaries import aggregate_scores, compare_variants, unclear_gains
from resources.table_assets.checks import table_check
from resources.table_assets.declared import table_asset
from resources.table_assets.stage import Stage
from resources.tables import (
    AUDIO_EMBEDDINGS,
    CAPTIONS,
    CLIPS,
    COMPARISONS,
    DESCRIPTION_EXCLUSIONS,
    DESCRIPTIONS,
    EMBEDDING_EXCLUSIONS,
    EXCLUSIONS,
    INFORMATIVENESS_EXCLUSIONS,
    MEDIA,
    QUERY_HITS,
    QUERY_SCORES,
    QUESTIONS,
    RELEVANCE,
    SCORES,
    SUBSET_MEMBERS,
    TEXT_EMBEDDING_EXCLUSIONS,
    TEXT_EMBEDDINGS,
)

SCORED = (
    CLIPS,
    CAPTIONS,
    RELEVANCE,
    QUESTIONS,
    DESCRIPTIONS,
    SUBSET_MEMBERS,
    AUDIO_EMBEDDINGS,
    TEXT_EMBEDDINGS,
)
"""The tables that scoring reads, in the order of `RetrievalTables`."""


def _metrics(stage: Stage) -> Any:
    return stage.settings.metrics.model_dump(mode="json")


def _tables(stage: Stage) -> RetrievalTables:
    return RetrievalTables(**{model.name: stage.table(model) for model in SCORED})


@table_asset(
    QUERY_SCORES,
    QUERY_HITS,
    EXCLUSIONS,
    reads=[
        *SCORED,
        MEDIA,
        DESCRIPTION_EXCLUSIONS,
        INFORMATIVENESS_EXCLUSIONS,
        EMBEDDING_EXCLUSIONS,
        TEXT_EMBEDDING_EXCLUSIONS,
    ],
    code_version="1",
    version=lambda stage: [_metrics(stage), source_version(stage.settings, stage.benchmark)],
)
def query_scores(stage: Stage) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Every query's scores and hits, and everything that any stage left out of them."""
    tables = _tables(stage)
    scored = score_queries(tables, stage.settings.metrics)
    annotations = read_annotations(stage.settings, stage.benchmark)
    exclusions = gather(
        [
            benchmark_exclusions(annotations, stage.table(MEDIA), tables.clips, tables.questions),
            stage.table(DESCRIPTION_EXCLUSIONS),
            stage.table(INFORMATIVENESS_EXCLUSIONS),
            embedding_rows(stage.table(EMBEDDING_EXCLUSIONS)),
            embedding_rows(stage.table(TEXT_EMBEDDING_EXCLUSIONS)),
            scored.left_out,
        ]
    )
    return scored.query_scores, scored.query_hits, exclusions


@table_asset(SCORES, reads=[*SCORED, QUERY_SCORES], code_version="1", version=_metrics)
def scores(stage: Stage) -> pd.DataFrame:
    """Means over queries with 95 % intervals, random floors and ceilings."""
    return aggregate_scores(_tables(stage), stage.table(QUERY_SCORES), stage.settings.metrics)


@table_asset(COMPARISONS, reads=[*SCORED, QUERY_SCORES], code_version="1", version=_metrics)
def comparisons(stage: Stage) -> pd.DataFrame:
    """Paired differences between text variants, tested and corrected for their number."""
    return compare_variants(_tables(stage), stage.table(QUERY_SCORES), stage.settings.metrics)


@table_check(COMPARISONS, blocking=False)
def rewriting_helps(stage: Stage) -> list[str]:
    """Warns where descriptions gain nothing over the original text that can be claimed."""
    return unclear_gains(stage.table(COMPARISONS))


RETRIEVAL_CHECKS = (rewriting_helps,)
RETRIEVAL_TABLES = (query_scores, scores, comparisons)
