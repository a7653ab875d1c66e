"""EpicSoundsRet from the EPIC-SOUNDS segments file (method section 4).

A clip is a row. The texts to search by are the sound classes, or by config the free descriptions;
relevant is what has the caption's class, so a description that annotators gave to several classes
becomes one caption for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assets.benchmarks.annotation_files import (
    Problems,
    Row,
    check_span,
    check_unique,
    parse_class,
    parse_id,
    parse_media_id,
    parse_text,
    parse_timestamp,
    read_rows,
)
from assets.benchmarks.annotations import Annotations, caption_frame, clip_frame
from resources.settings import EpicSoundsSettings

COLUMNS = (
    "annotation_id",
    "participant_id",
    "video_id",
    "start_timestamp",
    "stop_timestamp",
    "description",
    "class",
    "class_id",
)
CLASSES = 44


def source_files(settings: EpicSoundsSettings) -> tuple[Path, ...]:
    """The annotation file."""
    return (settings.segments,)


def read(settings: EpicSoundsSettings, benchmark: str) -> Annotations:
    """Read clips, and the captions that their texts make.

    Raises:
        AnnotationError: the file can't be used; every bad row is named.
    """
    rows = read_rows(settings.segments, COLUMNS)
    problems = Problems(settings.segments)
    check_unique(problems, ((row.line, row["annotation_id"]) for row in rows), "annotation_id")
    _check_classes(problems, rows)
    clips = [_clip(row, problems, settings.text) for row in rows]
    problems.raise_any()
    names = {clip["verb_class"]: row["class"] for clip, row in zip(clips, rows, strict=True)}
    texts = dict.fromkeys((clip["text"], clip["verb_class"]) for clip in clips)
    captions = [
        {
            "caption_id": text if settings.text == "class" else f"{text}|{names[number]}",
            "clip_id": None,
            "text": text,
            "verb_class": number,
            "noun_classes": None,
        }
        for text, number in texts
    ]
    return Annotations(benchmark, clips=clip_frame(clips), captions=caption_frame(captions))


def _clip(row: Row, problems: Problems, text_column: str) -> dict[str, Any]:
    start = problems.cell(row, "start_timestamp", parse_timestamp)
    stop = problems.cell(row, "stop_timestamp", parse_timestamp)
    check_span(problems, row, start, stop)
    return {
        "clip_id": problems.cell(row, "annotation_id", parse_id),
        "video_id": problems.cell(row, "video_id", parse_media_id),
        "participant_id": problems.cell(row, "participant_id", parse_media_id),
        "start_s": start,
        "stop_s": stop,
        "text": problems.cell(row, text_column, parse_text),
        "verb_class": problems.cell(row, "class_id", parse_class(CLASSES)),
        "noun_classes": None,
    }


def _check_classes(problems: Problems, rows: Sequence[Row]) -> None:
    """A class's number and name go together throughout the file."""
    names: dict[str, str] = {}
    numbers: dict[str, str] = {}
    for row in rows:
        number, name = row["class_id"].strip(), row["class"]
        if names.setdefault(number, name) != name:
            problems.add(row.line, f"class_id {number} is {names[number]!r} above, here {name!r}")
        elif numbers.setdefault(name, number) != number:
            problems.add(row.line, f"class {name!r} is {numbers[name]} above, here {number}")
