"""Excerpts of recordings for ears: as MP3, small enough to lie inside a page, or as FLAC.

Nothing that is measured comes from here: one excerpt alone is cut by a jump, which is quick
anywhere in an hour of video, and exact only to its time stamps.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resources.media.addresses import files_of
from resources.media.container import ContainerAudio
from resources.media.decoding import MediaError, open_audio
from resources.media.inventory import MISSING
from resources.media.segments import PAST_THE_END, cut, read_segments

MP3 = "audio/mpeg"
RATE = 32_000
"""Samples a second of an excerpt: up to 16 kHz can be heard."""
_COMPRESSION = 0.6
"""Between 0 (best) and 1 (smallest): about 8 kB a second of kitchen sounds."""
_SHORTEST_S = 0.25
"""What is shorter is followed by silence: some players begin too late to play it."""


@dataclass(frozen=True)
class Excerpt:
    """Mono samples in [-1, 1], float32, and how many there are a second."""

    samples: np.ndarray
    rate: int


def read_excerpt(path: Path, start_s: float, stop_s: float) -> Excerpt:
    """Cut one excerpt, at the recording's own rate.

    Raises:
        MediaError: the recording is not there, is damaged, or ends before the excerpt starts.
    """
    files = files_of(path)
    if not files or not all(file.is_file() for file in files):
        raise MediaError(MISSING, f"{path.name} is not where it lay when the result was made")
    with open_audio(path) as audio:
        if isinstance(audio, ContainerAudio):
            audio.jump_to(round(start_s * audio.sample_rate))
        for _, samples in cut(audio, [(start_s, stop_s)]):
            return Excerpt(np.clip(samples, -1, 1), audio.sample_rate)
    raise MediaError(PAST_THE_END, f"{path.name} ends before {start_s:.3f} s")


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


def as_mp3(samples: np.ndarray, rate: int = RATE) -> bytes:
    """Mono samples, full scale 1, as an MP3 file."""
    import soundfile

    padding = max(0, round(_SHORTEST_S * rate) - len(samples))
    file = io.BytesIO()
    soundfile.write(
        file,
        np.pad(np.clip(samples, -1, 1), (0, padding)),
        rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=_COMPRESSION,
        bitrate_mode="VARIABLE",
    )
    return file.getvalue()


def as_flac(excerpt: Excerpt) -> bytes:
    """The samples without loss (16 bits), for any browser."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, excerpt.samples, excerpt.rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def data_url(mp3: bytes) -> str:
    """An excerpt as the source of an `<audio>` that lies in the page itself."""
    return f"data:{MP3};base64,{base64.b64encode(mp3).decode()}"
