"""A user's project folder over the kitchen suite: real audio, and a language model on loopback."""

import csv
import json
from pathlib import Path

import yaml
from support.real_data import real_data

TRAINING_PARTICIPANTS = ("K01", "K02", "K03")
"""`mel_ridge` is fitted on their recordings and scored on those of K04 and K05."""

PATTERNS = (
    "videos/{participant_id}/{video_id}.MP4",
    "audio/{participant_id}/{video_id}.flac",
    "videos/*/{video_id}.MP4",
    "audio/*/{video_id}.flac",
)


def kitchen_project(folder: Path, base_url: str, **changes: object) -> Path:
    """Write a config for the whole suite, and return it; `changes` replace top-level keys."""
    suite = real_data("kitchen_suite")
    retrieval = suite / "epic_kitchens" / "retrieval_annotations"
    raw = {
        "media": [str(suite / pattern) for pattern in PATTERNS],
        "benchmarks": {
            "epic_mir": {
                "clips": str(retrieval / "EPIC_100_retrieval_test.csv"),
                "sentences": str(retrieval / "EPIC_100_retrieval_test_sentence.csv"),
            },
            "epic_sounds": {"segments": str(suite / "epic_sounds/EPIC_Sounds_validation.csv")},
            "ego_mcq": {"questions": str(suite / "ego_mcq/egomcq.json")},
        },
        "prompts": ["describe_zero_shot", "grade_informativeness"],
        "language_model": {"provider": "openai", "base_url": base_url},
        "encoders": {"mel_ridge": {"kind": "mel_ridge", "train": "train.csv"}},
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write_training_list(suite, folder / "train.csv")
    config = folder / "kitchen.yaml"
    config.write_text(yaml.safe_dump(raw))
    return config


def _write_training_list(suite: Path, target: Path) -> None:
    """The clips of some participants, with the kind of sound and the recorded description."""
    sounds = dict(_rows(suite / "ground_truth.csv", "narration_id", "sound"))
    recorded = (suite / "recorded_answers.jsonl").read_text(encoding="utf-8").splitlines()
    answers = {row["text"]: row["audio_description"] for row in map(json.loads, recorded)}
    annotations = suite / "epic_kitchens/retrieval_annotations/EPIC_100_retrieval_test.csv"
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["media", "start_s", "stop_s", "visual_text", "sound_caption", "class"])
        for row in csv.DictReader(annotations.open(encoding="utf-8")):
            if row["participant_id"] in TRAINING_PARTICIPANTS and row["narration_id"] in sounds:
                writer.writerow(
                    [
                        _recording(suite, row["participant_id"], row["video_id"]),
                        _seconds(row["start_timestamp"]),
                        _seconds(row["stop_timestamp"]),
                        row["narration"],
                        answers[row["narration"]],
                        sounds[row["narration_id"]],
                    ]
                )


def _recording(suite: Path, participant: str, video: str) -> Path:
    mp4 = suite / "videos" / participant / f"{video}.MP4"
    return mp4 if mp4.exists() else suite / "audio" / participant / f"{video}.flac"


def _seconds(timestamp: str) -> float:
    hours, minutes, seconds = timestamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _rows(file: Path, *columns: str) -> list[tuple[str, ...]]:
    with file.open(encoding="utf-8") as handle:
        return [tuple(row[name] for name in columns) for row in csv.DictReader(handle)]
