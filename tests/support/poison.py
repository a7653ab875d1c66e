"""Recordings that end every process which works at them, and marks of what was begun.

Ray calls `arm` in each new worker of a driver that `poisoned` gave its environment: as if a decoder
or a GPU's driver crashed on them, which no file does on purpose.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SCAN, LOUDNESS, EMBEDDING = STEPS = ("scan", "loudness", "embedding")
PAUSE_S = 0.2
"""At each recording: time to lose a node in."""

_POISON, _MARKS = "TEST_POISON", "TEST_MARKS"


def poisoned(recordings: Mapping[str, str], marks: Path) -> dict[str, str]:
    """The environment of a driver whose workers die of recordings.

    Args:
        recordings: by step the video id that is deadly there.
        marks: a folder that gets a file each time that a step begins a recording.
    """
    variables = {_POISON: json.dumps(dict(recordings)), _MARKS: str(marks)}
    runtime = {"worker_process_setup_hook": "support.poison.arm", "env_vars": variables}
    return {"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"runtime_env": runtime})}


def begun(marks: Path, step: str) -> Counter[str]:
    """By video id, how often a step began it."""
    names = (file.name.split(".") for file in marks.iterdir())
    return Counter(video_id for of, video_id, _ in names if of == step)


def arm() -> None:
    """Make this process one that dies of the recordings."""
    from assets.embeddings import ray_engine
    from resources.media import inventory, loudness

    inventory.open_audio = _deadly(inventory.open_audio, SCAN)
    loudness.read_segments = _deadly(loudness.read_segments, LOUDNESS)
    ray_engine.read_segments = _deadly(ray_engine.read_segments, EMBEDDING)


def _deadly(read: Callable[..., Any], step: str) -> Callable[..., Any]:
    poison, marks = json.loads(os.environ[_POISON])[step], Path(os.environ[_MARKS])

    def wrapped(path: Path, *more: Any) -> Any:
        (marks / f"{step}.{path.stem}.{uuid.uuid4().hex}").touch()
        time.sleep(PAUSE_S)
        if path.stem == poison:
            os._exit(1)
        return read(path, *more)

    return wrapped
