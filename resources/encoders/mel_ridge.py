"""`mel_ridge`: a small honest baseline without downloaded weights.

Ridge regression from log-mel statistics to texts hashed into words, fitted on a training list of
the user's own, never on anything that the pipeline wrote. What it is fitted onto decides whether
visual texts or descriptions win, so it exercises the plumbing and says nothing about rewriting.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from resources.encoders import hashed_words, mel_statistics
from resources.encoders.hashed_words import embed_words
from resources.encoders.mel_statistics import mel_statistics as statistics
from resources.encoders.protocol import (
    EncoderUnavailable,
    Vectors,
    Waveform,
    Window,
    unit_rows,
)
from resources.encoders.weights import remembered_sha256
from resources.hashing import canonical_hash
from resources.media.decoding import MediaError
from resources.media.segments import read_segments
from resources.settings import MelRidgeSettings

COLUMNS = ("media", "start_s", "stop_s", "visual_text", "sound_caption", "class")


@dataclass(frozen=True)
class TrainingClip:
    """One row of the training list: a segment of a recording and the text to fit onto."""

    media: Path
    start_s: float
    stop_s: float
    text: str


class MelRidge:
    """The baseline encoder (see `protocol.Encoder`); it is fitted when the first clip is asked."""

    window = Window()
    batch_size = 32
    sample_rate = mel_statistics.SAMPLE_RATE

    def __init__(self, name: str, settings: MelRidgeSettings, cache_dir: Path) -> None:
        self.name = name
        self._settings = settings
        self._cache_dir = cache_dir

    @cached_property
    def fingerprint(self) -> str:
        """Of the training list, its recordings, the parameters and this code."""
        recordings = [self._hashes[clip.media] for clip in self._clips]
        return canonical_hash(
            {
                "kind": self._settings.kind,
                "versions": [mel_statistics.VERSION, hashed_words.VERSION],
                "train": remembered_sha256(self._settings.train, self._cache_dir),
                "recordings": recordings,
                "fit_to": self._settings.fit_to,
                "ridge": self._settings.ridge,
            }
        )

    def files(self) -> list[Path]:
        """The training list, and its recordings where it can be read (see `Encoder`)."""
        try:
            return [self._settings.train, *dict.fromkeys(clip.media for clip in self._clips)]
        except EncoderUnavailable:
            return [self._settings.train]

    @cached_property
    def training_recordings(self) -> frozenset[str]:
        """Content hashes of the recordings in the training list."""
        return frozenset(self._hashes.values())

    def embed_audio(self, waveforms: Sequence[Waveform], draws: Sequence[int]) -> Vectors:
        """Embed clips (see `Encoder`); nothing is drawn."""
        mean, scale, weights, offset = self._fitted
        features = np.array([statistics(waveform) for waveform in waveforms])
        return unit_rows((features - mean) / scale @ weights + offset)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts by their words (see `Encoder`)."""
        return embed_words(texts)

    @cached_property
    def _clips(self) -> list[TrainingClip]:
        return read_training_list(self._settings.train, self._settings.fit_to)

    @cached_property
    def _hashes(self) -> dict[Path, str]:
        recordings = dict.fromkeys(clip.media for clip in self._clips)
        return {media: remembered_sha256(media, self._cache_dir) for media in recordings}

    @cached_property
    def _fitted(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Mean, scale, weights and offset of the regression, solved in its dual form."""
        features, texts = self._training_features()
        targets = embed_words(texts).astype(np.float64)
        mean, scale, offset = features.mean(axis=0), features.std(axis=0) + 1e-6, targets.mean(0)
        inputs = (features - mean) / scale
        penalty = self._settings.ridge * inputs.shape[1] * np.eye(len(inputs))
        weights = inputs.T @ np.linalg.solve(inputs @ inputs.T + penalty, targets - offset)
        return mean, scale, weights, offset

    def _training_features(self) -> tuple[npt.NDArray[np.float64], list[str]]:
        features: list[npt.NDArray[np.float64]] = []
        texts: list[str] = []
        for media in dict.fromkeys(clip.media for clip in self._clips):
            clips = [clip for clip in self._clips if clip.media == media]
            spans = [(clip.start_s, clip.stop_s) for clip in clips]
            try:
                for index, waveform in read_segments(media, spans, self.sample_rate):
                    features.append(statistics(waveform))
                    texts.append(clips[index].text)
            except MediaError as error:
                raise EncoderUnavailable(
                    "training recording unreadable",
                    f"{media}: {error}. Mend it, or take it off {self._settings.train}.",
                ) from error
        return np.array(features), texts


def read_training_list(train: Path, fit_to: str) -> list[TrainingClip]:
    """Read a `train:` CSV; media paths start at its folder.

    Raises:
        EncoderUnavailable: the list, a column or a recording is missing, or a row makes no sense;
            file, row and remedy are named.
    """
    if not train.is_file():
        raise EncoderUnavailable(
            "training list missing",
            f"{train} is not there. Name a CSV with the columns {', '.join(COLUMNS)}.",
        )
    try:
        with train.open(encoding="utf-8-sig", newline="") as file:
            clips = _training_clips(train, csv.DictReader(file), fit_to)
    except (UnicodeDecodeError, csv.Error) as error:
        raise _malformed(f"{train} is no CSV in UTF-8: {error}. Save it as one.") from error
    if not clips:
        raise _malformed(f"{train} holds no rows.")
    return clips


def _training_clips(train: Path, reader: csv.DictReader[str], fit_to: str) -> list[TrainingClip]:
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise _malformed(f"{train}: add the columns {', '.join(missing)}.")
    return [_training_clip(train, reader.line_num, row, fit_to) for row in reader]


def _training_clip(train: Path, line: int, row: dict[str, str], fit_to: str) -> TrainingClip:
    place = f"{train}, line {line}"
    if None in row or None in row.values():
        raise _malformed(
            f"{place} has not as many cells as the first line: quote texts that hold commas."
        )
    try:
        start_s, stop_s = float(row["start_s"]), float(row["stop_s"])
    except ValueError as error:
        raise _malformed(f"{place}: times are in seconds: {error}.") from error
    if not 0 <= start_s < stop_s < math.inf:
        raise _malformed(f"{place}: {start_s} to {stop_s} is no segment; mend its times.")
    media = (train.parent / row["media"]).resolve()
    if not media.is_file():
        raise EncoderUnavailable(
            "training recording missing",
            f"{place}: {media} is not there. Bring it, or take the row off the list.",
        )
    return TrainingClip(media, start_s, stop_s, row[fit_to])


def _malformed(remedy: str) -> EncoderUnavailable:
    return EncoderUnavailable("training list malformed", remedy)
