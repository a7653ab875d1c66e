"""A fingerprint of what is wanted now: everything from outside that decides a benchmark's tables.

It is cheap, since a sensor asks every few seconds: small text files count by content, large ones
(sources, media, checkpoints) by size and time of modification.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from assets.benchmarks.adapters import source_stats
from pipelines.jobs import CHAIN
from resources.settings import PROJECT_ROOT, RecordedSettings, Settings

SQL_FOLDER = PROJECT_ROOT / "dbt_like_sql"

_SPEED_ONLY = {"automation", "cache_dir", "config_file", "benchmarks"}
"""Settings that decide no table; of the benchmarks only the one at hand counts."""


def fingerprint(settings: Settings, benchmark: str) -> str:
    """One hash that changes whenever a refresh of this benchmark could have something to do."""
    parts = {
        "settings": settings.model_dump(mode="json", exclude=_SPEED_ONLY),
        "benchmark": settings.benchmarks[benchmark].model_dump(mode="json"),
        "sources": sorted(map(str, source_stats(settings, benchmark))),
        "prompts": _contents(prompt_files(settings)),
        "sql": _contents(sorted(SQL_FOLDER.rglob("*.sql"))),
        "files": [_stat(path) for path in sorted(_large_files(settings))],
        "code": [(table.models[0].name, table.code_version) for table in CHAIN],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def prompt_files(settings: Settings) -> list[Path]:
    """The files that users edit."""
    return sorted(settings.prompts_folder.glob("*.yaml"))


def unsettled(settings: Settings) -> list[Path]:
    """Prompt files saved so recently that their author may still be saving them."""
    now = time.time()
    return [
        path
        for path in prompt_files(settings)
        if now - path.stat().st_mtime < settings.automation.settle_s
    ]


def _contents(paths: Iterable[Path]) -> list[tuple[str, str]]:
    return [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]


def _stat(path: Path) -> tuple[str, Any]:
    if not path.exists():
        return str(path), None
    stat = path.stat()
    return str(path), (stat.st_size, stat.st_mtime_ns)


def _large_files(settings: Settings) -> set[Path]:
    """Files that the config names outside its benchmarks: few-shot pool, answers, encoders."""
    files = {*settings.few_shot.audiocaps, *settings.few_shot.kinetics}
    if isinstance(settings.language_model, RecordedSettings):
        files.add(settings.language_model.answers)
    for encoder in settings.encoders.values():
        files.update(value for value in dict(encoder).values() if isinstance(value, Path))
    return files
