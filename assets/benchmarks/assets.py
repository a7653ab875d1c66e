"""Declares the benchmark tables: recordings, clips, captions, relevance pairs, questions."""

from typing import Any

import pandas as pd

from assets.benchmarks.adapters import read_annotations, source_stats, source_version
from assets.benchmarks.clips import build_clips
from assets.benchmarks.queries import build_captions, build_relevance
from assets.benchmarks.questions import build_questions, failed_filters
from assets.benchmarks.recordings import given_up, media_inventory
from resources.table_assets.declared import table_asset
from resources.table_assets.stage import Made, Stage
from resources.tables import CAPTIONS, CLIPS, MEDIA, QUESTIONS, RELEVANCE


def _annotations(stage: Stage) -> Any:
    """The annotation files' contents, and how they are to be read."""
    return [
        source_version(stage.settings, stage.benchmark),
        stage.settings.benchmarks[stage.benchmark].model_dump(mode="json"),
        stage.settings.limit,
    ]


def _annotations_and_media(stage: Stage) -> Any:
    """The same, and where recordings lie, with their sizes and times."""
    return [
        _annotations(stage),
        stage.settings.media_patterns(stage.benchmark),
        source_stats(stage.settings, stage.benchmark),
    ]


@table_asset(MEDIA, code_version="1", version=_annotations_and_media)
def media(stage: Stage) -> Made:
    """Find, probe and hash every recording that the annotations name."""
    annotations = read_annotations(stage.settings, stage.benchmark)
    for warning in annotations.warnings:
        stage.log(f"warning: {warning}")
    found = media_inventory(stage.settings, annotations, stage.progress("recordings"))
    return Made.whole(found, failed=given_up(found))


@table_asset(CLIPS, reads=[MEDIA], code_version="1", version=_annotations)
def clips(stage: Stage) -> Made:
    """Place every clip in its recording, cut it at the end, and measure how loud it is."""
    annotations = read_annotations(stage.settings, stage.benchmark)
    recordings = stage.table(MEDIA)
    found = build_clips(stage.settings, annotations, recordings, stage.progress("clips"))
    return Made.whole(found, failed=given_up(found))


@table_asset(CAPTIONS, code_version="1", version=_annotations)
def captions(stage: Stage) -> pd.DataFrame:
    """The query texts, each with its clip's own text and classes."""
    return build_captions(read_annotations(stage.settings, stage.benchmark))


@table_asset(RELEVANCE, code_version="1", version=_annotations)
def relevance(stage: Stage) -> pd.DataFrame:
    """The relevant pairs that a user's own benchmark brings."""
    return build_relevance(read_annotations(stage.settings, stage.benchmark))


@table_asset(QUESTIONS, reads=[CLIPS], code_version="1", version=_annotations)
def questions(stage: Stage) -> Made:
    """The multiple-choice questions, and which of them pass the filters."""
    annotations = read_annotations(stage.settings, stage.benchmark)
    found = stage.table(CLIPS)
    failed = failed_filters(stage.settings, annotations, found).sum()
    filters = {f"fails: {name}": int(count) for name, count in failed.items()}
    return Made.whole(build_questions(stage.settings, annotations, found), filters)


BENCHMARK_TABLES = (media, clips, captions, relevance, questions)
