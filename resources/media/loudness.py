"""How loud each clip is, at the recording's own rate, remembered by content and span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resources.media.addresses import check_copy, content_hash, stat_of
from resources.media.decoding import MediaError
from resources.media.inventory import Progress
from resources.media.memory import MediaMemory
from resources.media.segments import read_segments
from resources.parallel import Lost, Spread, on_threads

CHANGED = "changed since the scan"
Span = tuple[float, float]


class Loudness(NamedTuple):
    """Full scale is 1; `digital_silence` is the share of samples that are exactly 0."""

    rms: float
    peak: float
    digital_silence: float


@dataclass(frozen=True)
class SpansOf:
    """The clips to measure in one recording: (start, stop) in seconds."""

    path: Path
    content_hash: str
    spans: Sequence[Span]


def measure(samples: np.ndarray) -> Loudness:
    """Loudness of mono float32 samples (at least one)."""
    return Loudness(
        rms=float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))),
        peak=float(np.abs(samples).max()),
        digital_silence=float(np.mean(samples == 0)),
    )


def measure_all(
    wanted: Mapping[str, SpansOf],
    cache_dir: Path,
    progress: Progress | None = None,
    spread: Spread = on_threads,
) -> dict[str, dict[Span, Loudness]]:
    """Measure clips of many recordings in parallel; what was measured before is not decoded.

    Args:
        wanted: by video id, the spans to measure.
        cache_dir: the folder in which results are remembered.
        progress: told how many recordings are done, of how many.
        spread: how many recordings are measured at once.

    Returns:
        By video id and span. What nobody survived measuring is not there.

    Raises:
        MediaError: a recording changed since it was scanned, so that its scan says nothing of it.
    """
    report = progress or (lambda done, of: None)
    results: dict[str, dict[Span, Loudness]] = {}
    with MediaMemory(cache_dir) as memory:
        tasks: list[tuple[str, SpansOf]] = []
        for video_id, recording in wanted.items():
            known = memory.loudness(recording.content_hash)
            results[video_id] = {s: Loudness(*known[s]) for s in recording.spans if s in known}
            missing = [span for span in dict.fromkeys(recording.spans) if span not in known]
            if missing:
                tasks.append((video_id, SpansOf(recording.path, recording.content_hash, missing)))
        done = len(wanted) - len(tasks)
        report(done, len(wanted))
        sizes = _sizes_of_unchanged(memory, [recording for _, recording in tasks])
        tasks.sort(key=_seconds, reverse=True)
        check = partial(_check, sizes)
        for (video_id, recording), measured in spread(_measure, tasks, check):
            if not isinstance(measured, Lost):
                memory.remember_loudness(recording.content_hash, measured.items())
                results[video_id].update(measured)
            done += 1
            report(done, len(wanted))
    return results


def _sizes_of_unchanged(memory: MediaMemory, recordings: Sequence[SpansOf]) -> dict[Path, int]:
    """Recordings' bytes; `CHANGED` is raised where one is not what was scanned."""
    sizes: dict[Path, int] = {}
    for recording in recordings:
        try:
            found = memory.content_hash(recording.path) or content_hash(recording.path)
            sizes[recording.path] = stat_of(recording.path)[0]
        except OSError:
            found = None
        if found != recording.content_hash:
            raise MediaError(
                CHANGED,
                f"{recording.path} is not what it was when it was scanned; materialize `media` "
                f"again, then this",
            )
    return sizes


def _check(sizes: Mapping[Path, int], task: tuple[str, SpansOf]) -> None:
    check_copy(task[1].path, sizes[task[1].path])


def _seconds(task: tuple[str, SpansOf]) -> float:
    return sum(stop - start for start, stop in task[1].spans)


def _measure(task: tuple[str, SpansOf]) -> dict[Span, Loudness]:
    _, recording = task
    return {
        recording.spans[index]: measure(samples)
        for index, samples in read_segments(recording.path, recording.spans)
    }
