"""The command line, `sound-approach`: one door to each thing a user does. No logic lives here.

This module holds the doors to running: `run`, `ui`, `home`, `validate`. Those to prompts are in
`cli_prompts`, those to paid answers in `cli_language`, those to what was made in `cli_results`,
those to numbers in `cli_numbers`, those to people's ratings in `cli_ratings`, those to keeping it
alive in `cli_keeping`.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from pipelines import (
    cli_keeping,
    cli_language,
    cli_numbers,
    cli_prompts,
    cli_ratings,
    cli_results,
)
from pipelines.terminal import (
    NARROW,
    BenchmarkOption,
    ConfigOption,
    LimitOption,
    chosen_benchmarks,
    console,
    read_settings,
    stop,
    stop_if_taken,
)
from resources.settings import (
    CONFIG_VARIABLE,
    DEFAULT_CONFIG,
    LIMIT_VARIABLE,
    PROJECT_ROOT,
    Settings,
)

if TYPE_CHECKING:
    from pipelines.run import Lacking, Outcome

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(cli_prompts.commands)
app.add_typer(cli_language.commands)
app.add_typer(cli_results.commands)
app.add_typer(cli_numbers.commands)
app.add_typer(cli_ratings.commands, name="ratings")
app.add_typer(cli_keeping.commands)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("sound-approach"))
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Say which this is."
        ),
    ] = False,
) -> None:
    """Search egocentric video by sound: from annotations to tables that can be defended."""


@app.command()
def run(
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
    limit: LimitOption = None,
    budget: Annotated[
        float | None,
        typer.Option(min=0, help="USD that this run may spend on answers, for all benchmarks."),
    ] = None,
) -> None:
    """Materialize the whole graph; only what changed is computed."""
    settings = read_settings(config, limit)
    names = chosen_benchmarks(settings, benchmark)
    _check(settings, names)
    os.environ[CONFIG_VARIABLE] = str(settings.config_file)

    from pipelines.run import run_benchmarks

    outcomes = run_benchmarks(settings, names, console, budget)
    _print_counts(settings, outcomes)
    failed = [outcome for outcome in outcomes if outcome.errors]
    for outcome in failed:
        for error in outcome.errors:
            console.print(f"[red bold]{outcome.benchmark}[/] ", end="")
            console.print(error, markup=False, highlight=False, soft_wrap=True)
    if outcomes[-1].interrupted:
        console.print("Interrupted. What has arrived is kept: run again to go on from there.")
        raise typer.Exit(130)
    if failed:
        raise typer.Exit(1)
    _print_results(settings)


@app.command()
def ui(
    config: ConfigOption = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; loopback unless you say so.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Which port.")] = 3000,
    limit: LimitOption = None,
) -> None:
    """Open Dagster on this config, with the same history as `run`."""
    from pipelines.instance import prepare_home

    settings = read_settings(config, limit)
    stop_if_taken(host, port)
    prepare_home(settings)
    os.environ[LIMIT_VARIABLE] = str(settings.limit or "")
    console.print(f"Dagster for [bold]{settings.name}[/]: http://{host}:{port}  (Ctrl-C stops it)")
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(PROJECT_ROOT / "workspace.yaml")]
    os.chdir(PROJECT_ROOT)
    os.execv(sys.executable, [*command, "-h", host, "-p", str(port)])  # noqa: S606 (no shell)


@app.command()
def home(config: ConfigOption = None) -> None:
    """Prepare Dagster's home for this config, and print it: what Dagster's own commands want."""
    from pipelines.instance import prepare_home

    given = os.environ.get("DAGSTER_HOME")
    prepared = prepare_home(read_settings(config))
    if given and Path(given).resolve() != prepared.resolve():
        typer.echo(f"DAGSTER_HOME is {given}, which belongs to another config: set it to", err=True)
    typer.echo(prepared)


@app.command()
def validate(config: ConfigOption = None, benchmark: BenchmarkOption = None) -> None:
    """Check config, prompts, encoders and every source file; list every problem at once."""
    settings = read_settings(config)
    _check(settings, chosen_benchmarks(settings, benchmark))
    console.print(f"[green]{settings.config_file}: no problems.[/]", soft_wrap=True)


def _check(settings: Settings, benchmarks: list[str]) -> None:
    """Print what deserves a look; problems end the command."""
    from pipelines.validation import find_problems, only

    with console.status("checking files; official ones are fetched once"):
        problems, warnings = find_problems(only(settings, benchmarks))
    for warning in warnings:
        console.print("[yellow]warning[/] ", end="")
        console.print(warning, markup=False, highlight=False, soft_wrap=True)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise stop(f"{settings.config_file}: {len(problems)} problem(s):\n{listed}")


def _print_counts(settings: Settings, outcomes: list[Outcome]) -> None:
    """A sum for each benchmark, and a line for each table that had something to compute."""
    from pipelines.run import COUNTED

    table = Table("rows of", **NARROW)
    for name in COUNTED:
        table.add_column(name, justify="right")
    for outcome in outcomes:
        table.add_row(outcome.benchmark, *_cells(outcome.total), style="bold")
        for name, counts in outcome.changed.items():
            table.add_row(f"  {name}", *_cells(counts))
        table.add_section()
    console.print(table)
    for outcome in outcomes:
        for name, lacking in outcome.lacking.items():
            _print_lacking(settings, f"{outcome.benchmark}: {name}", lacking)
    computed = sum(outcome.computed for outcome in outcomes)
    console.print(f"{computed:,} rows were computed." if computed else "Nothing was recomputed.")


def _print_lacking(settings: Settings, what: str, lacking: Lacking) -> None:
    """How many rows have no answer, why, and what brings them one."""
    why = ", ".join(f"{reason} {count:,}" for reason, count in sorted(lacking.reasons.items()))
    said = [f"{what} without an answer: {why}"]
    if lacking.first:
        said.append(f"  the first: {lacking.first}")
    if lacking.not_asked:
        said.append(f"  {lacking.not_asked:,} are still to be asked: {settings.command('run')}")
    if lacking.quarantined:
        said.append(f"  {lacking.quarantined:,} are in quarantine: {settings.command('retry')}")
    console.print("\n".join(said), markup=False, highlight=False, soft_wrap=True)


def _cells(counts: Counter[str]) -> list[str]:
    from pipelines.run import COUNTED

    return [f"{counts[name]:,}" if counts[name] else "·" for name in COUNTED]


def _print_results(settings: Settings) -> None:
    """A table a benchmark and encoder, narrow enough for any terminal; then where things lie."""
    from assets.reports.tables import HEADINGS, LEGEND, left_out_encoders, result_rows

    rows = result_rows(settings.duckdb_file)
    for benchmark, encoder in dict.fromkeys((row.benchmark, row.encoder) for row in rows):
        table = Table(*HEADINGS[:2], title=f"{benchmark} · {encoder}", **NARROW)
        for heading in HEADINGS[2:]:
            table.add_column(heading, justify="right")
        chosen = [row for row in rows if (row.benchmark, row.encoder) == (benchmark, encoder)]
        for row in chosen:
            table.add_row(*row.cells())
        console.print(table)
        for note in dict.fromkeys(row.note for row in chosen if row.note):
            console.print(note, style="dim")
    for encoder, why in left_out_encoders(settings.duckdb_file).items():
        console.print("[yellow]left out[/] ", end="")
        console.print(f"{encoder}: {why}", markup=False, highlight=False, soft_wrap=True)
    if not rows:
        why = "`exclusions` in the DuckDB file lists all that was left out, and why"
        console.print(f"[red]Nothing was scored.[/] {why}: {settings.duckdb_file}", soft_wrap=True)
        raise typer.Exit(1)
    console.print(LEGEND, style="dim")
    if settings.sample:
        console.print("The sample shows the plumbing: its numbers speak of the sample only.")
    console.print(f"DuckDB file  {settings.duckdb_file}", soft_wrap=True)
    console.print(f"Report       {settings.report_file}", soft_wrap=True)
    console.print(f"Listen       {settings.listening_file}", soft_wrap=True)
    by_make = "make ui   or: " if settings.config_file == DEFAULT_CONFIG else ""
    console.print(f"Open the UI  {by_make}{settings.command('ui')}", soft_wrap=True)


if __name__ == "__main__":
    app()
