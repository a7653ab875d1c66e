"""The authors' own files: their descriptions and levels read, and ours written in their formats.

A published twin holds the rows of an official file in the same order, with a description in the
text's place: column 8 of a clip file, column 1 of a sentence file (by position, since headers
differ), `query.clip_text` of a question file. It is joined by id, and a moved row is refused. A
subset file holds the rows of one level: a clip or sentence file names it (`_gptfiltered_low`), a
question file names the levels that were removed (`_moderate_high` is low). Questions that failed a
filter are in no file: their twin then belongs to a file of the others, `_filtered`.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from assets.benchmarks.adapters import read_annotations
from assets.benchmarks.annotation_files import AnnotationError, Problems, read_rows, read_text
from assets.benchmarks.annotations import Annotations
from assets.benchmarks.ego_mcq import clean_speaker_tags
from resources.hashing import file_sha256
from resources.settings import (
    AnyBenchmark,
    EgoMcqSettings,
    EpicMirSettings,
    EpicSoundsSettings,
    Settings,
)
from resources.tables import LEVELS, text_id

_CLIP_TEXT, _SENTENCE_TEXT = 8, 1
_EPIC_MIR_STYLE = {
    "narration_id": "annotation_id",
    "participant_id": "participant_id",
    "video_id": "video_id",
    "narration_timestamp": "start_timestamp",
    "start_timestamp": "start_timestamp",
    "stop_timestamp": "stop_timestamp",
    "start_sample": "start_sample",
    "stop_sample": "stop_sample",
    "narration": "description",
    "class": "class",
    "class_id": "class_id",
}
"""EPIC-SOUNDS' columns where the authors' loader looks for them, that of the text included."""
_SENTENCE_STYLE = ("narration_id", "narration")
_NUMBER = "\x00number:"
"""Marks a number that is written as the file had it: clip ids are made from its digits."""


@dataclass(frozen=True)
class _Item:
    """One row or question of a file: its id, its text, and where it stands."""

    item_id: str
    text: str
    place: int | str


def paper_descriptions(settings: Settings, benchmark: str) -> pd.DataFrame:
    """The descriptions of `descriptions_from`, one a distinct text of the run.

    Where rows of one text carry several descriptions, the first counts, in the order of the files.

    Returns:
        Columns text_id, text, description, and others: a tuple of the descriptions that other rows
        of the text carry. No row where the config names no file.

    Raises:
        AnnotationError: a file has other rows than the official one, or in another order.
    """
    files = settings.benchmarks[benchmark].descriptions_from
    if not files:
        return pd.DataFrame(columns=["text_id", "text", "description", "others"])
    annotations = _whole(settings, benchmark)
    texts: dict[str, str] = {}
    found: dict[str, dict[str, None]] = {}
    for path in files:
        items, originals = _items(path), _originals(annotations, path)
        _check_same_rows(path, items, originals)
        for item, original in zip(items, originals, strict=True):
            key = text_id(original.text)
            texts.setdefault(key, original.text)
            found.setdefault(key, {})[item.text] = None
    used = _texts(read_annotations(settings, benchmark))
    rows = []
    for key in (key for key in found if key in used):
        description, *others = found[key]
        rows.append((key, texts[key], description, tuple(others)))
    return pd.DataFrame(rows, columns=["text_id", "text", "description", "others"])


def paper_levels(settings: Settings, benchmark: str) -> pd.DataFrame:
    """The informativeness levels of `levels_from`, one a distinct text of the run.

    Returns:
        Columns text_id, text, level; no row where the config names no file.

    Raises:
        AnnotationError: a file's name says no level, an item is none of the benchmark's, or a text
            is in two levels.
    """
    files = settings.benchmarks[benchmark].levels_from
    if not files:
        return pd.DataFrame(columns=["text_id", "text", "level"])
    annotations = _whole(settings, benchmark)
    found: dict[str, tuple[str, str]] = {}
    for path in files:
        level = _level_of(path)
        problems = Problems(path)
        read = partial(_clean_text, settings.benchmarks[benchmark])
        # Question files are numbered anew in a subset: there the text itself is the id.
        by_text = path.suffix == ".json"
        originals = _originals(annotations, path)
        known = {text_id(o.text) if by_text else o.item_id: o.text for o in originals}
        for item in _items(path):
            text = known.get(text_id(read(item.text)) if by_text else item.item_id)
            if text is None:
                named = item.text if by_text else item.item_id
                problems.add(item.place, f"{named!r} is no item of this benchmark")
            elif found.setdefault(text_id(text), (text, level))[1] != level:
                problems.add(item.place, f"{text!r} is in another level's file too")
        problems.raise_any()
    used = _texts(read_annotations(settings, benchmark))
    rows = [(key, *values) for key, values in found.items() if key in used]
    return pd.DataFrame(rows, columns=["text_id", "text", "level"])


def published_version(settings: Settings, benchmark: str) -> list[str]:
    """The contents of the authors' files that the config names, as hashes.

    Raises:
        AnnotationError: one is missing.
    """
    given = settings.benchmarks[benchmark]
    files = (*given.descriptions_from, *given.levels_from)
    for path in files:
        if not path.is_file():
            raise AnnotationError(
                f"{path}: no such file; {benchmark} names it under `descriptions_from:` or "
                f"`levels_from:`."
            )
    return [file_sha256(path) for path in files]


def export_descriptions(
    settings: Settings,
    benchmark: str,
    descriptions: pd.DataFrame,
    folder: Path,
    filtered: Collection[str] = (),
    reasons: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write one variant's descriptions (columns text_id, description) as twins (`*_gpt`).

    Args:
        settings: the config.
        benchmark: its name.
        descriptions: `text_id, description`.
        folder: where the files are written.
        filtered: ids of the questions that failed a filter. If there are any, the others are
            written too (`*_filtered`), since the twin has their rows.
        reasons: by text id why a text has no description; one that is not named was not asked.

    Returns:
        The files written.

    Raises:
        AnnotationError: a text of the whole benchmark has no description.
    """
    by_text = dict(zip(descriptions["text_id"], descriptions["description"], strict=True))
    annotations = _asked(_whole(settings, benchmark), filtered)
    texts = _texts(annotations)
    missing = [key for key in texts if key not in by_text]
    if missing:
        lacking = Counter((reasons or {}).get(key, "not asked") for key in missing)
        counted = ", ".join(f"{reason} {count:,}" for reason, count in sorted(lacking.items()))
        raise AnnotationError(
            f"{benchmark}: {len(missing):,} of {len(texts):,} texts have no description "
            f"({counted}), first {texts[missing[0]]!r}. What was not asked is asked by a run "
            f"without a limit; what got no usable answer is asked again by the run after "
            f"`sound-approach retry`. Then export."
        )
    originals = _export(settings, annotations, folder, "", lambda text: text) if filtered else []
    twins = _export(settings, annotations, folder, "_gpt", lambda text: by_text[text_id(text)])
    return [*originals, *twins]


def export_levels(
    settings: Settings,
    benchmark: str,
    levels: pd.DataFrame,
    folder: Path,
    filtered: Collection[str] = (),
) -> list[Path]:
    """Write one grader's levels (columns text_id, level) as subset files of each level.

    A text without a level is in none (arguments: see `export_descriptions`).

    Returns:
        The files written.
    """
    annotations = _asked(_whole(settings, benchmark), filtered)
    by_text = dict(zip(levels["text_id"], levels["level"], strict=True))
    is_mcq = isinstance(settings.benchmarks[benchmark], EgoMcqSettings)
    written: list[Path] = []
    for level in LEVELS:
        removed = "_".join(other for other in LEVELS if other != level)
        members = {key for key, given in by_text.items() if given == level}
        suffix = f"_{removed}" if is_mcq else f"_gptfiltered_{level}"
        written += _export(settings, annotations, folder, suffix, partial(_only, members))
    return written


def _only(members: Container[str], text: str) -> str | None:
    return text if text_id(text) in members else None


# ---------------------------------------------------------------------------------- reading


def _whole(settings: Settings, benchmark: str) -> Annotations:
    return read_annotations(settings.model_copy(update={"limit": None}), benchmark)


def _asked(annotations: Annotations, filtered: Collection[str]) -> Annotations:
    """Without the questions that failed a filter."""
    questions = annotations.questions
    left = questions[~questions["question_id"].isin(list(filtered))]
    return replace(annotations, questions=left)


def _texts(annotations: Annotations) -> dict[str, str]:
    texts = [*annotations.captions["text"], *annotations.questions["text"]]
    return {text_id(text): text for text in texts}


def _clean_text(given: AnyBenchmark, text: str) -> str:
    """A question's text as the run reads it: without speaker tags, where the config cleans them."""
    cleans = isinstance(given, EgoMcqSettings) and given.clean_speaker_tags
    return clean_speaker_tags(text) if cleans else text


def _items(path: Path) -> list[_Item]:
    if path.suffix == ".json":
        return [
            _Item(question_id, content["query"]["clip_text"], f"question {question_id!r}")
            for question_id, content in _read_questions(path).items()
        ]
    column = _SENTENCE_TEXT if _is_sentences(path) else _CLIP_TEXT
    items = []
    for row in read_rows(path, ()):
        cells = list(row.cells.values())
        if len(cells) <= column:
            raise AnnotationError(
                f"{path}: line {row.line}: {len(cells)} columns, where the text is in column "
                f"{column} counted from 0; this is no file of the authors' kind"
            )
        items.append(_Item(cells[0], cells[column], row.line))
    return items


def _originals(annotations: Annotations, path: Path) -> list[_Item]:
    """What the official file has in the rows of its twin."""
    if path.suffix == ".json":
        rows = zip(annotations.questions["question_id"], annotations.questions["text"], strict=True)
    elif _is_sentences(path) and annotations.captions["clip_id"].notna().all():
        rows = zip(annotations.captions["caption_id"], annotations.captions["text"], strict=True)
    elif _is_sentences(path):  # EpicSoundsRet: a class is named after its first clip
        firsts = annotations.clips.drop_duplicates("text")
        rows = zip(firsts["clip_id"], firsts["text"], strict=True)
    else:
        rows = zip(annotations.clips["clip_id"], annotations.clips["text"], strict=True)
    return [_Item(item_id, text, "") for item_id, text in rows]


def _check_same_rows(path: Path, items: Sequence[_Item], originals: Sequence[_Item]) -> None:
    problems = Problems(path)
    if len(items) != len(originals):
        problems.add("the file", f"{len(items)} rows, where the official one has {len(originals)}")
    for item, original in zip(items, originals, strict=False):
        if item.item_id != original.item_id:
            problems.add(
                item.place, f"{item.item_id!r}, where the official file has {original.item_id!r}"
            )
        if not item.text.strip():
            problems.add(item.place, "the description is empty")
    problems.raise_any()


def _level_of(path: Path) -> str:
    named = [level for level in re.split("[_.]", path.name) if level in LEVELS]
    kept = [level for level in LEVELS if (level in named) != (path.suffix == ".json")]
    if len(kept) != 1:
        raise AnnotationError(
            f"{path}: its name tells no level; a clip or sentence file ends in "
            f"_gptfiltered_<level>, a question file names the two levels that were removed"
        )
    return kept[0]


def _is_sentences(path: Path) -> bool:
    return "sentence" in path.stem


def _read_questions(path: Path) -> dict[str, Any]:
    text = read_text(path)
    try:
        content = json.loads(text, parse_float=lambda digits: _NUMBER + digits)
        for question in content.values():
            question["query"]["clip_text"].strip()
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise AnnotationError(
            f"{path}: not a file of questions with query.clip_text: {error!r}"
        ) from error
    return content


# ---------------------------------------------------------------------------------- writing

_Rewrite = Callable[[str], str | None]
"""A text's new form; None leaves its row out."""


@dataclass(frozen=True)
class _Sheet:
    """A CSV file to write: its rows, the original text of each, and the column for its new form."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: Iterable[str]
    column: int

    def write(self, folder: Path, rewrite: _Rewrite) -> Path:
        path = folder / self.name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.header)
            for cells, text in zip(self.rows, self.texts, strict=True):
                rewritten = rewrite(text)
                if rewritten is not None:
                    writer.writerow([*cells[: self.column], rewritten, *cells[self.column + 1 :]])
        return path


def _export(
    settings: Settings, annotations: Annotations, folder: Path, suffix: str, rewrite: _Rewrite
) -> list[Path]:
    benchmark = annotations.benchmark
    given = settings.benchmarks[benchmark]
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(given, EgoMcqSettings):
        questions = _read_questions(given.questions)
        asked = annotations.questions
        filtered = "_filtered" if len(asked) < len(questions) else ""
        path = folder / f"{given.questions.stem}{filtered}{suffix}.json"
        texts = dict(zip(asked["question_id"], asked["text"], strict=True))
        path.write_text(_questions_json(questions, texts, rewrite), encoding="utf-8")
        return [path]
    if isinstance(given, EpicMirSettings):
        sheets = _epic_mir_sheets(given, annotations, suffix)
    elif isinstance(given, EpicSoundsSettings):
        sheets = _epic_sounds_sheets(given, annotations, suffix)
    else:
        raise AnnotationError(f"{benchmark}: the authors have no format for a table of one's own")
    return [sheet.write(folder, rewrite) for sheet in sheets]


def _epic_mir_sheets(given: EpicMirSettings, annotations: Annotations, suffix: str) -> list[_Sheet]:
    return [
        _Sheet(
            f"{path.stem}{suffix}.csv",
            list(rows[0].cells),
            [list(row.cells.values()) for row in rows],
            table["text"],
            column,
        )
        for path, table, column in (
            (given.clips, annotations.clips, _CLIP_TEXT),
            (given.sentences, annotations.captions, _SENTENCE_TEXT),
        )
        for rows in [read_rows(path, ())]
    ]


def _epic_sounds_sheets(
    given: EpicSoundsSettings, annotations: Annotations, suffix: str
) -> list[_Sheet]:
    stem = f"{given.segments.stem}_epicmirstyle"
    clips = annotations.clips
    firsts = clips.drop_duplicates("text")
    segments = [
        [row.cells.get(name, "") for name in _EPIC_MIR_STYLE.values()]
        for row in read_rows(given.segments, ())
    ]
    return [
        _Sheet(
            f"{stem}_mainclasses{suffix}.csv",
            list(_EPIC_MIR_STYLE),
            segments,
            clips["text"],
            _CLIP_TEXT,
        ),
        _Sheet(
            f"{stem}_sentence_mainclasses{suffix}.csv",
            _SENTENCE_STYLE,
            [[clip_id, ""] for clip_id in firsts["clip_id"]],
            firsts["text"],
            _SENTENCE_TEXT,
        ),
    ]


def _questions_json(
    questions: Mapping[str, Any], texts: Mapping[str, str], rewrite: _Rewrite
) -> str:
    """The questions that have a text, which gets its new form; one that has none stays as it is.

    The authors' loader counts questions from 0: where some are left out, all are numbered anew.
    """
    kept = {}
    for question_id, text in texts.items():
        question, rewritten = questions[question_id], rewrite(text)
        if rewritten is not None:
            new = {} if rewritten == text else {"clip_text": rewritten}
            kept[question_id] = {**question, "query": {**question["query"], **new}}
    if len(kept) < len(questions):
        kept = {str(number): question for number, question in enumerate(kept.values())}
    marked = json.dumps(kept, ensure_ascii=False)
    return re.sub(r'"\\u0000number:([^"]*)"', r"\1", marked)
