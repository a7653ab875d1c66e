"""Computes the missing vectors of clips: decode threads feed the encoder through a bounded queue.

It knows segments, keys and an encoder, and no tables: so that what is missing could as well be
computed elsewhere. Finished vectors are handed over at least every minute. A fault in one clip
costs that clip.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from resources.encoders.protocol import Encoder, EncoderUnavailable, Vectors, Waveform

ReadSegments = Callable[[Path, Sequence[tuple[float, float]], int], Iterator[tuple[int, Waveform]]]
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
    start_s: float
    stop_s: float
    draw: int


@dataclass(frozen=True)
class Fault:
    """Why a vector could not be made."""

    reason: str
    detail: str


Decoded = tuple[Segment, Waveform | Fault]


def embed_segments(
    encoder: Encoder,
    segments: Sequence[Segment],
    save: Save,
    read_segments: ReadSegments,
    progress: Progress | None = None,
) -> dict[str, Fault]:
    """Embed segments; each recording is decoded once.

    Args:
        encoder: what embeds.
        segments: one a key.
        save: called with keys and their finite vectors, at least every minute.
        read_segments: yields position and samples of one recording's segments, in any order.
        progress: called after each batch.

    Returns:
        The faults by key; every other key was saved.

    Raises:
        EncoderUnavailable: the encoder turns out not to run here.
    """
    faults: dict[str, Fault] = {}
    finished: dict[str, np.ndarray] = {}
    last_save, done = time.monotonic(), 0
    for batch in _batches(_decoded(encoder, segments, read_segments), encoder.batch_size):
        for key, result in _embed(encoder, batch).items():
            if isinstance(result, Fault):
                faults[key] = result
            else:
                finished[key] = result
        done += len(batch)
        if finished and (time.monotonic() - last_save > _SAVE_EVERY_S or done == len(segments)):
            save(list(finished), np.stack(list(finished.values())))
            finished, last_save = {}, time.monotonic()
        if progress:
            progress(done, len(segments))
    return faults


def _embed(encoder: Encoder, batch: Sequence[Decoded]) -> dict[str, np.ndarray | Fault]:
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


def _batches(items: Iterable[Decoded], size: int) -> Iterator[list[Decoded]]:
    batch: list[Decoded] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _decoded(
    encoder: Encoder, segments: Sequence[Segment], read_segments: ReadSegments
) -> Iterator[Decoded]:
    """Every segment with its samples or its fault, as threads finish decoding them."""
    ordered = sorted(segments, key=lambda segment: (segment.path, segment.start_s))
    recordings = queue.SimpleQueue[list[Segment]]()
    for _, group in groupby(ordered, key=lambda segment: segment.path):
        recordings.put(list(group))
    ready: queue.Queue[Decoded] = queue.Queue(_QUEUED_BATCHES * encoder.batch_size)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                group = recordings.get_nowait()
            except queue.Empty:
                return
            for item in _read_recording(group, encoder.sample_rate, read_segments):
                if not _put(ready, item, stop):
                    return

    threads = [threading.Thread(target=work, daemon=True) for _ in range(_decode_threads())]
    for thread in threads:
        thread.start()
    try:
        for _ in range(len(segments)):
            yield ready.get()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _decode_threads() -> int:
    return min(8, os.cpu_count() or 1)


def _put(ready: queue.Queue[Decoded], item: Decoded, stop: threading.Event) -> bool:
    """Queue an item as soon as there is room; False if nobody wants it any more."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False


def _read_recording(
    segments: Sequence[Segment], rate: int, read_segments: ReadSegments
) -> Iterator[Decoded]:
    """One recording's segments; after a fault, halves are tried apart until it stands alone."""
    pending = dict(enumerate(segments))
    spans = [(segment.start_s, segment.stop_s) for segment in segments]
    try:
        for index, waveform in read_segments(segments[0].path, spans, rate):
            yield pending.pop(index), _checked(waveform)
    except Exception as error:
        left = list(pending.values())
        if len(left) == 1:
            yield left[0], Fault("segment unreadable", f"{left[0].path}: {error}")
        for half in (left[: len(left) // 2], left[len(left) // 2 :]) if len(left) > 1 else ():
            yield from _read_recording(half, rate, read_segments)


def _checked(waveform: Waveform) -> Waveform | Fault:
    if not len(waveform):
        return Fault("segment empty", "it holds no sample")
    if not np.isfinite(waveform).all():
        return Fault("samples not finite", "the recording holds NaN or infinite samples")
    return waveform
