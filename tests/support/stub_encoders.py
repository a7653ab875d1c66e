"""An encoder, sounds and tables of clips that stand in for real ones, and can be broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.embeddings import audio, fingerprints, planning, texts
from resources.encoders.protocol import Window, unit_rows
from resources.media.decoding import MediaError
from resources.tables import MEDIA, text_id

RATE = 1000
Span = tuple[float, float]


class StubEncoder:
    """Vectors that can be told from sound and draw; it counts what it is asked."""

    sample_rate = RATE
    batch_size = 32

    def __init__(self, name: str = "stub", fingerprint: str = "a" * 64) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.window = Window(10.0, "zero_pad", "crop_random")
        self.training_recordings: frozenset[str] = frozenset()
        self.clips = 0
        self.texts: list[str] = []

    def embed_audio(self, waveforms: Sequence[np.ndarray], draws: Sequence[int]) -> np.ndarray:
        if any(waveform[0] == BROKEN for waveform in waveforms):
            raise RuntimeError("broken clip")
        self.clips += len(waveforms)
        values = [
            [wave.mean(), len(wave), draw % 1000 if len(wave) > 10 * RATE else 0, 1]
            for wave, draw in zip(waveforms, draws, strict=True)
        ]
        return unit_rows(np.array(values))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        return unit_rows(np.array([[len(text), 1.0, 2.0, 3.0] for text in texts]))


BROKEN = -7.0


class Sounds:
    """Stands in for media files: samples are the start's second; some segments are faulty."""

    def __init__(self) -> None:
        self.faulty: dict[float, float | None] = {}
        """By start: the samples' value, or None where reading fails."""
        self.read: list[tuple[Path, int]] = []

    def __call__(self, path: Path, spans: Sequence[Span]) -> Iterator[tuple[int, np.ndarray]]:
        self.read.append((path, len(spans)))
        for index, (start, stop) in reversed(list(enumerate(spans))):
            value = self.faulty.get(start, start)
            if value is None:
                raise MediaError("damaged", f"no sound at {start}")
            yield index, np.full(round((stop - start) * RATE), value, np.float32)


def use(monkeypatch: pytest.MonkeyPatch, encoders: dict[str, Any]) -> None:
    """Let a config's encoders be these; an exception is raised where one is built."""

    def build(name: str, *_: object) -> Any:
        if isinstance(encoders[name], Exception):
            raise encoders[name]
        return encoders[name]

    for module in (audio, fingerprints, planning, texts):
        monkeypatch.setattr(module, "build_encoder", build)


def settings(tmp_path: Path, *names: str, seeds: tuple[int, ...] = (0,)) -> Any:
    names = names or ("stub",)
    return SimpleNamespace(
        encoders=dict.fromkeys(names),
        seeds=seeds,
        cache_dir=tmp_path,
        vectors_dir=tmp_path / "vectors",
    )


def recordings(*video_ids: str) -> pd.DataFrame:
    return MEDIA.frame(
        {
            "benchmark": "b",
            "video_id": video_id,
            "path": f"/sounds/{video_id}.wav",
            "sample_rate": RATE,
            "content_hash": f"hash of {video_id}",
            "usable": True,
        }
        for video_id in video_ids
    )


def clip(
    clip_id: str, start: float, stop: float, video_id: str = "v1", **more: Any
) -> dict[str, Any]:
    return {
        "benchmark": "b",
        "clip_id": clip_id,
        "video_id": video_id,
        "start_s": start,
        "stop_s": stop,
        "text": clip_id,
        "text_id": text_id(clip_id),
        "shortened": False,
        "usable": True,
        **more,
    }


MANY = [clip(f"c{i:02}", float(i), i + 0.5, f"v{i % 3}") for i in range(40)]
VIDEOS = recordings("v0", "v1", "v2")
