"""Computes the missing vectors of clips: decode threads feed the encoders through a bounded queue.

It knows segments, keys and encoders, and no tables: so that what is missing could as well be
computed elsewhere. A recording is decoded once for all encoders. Finished vectors are handed over
at least every minute. A fault in one clip costs that clip.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np

from resources.encoders.protocol import Encoder, EncoderUnavailable, Vectors, Waveform
from resources.media.segments import resample

ReadSegments = Callable[[Path, Sequence[tuple[float, float]]], Iterator[tuple[int, Waveform]]]
"""Yields position and samples, at the stored rate, of one recording's segments, in any order."""

Save = Callable[[Sequence[str], Vectors], None]
Progress = Callable[[int, int], None]
"""Called with clips done and clips in all."""

_SAVE_EVERY_S = 30.0
"""Half of the minute that a killed process may lose, since a batch may take as long again."""

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


@dataclass(frozen=True)
class Fault:
    """Why a vector could not be made."""

    reason: str
    detail: str


@dataclass
class Work:
    """What one encoder is to embed, and what became of it.

    Attributes:
        encoder: what embeds.
        segments: one a key.
        save: called with keys and their finite vectors, at least every minute.
        faults: by key; filled in by `embed_segments`. Every other key was saved.
        unavailable: set where the encoder turned out not to run here.
    """

    encoder: Encoder
    segments: Sequence[Segment]
    save: Save
    faults: dict[str, Fault] = field(default_factory=dict)
    unavailable: EncoderUnavailable | None = None
    _batch: list[_Decoded] = field(default_factory=list)
    _finished: dict[str, np.ndarray] = field(default_factory=dict)
    _saved_at: float = field(default_factory=time.monotonic)

    def take(self, item: _Decoded) -> None:
        """Take a decoded clip; embed where that fills a batch, and save where it is time."""
        if self.unavailable:
            return
        self._batch.append(item)
        if len(self._batch) < self.encoder.batch_size:
            return
        self._embed_batch()
        if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
            self.save_finished()

    def finish(self) -> None:
        """Embed and save what is left."""
        if self._batch and not self.unavailable:
            self._embed_batch()
        self.save_finished()

    def save_finished(self) -> None:
        """Hand the finished vectors over."""
        if self._finished:
            self.save(list(self._finished), np.stack(list(self._finished.values())))
        self._finished, self._saved_at = {}, time.monotonic()

    def _embed_batch(self) -> None:
        try:
            results = _embed(self.encoder, self._batch)
        except EncoderUnavailable as error:
            self.unavailable, results = error, {}
        self._batch = []
        for key, result in results.items():
            if isinstance(result, Fault):
                self.faults[key] = result
            else:
                self._finished[key] = result


_Decoded = tuple[Segment, Waveform | Fault]

Engine = Callable[[Sequence[Work], ReadSegments, Progress | None], None]
"""What fills in works' faults and saves every other vector: `embed_segments`, or another."""


def embed_segments(
    works: Sequence[Work], read_segments: ReadSegments, progress: Progress | None = None
) -> None:
    """Embed segments with all encoders; each recording is decoded once.

    Args:
        works: one an encoder; their `faults` and `unavailable` are filled in.
        read_segments: where samples come from.
        progress: called after each clip.
    """
    runnable = [work for work in works if work.segments and _can_run(work)]
    total = sum(len(work.segments) for work in runnable)
    try:
        for done, (work, item) in enumerate(_decoded(runnable, read_segments), 1):
            work.take(item)
            if progress:
                progress(done, total)
    except BaseException:
        for work in runnable:
            work.save_finished()
        raise
    for work in runnable:
        work.finish()


def _can_run(work: Work) -> bool:
    """Whether the encoder is ready to take batches; asking may be what shows that it is not."""
    try:
        return work.encoder.batch_size > 0
    except EncoderUnavailable as error:
        work.unavailable = error
        return False


def _embed(encoder: Encoder, batch: Sequence[_Decoded]) -> dict[str, np.ndarray | Fault]:
    """Each key's vector or fault; where a batch fails, its clips are tried one by one.

    Raises:
        EncoderUnavailable: it says so, or fails with every clip of a batch.
    """
    results: dict[str, np.ndarray | Fault] = {
        segment.key: wave for segment, wave in batch if isinstance(wave, Fault)
    }
    sound = [(segment, wave) for segment, wave in batch if not isinstance(wave, Fault)]
    if not sound:
        return results
    try:
        vectors = encoder.embed_audio(
            [wave for _, wave in sound], [segment.draw for segment, _ in sound]
        )
    except EncoderUnavailable:
        raise
    except Exception as error:
        if len(sound) == 1:
            return {**results, sound[0][0].key: Fault("encoder failed", repr(error))}
        alone = [_embed(encoder, [item]) for item in sound]
        if all(isinstance(result, Fault) for one in alone for result in one.values()):
            raise EncoderUnavailable("encoder failed", repr(error)) from error
        return results | {key: result for one in alone for key, result in one.items()}
    for (segment, _), vector in zip(sound, vectors, strict=True):
        finite = bool(np.isfinite(vector).all())
        results[segment.key] = vector if finite else Fault("vector not finite", encoder.name)
    return results


_Wanted = tuple[Work, Segment]


def _decoded(works: Sequence[Work], read_segments: ReadSegments) -> Iterator[tuple[Work, _Decoded]]:
    """Every segment with its samples or its fault, as threads finish decoding them."""
    wanted = [(work, segment) for work in works for segment in work.segments]
    ordered = sorted(wanted, key=lambda item: item[1].path)
    recordings = queue.SimpleQueue[list[_Wanted]]()
    for _, group in groupby(ordered, key=lambda item: item[1].path):
        recordings.put(list(group))
    largest = max((work.encoder.batch_size for work in works), default=1)
    ready: queue.Queue[tuple[Work, _Decoded]] = queue.Queue(_QUEUED_BATCHES * largest)
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
    ready: queue.Queue[tuple[Work, _Decoded]], item: tuple[Work, _Decoded], stop: threading.Event
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
) -> Iterator[tuple[Work, _Decoded]]:
    """One recording's segments, each at the rate of the encoder that wants it.

    After a fault, halves are tried apart until it stands alone.
    """
    by_span: dict[tuple[float, float], list[_Wanted]] = {}
    for work, segment in wanted:
        by_span.setdefault((segment.start_s, segment.stop_s), []).append((work, segment))
    spans = list(by_span)
    problem = "it ends before"
    try:
        for index, samples in read_segments(wanted[0][1].path, spans):
            for work, segment in by_span.pop(spans[index]):
                yield work, (segment, _at_rate(samples, segment, work.encoder.sample_rate))
    except Exception as error:
        problem = str(error)
    left = list(by_span.values())
    if len(left) == 1:
        for work, segment in left[0]:
            yield work, (segment, Fault("segment unreadable", f"{segment.path}: {problem}"))
    for half in (left[: len(left) // 2], left[len(left) // 2 :]) if len(left) > 1 else ():
        yield from _read_recording([item for items in half for item in items], read_segments)


def _at_rate(samples: Waveform, segment: Segment, rate: int) -> Waveform | Fault:
    """A segment's samples as an encoder takes them, or what is wrong with them."""
    if not len(samples):
        return Fault("segment empty", "it holds no sample")
    if not np.isfinite(samples).all():
        return Fault("samples not finite", "the recording holds NaN or infinite samples")
    return resample(samples, segment.rate, rate)
