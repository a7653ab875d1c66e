"""Whether a run can start here, as far as packages, disks, language model and ledger say.

Nothing secret is ever shown, and nothing is sent anywhere unless that is asked for.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from resources.language_model.prices import load_prices
from resources.language_model.providers import open_ledger
from resources.language_model.question import LanguageModelError
from resources.language_model.recorded import read_recorded
from resources.language_model.server import server_url
from resources.settings import PROJECT_ROOT, OpenAISettings, RecordedSettings, Settings

Mark = Literal["ok", "note", "stops"]
INSTALL = "pip install -c constraints.txt -e ."
_PYTHONS = ((3, 11), (3, 12))
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_BYTES_A_VECTOR = 4096
"""1,024 numbers of four bytes: the longest vectors that there are."""
_COPIES = 3
"""Of a vector: in the store, in the lake, in the DuckDB file."""
_SPARE_BYTES = 500 * 10**6
_SHOWN = 4


@dataclass(frozen=True)
class Finding:
    """One line of an examination.

    Attributes:
        area: what it is about.
        mark: `ok`; `note`, worth a look; `stops`, a run would stop or have nothing to score.
        text: what was found.
        remedy: what to do about it, where there is anything to do.
    """

    area: str
    mark: Mark
    text: str
    remedy: str | None = None


def examine_versions() -> Iterator[Finding]:
    """Python, the packages that this project requires, and those that it pins."""
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in _PYTHONS:
        yield Finding("versions", "ok", f"Python {python}")
    else:
        yield Finding("versions", "stops", f"Python {python}", "use Python 3.11 or 3.12")
    for line in _unsatisfied():
        yield Finding("versions", "stops", line, INSTALL)
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", _constraints(), re.MULTILINE))
    installed = {name: version for name in pins if (version := _version(name))}
    others = [
        f"{name} {version}, pinned {pins[name]}"
        for name, version in installed.items()
        if version.partition("+")[0] != pins[name]  # +cpu and the like are builds of the same
    ]
    count = f"{len(installed) - len(others)} packages as constraints.txt pins them"
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        text = f"{count}; others: {'; '.join(others[:_SHOWN])}{more}"
        yield Finding("versions", "note", text, INSTALL)
    else:
        yield Finding("versions", "ok", count)


def examine_disk(settings: Settings, clips: int) -> Iterator[Finding]:
    """Space for the output and the cache against what a run may write.

    That is all tables once more before the old ones go, and a first run's vectors.
    """
    now = [settings.duckdb_file, *(settings.output / "lake").rglob("*.parquet")]
    again = sum(file.stat().st_size for file in now if file.is_file())
    vectors = _COPIES * _BYTES_A_VECTOR * clips * len(settings.seeds) * len(settings.encoders)
    needed = again + vectors + _SPARE_BYTES
    for what, folder in {"output": settings.output, "cache": settings.cache_dir}.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        said = f"{what}: {free / 1e9:,.1f} GB free, a run may need {needed / 1e9:,.1f} GB"
        if not os.access(there, os.W_OK):
            yield Finding("disk", "stops", f"{there} can't be written", "mend its permissions")
        elif free < needed:
            yield Finding(
                "disk", "stops", f"{said} ({folder})", f"{settings.command('gc')}, or move it"
            )
        else:
            yield Finding("disk", "ok", said)


def examine_language_model(settings: Settings, models: set[str]) -> Iterator[Finding]:
    """Provider, key, limits and prices; the server itself is not asked (see `reach_server`).

    Args:
        settings: the config.
        models: those that the prompts name.
    """
    chosen = settings.language_model
    if isinstance(chosen, RecordedSettings):
        try:
            count = len(read_recorded(chosen.answers))
        except LanguageModelError as error:
            yield Finding("language model", "stops", str(error), "mend `language_model.answers:`")
            return
        yield Finding("language model", "ok", f"{count:,} recorded answers, no key needed")
        return
    yield _server(chosen)
    yield _key(chosen)
    limits = {
        "requests a minute": chosen.requests_per_minute,
        "tokens a minute": chosen.tokens_per_minute,
        "USD a run": chosen.budget_usd,
        "USD unasked": settings.automation.max_usd_per_change,
    }
    said = ", ".join(f"{'any' if n is None else f'{n:g}'} {what}" for what, n in limits.items())
    text = f"{chosen.mode}, {chosen.concurrency} at a time; {said}"
    yield Finding("language model", "ok", text)
    yield from _prices(chosen, models)


def reach_server(settings: Settings, timeout_s: float = 10.0) -> Iterator[Finding]:
    """Ask the language model's server for its list of models, which costs nothing."""
    import httpx

    chosen = settings.language_model
    if isinstance(chosen, RecordedSettings):
        return
    url = server_url(chosen)
    key = os.environ.get(chosen.api_key_variable)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        status = httpx.get(f"{url}/models", headers=headers, timeout=timeout_s).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        text = f"{url} can't be reached: {type(error).__name__}"
        yield Finding("language model", "stops", text, "is it up, and is `base_url:` right?")
        return
    if status in {401, 403}:
        text, remedy = f"{url} refuses the key ({status})", f"mend {chosen.api_key_variable}"
        yield Finding("language model", "stops", text, remedy)
    elif status >= 500:
        yield Finding("language model", "note", f"{url} answers {status}", "try again later")
    else:
        yield Finding("language model", "ok", f"{url} answers")


def examine_ledger(settings: Settings) -> Iterator[Finding]:
    """What is paid, what is quarantined, and what is still in a batch."""
    if isinstance(settings.language_model, RecordedSettings):
        return
    if settings.ledger is None and not (settings.cache_dir / "ledger.sqlite").exists():
        yield Finding("ledger", "ok", "none yet: nothing was asked")
        return
    try:
        with open_ledger(settings) as ledger:
            states = ledger.states() if ledger else {}
    except LanguageModelError as error:
        yield Finding("ledger", "stops", str(error), "is the database there, and writable?")
        return
    yield Finding("ledger", "ok", f"{states.get('answered', 0):,} answers")
    if failed := states.get("failed"):
        remedy = f"`exclusions` has their reasons; to ask again: {settings.command('retry')}"
        yield Finding("ledger", "note", f"{failed:,} answers are quarantined", remedy)
    if waiting := states.get("in_batch"):
        text = f"{waiting:,} questions are in a batch"
        yield Finding("ledger", "note", text, "a run collects what is in")


def _server(chosen: OpenAISettings) -> Finding:
    url = server_url(chosen)
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        text = f"{url}: texts and key travel unencrypted"
        return Finding("language model", "note", text, "use https, or a server on loopback")
    return Finding("language model", "ok", url)


def _key(chosen: OpenAISettings) -> Finding:
    name = chosen.api_key_variable
    if os.environ.get(name):
        return Finding("language model", "ok", f"{name} is set")
    if chosen.base_url is None:
        return Finding("language model", "stops", f"{name} is not set", f"export {name}=...")
    return Finding("language model", "ok", f"{name} is not set; this server may need none")


def _prices(chosen: OpenAISettings, models: set[str]) -> Iterator[Finding]:
    try:
        known = load_prices(chosen.prices).models
    except LanguageModelError as error:
        yield Finding("language model", "stops", str(error), "mend the price list")
        return
    if unknown := sorted(models - known.keys()):
        text = f"no price of {', '.join(unknown)}: no budget can hold, nothing is asked unasked"
        yield Finding("language model", "note", text, "add it to prices.yaml")


def _unsatisfied() -> list[str]:
    """What this checkout requires and what is installed does not meet.

    The file is asked, and not the installation, which is that of the last `pip install`.
    """
    from packaging.requirements import Requirement

    wrong = []
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for line in project["project"]["dependencies"]:
        wanted = Requirement(line)
        found = _version(wanted.name)
        if found is None or not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} {found or 'is not installed'}: needs {wanted.specifier}")
    return wrong


def _constraints() -> str:
    return Path(PROJECT_ROOT, "constraints.txt").read_text(encoding="utf-8")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
