"""Where the columns of tables come from, one step back: what the UI shows as their lineage.

The SQL models' lineage is read from their SQL (`sql_models`); the tables' own is said here, because
Python can't be asked. It ends at `ANNOTATIONS`: the columns of the benchmarks' own files.
"""

from __future__ import annotations

from collections.abc import Iterator

from resources.sql_models import Lineage
from resources.tables import TABLES

ANNOTATIONS = "annotations"
"""The benchmarks' files as one external asset."""

_MIR, _SENTENCES = "EPIC_100_retrieval_test", "EPIC_100_retrieval_test_sentence"
_SOUNDS, _MCQ, _OWN = "EPIC_Sounds_validation", "egomcq", "own_table"

ANNOTATION_COLUMNS: dict[str, str] = {
    f"{_MIR}.narration_id": "EPIC-KITCHENS-100: the clip.",
    f"{_MIR}.participant_id": "Who recorded it.",
    f"{_MIR}.video_id": "The recording.",
    f"{_MIR}.start_timestamp": "HH:MM:SS.ss.",
    f"{_MIR}.stop_timestamp": "HH:MM:SS.ss.",
    f"{_MIR}.narration": "What is seen, in the annotator's words.",
    f"{_MIR}.verb_class": "The verb's class.",
    f"{_MIR}.all_noun_classes": "The nouns' classes, as a list.",
    f"{_SENTENCES}.narration_id": "The clip that a query text was written for.",
    f"{_SOUNDS}.annotation_id": "EPIC-SOUNDS: the segment.",
    f"{_SOUNDS}.participant_id": "Who recorded it.",
    f"{_SOUNDS}.video_id": "The recording.",
    f"{_SOUNDS}.start_timestamp": "HH:MM:SS.ss.",
    f"{_SOUNDS}.stop_timestamp": "HH:MM:SS.ss.",
    f"{_SOUNDS}.class": "The name of the sound class.",
    f"{_SOUNDS}.class_id": "Its number.",
    f"{_MCQ}.question": "EgoMCQ: the question's key.",
    f"{_MCQ}.types": "Inter-video or intra-video.",
    f"{_MCQ}.query": "The clip whose text is asked for.",
    f"{_MCQ}.choices": "Five clips: recording, times, text.",
    f"{_MCQ}.answer": "Which of them is right.",
    f"{_OWN}.clip_id": "A table of one's own, with the columns that the config names: the clip.",
    f"{_OWN}.media": "Its recording.",
    f"{_OWN}.participant_id": "Who recorded it.",
    f"{_OWN}.start_s": "Its start.",
    f"{_OWN}.stop_s": "Its end.",
    f"{_OWN}.text": "Its texts.",
    f"{_OWN}.class": "Its class.",
    f"{_OWN}.relevance": "Relevant pairs, in a file of their own.",
}


def _files(*columns: str) -> tuple[str, ...]:
    return tuple(f"{ANNOTATIONS}.{column}" for column in columns)


_CLIP_ID = _files(
    f"{_MIR}.narration_id", f"{_SOUNDS}.annotation_id", f"{_MCQ}.choices", f"{_OWN}.clip_id"
)
_VIDEO = _files(f"{_MIR}.video_id", f"{_SOUNDS}.video_id", f"{_MCQ}.choices", f"{_OWN}.media")
_TEXT = _files(f"{_MIR}.narration", f"{_SOUNDS}.class", f"{_MCQ}.choices", f"{_OWN}.text")
_VERB = _files(f"{_MIR}.verb_class", f"{_SOUNDS}.class_id", f"{_OWN}.class")
_NOUNS = _files(f"{_MIR}.all_noun_classes")
_TEXTS = ("captions.text", "questions.text")
_RANKED = (
    "audio_embeddings.vector",
    "text_embeddings.vector",
    "captions.verb_class",
    "captions.noun_classes",
    "clips.verb_class",
    "clips.noun_classes",
    "relevance.relevance",
    "questions.options",
    "questions.answer",
)
_LEVEL = ("subset_members.subset",)

_ORIGINS: dict[str, dict[str, tuple[str, ...]]] = {
    "media": {"video_id": _VIDEO},
    "clips": {
        "clip_id": _CLIP_ID,
        "video_id": _VIDEO,
        "participant_id": _files(
            f"{_MIR}.participant_id", f"{_SOUNDS}.participant_id", f"{_OWN}.participant_id"
        ),
        "start_s": _files(
            f"{_MIR}.start_timestamp", f"{_SOUNDS}.start_timestamp", f"{_MCQ}.choices",
            f"{_OWN}.start_s",
        ),
        "stop_s": (
            *_files(
                f"{_MIR}.stop_timestamp", f"{_SOUNDS}.stop_timestamp", f"{_MCQ}.choices",
                f"{_OWN}.stop_s",
            ),
            "media.duration_s",
        ),
        "text": _TEXT,
        "text_id": _TEXT,
        "verb_class": _VERB,
        "noun_classes": _NOUNS,
        "usable": ("media.usable", "media.duration_s"),
        "reason": ("media.reason",),
    },
    "captions": {
        "caption_id": _files(
            f"{_SENTENCES}.narration_id", f"{_SOUNDS}.class", f"{_OWN}.clip_id"
        ),
        "clip_id": _files(f"{_SENTENCES}.narration_id", f"{_OWN}.clip_id"),
        "text": _TEXT,
        "text_id": _TEXT,
        "verb_class": _VERB,
        "noun_classes": _NOUNS,
    },
    "relevance": {"relevance": _files(f"{_OWN}.relevance")},
    "questions": {
        "question_id": _files(f"{_MCQ}.question"),
        "kind": _files(f"{_MCQ}.types"),
        "text": _files(f"{_MCQ}.query"),
        "text_id": _files(f"{_MCQ}.query"),
        "options": _files(f"{_MCQ}.choices"),
        "answer": _files(f"{_MCQ}.answer"),
        "usable": ("clips.usable", "clips.text"),
    },
    "descriptions": {
        "text_id": ("captions.text_id", "questions.text_id"),
        "variant": ("prompts.variant",),
        "text": _TEXTS,
        "description": (*_TEXTS, "prompts.template", "prompts.examples", "prompts.model"),
        "model": ("prompts.model",),
    },
    "informativeness": {
        "text_id": ("captions.text_id", "questions.text_id"),
        "grader": ("prompts.variant",),
        "text": _TEXTS,
        "level": (*_TEXTS, "prompts.template", "prompts.model"),
        "reason": (*_TEXTS, "prompts.template", "prompts.model"),
        "model": ("prompts.model",),
    },
    "prompts": {"examples": ("few_shot_examples.visual_text", "few_shot_examples.audio_caption")},
    "requests": {
        "variant": ("prompts.variant",),
        "text_ids": ("captions.text_id", "questions.text_id"),
        "model": ("prompts.model",),
    },
    "text_styles": {
        "text": (*_TEXTS, "descriptions.description"),
        "variant": ("descriptions.variant",),
    },
    "subset_members": {
        "grader": ("informativeness.grader",),
        "subset": ("informativeness.level",),
        "item_id": ("clips.clip_id", "captions.caption_id", "questions.question_id"),
    },
    "audio_embeddings": {
        "clip_id": ("clips.clip_id",),
        "vector": ("media.content_hash", "clips.start_s", "clips.stop_s"),
    },
    "text_embeddings": {
        "text_id": ("captions.text_id", "questions.text_id", "descriptions.description"),
        "vector": (*_TEXTS, "descriptions.description"),
    },
    "query_scores": {
        "encoder": ("audio_embeddings.encoder", "text_embeddings.encoder"),
        "variant": ("descriptions.variant",),
        "grader": ("subset_members.grader",),
        "subset": _LEVEL,
        "crop_rule": ("audio_embeddings.crop_rule",),
        "query_id": ("captions.caption_id", "clips.clip_id", "questions.question_id"),
        "video_id": ("clips.video_id",),
        "value": (*_RANKED, *_LEVEL),
        "rank": (*_RANKED, *_LEVEL),
    },
    "query_hits": {
        "encoder": ("audio_embeddings.encoder", "text_embeddings.encoder"),
        "variant": ("descriptions.variant",),
        "query_id": ("captions.caption_id", "clips.clip_id"),
    },
    "exclusions": {
        "item_id": ("media.video_id", "clips.clip_id", "captions.caption_id",
                    "questions.question_id"),
        "encoder": ("embedding_exclusions.encoder", "text_embedding_exclusions.encoder"),
        "reason": ("media.reason", "clips.reason", "questions.reason",
                   "description_exclusions.reason", "informativeness_exclusions.reason",
                   "embedding_exclusions.reason", "text_embedding_exclusions.reason"),
    },
}  # fmt: skip

_FROM_QUERY_SCORES = (
    "encoder", "variant", "grader", "subset", "protocol", "direction", "relevance_kind",
    "crop_rule", "similarity", "recall_rule", "metric",
)  # fmt: skip


def column_origins(table: str) -> dict[str, list[tuple[str, str]]]:
    """For each column of a table that comes from others: (table or `ANNOTATIONS`, column) pairs.

    A column without origins is made by its own stage: measured, counted, or set by the config.
    """
    origins = dict(_ORIGINS.get(table, {}))
    if table in ("scores", "comparisons"):
        origins = {name: (f"query_scores.{name}",) for name in _FROM_QUERY_SCORES}
        value = "value" if table == "scores" else "delta"
        for name in (value, "ci_low", "ci_high", "queries"):
            origins[name] = ("query_scores.value",)
    return {
        column: [(name.partition(".")[0], name.partition(".")[2]) for name in found]
        for column, found in origins.items()
        if column in TABLES[table].names
    }


def traced(name: str, models: Lineage) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each column of a table or SQL model that comes from others, followed to the annotations.

    Args:
        name: the table or model.
        models: the lineage of the SQL models (`sql_models.column_lineage`).

    Yields:
        (column, what it is made from one step back, the annotation columns that it rests on).
    """
    for column, origins in _one_step(name, models).items():
        if origins:
            yield column, [".".join(origin) for origin in origins], _ends(origins, models)


def _one_step(name: str, models: Lineage) -> dict[str, list[tuple[str, str]]]:
    if name in models:
        return models[name]
    return column_origins(name) if name in TABLES else {}


def _ends(origins: list[tuple[str, str]], models: Lineage) -> list[str]:
    """The annotation columns behind some columns."""
    seen: set[tuple[str, str]] = set()
    waiting = list(origins)
    while waiting:
        table, column = waiting.pop()
        if (table, column) not in seen:
            seen.add((table, column))
            waiting += _one_step(table, models).get(column, [])
    return sorted(column for table, column in seen if table == ANNOTATIONS)
