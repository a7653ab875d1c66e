"""What each recording is, and whether it can be used: every file is decoded once to its end.

Headers are not believed: a truncated file declares its full length. So a recording counts as
usable only if its audio decodes as far as the header says, and is not digital silence throughout.
One whose file can't be read at all is named, and tried again by the next scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resources.media.addresses import check_copy, content_hash, stat_of
from resources.media.decoding import DAMAGED, Audio, MediaError, open_audio
from resources.media.memory import MediaMemory
from resources.parallel import WORKER_LOST, Lost, Spread, on_threads

MISSING = "missing media"
DIGITAL_SILENCE = "digital silence"
UNREADABLE = "unreadable"
"""The reason of what is there, or was a moment ago, and can't be opened or read."""

_TOLERANCE_S = 0.1
"""A header's length may differ from the decoded one by codec padding: some frames, no more."""

Progress = Callable[[int, int], None]
"""Called with (done, of)."""


@dataclass(frozen=True)
class Probe:
    """One recording's decoded audio. `reason` is None where it can be used."""

    sample_rate: int | None = None
    channels: int | None = None
    duration_s: float | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Recording:
    """One recording as found: its file and content, and what was probed."""

    path: Path | None
    content_hash: str | None
    probe: Probe


class _Unknown(NamedTuple):
    """A recording that is to be read.

    It is remembered as `stat` (see `stat_of`) says, which was asked before and by the process that
    asks again: so one that changes meanwhile is read again, and a node's copy may have another
    time.
    """

    video_id: str
    path: Path
    stat: tuple[int, int]


def scan(
    files: Mapping[str, Path | None],
    cache_dir: Path,
    progress: Progress | None = None,
    spread: Spread = on_threads,
) -> dict[str, Recording]:
    """Probe recordings in parallel; those unchanged since an earlier scan are not read again.

    A recording that can't be read, or that nobody survived probing, is not remembered: the next
    scan tries it again.

    Args:
        files: by video id, the recording's file, or None where there is none.
        cache_dir: the folder in which results are remembered.
        progress: told how many recordings are done, of how many.
        spread: how many are probed at once.
    """
    done: dict[str, Recording] = {}
    with MediaMemory(cache_dir) as memory:
        unknown: list[_Unknown] = []
        for video_id, path in files.items():
            found = _look_up(memory, video_id, path)
            if isinstance(found, Recording):
                done[video_id] = found
            else:
                unknown.append(found)
        unknown.sort(key=lambda task: task.stat[0], reverse=True)
        report = progress or (lambda done, of: None)
        report(len(done), len(files))
        for task, read in spread(_read, unknown, _check):
            if isinstance(read, Lost):
                given_up = Probe(reason=WORKER_LOST, detail=f"{task.path}: {read.reason}")
                done[task.video_id] = Recording(task.path, None, given_up)
            elif isinstance(read, Probe):
                done[task.video_id] = Recording(task.path, None, read)
            else:
                content, probed = read
                memory.remember_file(task.path, task.stat, content)
                memory.remember_probe(content, astuple(probed))
                done[task.video_id] = Recording(task.path, content, probed)
            report(len(done), len(files))
    return {video_id: done[video_id] for video_id in files}


def probe(path: Path) -> Probe:
    """Decode a recording to its end and say what it is; never raises for a bad file."""
    try:
        with open_audio(path) as audio:
            return _probe(audio)
    except MediaError as error:
        return Probe(reason=error.reason, detail=error.detail)


def _look_up(memory: MediaMemory, video_id: str, path: Path | None) -> Recording | _Unknown:
    if path is None:
        return Recording(None, None, Probe(reason=MISSING, detail="no media pattern fits a file"))
    try:
        known_hash = memory.content_hash(path)
        row = memory.probe(known_hash) if known_hash else None
        return (
            Recording(path, known_hash, Probe(*row))
            if row
            else _Unknown(video_id, path, stat_of(path))
        )
    except OSError as error:
        return Recording(path, None, _unreadable(path, error))


def _check(task: _Unknown) -> None:
    check_copy(task.path, task.stat[0])


def _read(task: _Unknown) -> tuple[str, Probe] | Probe:
    """What is to be remembered of a recording; or its verdict alone, if it can't be read."""
    try:
        return content_hash(task.path), probe(task.path)
    except OSError as error:
        return _unreadable(task.path, error)
    except MediaError as error:
        return Probe(reason=error.reason, detail=error.detail)


def _unreadable(path: Path, error: OSError) -> Probe:
    return Probe(reason=UNREADABLE, detail=f"{error.filename or path}: {error.strerror or error}")


def _probe(audio: Audio) -> Probe:
    peak = 0.0
    reason = detail = None
    declared = audio.declared_s()
    try:
        while len(block := audio.read_block()):
            if not np.isfinite(block).all():
                raise MediaError(DAMAGED, "it holds samples that are no finite numbers")
            peak = max(peak, float(np.abs(block).max()))
    except MediaError as error:
        reason, detail = error.reason, error.detail
    duration = audio.position / audio.sample_rate
    if reason is None and declared is not None and duration < declared - _TOLERANCE_S:
        reason = DAMAGED
        detail = f"it decodes to {duration:.3f} s of the {declared:.3f} s that its header declares"
    if reason is None and not duration:
        reason, detail = DAMAGED, "its audio stream holds no sample"
    if reason is None and peak == 0.0:
        reason, detail = DIGITAL_SILENCE, "every sample is zero"
    return Probe(audio.sample_rate, audio.channels, duration, reason, detail)
