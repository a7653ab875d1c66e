"""The page of every key that a config may have, written from the settings' own words.

Run `python -m resources.config_page` after a change to `settings.py`; a test compares the page in
`docs/` with what the settings say.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from resources.settings import (
    OFFICIAL_FILES,
    PROJECT_ROOT,
    AutomationSettings,
    EgoMcqSettings,
    EpicMirSettings,
    EpicSoundsSettings,
    FailureHookSettings,
    FewShotSettings,
    LaionClapSettings,
    LateFusionSettings,
    MelRidgeSettings,
    MetricsSettings,
    OpenAISettings,
    PrecomputedSettings,
    RaySettings,
    RecordedSettings,
    Settings,
    Strict,
    StyleSettings,
    TableColumns,
    TableSettings,
    WavCapsSettings,
)

PAGE = PROJECT_ROOT / "docs" / "config.md"

SECTIONS: dict[str, type[Strict]] = {
    "The file": Settings,
    "benchmarks: epic_mir": EpicMirSettings,
    "benchmarks: ego_mcq": EgoMcqSettings,
    "benchmarks: epic_sounds": EpicSoundsSettings,
    "benchmarks: one of your own": TableSettings,
    "columns of a table": TableColumns,
    "few_shot": FewShotSettings,
    "styles": StyleSettings,
    "language_model: openai": OpenAISettings,
    "language_model: recorded": RecordedSettings,
    "encoders: mel_ridge": MelRidgeSettings,
    "encoders: laion_clap": LaionClapSettings,
    "encoders: wavcaps": WavCapsSettings,
    "encoders: precomputed": PrecomputedSettings,
    "encoders: late_fusion": LateFusionSettings,
    "metrics": MetricsSettings,
    "automation": AutomationSettings,
    "automation: on_failure": FailureHookSettings,
    "engine": RaySettings,
}
_INTRODUCTION = """# Every key of a config

A config is YAML; `configs/` has three. Relative paths start at the folder that holds it, or, if
that folder is named `configs`, at the folder above. `${NAME}` is replaced from the environment.
Unknown keys, and keys that are there twice, are errors. This page is generated from
`resources/settings.py`.
"""
_NEEDED = ("benchmarks", "encoders")
"""Of the file's own keys; all others are filled in."""
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "keys",
}
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


def config_page() -> str:
    """The page, as Markdown."""
    return "\n".join([_INTRODUCTION, *(_section(*item) for item in SECTIONS.items())])


def meanings(model: type[Strict]) -> dict[str, str]:
    """What the docstrings of a model and of those that it extends say of its keys."""
    found: dict[str, str] = {}
    for one in (one for one in reversed(model.__mro__) if issubclass(one, Strict)):
        _, _, attributes = inspect.cleandoc(one.__doc__ or "").partition("Attributes:\n")
        found |= {name: re.sub(r"\s+", " ", said) for name, said in _ATTRIBUTE.findall(attributes)}
    return found


def _section(title: str, model: type[Strict]) -> str:
    about = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")[0]
    about = re.sub(r" \(method [^)]*\)", "", about)
    lines = [
        f"## {title}",
        "",
        re.sub(r"(?<!\n)\n(?!\n)", " ", about.strip()),
        "",
        "| key | value | by default | meaning |",
        "| --- | --- | --- | --- |",
        *_rows(model),
        "",
    ]
    return "\n".join(lines)


def _rows(model: type[Strict]) -> Iterator[str]:
    said = meanings(model)
    schema = model.model_json_schema()
    for key, value in schema["properties"].items():
        if key == "config_file":
            continue
        default = "needed" if _is_needed(model, key) else _default(value)
        cells = (f"`{key}`", _values(value), default, said.get(key, ""))
        yield f"| {' | '.join(cells)} |"


def _is_needed(model: type[Strict], key: str) -> bool:
    if model is Settings:
        return key in _NEEDED
    filled = (
        OFFICIAL_FILES.get(model.model_fields["adapter"].default, {})
        if ("adapter" in model.model_fields)
        else {}
    )
    return model.model_fields[key].is_required() and key not in filled


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    if default is None or isinstance(default, dict) or default == []:
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _values(value: dict[str, Any]) -> str:
    """What may be written, from a JSON schema."""
    if "anyOf" in value:
        found = [_values(one) for one in value["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(found))
    if "const" in value or "enum" in value:
        allowed = value.get("enum") or [value["const"]]
        return ", ".join(f"`{one}`" for one in allowed)
    if value.get("type") == "array":
        return f"list of: {_values(value['items'])}"
    if value.get("format") == "path":
        return "path"
    least, above = value.get("minimum"), value.get("exclusiveMinimum")
    bound = f" ≥ {least:g}" if least is not None else f" > {above:g}" if above is not None else ""
    return _TYPES[value.get("type", "object")] + bound


if __name__ == "__main__":
    PAGE.write_text(config_page(), encoding="utf-8")
