"""Texts and configs as they can leave this machine: without its folders, and without secrets.

Every path that the pipeline writes starts with one that the config names, so that shortening
those is enough: what lies in the project's folder keeps its place in it, all else its name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from resources.settings import PROJECT_ROOT, OpenAISettings, Settings

_NOT_SHARED = {
    "automation": True,
    "cache_dir": True,
    **dict.fromkeys(("dagster_storage", "lake", "ledger", "vectors"), True),
    "config_file": True,
    "dagster_storage": True,
    "language_model": True,
    "ledger": True,
    "limit": True,
    "name": True,
    "output": True,
    "prompts_folder": True,
    "sample": True,
}
TOLD = ("path", "reason", "detail")
"""Columns in which tables tell of files; texts of users and answers are left as they are."""
_PLACEHOLDER = re.compile(r"[{*]")


class Portable:
    """What is to be replaced in texts of one config, longest first."""

    def __init__(self, settings: Settings) -> None:
        names = {f"{settings.base}/": "", str(settings.base): "."}
        names[str(Path.home())] = "~"
        for path in {*_named(dict(settings)), PROJECT_ROOT}:
            if path != Path(path.anchor) and not path.is_relative_to(settings.base):
                names[str(path)] = path.name
        model = settings.language_model
        if isinstance(model, OpenAISettings) and os.environ.get(model.api_key_variable):
            names[os.environ[model.api_key_variable]] = "[key]"
        self._names = dict(sorted(names.items(), key=lambda item: -len(item[0])))

    def text(self, text: str) -> str:
        """A text with every path and secret replaced."""
        for machine, portable in self._names.items():
            text = text.replace(machine, portable)
        return text

    def table(self, table: pa.Table) -> pa.Table:
        """A table with what it tells of this machine replaced; itself if it tells nothing."""
        for number, field in enumerate(table.schema):
            if field.name in TOLD and pa.types.is_string(field.type):
                column = table[field.name]
                for machine, portable in self._names.items():
                    if pc.any(pc.match_substring(column, machine)).as_py():
                        column = pc.replace_substring(column, machine, portable)
                        table = table.set_column(number, field, column)
        return table

    def value(self, value: Any) -> Any:
        """Settings as JSON, with every text in them replaced."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self.value(item) for name, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list) else value


def portable_config(settings: Settings, answers: str) -> str:
    """A config that means the same elsewhere: all that decides a number, and recorded answers.

    Args:
        settings: the config; its output, cache and automation stay behind.
        answers: where the recorded answers lie, from the config's base folder.
    """
    dumped = settings.model_dump(mode="json", exclude=_NOT_SHARED, exclude_none=True)
    model = {"provider": "recorded", "answers": answers}
    if settings.language_model.model:
        model["model"] = settings.language_model.model
    shared = {**Portable(settings).value(dumped), "language_model": model}
    return yaml.safe_dump(shared, sort_keys=False, allow_unicode=True)


def _named(value: Any) -> Iterator[Path]:
    """Every absolute path in nested settings; of a pattern, the folder before its placeholders."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, str):
        fixed = _PLACEHOLDER.split(value)[0]
        if fixed.startswith("/"):
            yield Path(fixed if fixed == value else fixed.rpartition("/")[0] or "/")
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _named(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _named(item)
    elif hasattr(value, "model_dump"):
        yield from _named(dict(value))
