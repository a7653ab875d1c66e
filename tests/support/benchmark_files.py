"""Tiny benchmarks in the official file formats, and settings that point at them."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resources.settings import Settings

CLIP_HEADER = [
    "narration_id",
    "participant_id",
    "video_id",
    "narration_timestamp",
    "start_timestamp",
    "stop_timestamp",
    "start_frame",
    "stop_frame",
    "narration",
    "verb",
    "verb_class",
    "noun",
    "noun_class",
    "all_nouns",
    "all_noun_classes",
]
SOUND_HEADER = [
    "annotation_id",
    "participant_id",
    "video_id",
    "start_timestamp",
    "stop_timestamp",
    "start_sample",
    "stop_sample",
    "description",
    "class",
    "class_id",
]


def settings_for(base: Path, benchmarks: Mapping[str, Any], **given: Any) -> Settings:
    """Settings of these benchmarks; everything that the stage does not use is a stand-in."""
    defaults = {
        "name": "test",
        "config_file": str(base / "test.yaml"),
        "output": str(base / "out"),
        "cache_dir": str(base / "cache"),
        "prompts_folder": str(base / "prompts"),
        "media": [f"{base}/media/{{video_id}}.wav", f"{base}/media/*/{{video_id}}.mp4"],
        "benchmarks": benchmarks,
        "language_model": {"provider": "recorded", "answers": str(base / "answers.jsonl")},
        "encoders": {"mel": {"kind": "mel_ridge", "train": str(base / "train.csv")}},
    }
    return Settings.model_validate({**defaults, **given})


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Path:
    """A CSV file; cells that a row does not name are empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)
    return path


def clip_row(clip_id: str, **cells: Any) -> dict[str, Any]:
    """A row of the EPIC-KITCHENS retrieval file."""
    video_id = clip_id.rpartition("_")[0]
    return {
        "narration_id": clip_id,
        "participant_id": video_id.partition("_")[0],
        "video_id": video_id,
        "start_timestamp": "00:00:01.00",
        "stop_timestamp": "00:00:02.50",
        "start_frame": "999999",
        "stop_frame": "0",
        "narration": f"do {clip_id}",
        "verb_class": "3",
        "all_noun_classes": "[7, 2]",
        **cells,
    }


def sound_row(clip_id: str, **cells: Any) -> dict[str, Any]:
    """A row of the EPIC-SOUNDS file."""
    row = clip_row(clip_id)
    return {
        "annotation_id": clip_id,
        **{key: row[key] for key in ("participant_id", "video_id")},
        "start_timestamp": "00:00:01.000",
        "stop_timestamp": "00:00:02.500",
        "description": "tap running",
        "class": "water",
        "class_id": "5",
        **cells,
    }


def record(video_id: str, start: float, stop: float, text: str) -> dict[str, Any]:
    """A clip record of EgoMCQ."""
    return {
        "video_uid": video_id,
        "clip_start": start,
        "clip_end": stop,
        "clip_text": text,
        "tag_verb": "[4]",
        "tag_noun": "[3]",
    }


def question(
    options: Sequence[Mapping[str, Any]], answer: int = 0, types: int = 1, **query: Any
) -> dict[str, Any]:
    """An EgoMCQ question that asks for its right option's text."""
    return {
        "answer": answer,
        "types": types,
        "query": {**options[answer], **query},
        "choices": {str(position): option for position, option in enumerate(options)},
    }


def epic_mir(
    base: Path, clips: Sequence[Mapping], sentences: Sequence[Mapping] | None = None
) -> dict:
    """Write AudioEpicMIR files; by default every clip's narration is a sentence."""
    own = [{key: clip[key] for key in ("narration_id", "narration")} for clip in clips]
    return {
        "clips": str(write_csv(base / "clips.csv", CLIP_HEADER, clips)),
        "sentences": str(
            write_csv(
                base / "sentences.csv",
                ["narration_id", "narration"],
                own if sentences is None else sentences,
            )
        ),
    }


def epic_sounds(base: Path, rows: Sequence[Mapping], **given: Any) -> dict:
    """Write an EPIC-SOUNDS file."""
    return {"segments": str(write_csv(base / "sounds.csv", SOUND_HEADER, rows)), **given}


def ego_mcq(base: Path, questions: Any, **given: Any) -> dict:
    """Write an EgoMCQ file; a list is numbered as the official file is."""
    path = base / "egomcq.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(questions, list):
        questions = {str(number): item for number, item in enumerate(questions)}
    path.write_text(json.dumps(questions), encoding="utf-8")
    return {"questions": str(path), **given}
