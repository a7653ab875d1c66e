"""AudioEpicMIR from the EPIC-KITCHENS-100 retrieval files (method section 2).

A clip is a row of the test CSV, cut by its time columns: the frame columns count 60 frames a
second whatever the video has, and are not read. A caption is a row of the sentence CSV, but only
its id is used: in the published file the texts of the last rows are shifted by one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assets.benchmarks.annotation_files import (
    Problems,
    Row,
    check_span,
    check_unique,
    parse_class,
    parse_class_list,
    parse_id,
    parse_media_id,
    parse_text,
    parse_timestamp,
    read_rows,
)
from assets.benchmarks.annotations import Alteration, Annotations, caption_frame, clip_frame
from resources.settings import EpicMirSettings

CLIP_FILE_COLUMNS = (
    "narration_id",
    "participant_id",
    "video_id",
    "start_timestamp",
    "stop_timestamp",
    "narration",
    "verb_class",
    "all_noun_classes",
)
SENTENCE_FILE_COLUMNS = ("narration_id", "narration")
VERB_CLASSES = 97
NOUN_CLASSES = 300
SENTENCE_TEXT_DIFFERS = "text corrected"


def source_files(settings: EpicMirSettings) -> tuple[Path, ...]:
    """The annotation files."""
    return (settings.clips, settings.sentences)


def read(settings: EpicMirSettings, benchmark: str) -> Annotations:
    """Read clips and captions.

    Raises:
        AnnotationError: a file can't be used; every bad row is named.
    """
    clips = _read_clips(settings.clips)
    sentences = _read_sentences(settings.sentences, clips, settings.clips)
    captions = [
        {
            "caption_id": row["narration_id"],
            "clip_id": row["narration_id"],
            **{key: clips[row["narration_id"]][key] for key in _SHARED},
        }
        for row in sentences
    ]
    return Annotations(
        benchmark,
        clips=clip_frame(clips.values()),
        captions=caption_frame(captions),
        alterations=tuple(_corrections(settings.sentences, sentences, clips)),
        warnings=tuple(_shifted_tail(settings.sentences, sentences, clips)),
    )


_SHARED = ("text", "verb_class", "noun_classes")


def _read_clips(path: Path) -> dict[str, dict[str, Any]]:
    rows = read_rows(path, CLIP_FILE_COLUMNS)
    problems = Problems(path)
    check_unique(problems, ((row.line, row["narration_id"]) for row in rows), "narration_id")
    clips = [_clip(row, problems) for row in rows]
    problems.raise_any()
    return {clip["clip_id"]: clip for clip in clips}


def _clip(row: Row, problems: Problems) -> dict[str, Any]:
    start = problems.cell(row, "start_timestamp", parse_timestamp)
    stop = problems.cell(row, "stop_timestamp", parse_timestamp)
    check_span(problems, row, start, stop)
    return {
        "clip_id": problems.cell(row, "narration_id", parse_id),
        "video_id": problems.cell(row, "video_id", parse_media_id),
        "participant_id": problems.cell(row, "participant_id", parse_media_id),
        "start_s": start,
        "stop_s": stop,
        "text": problems.cell(row, "narration", parse_text),
        "verb_class": problems.cell(row, "verb_class", parse_class(VERB_CLASSES)),
        "noun_classes": problems.cell(row, "all_noun_classes", parse_class_list(NOUN_CLASSES)),
    }


def _read_sentences(
    path: Path, clips: Mapping[str, Mapping[str, Any]], clips_path: Path
) -> list[Row]:
    rows = read_rows(path, SENTENCE_FILE_COLUMNS)
    problems = Problems(path)
    check_unique(problems, ((row.line, row["narration_id"]) for row in rows), "narration_id")
    for row in rows:
        if row["narration_id"] not in clips:
            problems.add(
                row.line, f"narration_id {row['narration_id']!r} is no clip of {clips_path.name}"
            )
    problems.raise_any()
    return rows


def _corrections(
    path: Path, sentences: Sequence[Row], clips: Mapping[str, Mapping[str, Any]]
) -> list[Alteration]:
    """Captions whose text is not the one that the sentence file gives."""
    return [
        Alteration(
            "caption",
            row["narration_id"],
            SENTENCE_TEXT_DIFFERS,
            f"{path.name} line {row.line} says {row['narration']!r}; its clip's row says "
            f"{clips[row['narration_id']]['text']!r}, which is used",
        )
        for row in sentences
        if row["narration"] != clips[row["narration_id"]]["text"]
    ]


def _shifted_tail(
    path: Path, sentences: Sequence[Row], clips: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Name the last rows if each carries the text of the row before it (method section 2.5)."""
    texts = [clips[row["narration_id"]]["text"] for row in sentences]
    first = len(sentences)
    while first > 1 and sentences[first - 1]["narration"] == texts[first - 2]:
        first -= 1
    tail = range(first, len(sentences))
    wrong = [index for index in tail if sentences[index]["narration"] != texts[index]]
    if not wrong:
        return []
    right = [sentences[index]["narration_id"] for index in tail if index not in wrong]
    by_luck = f"; right by luck: {', '.join(right)}" if right else ""
    return [
        f"{path}: the texts of the last {len(tail)} rows (line {sentences[first].line} on) are "
        f"shifted by one row; {len(wrong)} were corrected from the clips' rows{by_luck}"
    ]
