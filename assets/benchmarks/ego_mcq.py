"""AudioEgoMCQ from an EgoMCQ-shaped JSON file (method section 3).

A clip has no id there: ours is `video_uid:clip_start:clip_end`, each as written in the file, so
numbers with a fraction are kept as text until they are needed. Which questions are asked is
decided later, in `questions`, when the clips have been listened to.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assets.benchmarks.annotation_files import (
    AnnotationError,
    Problems,
    parse_media_id,
    parse_text,
    read_text,
)
from assets.benchmarks.annotations import Annotations, clip_frame, question_frame
from resources.settings import EgoMcqSettings
from resources.tables import OPTIONS

KINDS = {1: "inter", 2: "intra"}
_POSITIONS = tuple(str(position) for position in range(OPTIONS))
_SPEAKER_TAGS = (
    "#C C",
    "#c c",
    "# C C",
    "# c c",
    "#C",
    "#c",
    "# C",
    "# c",
    "#O",
    "# O",
    "#o",
    "# X",
    "# x",
    "#x",
    "#X",
    "3C C",
    "C C",
    "#B",
    "# Y",
    "#0",
    "#Person",
    "O A",
)
# A tag ends where a word ends, and the longest fits first: "#C C opens" is no "#C" and "C opens".
_TAGS = re.compile(
    "|".join(
        rf"(?<!\w){re.escape(tag)}(?!\w)" for tag in sorted(_SPEAKER_TAGS, key=len, reverse=True)
    )
)
_NAMED_PERSON = re.compile(r"\b((?:a\s+)?(?:man|woman|person))\s+(?-i:[A-Z])(?!\w)", re.IGNORECASE)


def source_files(settings: EgoMcqSettings) -> tuple[Path, ...]:
    """The annotation file."""
    return (settings.questions,)


def read(settings: EgoMcqSettings, benchmark: str) -> Annotations:
    """Read questions, and the distinct clips among their options and queries.

    Raises:
        AnnotationError: the file can't be used; every bad question is named.
    """
    reader = _Reader(settings)
    content = _read_json(settings.questions)
    for question_id, given in content.items():
        reader.question(str(question_id), given)
    reader.problems.raise_any()
    return Annotations(
        benchmark,
        clips=clip_frame(reader.clips.values()),
        questions=question_frame(reader.questions),
        warnings=tuple(reader.warnings),
    )


def clean_speaker_tags(text: str) -> str:
    """Remove Ego4D's speaker tags, and the letter that names a person (method section 3.3).

    "#C C opens the drawer" becomes "opens the drawer", "a man X waves" becomes "a man waves".
    """
    without_tags = _TAGS.sub(" ", text)
    return " ".join(_NAMED_PERSON.sub(r"\1", without_tags).split())


class _Reader:
    """Gathers questions and distinct clips while the file's entries go by."""

    def __init__(self, settings: EgoMcqSettings) -> None:
        self.clean = settings.clean_speaker_tags
        self.problems = Problems(settings.questions)
        self.clips: dict[str, dict[str, Any]] = {}
        self.questions: list[dict[str, Any]] = []
        self.warnings: list[str] = []

    def question(self, question_id: str, given: Any) -> None:
        place = f"question {question_id!r}"
        try:
            kind = KINDS[_field(given, "types", int)]
            answer = _field(given, "answer", int)
            query = _field(given, "query", dict)
            choices = _field(given, "choices", dict)
            if set(choices) != set(_POSITIONS):
                raise ValueError(f"choices must be '0' to '4', not {sorted(choices)}")
            if not 0 <= answer < OPTIONS:
                raise ValueError(f"answer must be 0 to {OPTIONS - 1}, not {answer}")
            options = [self._clip(choices[position]) for position in _POSITIONS]
            text = self._clip(query)["text"]
        except KeyError as error:
            self.problems.add(place, f"types must be 1 (inter) or 2 (intra), not {error}")
        except ValueError as error:
            self.problems.add(place, str(error))
        else:
            self._warn(place, kind, {option["video_id"] for option in options})
            self.questions.append(
                {
                    "question_id": question_id,
                    "kind": kind,
                    "text": text,
                    "options": tuple(option["clip_id"] for option in options),
                    "option_texts": tuple(option["text"] for option in options),
                    "answer": answer,
                }
            )

    def _clip(self, record: Any) -> dict[str, Any]:
        """The record's clip, with the record's own text (two narrations may share a span)."""
        video_id = parse_media_id(_field(record, "video_uid", str))
        start, stop = _number(record, "clip_start"), _number(record, "clip_end")
        if not 0 <= float(start) < float(stop) < math.inf:
            raise ValueError(f"a clip of {video_id} runs from {start} to {stop} s; mend its times")
        text = parse_text(_field(record, "clip_text", str))
        text = parse_text(clean_speaker_tags(text)) if self.clean else text
        clip_id = f"{video_id}:{start}:{stop}"
        clip = {
            "clip_id": clip_id,
            "video_id": video_id,
            "participant_id": None,
            "start_s": float(start),
            "stop_s": float(stop),
            "text": text,
            "verb_class": None,
            "noun_classes": None,
        }
        self.clips.setdefault(clip_id, clip)
        return clip

    def _warn(self, place: str, kind: str, videos: set[str]) -> None:
        wanted = OPTIONS if kind == "inter" else 1
        if len(videos) != wanted:
            self.warnings.append(
                f"{place}: its {OPTIONS} options lie in {len(videos)} recordings; "
                f"an {kind}-video question has them in {wanted}"
            )


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(read_text(path), parse_float=str, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"{path}: line {error.lineno}: not JSON: {error.msg}. Take the official file again."
        ) from error
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}") from error
    if not isinstance(content, dict) or not content:
        raise AnnotationError(
            f"{path}: must be an object of questions by id; take an egomcq.json-shaped file."
        )
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a key come twice, and the later one would win without a word."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        doubled = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {doubled!r} occurs twice in one object; ids must be unique")
    return content


def _field(record: Any, name: str, kind: type) -> Any:
    if not isinstance(record, dict) or name not in record:
        raise ValueError(f"{name} is missing")
    value = record[name]
    if type(value) is not kind:
        raise ValueError(f"{name} must be of type {kind.__name__}, not {value!r:.60}")
    return value


def _number(record: Mapping[str, Any], name: str) -> str:
    """A number as written in the file (see the module's first lines)."""
    value = record.get(name)
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise ValueError(f"{name} must be a number, not {value!r:.60}")
    try:
        float(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a number, not {value!r:.60}") from error
    return str(value)
