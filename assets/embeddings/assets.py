"""Declares the embedding tables: audio and text vectors, and what has none."""

from typing import Any

import pandas as pd

from assets.embeddings.audio import embed_clips
from assets.embeddings.fingerprints import encoder_fingerprints
from assets.embeddings.texts import embed_texts, wanted_texts
from resources.table_assets import Made, Stage, table_asset
from resources.tables import (
    AUDIO_EMBEDDINGS,
    CAPTIONS,
    CLIPS,
    DESCRIPTIONS,
    EMBEDDING_EXCLUSIONS,
    MEDIA,
    QUESTIONS,
    TEXT_EMBEDDINGS,
)


def _encoders(stage: Stage) -> Any:
    return [encoder_fingerprints(stage.settings), stage.settings.seeds]


@table_asset(
    AUDIO_EMBEDDINGS,
    EMBEDDING_EXCLUSIONS,
    reads=[CLIPS, MEDIA],
    code_version="1",
    version=_encoders,
    pool="encoders",
)
def audio_embeddings(stage: Stage) -> tuple[Made, pd.DataFrame]:
    """One unit vector for each usable clip, encoder and seed; only unknown ones are computed."""
    made = embed_clips(
        stage.settings,
        stage.benchmark,
        stage.table(CLIPS),
        stage.table(MEDIA),
        previous=stage.previous(AUDIO_EMBEDDINGS),
        progress=stage.progress("clips"),
    )
    complete = made.counts.failed == 0
    return Made(made.embeddings, made.counts.as_metadata(), complete=complete), made.exclusions


@table_asset(
    TEXT_EMBEDDINGS,
    reads=[CAPTIONS, CLIPS, QUESTIONS, DESCRIPTIONS],
    code_version="1",
    version=_encoders,
    pool="encoders",
)
def text_embeddings(stage: Stage) -> Made:
    """One unit vector for each distinct text and encoder; only unknown ones are computed."""
    texts = wanted_texts(
        stage.table(CAPTIONS),
        stage.table(CLIPS),
        stage.table(QUESTIONS),
        stage.table(DESCRIPTIONS),
    )
    frame, counts = embed_texts(
        stage.settings, stage.benchmark, texts, previous=stage.previous(TEXT_EMBEDDINGS)
    )
    return Made(frame, counts.as_metadata(), complete=counts.failed == 0)


EMBEDDING_TABLES = (audio_embeddings, text_embeddings)
