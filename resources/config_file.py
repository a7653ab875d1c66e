"""A config file, read into settings: YAML, `${NAME}` from the environment, all problems at once.

What a config may say is in `settings`. No secret is read here: keys of language models stay in the
environment of the process.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from resources.settings import CONFIG_VARIABLE, DEFAULT_CONFIG, PROJECT_ROOT, Settings, base_of
from resources.yaml_files import parse_yaml, problems_of


class SettingsError(ValueError):
    """A config can't be used; the message lists every problem with its place in the file."""


def selected_config() -> Path:
    """The config that this process works on: `SOUND_APPROACH_CONFIG`, or the sample."""
    return Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG).resolve()


def load_settings(config_file: Path | None = None, **overrides: Any) -> Settings:
    """Read and check a config.

    Args:
        config_file: the YAML file; by default the one this process was told to use.
        overrides: top-level keys that replace the file's, such as `limit`.

    Raises:
        SettingsError: the file is missing, no YAML, or has problems; all are listed.
    """
    path = (config_file or selected_config()).resolve()
    base = base_of(path)
    raw = _read(path)
    raw = {**raw, **{key: value for key, value in overrides.items() if value is not None}}
    own = base / "prompts"
    defaults = {
        "name": path.stem,
        "config_file": str(path),
        "output": str(base / "outputs" / path.stem),
        "cache_dir": str(base / "outputs" / "cache"),
        "prompts_folder": str(own if own.is_dir() else PROJECT_ROOT / "prompts"),
    }
    try:
        return Settings.model_validate({**defaults, **raw}, context={"base": base})
    except ValidationError as error:
        raise _error(path, problems_of(error, raw, Settings)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(
            f"{path}: no such config. Name one with --config or {CONFIG_VARIABLE}; "
            f"those of this project lie in {PROJECT_ROOT / 'configs'}."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text: {error}. Save it as UTF-8.") from error
    try:
        raw = _parse(_expand(text, path))
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise SettingsError(f"{path}: a config is a mapping of keys, such as `benchmarks:`.")
    return raw


@lru_cache(maxsize=8)
def _parse(text: str) -> Any:
    """A config's YAML. Each step of a run reads its config anew; parsing costs most of that."""
    return parse_yaml(text)


def _expand(text: str, path: Path) -> str:
    """Replace `${NAME}` outside comments from the environment; missing ones are errors."""
    missing: dict[str, None] = {}

    def replace(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            missing[match[1]] = None
        return value or ""

    expanded = "\n".join(
        line if line.lstrip().startswith("#") else re.sub(r"\$\{(\w+)\}", replace, line)
        for line in text.splitlines()
    )
    if missing:
        raise _error(path, [f"the environment variable {name} is not set" for name in missing])
    return expanded


def _error(path: Path, problems: list[str]) -> SettingsError:
    listed = "\n".join(f"  - {problem}" for problem in problems)
    return SettingsError(f"{path}: {len(problems)} problem(s) in this config:\n{listed}")
