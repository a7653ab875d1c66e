"""The sample's annotations, in the official files' formats (method sections 2.1, 3.1 and 4.1).

What is written about a kind of sound stands in `narrations.csv`, `sound_classes.csv` and
`training_texts.csv`; here it meets the recordings. The narrations are our own and never name the
sound; classes and their ids are those of EPIC-KITCHENS-100 and EPIC-SOUNDS.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resources.sample.recordings import SILENCE, Recording, Take
from resources.sample.sounds import RATE

_HERE = Path(__file__).parent
_FRAMES_PER_SECOND = 60
_INTRA_PER_RECORDING = 7
_INTER_QUESTIONS = 63
_OPTIONS = 5
_SEED = 1

Row = Mapping[str, str]


@dataclass(frozen=True)
class Clip:
    """One annotated sound: where it lies, and what is written about its kind."""

    recording: Recording
    index: int
    take: Take
    narration: Row

    @property
    def clip_id(self) -> str:
        """Its id in EPIC-MIR and EPIC-SOUNDS."""
        return f"{self.recording.video_id}_{self.index}"


def texts_by_kind(name: str) -> dict[str, list[Row]]:
    """The rows of one of the text files of this folder, by their kind of sound."""
    rows: dict[str, list[Row]] = {}
    with (_HERE / name).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["kind"], []).append(row)
    return rows


def annotated_clips(recordings: Sequence[Recording]) -> list[Clip]:
    """Every sound of the scored recordings; a kind's narrations take turns."""
    narrations = texts_by_kind("narrations.csv")
    return [
        Clip(recording, index, take, narrations[take.kind][turn % len(narrations[take.kind])])
        for turn, recording in enumerate(recordings)
        for index, take in enumerate(recording.takes)
    ]


def write_annotations(recordings: Sequence[Recording], folder: Path) -> None:
    """Write the three benchmarks' files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = annotated_clips(recordings)
    by_id = sorted(clips, key=lambda clip: clip.clip_id)
    _write_csv(folder / "EPIC_100_retrieval_test.csv", [_epic_row(clip) for clip in by_id])
    sentences = [
        {"narration_id": clip.clip_id, "narration": clip.narration["narration"]}
        for clip in caption_clips(by_id)
    ]
    _write_csv(folder / "EPIC_100_retrieval_test_sentence.csv", sentences)
    _write_csv(folder / "EPIC_Sounds_validation.csv", list(_sound_rows(by_id)))
    questions = [*_inter_questions(clips), *_intra_questions(clips)]
    numbered = {str(number): question for number, question in enumerate(questions)}
    (folder / "egomcq.json").write_text(json.dumps(numbered, indent=1) + "\n", encoding="utf-8")


def write_training_list(recordings: Sequence[Recording], file: Path) -> None:
    """Write the CSV that `mel_ridge` is fitted on; the recordings lie beside it."""
    texts, classes = texts_by_kind("training_texts.csv"), texts_by_kind("sound_classes.csv")
    rows = []
    for turn, recording in enumerate(recordings):
        for take in recording.takes:
            text = texts[take.kind][turn % len(texts[take.kind])]
            rows.append(
                {
                    "media": f"{recording.video_id}.{recording.extension}",
                    "start_s": f"{take.start_s:.2f}",
                    "stop_s": f"{take.stop_s:.2f}",
                    "visual_text": text["visual_text"],
                    "sound_caption": text["sound_caption"],
                    "class": classes[take.kind][0]["class"],
                }
            )
    _write_csv(file, rows)


def caption_clips(clips: Sequence[Clip]) -> list[Clip]:
    """The clips whose narrations are EPIC-MIR's captions (method section 2.2).

    The first clip of each distinct narration, then one for each pair of verb class and noun class
    that none of those has.
    """
    first = list({clip.narration["narration"]: clip for clip in reversed(clips)}.values())[::-1]
    first.sort(key=lambda clip: clip.clip_id)
    covered = {_class_pair(clip) for clip in first}
    others = {
        _class_pair(clip): clip for clip in reversed(clips) if _class_pair(clip) not in covered
    }
    return [*first, *sorted(others.values(), key=lambda clip: clip.clip_id)]


def _class_pair(clip: Clip) -> tuple[str, str]:
    return clip.narration["verb_class"], clip.narration["noun_classes"].split("|")[0]


def _epic_row(clip: Clip) -> dict[str, str]:
    take, text = clip.take, clip.narration
    nouns, classes = text["nouns"].split("|"), [int(n) for n in text["noun_classes"].split("|")]
    return {
        "narration_id": clip.clip_id,
        "participant_id": clip.recording.participant_id,
        "video_id": clip.recording.video_id,
        "narration_timestamp": _timestamp(take.start_s, 3),
        "start_timestamp": _timestamp(take.start_s, 2),
        "stop_timestamp": _timestamp(take.stop_s, 2),
        "start_frame": str(int(take.start_s * _FRAMES_PER_SECOND)),
        "stop_frame": str(int(take.stop_s * _FRAMES_PER_SECOND)),
        "narration": text["narration"],
        "verb": text["verb"],
        "verb_class": text["verb_class"],
        "noun": nouns[0],
        "noun_class": str(classes[0]),
        "all_nouns": str(nouns),
        "all_noun_classes": str(classes),
    }


def _sound_rows(clips: Iterable[Clip]) -> Iterable[dict[str, str]]:
    """EPIC-SOUNDS' rows; digital silence has no class there."""
    classes = texts_by_kind("sound_classes.csv")
    for clip in clips:
        if clip.take.kind == SILENCE:
            continue
        sound = classes[clip.take.kind][0]
        yield {
            "annotation_id": clip.clip_id,
            "participant_id": clip.recording.participant_id,
            "video_id": clip.recording.video_id,
            "start_timestamp": _timestamp(clip.take.start_s, 3),
            "stop_timestamp": _timestamp(clip.take.stop_s, 3),
            "start_sample": str(round(clip.take.start_s * RATE)),
            "stop_sample": str(round(clip.take.stop_s * RATE)),
            "description": sound["description"],
            "class": sound["class"],
            "class_id": sound["class_id"],
        }


def _inter_questions(clips: Sequence[Clip]) -> Iterable[dict[str, Any]]:
    """Questions whose five clips lie in five recordings; the last one doubles the right text.

    That one can't be answered, and filter (b) of method section 3.2 has to find it.
    """
    rng = np.random.default_rng(_SEED)
    whole = [clip for clip in clips if _is_whole(clip)]
    for number in range(_INTER_QUESTIONS):
        query = whole[int(rng.integers(len(whole)))]
        options = [query]
        for clip in (whole[i] for i in rng.permutation(len(whole))):
            elsewhere = clip.recording not in [option.recording for option in options]
            if elsewhere and _text(clip) not in [_text(option) for option in options]:
                options.append(clip)
        del options[_OPTIONS:]
        if number == _INTER_QUESTIONS - 1:
            options[1] = next(
                clip
                for clip in whole
                if _text(clip) == _text(query)
                and clip.recording not in [options[i].recording for i in (0, 2, 3, 4)]
            )
        yield _question(1, query, [options[i] for i in rng.permutation(_OPTIONS)])


def _intra_questions(clips: Sequence[Clip]) -> Iterable[dict[str, Any]]:
    """Questions whose five clips follow each other in one recording."""
    rng = np.random.default_rng(_SEED)
    for recording in dict.fromkeys(clip.recording for clip in clips):
        own = [clip for clip in clips if clip.recording == recording]
        within = [clip for clip in own if clip.take.stop_s <= recording.duration_s]
        starts = np.linspace(0, len(within) - _OPTIONS, _INTRA_PER_RECORDING).astype(int)
        for start in starts:
            options = within[start : start + _OPTIONS]
            heard = [clip for clip in options if clip.take.kind != SILENCE]
            yield _question(2, heard[int(rng.integers(len(heard)))], options)


def _is_whole(clip: Clip) -> bool:
    """Whether the clip lies within its recording and makes a sound."""
    return clip.take.kind != SILENCE and clip.take.stop_s <= clip.recording.duration_s


def _text(clip: Clip) -> str:
    return clip.narration["question_text"]


def _question(kind: int, query: Clip, options: Sequence[Clip]) -> dict[str, Any]:
    """One question; `kind` is 1 for inter-video, 2 for intra-video."""
    return {
        "answer": list(options).index(query),
        "types": kind,
        "query": _clip_record(query),
        "choices": {str(place): _clip_record(clip) for place, clip in enumerate(options)},
    }


def _clip_record(clip: Clip) -> dict[str, Any]:
    """EgoMCQ cuts narrow windows: the two seconds in the middle of the sound."""
    middle = (clip.take.start_s + clip.take.stop_s) / 2
    nouns = [int(number) for number in clip.narration["noun_classes"].split("|")]
    return {
        "video_uid": clip.recording.video_id,
        "video_dur": round(clip.recording.duration_s, 3),
        "narration_source": "narration_pass_1",
        "narration_ind": clip.index,
        "narration_time": round(middle, 3),
        "clip_start": round(middle - 1, 3),
        "clip_end": round(middle + 1, 3),
        "clip_text": _text(clip),
        "tag_verb": str([int(clip.narration["verb_class"])]),
        "tag_noun": str(nouns),
    }


def _timestamp(seconds: float, digits: int) -> str:
    """`HH:MM:SS` and a fraction of 2 or 3 digits."""
    minutes, rest = divmod(round(seconds * 10**digits), 60 * 10**digits)
    whole, fraction = divmod(rest, 10**digits)
    return f"{minutes // 60:02}:{minutes % 60:02}:{whole:02}.{fraction:0{digits}}"


def _write_csv(file: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
