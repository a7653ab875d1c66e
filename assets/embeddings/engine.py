"""Computes the missing vectors of clips: decode threads feed the encoders through a bounded queue.

It knows segments, keys and encoders, and no tables: so that what is missing could as well be
computed elsewhere. A recording is decoded once for all encoders.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from assets.embeddings.work import Fault, Progress, Work
from resources.encoders.protocol import EncoderUnavailable, Vectors, Waveform
from resources.media.segments import resample

ReadSegments = Callable[[Path, Sequence[tuple[float, float]]], Iterator[tuple[int, Waveform]]]
"""Yields position and samples, at the stored rate, of one recording's segments, in any order."""

_QUEUED_BATCHES = 2
_POLL_S = 0.1


@dataclass(frozen=True)
class Segment:
    """One missing vector: where its samples are, and the number that decides a random crop."""

    key: str
    path: Path
    rate: int
    """Samples a second, as stored."""

    start_s: float
    stop_s: float
    draw: int


SoundWork = Work[Sequence[Segment]]

_Clip = tuple[Waveform, int]
"""Samples and draw."""
_Decoded = tuple[Segment, Waveform | Fault]

Engine = Callable[[Sequence[SoundWork], ReadSegments, Progress | None], None]
"""What fills in works' faults and saves every other vector: `embed_segments`, or another."""


def embed_segments(
    works: Sequence[SoundWork], read_segments: ReadSegments, progress: Progress | None = None
) -> None:
    """Embed segments with all encoders; each recording is decoded once.

    Args:
        works: one an encoder; their `faults` and `unavailable` are filled in.
        read_segments: where samples come from.
        progress: called after each clip.
    """
    batches = [_Batch(work, {}) for work in works if work.wanted and _can_run(work)]
    total = sum(len(batch.work.wanted) for batch in batches)
    try:
        for done, (batch, item) in enumerate(_decoded(batches, read_segments), 1):
            batch.take(item)
            if progress:
                progress(done, total)
        for batch in batches:
            batch.embed()
    finally:
        for batch in batches:
            batch.work.save_finished()


@dataclass
class _Batch:
    """Decoded clips that wait until they are as many as their encoder likes."""

    work: SoundWork
    clips: dict[str, _Clip]

    def take(self, item: _Decoded) -> None:
        """Take a decoded clip; embed where that fills the batch."""
        segment, wave = item
        if isinstance(wave, Fault):
            self.work.faults[segment.key] = wave
            return
        self.clips[segment.key] = (wave, segment.draw)
        if len(self.clips) >= self.work.encoder.batch_size:
            self.embed()

    def embed(self) -> None:
        """Embed what waits."""
        self.work.embed(self._vectors, self.clips)
        self.clips = {}

    def _vectors(self, clips: Sequence[_Clip]) -> Vectors:
        waveforms, draws = zip(*clips, strict=True)
        return self.work.encoder.embed_audio(waveforms, draws)


def _can_run(work: SoundWork) -> bool:
    """Whether the encoder is ready to take batches; asking may be what shows that it is not."""
    try:
        return work.encoder.batch_size > 0
    except EncoderUnavailable as error:
        work.unavailable = error
        return False


_Wanted = tuple[_Batch, Segment]


def _decoded(
    batches: Sequence[_Batch], read_segments: ReadSegments
) -> Iterator[tuple[_Batch, _Decoded]]:
    """Every segment with its samples or its fault, as threads finish decoding them."""
    wanted = [(batch, segment) for batch in batches for segment in batch.work.wanted]
    ordered = sorted(wanted, key=lambda item: item[1].path)
    recordings = queue.SimpleQueue[list[_Wanted]]()
    for _, group in groupby(ordered, key=lambda item: item[1].path):
        recordings.put(list(group))
    largest = max((batch.work.encoder.batch_size for batch in batches), default=1)
    ready: queue.Queue[tuple[_Batch, _Decoded]] = queue.Queue(_QUEUED_BATCHES * largest)
    stop = threading.Event()

    def decode() -> None:
        while not stop.is_set():
            try:
                group = recordings.get_nowait()
            except queue.Empty:
                return
            for item in _read_recording(group, read_segments):
                if not _put(ready, item, stop):
                    return

    threads = [threading.Thread(target=decode, daemon=True) for _ in range(_decode_threads())]
    for thread in threads:
        thread.start()
    try:
        for _ in wanted:
            yield ready.get()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _decode_threads() -> int:
    return min(8, os.cpu_count() or 1)


def _put(
    ready: queue.Queue[tuple[_Batch, _Decoded]],
    item: tuple[_Batch, _Decoded],
    stop: threading.Event,
) -> bool:
    """Queue an item as soon as there is room; False if nobody wants it any more."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False


def _read_recording(
    wanted: Sequence[_Wanted], read_segments: ReadSegments
) -> Iterator[tuple[_Batch, _Decoded]]:
    """One recording's segments, each at the rate of the encoder that wants it.

    After a fault, halves are tried apart until it stands alone.
    """
    by_span: dict[tuple[float, float], list[_Wanted]] = {}
    for batch, segment in wanted:
        by_span.setdefault((segment.start_s, segment.stop_s), []).append((batch, segment))
    spans = list(by_span)
    problem = "it ends before"
    try:
        for index, samples in read_segments(wanted[0][1].path, spans):
            for batch, segment in by_span.pop(spans[index]):
                yield batch, (segment, _at_rate(samples, segment, batch.work.encoder.sample_rate))
    except Exception as error:
        problem = str(error)
    left = list(by_span.values())
    if len(left) == 1:
        for batch, segment in left[0]:
            yield batch, (segment, Fault("segment unreadable", f"{segment.path}: {problem}"))
    for half in (left[: len(left) // 2], left[len(left) // 2 :]) if len(left) > 1 else ():
        yield from _read_recording([item for items in half for item in items], read_segments)


def _at_rate(samples: Waveform, segment: Segment, rate: int) -> Waveform | Fault:
    """A segment's samples as an encoder takes them, or what is wrong with them."""
    if not len(samples):
        return Fault("segment empty", "it holds no sample")
    if not np.isfinite(samples).all():
        return Fault("samples not finite", "the recording holds NaN or infinite samples")
    try:
        return resample(samples, segment.rate, rate)
    except Exception as error:  # such as want of memory; whoever waits for the clip must hear of it
        return Fault("resampling failed", repr(error))
