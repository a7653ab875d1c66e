"""What a report rests on, in hashes and versions: config, encoders, packages, prompts, tables.

No times, machine names or absolute paths: the same inputs give the same lines anywhere.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from resources.settings import PROJECT_ROOT, Settings

_PACKAGES = (
    "sound-approach",
    "dagster",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "duckdb",
    "soundfile",
    "soxr",
    "av",
    "torch",
    "transformers",
    "laion-clap",
)


@dataclass(frozen=True)
class Provenance:
    """Lines of the report's last section: names and what they are."""

    config: list[tuple[str, str]]
    encoders: list[tuple[str, str]]
    metrics: list[tuple[str, str]]
    packages: list[tuple[str, str]]


def provenance(settings: Settings, publication: pd.DataFrame) -> Provenance:
    """Where the figures of a published file come from.

    Args:
        settings: the config it was made with.
        publication: the table `publication` of the DuckDB file.
    """
    content = settings.config_file.read_bytes()
    return Provenance(
        [
            ("config", settings.name),
            ("sha256 of its file", hashlib.sha256(content).hexdigest()),
            ("benchmarks", ", ".join(settings.benchmarks)),
            ("seeds", ", ".join(map(str, settings.seeds))),
            ("limit", "none" if settings.limit is None else f"{settings.limit} texts a benchmark"),
            ("language model", settings.language_model.provider),
            ("content of the DuckDB file", _content(publication)),
        ],
        [(name, _encoder(encoder)) for name, encoder in settings.encoders.items()],
        [
            (name.replace("_", " "), _said(value))
            for name, value in settings.metrics.model_dump().items()
        ],
        package_versions(),
    )


def _content(publication: pd.DataFrame) -> str:
    """One hash over every table's and model's version."""
    columns = ["kind", "name", "benchmark", "version"]
    rows = publication[columns].astype(object).where(publication[columns].notna(), "")
    lines = "\n".join(" ".join(row) for row in rows.itertuples(index=False))
    return hashlib.sha256(lines.encode()).hexdigest()


def _encoder(encoder: Any) -> str:
    """An encoder's settings in one line; what is left to its default by the encoder is left out."""
    settings = encoder.model_dump(exclude_none=True)
    return ", ".join(f"{name.replace('_', ' ')} {_said(value)}" for name, value in settings.items())


def _said(value: Any) -> str:
    """A setting in words; a file by its place in the project, or else by its name."""
    if isinstance(value, Path):
        inside = value.is_relative_to(PROJECT_ROOT)
        return str(value.relative_to(PROJECT_ROOT)) if inside else value.name
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def package_versions() -> list[tuple[str, str]]:
    """Python, and the packages that numbers rest on, with their versions here."""
    found = [("Python", platform.python_version())]
    for name in _PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append((name, "not installed"))
    return found
