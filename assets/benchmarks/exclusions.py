"""What this stage leaves out or alters, one row each, for the table `exclusions`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from assets.benchmarks.annotations import Annotations
from resources.tables import EXCLUSIONS

STAGE = "benchmarks"
SHORTENED = "shortened"


def benchmark_exclusions(
    annotations: Annotations, media: pd.DataFrame, clips: pd.DataFrame, questions: pd.DataFrame
) -> pd.DataFrame:
    """Name every recording, clip and question that is not used, and every altered item.

    Args:
        annotations: the benchmark's files.
        media: its `MEDIA` frame.
        clips: its `CLIPS` frame.
        questions: its `QUESTIONS` frame.

    Returns:
        An `EXCLUSIONS` frame; of each kind, rows read = rows used + rows here that are `excluded`.
    """
    rows = [
        *_media(media),
        *_clips(clips, media),
        *_shortened(clips, annotations.clips),
        *_questions(questions, clips),
        *(
            _row(item.item_kind, item.item_id, "altered", item.reason, item.detail)
            for item in annotations.alterations
        ),
    ]
    return EXCLUSIONS.frame({"benchmark": annotations.benchmark, **row} for row in rows)


def _row(
    item_kind: str, item_id: str, effect: str, reason: str, detail: str | None
) -> dict[str, Any]:
    return {
        "item_kind": item_kind,
        "item_id": item_id,
        "effect": effect,
        "stage": STAGE,
        "reason": reason,
        "detail": detail,
    }


def _media(media: pd.DataFrame) -> Iterator[dict[str, Any]]:
    unusable = media[~media["usable"]]
    for video_id, reason in zip(unusable["video_id"], unusable["reason"], strict=True):
        words, _, detail = reason.partition(": ")
        yield _row("media", video_id, "excluded", words, detail or None)


def _clips(clips: pd.DataFrame, media: pd.DataFrame) -> Iterator[dict[str, Any]]:
    unusable = clips[~clips["usable"]].merge(
        media[["video_id", "duration_s", "usable", "reason"]],
        on="video_id",
        suffixes=("", "_of_recording"),
    )
    for clip in unusable.to_dict("records"):
        recording = (
            f"whose audio lasts {clip['duration_s']:.3f} s"
            if clip["usable_of_recording"]
            else f"a recording that can't be used ({clip['reason_of_recording']})"
        )
        end = "its end" if pd.isna(clip["stop_s"]) else f"{clip['stop_s']:g} s"
        detail = f"{clip['start_s']:g} s to {end} of {clip['video_id']}, {recording}"
        yield _row("clip", clip["clip_id"], "excluded", clip["reason"], detail)


def _shortened(clips: pd.DataFrame, given: pd.DataFrame) -> Iterator[dict[str, Any]]:
    stops = dict(zip(given["clip_id"], given["stop_s"], strict=True))
    for clip in clips[clips["shortened"]].to_dict("records"):
        detail = (
            f"annotated to {stops[clip['clip_id']]:g} s, cut where {clip['video_id']} ends, "
            f"at {clip['stop_s']:.3f} s"
        )
        yield _row("clip", clip["clip_id"], "altered", SHORTENED, detail)


def _questions(questions: pd.DataFrame, clips: pd.DataFrame) -> Iterator[dict[str, Any]]:
    unusable = dict(
        clips.loc[~clips["usable"], ["clip_id", "reason"]].itertuples(index=False, name=None)
    )
    for question in questions[~questions["usable"]].to_dict("records"):
        options = [f"{o} ({unusable[o]})" for o in question["options"] if o in unusable]
        detail = f"{question['text']!r}"
        if options:
            detail += f"; options that can't be used: {', '.join(options)}"
        yield _row("question", question["question_id"], "excluded", question["reason"], detail)
