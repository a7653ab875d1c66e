"""The sample's recordings: which sound comes when, and the audio files that hold them.

Scored recordings and those of the training list are made alike, from different seeds. Three of
the scored ones carry a fault, as real collections do: one is cut short, one holds a stretch of
digital silence, and of one a clip is annotated that lies past its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resources.sample.sounds import RATE, SOUNDS, synthesise

SILENCE = "silence"
"""The kind of a stretch of samples that are exactly 0."""

_STORED_RATE = 48_000
"""Sample rate of WAV and MP4 files, samples a second; FLAC files keep `RATE`."""

_STEP = RATE // 100
"""Samples in 10 ms: sounds start and stop at whole hundredths, which annotations can say."""


@dataclass(frozen=True)
class Take:
    """One sound in a recording; times in seconds from the recording's start."""

    kind: str
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class Recording:
    """One recording: every kind of sound once, in an order of its own, with pauses.

    Attributes:
        video_id: its name; the part before `_` names who recorded it.
        extension: how it is stored: `flac` (mono at 24 kHz), `wav` or `mp4` (stereo at 48 kHz).
        seed: decides the order and the sounds.
        silence: whether a stretch of digital silence stands in its middle.
        cut_s: seconds that are missing at its end, although they are annotated.
        late_s: how far after its end one more clip is annotated; None for no such clip.
    """

    video_id: str
    extension: str
    seed: int
    silence: bool = False
    cut_s: float = 0.0
    late_s: float | None = None

    @property
    def participant_id(self) -> str:
        """Who recorded it."""
        return self.video_id.split("_")[0]

    @property
    def takes(self) -> list[Take]:
        """What is annotated, in order of time."""
        ends = np.cumsum([len(piece) for _, piece in self._pieces]) / RATE
        spans = pairwise([0.0, *ends])
        takes = [
            Take(kind, round(start, 2), round(stop, 2))
            for (kind, _), (start, stop) in zip(self._pieces, spans, strict=True)
            if kind is not None
        ]
        if self.late_s is not None:
            start = round(self.duration_s + self.late_s, 2)
            takes.append(Take(takes[0].kind, start, round(start + 3, 2)))
        return takes

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return round(sum(len(piece) for _, piece in self._pieces) / RATE - self.cut_s, 2)

    @property
    def samples(self) -> NDArray[np.float32]:
        """The recording: mono at `RATE`, full scale 1."""
        joined = np.concatenate([piece for _, piece in self._pieces])
        return joined[: len(joined) - round(self.cut_s * RATE)]

    @cached_property
    def _pieces(self) -> list[tuple[str | None, NDArray[np.float32]]]:
        """Sounds with their kinds, and pauses without one, as they follow each other."""
        rng = np.random.default_rng(self.seed)
        kinds = [str(kind) for kind in rng.permutation(list(SOUNDS))]
        if self.silence:
            kinds.insert(len(kinds) // 2, SILENCE)
        pieces: list[tuple[str | None, NDArray[np.float32]]] = []
        for kind in kinds:
            sound = np.zeros(4 * RATE, np.float32) if kind == SILENCE else synthesise(kind, rng)
            pieces += [(None, _pause(rng)), (kind, sound[: len(sound) // _STEP * _STEP])]
        return [*pieces, (None, _pause(rng))]


def scored_recordings() -> list[Recording]:
    """The recordings that the benchmarks annotate: three people, three recordings each."""
    return [
        Recording("S01_01", "flac", 101, silence=True),
        Recording("S01_02", "mp4", 102),
        Recording("S01_03", "wav", 103),
        Recording("S02_01", "mp4", 104),
        Recording("S02_02", "flac", 105),
        Recording("S02_03", "flac", 106, cut_s=2.0),
        Recording("S03_01", "wav", 107),
        Recording("S03_02", "mp4", 108),
        Recording("S03_03", "flac", 109, late_s=20.0),
    ]


def training_recordings() -> list[Recording]:
    """The recordings of the training list: other people, other sounds."""
    return [Recording(f"T{number:02}_01", "flac", 200 + number) for number in range(1, 7)]


def write_recording(recording: Recording, folder: Path) -> Path:
    """Write a recording as `<folder>/<video_id>.<extension>`; returns the file."""
    import soundfile

    file = folder / f"{recording.video_id}.{recording.extension}"
    folder.mkdir(parents=True, exist_ok=True)
    if recording.extension == "flac":
        soundfile.write(file, recording.samples, RATE, subtype="PCM_16")
    elif recording.extension == "wav":
        soundfile.write(file, _stereo(recording.samples), _STORED_RATE, subtype="PCM_16")
    else:
        _write_mp4(file, _stereo(recording.samples))
    return file


def _pause(rng: np.random.Generator) -> NDArray[np.float32]:
    """0.2 to 0.8 s of faint hiss."""
    return 1e-3 * rng.standard_normal(_STEP * int(rng.integers(20, 80)), dtype=np.float32)


def _stereo(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Two channels at `_STORED_RATE`, the right one a little softer: shape (n, 2)."""
    import soxr

    left = soxr.resample(samples, RATE, _STORED_RATE)
    return np.stack([left, 0.8 * left], axis=1)


def _write_mp4(file: Path, samples: NDArray[np.float32]) -> None:
    import av

    with av.open(str(file), "w") as container:
        coder = {"aac_coder": "fast"}
        stream = container.add_stream("aac", rate=_STORED_RATE, layout="stereo", options=coder)
        for frame in _frames(samples, 1024):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frames(samples: NDArray[np.float32], length: int) -> Sequence[object]:
    """Samples of shape (n, 2) as PyAV audio frames."""
    import av

    frames = []
    for start in range(0, len(samples), length):
        planes = np.ascontiguousarray(samples[start : start + length].T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = _STORED_RATE, start
        frames.append(frame)
    return frames
