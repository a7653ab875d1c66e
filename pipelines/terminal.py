"""What all commands share: options, the console, reading the config, and stopping with a reason."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console

from resources.config_file import SettingsError, load_settings
from resources.remote import ExtraMissingError, require
from resources.settings import Settings

console = Console()

NARROW: dict[str, Any] = {"box": SIMPLE_HEAD, "title_justify": "left", "padding": (0, 1, 0, 0)}
"""Keywords of tables that fit 80 columns."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The config file (default: SOUND_APPROACH_CONFIG, or the sample)."
    ),
]
BenchmarkOption = Annotated[
    list[str] | None, typer.Option("--benchmark", "-b", help="Only this benchmark (repeatable).")
]

LimitOption = Annotated[
    int | None,
    typer.Option(min=1, help="Only n texts a benchmark and their clips, in an output of its own."),
]


def stop(message: str) -> typer.Exit:
    """Say on standard error why a command can't go on; raise what this returns."""
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(2)


def read_settings(config: Path | None, limit: int | None = None) -> Settings:
    """The config, its sample synthesised if it is made of one; all its problems end the command."""
    try:
        settings = load_settings(config, limit=limit)
        for key, package in settings.cluster_packages.items():
            require(package, key)
    except (SettingsError, ExtraMissingError) as error:
        raise stop(str(error)) from error
    if settings.sample:
        from resources.sample import write_sample

        write_sample(settings.sample)
    return settings


def chosen_benchmarks(settings: Settings, benchmarks: list[str] | None) -> list[str]:
    """The benchmarks that an option names, or all of the config's."""
    unknown = sorted(set(benchmarks or ()) - set(settings.benchmarks))
    if unknown:
        raise stop(
            f"no such benchmark: {', '.join(unknown)}. "
            f"{settings.config_file} has {', '.join(settings.benchmarks)}."
        )
    return benchmarks or list(settings.benchmarks)


def stop_if_taken(host: str, port: int) -> None:
    """End the command where something listens already at an address that it wants."""
    with socket.socket() as probe:
        try:
            taken = probe.connect_ex((host, port)) == 0
        except OSError as error:
            raise stop(f"{host} is no address of this machine: {error}") from error
    if taken:
        raise stop(f"port {port} is taken: choose another with --port.")


def file_size(count: float) -> str:
    """A number of bytes for people."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:,.0f} {_UNITS[unit]}" if unit == 0 else f"{count:,.1f} {_UNITS[unit]}"
