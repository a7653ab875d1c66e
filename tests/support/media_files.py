"""Small media files for tests: made with libsndfile and FFmpeg's libraries, seeded."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile as sf

RATE = 24_000


def noise(seconds: float, rate: int = RATE, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Quiet noise, (samples, channels) float32; no sample is exactly zero."""
    samples = np.random.default_rng(seed).uniform(0.01, 0.2, (round(seconds * rate), channels))
    return samples.astype(np.float32)


def write_audio(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """WAV, FLAC or OGG by the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, rate, format="OGG" if path.suffix == ".ogg" else None)
    return path


def write_video(
    path: Path,
    samples: np.ndarray | None,
    rate: int = 48_000,
    seconds: float = 3.0,
    audio_codec: str = "aac",
    options: dict[str, str] | None = None,
) -> Path:
    """A container with a small grey video and, if there are samples, an audio stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        audio = None
        if samples is not None:
            layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
            audio = container.add_stream(audio_codec, rate=rate, layout=layout)
        for index in range(round(seconds * 10)):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8))
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            for start in range(0, len(samples), 1024):
                part = np.ascontiguousarray(samples[start : start + 1024].T)
                if audio.format.name == "s16":
                    part = (part.T.reshape(1, -1) * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(part, format=audio.format.name, layout=layout)
                frame.rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def truncate(path: Path, share: float = 0.5) -> Path:
    """Keep only the first part of a file."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path
