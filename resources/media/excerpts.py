"""Excerpts of recordings as MP3, small enough to lie inside a page, and played by every browser."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from resources.media.segments import read_segments

MP3 = "audio/mpeg"
RATE = 32_000
"""Samples a second of an excerpt: up to 16 kHz can be heard."""
_COMPRESSION = 0.6
"""Between 0 (best) and 1 (smallest): about 8 kB a second of kitchen sounds."""
_SHORTEST_S = 0.25
"""What is shorter is followed by silence: some players begin too late to play it."""


def cut_excerpts(path: Path, spans: Sequence[tuple[float, float]]) -> Iterator[tuple[int, bytes]]:
    """Cut spans out of one recording as MP3 files, decoding it once.

    Args:
        path: the recording.
        spans: (start, stop) in seconds, in any order.

    Yields:
        (position in `spans`, the bytes of a mono MP3 file at `RATE`), in the order of their ends.

    Raises:
        MediaError: the recording is damaged, has no audio, or ends before a span starts.
    """
    for index, samples in read_segments(path, spans, RATE):
        yield index, as_mp3(samples)


def as_mp3(samples: np.ndarray) -> bytes:
    """Mono samples at `RATE`, full scale 1, as an MP3 file."""
    import soundfile

    padding = max(0, round(_SHORTEST_S * RATE) - len(samples))
    file = io.BytesIO()
    soundfile.write(
        file,
        np.pad(np.clip(samples, -1, 1), (0, padding)),
        RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=_COMPRESSION,
        bitrate_mode="VARIABLE",
    )
    return file.getvalue()


def data_url(mp3: bytes) -> str:
    """An excerpt as the source of an `<audio>` that lies in the page itself."""
    return f"data:{MP3};base64,{base64.b64encode(mp3).decode()}"
