"""Declares the embedding tables: audio and text vectors, and what has none."""

from typing import Any

from assets.embeddings.audio import embed_clips, training_clips_embedded
from assets.embeddings.fingerprints import crop_rules, encoder_fingerprints
from assets.embeddings.ray_engine import chosen_engine, chosen_text_engine
from assets.embeddings.results import Embeddings
from assets.embeddings.texts import embed_texts, wanted_texts
from resources.table_assets.checks import table_check
from resources.table_assets.declared import table_asset
from resources.table_assets.stage import Made, Stage
from resources.tables import (
    AUDIO_EMBEDDINGS,
    CAPTIONS,
    CLIPS,
    DESCRIPTIONS,
    EMBEDDING_EXCLUSIONS,
    MEDIA,
    QUESTIONS,
    TEXT_EMBEDDING_EXCLUSIONS,
    TEXT_EMBEDDINGS,
)


def _encoders(stage: Stage) -> Any:
    return encoder_fingerprints(stage.settings)


def _encoders_and_crops(stage: Stage) -> Any:
    return [_encoders(stage), crop_rules(stage.settings), stage.settings.seeds]


@table_asset(
    AUDIO_EMBEDDINGS,
    EMBEDDING_EXCLUSIONS,
    reads=[CLIPS, MEDIA],
    code_version="1",
    version=_encoders_and_crops,
    pool="encoders",
)
def audio_embeddings(stage: Stage) -> tuple[Made, Made]:
    """One unit vector for each usable clip, encoder and seed; only unknown ones are computed."""
    made = embed_clips(
        stage.settings,
        stage.benchmark,
        stage.table(CLIPS),
        stage.table(MEDIA),
        previous=stage.previous(AUDIO_EMBEDDINGS, ["clip_id", "encoder", "seed"]),
        progress=stage.progress("clips"),
        engine=chosen_engine(stage.settings),
    )
    return _tables(made)


@table_asset(
    TEXT_EMBEDDINGS,
    TEXT_EMBEDDING_EXCLUSIONS,
    reads=[CAPTIONS, CLIPS, QUESTIONS, DESCRIPTIONS],
    code_version="1",
    version=_encoders,
    pool="encoders",
)
def text_embeddings(stage: Stage) -> tuple[Made, Made]:
    """One unit vector for each distinct text and encoder; only unknown ones are computed."""
    texts = wanted_texts(
        stage.table(CAPTIONS),
        stage.table(CLIPS),
        stage.table(QUESTIONS),
        stage.table(DESCRIPTIONS),
    )
    made = embed_texts(
        stage.settings,
        stage.benchmark,
        texts,
        previous=stage.previous(TEXT_EMBEDDINGS, ["text_id", "encoder"]),
        progress=stage.progress,
        engine=chosen_text_engine(stage.settings),
    )
    return _tables(made)


def _tables(made: Embeddings) -> tuple[Made, Made]:
    """Both tables; while a row failed that another run may fill, they are made again.

    The second counts nothing of its own: what it lists is counted as failed in the first.
    """
    counts = made.counts.as_metadata()
    whole = made.counts.failed == 0
    return Made(made.embeddings, counts, complete=whole), Made(made.exclusions)


@table_check(AUDIO_EMBEDDINGS, blocking=True)
def no_training_recording_is_embedded(stage: Stage) -> list[str]:
    """A recording that an encoder was fitted on must never be scored with it."""
    embedded = stage.lake.columns(AUDIO_EMBEDDINGS, stage.benchmark, ["clip_id", "encoder"])
    offending = training_clips_embedded(
        stage.settings, stage.table(CLIPS), stage.table(MEDIA), embedded
    )
    return [f"{row.encoder}: {row.clip_id} of {row.video_id}" for row in offending.itertuples()]


EMBEDDING_CHECKS = (no_training_recording_is_embedded,)
EMBEDDING_TABLES = (audio_embeddings, text_embeddings)
