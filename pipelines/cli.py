"""The command line, `sound-approach`: one door to each thing a user does. No logic lives here."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from resources.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from pipelines.run import Outcome

app = typer.Typer(
    help="Search egocentric video by sound: from annotations to tables that can be defended.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
console = Console()

_NARROW: dict[str, Any] = {"box": SIMPLE_HEAD, "title_justify": "left", "padding": (0, 1, 0, 0)}
"""Tables that fit 80 columns."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The config file (default: SOUND_APPROACH_CONFIG, or the sample)."
    ),
]
BenchmarkOption = Annotated[
    list[str] | None, typer.Option("--benchmark", "-b", help="Only this benchmark (repeatable).")
]


@app.command()
def run(
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
    limit: Annotated[
        int | None,
        typer.Option(help="Only n texts a benchmark and their clips, in an output of its own."),
    ] = None,
) -> None:
    """Materialize the whole graph; only what changed is computed."""
    settings = _settings(config, limit=limit)
    names = _chosen(settings, benchmark)
    _validate(settings)
    os.environ["SOUND_APPROACH_CONFIG"] = str(settings.config_file)

    from pipelines.run import run_benchmarks

    outcomes = run_benchmarks(settings, names, console)
    _print_counts(outcomes)
    failed = [outcome for outcome in outcomes if outcome.errors]
    for outcome in failed:
        for error in outcome.errors:
            console.print(f"[red bold]{outcome.benchmark}[/] ", end="")
            console.print(error, markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)
    _print_results(settings)


@app.command()
def ui(
    config: ConfigOption = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; loopback unless you say so.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Which port.")] = 3000,
) -> None:
    """Open Dagster on this config, with the same history as `run`."""
    from pipelines.instance import prepare_home
    from resources.settings import PROJECT_ROOT

    settings = _settings(config)
    _prepare(settings)
    prepare_home(settings)
    console.print(f"Dagster for [bold]{settings.name}[/]: http://{host}:{port}  (Ctrl-C stops it)")
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(PROJECT_ROOT / "workspace.yaml")]
    os.chdir(PROJECT_ROOT)
    os.execv(sys.executable, [*command, "-h", host, "-p", str(port)])  # noqa: S606 (no shell)


@app.command()
def validate(config: ConfigOption = None) -> None:
    """Check config, prompts and every source file; list every problem at once."""
    settings = _settings(config)
    _validate(settings)
    console.print(f"[green]{settings.config_file}: no problems.[/]")


def _settings(config: Path | None, limit: int | None = None) -> Settings:
    try:
        return load_settings(config, limit=limit)
    except SettingsError as error:
        raise _stop(str(error)) from error


def _chosen(settings: Settings, benchmarks: list[str] | None) -> list[str]:
    unknown = sorted(set(benchmarks or ()) - set(settings.benchmarks))
    if unknown:
        raise _stop(
            f"no such benchmark: {', '.join(unknown)}. "
            f"{settings.config_file} has {', '.join(settings.benchmarks)}."
        )
    return benchmarks or list(settings.benchmarks)


def _prepare(settings: Settings) -> None:
    """Synthesise the sample's recordings, if this config is made of them."""
    if settings.sample:
        from resources.sample import write_sample

        write_sample(settings.sample)


def _validate(settings: Settings) -> None:
    from assets.benchmarks.adapters import check_sources
    from assets.descriptions.prompts import PromptError, load_prompts

    _prepare(settings)
    problems = check_sources(settings)
    try:
        load_prompts(settings)
    except PromptError as error:
        problems.append(str(error))
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise _stop(f"{settings.config_file}: {len(problems)} problem(s):\n{listed}")


def _stop(message: str) -> typer.Exit:
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(2)


def _print_counts(outcomes: list[Outcome]) -> None:
    """A sum for each benchmark, and a line for each table that had something to compute."""
    from pipelines.run import COUNTED

    table = Table("rows of", **_NARROW)
    for name in COUNTED:
        table.add_column(name, justify="right")
    for outcome in outcomes:
        table.add_row(outcome.benchmark, *_cells(outcome.total), style="bold")
        for name, counts in outcome.changed.items():
            table.add_row(f"  {name}", *_cells(counts))
        table.add_section()
    console.print(table)
    computed = sum(outcome.computed for outcome in outcomes)
    console.print(f"{computed:,} rows were computed." if computed else "Nothing was recomputed.")


def _cells(counts: Counter[str]) -> list[str]:
    from pipelines.run import COUNTED

    return [f"{counts[name]:,}" if counts[name] else "·" for name in COUNTED]


def _print_results(settings: Settings) -> None:
    """A table a benchmark and encoder, narrow enough for any terminal; then where things lie."""
    from assets.reports.tables import HEADINGS, LEGEND, result_rows

    rows = result_rows(settings.duckdb_file)
    for benchmark, encoder in dict.fromkeys((row.benchmark, row.encoder) for row in rows):
        table = Table(*HEADINGS[:2], title=f"{benchmark} · {encoder}", **_NARROW)
        for heading in HEADINGS[2:]:
            table.add_column(heading, justify="right")
        chosen = [row for row in rows if (row.benchmark, row.encoder) == (benchmark, encoder)]
        for row in chosen:
            table.add_row(*row.cells())
        console.print(table)
        for note in dict.fromkeys(row.note for row in chosen if row.note):
            console.print(note, style="dim")
    console.print(LEGEND, style="dim")
    if settings.sample:
        console.print("The sample shows the plumbing: its numbers speak of the sample only.")
    console.print(f"DuckDB file  {settings.duckdb_file}", soft_wrap=True)
    console.print(f"Report       {settings.report_file}", soft_wrap=True)
    console.print("Open the UI  make ui   (or: sound-approach ui)")


if __name__ == "__main__":
    app()
