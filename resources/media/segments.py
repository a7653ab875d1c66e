"""Segments of a recording, cut by time at sample accuracy and resampled.

However many segments a recording has, and in whatever order, it is decoded once: blocks go by in
order of time, and what no segment needs is skipped where that is cheap. Memory holds only the
segments that are open at that moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soxr

from resources.media.decoding import BLOCK, Audio, MediaError, open_audio

PAST_THE_END = "past the end"


@dataclass
class _Segment:
    """One segment while it fills: samples `first` up to, not including, `last`."""

    index: int
    first: int
    last: int
    parts: list[np.ndarray] = field(default_factory=list)

    def take(self, offset: int, block: np.ndarray) -> None:
        self.parts.append(block[max(self.first - offset, 0) : self.last - offset])

    def samples(self) -> np.ndarray:
        """All of it; what lay in one block is not copied."""
        return self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)


def read_segments(
    path: Path, segments: Sequence[tuple[float, float]], rate: int | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Cut segments out of one recording, decoding it once.

    A segment [start, stop) holds the samples round(start * r) up to round(stop * r) of the stored
    rate r, at least one; channels are averaged. One that ends past the recording is shorter.

    Args:
        path: the recording.
        segments: (start, stop) in seconds, in any order; they may overlap.
        rate: samples a second to resample to (soxr, HQ); None keeps the stored rate.

    Yields:
        (position in `segments`, mono float32 samples), in the order in which segments end. At the
        stored rate, segments that overlap may share memory: don't write into them.

    Raises:
        MediaError: the recording is damaged, has no audio, or ends before a segment starts.
    """
    with open_audio(path) as audio:
        for index, samples in cut(audio, segments):
            yield index, resample(samples, audio.sample_rate, rate or audio.sample_rate)


def resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Samples at another rate (soxr, HQ), float32."""
    return samples if rate == target else soxr.resample(samples, rate, target, quality="HQ")


def cut(audio: Audio, segments: Sequence[tuple[float, float]]) -> Iterator[tuple[int, np.ndarray]]:
    """The same at the stored rate, out of a recording that is open (see `read_segments`)."""
    waiting = deque(sorted(_bounds(audio.sample_rate, segments)))
    open_segments: list[_Segment] = []
    while waiting or open_segments:
        if not open_segments:
            audio.skip_to(waiting[0][0])
        offset = audio.position
        block = audio.read_block(_reach(open_segments, waiting, offset + BLOCK) - offset)
        if not len(block):
            break
        end = offset + len(block)
        while waiting and waiting[0][0] < end:
            first, last, index = waiting.popleft()
            open_segments.append(_Segment(index, first, last))
        for segment in open_segments:
            segment.take(offset, block)
        yield from ((s.index, s.samples()) for s in open_segments if s.last <= end)
        open_segments = [segment for segment in open_segments if segment.last > end]
    for segment in open_segments:
        yield segment.index, segment.samples()
    if waiting:
        start = segments[waiting[0][2]][0]
        raise MediaError(
            PAST_THE_END,
            f"a segment starts at {start:.3f} s, the recording ends at "
            f"{audio.position / audio.sample_rate:.3f} s",
        )


def _reach(
    open_segments: Sequence[_Segment], waiting: Sequence[tuple[int, int, int]], limit: int
) -> int:
    """Where segments that overlap one another end: read in one block, they need not be joined."""
    reach = max((segment.last for segment in open_segments), default=0) or waiting[0][1]
    for first, last, _ in waiting:
        if first > reach or reach >= limit:
            break
        reach = max(reach, last)
    return reach


def _bounds(rate: int, segments: Sequence[tuple[float, float]]) -> Iterator[tuple[int, int, int]]:
    for index, (start, stop) in enumerate(segments):
        first = round(start * rate)
        yield first, max(round(stop * rate), first + 1), index
