"""A fingerprint of what is wanted now: everything from outside that decides a benchmark's tables.

It is cheap, since a sensor asks every few seconds: small text files count by content, large ones
(sources, media, checkpoints) by size and time of modification.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from assets.benchmarks.adapters import source_stats
from assets.descriptions.few_shot import read_word_list
from assets.descriptions.prompts import PromptError, load_prompts
from assets.descriptions.styles import SOUND_WORDS, VISUAL_WORDS
from assets.reports.assets import CHAIN
from resources.encoders.catalog import build_encoder, code_versions, single_encoders
from resources.settings import Settings
from resources.sql_models import SQL_FOLDER

_DECIDES_NOTHING = {"automation", "cache_dir", "config_file"} | {
    "dagster_storage",
    "engine",
    "ledger",
    "vectors",
}
_COUNTED_OTHERWISE = {"benchmarks", "prompts", "prompts_folder"}
"""Of benchmarks and prompts only those at hand count."""
_FOLDERS = {"output", "sample", "lake"}
_PACE_AND_MONEY = {
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
    "timeout_s",
    "deadline_s",
    "max_attempts",
    "budget_usd",
    "prices",
}
"""Of the language model's settings those that decide no answer."""
_NOT_COUNTED: dict[str, Any] = {
    **dict.fromkeys(_DECIDES_NOTHING | _COUNTED_OTHERWISE, True),
    "language_model": _PACE_AND_MONEY,
}


def fingerprint(settings: Settings, benchmark: str) -> str:
    """One hash that changes whenever a refresh of this benchmark could have something to do."""
    parts = {
        "settings": settings.model_dump(mode="json", exclude=_NOT_COUNTED),
        "benchmark": settings.benchmarks[benchmark].model_dump(mode="json"),
        "sources": sorted(map(str, source_stats(settings, benchmark))),
        "prompts": _prompts(settings, benchmark),
        "words": [read_word_list(path) for path in _word_lists(settings)],
        "sql": _contents(sorted(SQL_FOLDER.rglob("*.sql"))),
        "files": [_stat(path) for path in sorted(_large_files(settings, benchmark))],
        "code": [
            (model.name, str(model.schema), table.code_version)
            for table in CHAIN
            for model in table.models
        ],
        "encoders": {
            name: code_versions(encoder) for name, encoder in single_encoders(settings).items()
        },
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def unsettled(settings: Settings, benchmark: str) -> list[Path]:
    """What a benchmark is made from, where it was saved so recently that it may be only in part."""
    now = time.time()
    prompts = settings.prompts_folder.glob("*.yaml")
    if settings.prompts != "all":
        prompts = (path for path in prompts if path.stem in settings.prompts)
    sources = (Path(path) for path, _, _ in source_stats(settings, benchmark))
    files = [
        settings.config_file,
        *sorted(prompts),
        *_word_lists(settings),
        *sources,
        *sorted(_large_files(settings, benchmark)),
    ]
    return [
        path
        for path in dict.fromkeys(files)
        if path.exists() and 0 <= now - path.stat().st_mtime < settings.automation.settle_s
    ]


def _word_lists(settings: Settings) -> list[Path]:
    return [settings.prompts_folder / name for name in (VISUAL_WORDS, SOUND_WORDS)]


def _prompts(settings: Settings, benchmark: str) -> list[str]:
    """What the prompts for this benchmark say, or what is wrong with them."""
    try:
        return [repr(prompt) for prompt in load_prompts(settings) if prompt.is_for(benchmark)]
    except PromptError as error:
        return [str(error)]


def _contents(paths: Iterable[Path]) -> list[tuple[str, str]]:
    return [
        (path.name, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in paths
        if path.exists()
    ]


def _stat(path: Path) -> tuple[str, Any]:
    if not path.exists():
        return str(path), None
    stat = path.stat()
    return str(path), (stat.st_size, stat.st_mtime_ns)


def _large_files(settings: Settings, benchmark: str) -> set[Path]:
    """Files that the config names, such as the few-shot pool, and those of its encoders."""
    elsewhere = _DECIDES_NOTHING | _COUNTED_OTHERWISE | _FOLDERS | {"encoders"}
    named = {name: value for name, value in settings if name not in elsewhere}
    files = {*_paths(named), *_paths(settings.benchmarks[benchmark])}
    for name, encoder in single_encoders(settings).items():
        files.update(build_encoder(name, encoder, settings.cache_dir).files())
    return files


def _paths(value: Any) -> Iterator[Path]:
    """Every path in nested settings."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        yield from _paths(dict(value))
    elif isinstance(value, Mapping):
        yield from _paths(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _paths(item)
