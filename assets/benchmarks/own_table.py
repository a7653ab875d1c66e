"""A benchmark of the user's own, described in the config: no code needed.

One table, CSV or Parquet, holds a clip a row: its id, its recording, times if it is a part of one,
one or more texts, and a class if there is one. A second may say which pairs are relevant.
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
    parse_id,
    parse_media_id,
    parse_seconds,
    parse_text,
    read_rows,
)
from assets.benchmarks.annotations import Annotations, caption_frame, clip_frame, relevance_frame
from resources.settings import TableSettings

PAIR_COLUMNS = ("caption_id", "clip_id", "relevance")


def source_files(settings: TableSettings) -> tuple[Path, ...]:
    """The table of clips, and that of pairs if there is one."""
    return (settings.clips, *([settings.relevance] if settings.relevance else []))


def read(settings: TableSettings, benchmark: str) -> Annotations:
    """Read clips and pairs; each text column makes captions, an empty cell none.

    A caption's id is its clip's, followed by `|` and its column's name where there are several.

    Raises:
        AnnotationError: a file can't be used; every bad row is named.
    """
    names = settings.columns
    # A column that the config names has to be there; by its default name it may be absent.
    named = [getattr(names, role) for role in sorted(names.model_fields_set)]
    wanted = dict.fromkeys((names.clip_id, names.media, *settings.texts, *named))
    rows = read_rows(settings.clips, tuple(wanted))
    problems = Problems(settings.clips)
    _check_times(problems, rows[0], settings)
    check_unique(problems, ((row.line, row[names.clip_id]) for row in rows), names.clip_id)
    classes = _numbered_classes(rows, names.sound_class)
    clips = [_clip(row, problems, settings, classes) for row in rows]
    problems.raise_any()
    captions = [
        caption
        for row, clip in zip(rows, clips, strict=True)
        for caption in _captions(row, clip, settings.texts)
    ]
    pairs = _read_pairs(settings.relevance, captions, clips) if settings.relevance else []
    return Annotations(
        benchmark,
        clips=clip_frame(clips),
        captions=caption_frame(captions),
        relevance=relevance_frame(pairs),
    )


def _check_times(problems: Problems, row: Row, settings: TableSettings) -> None:
    names = settings.columns
    given = [name for name in (names.start_s, names.stop_s) if name in row.cells]
    if len(given) == 1:
        problems.add(
            1, f"column {given[0]} comes with no other: name both times of a clip, or none"
        )


def _numbered_classes(rows: Sequence[Row], column: str) -> dict[str, int]:
    """Class labels as numbers, in order of their names; none where there is no such column."""
    labels = sorted({row.cells.get(column, "") for row in rows} - {""})
    return {label: number for number, label in enumerate(labels)}


def _clip(
    row: Row, problems: Problems, settings: TableSettings, classes: Mapping[str, int]
) -> dict[str, Any]:
    names = settings.columns
    start: float | None = 0.0
    stop: float | None = None
    if names.start_s in row.cells and names.stop_s in row.cells:
        start = problems.cell(row, names.start_s, parse_seconds)
        stop = problems.cell(row, names.stop_s, parse_seconds)
        check_span(problems, row, start, stop)
    participant = row.cells.get(names.participant_id)
    if participant:
        participant = problems.cell(row, names.participant_id, parse_media_id)
    if classes and not row[names.sound_class]:
        problems.add(row.line, f"{names.sound_class}: empty, where other clips have a class")
    return {
        "clip_id": problems.cell(row, names.clip_id, parse_id),
        "video_id": problems.cell(row, names.media, parse_media_id),
        "participant_id": participant or None,
        "start_s": start,
        "stop_s": stop,
        "text": problems.cell(row, settings.texts[0], parse_text),
        "verb_class": classes.get(row.cells.get(names.sound_class, "")),
        "noun_classes": None,
    }


def _captions(row: Row, clip: Mapping[str, Any], columns: Sequence[str]) -> list[dict[str, Any]]:
    clip_id = clip["clip_id"]
    return [
        {
            "caption_id": clip_id if len(columns) == 1 else f"{clip_id}|{column}",
            "clip_id": clip_id,
            "text": row[column],
            "verb_class": clip["verb_class"],
            "noun_classes": None,
        }
        for column in columns
        if row[column].strip()
    ]


def _read_pairs(
    path: Path, captions: Sequence[Mapping[str, Any]], clips: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    rows = read_rows(path, PAIR_COLUMNS)
    problems = Problems(path)
    known = {
        "caption_id": {caption["caption_id"] for caption in captions},
        "clip_id": {clip["clip_id"] for clip in clips},
    }
    for row in rows:
        for column, ids in known.items():
            if row[column] not in ids:
                problems.add(row.line, f"{column} {row[column]!r} is none of the table of clips")
    pairs = ((row.line, f"{row['caption_id']}, {row['clip_id']}") for row in rows)
    check_unique(problems, pairs, "the pair")
    found = [
        {
            "caption_id": row["caption_id"],
            "clip_id": row["clip_id"],
            "relevance": problems.cell(row, "relevance", _parse_relevance),
        }
        for row in rows
    ]
    problems.raise_any()
    return found


def _parse_relevance(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"{cell!r} is no relevance; write a number from 0 to 1")
    return value
