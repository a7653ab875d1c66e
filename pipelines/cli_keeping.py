"""Commands for whoever keeps it alive: `doctor`, `gc`, `bundle`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from pipelines.terminal import (
    NARROW,
    BenchmarkOption,
    ConfigOption,
    chosen_benchmarks,
    console,
    file_size,
    read_settings,
    stop,
)
from resources.settings import Settings

if TYPE_CHECKING:
    from pipelines.tidying import Survey
    from resources.health import Finding

commands = typer.Typer()
bundle_commands = typer.Typer(no_args_is_help=True, help="One result as one file, for a paper.")
commands.add_typer(bundle_commands, name="bundle")

_SHOWN = 10
_STYLES = {"ok": "green", "note": "yellow", "stops": "red bold"}


@commands.command()
def doctor(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    ask_server: Annotated[
        bool, typer.Option("--ask-server", help="Ask the language model's server, too.")
    ] = False,
) -> None:
    """Say what is here and what is missing; exit code 1 if something would stop a run."""
    from pipelines.doctor import examine

    settings = read_settings(config)
    found = examine(settings, ask_server)
    if as_json:
        console.print_json(data=[asdict(finding) for finding in found])
    else:
        _print_findings(found)
    if any(finding.mark == "stops" for finding in found):
        raise typer.Exit(1)


def _print_findings(found: list[Finding]) -> None:
    table = Table(show_header=False, **NARROW)
    for area, group in groupby(found, key=lambda finding: finding.area):
        for number, finding in enumerate(group):
            mark = Text(finding.mark.upper() if finding.mark == "stops" else finding.mark)
            mark.stylize(_STYLES[finding.mark])
            text = Text(finding.text, overflow="fold")
            if finding.remedy:
                text.append(f"\n-> {finding.remedy}", style="dim")
            table.add_row(Text("" if number else area, style="bold"), mark, text)
    console.print(table)
    counts = Counter(finding.mark for finding in found)
    said = f"{counts['ok']} ok, {counts['note']} to note, {counts['stops']} would stop a run."
    console.print(said, style="red" if counts["stops"] else "green", highlight=False)


@commands.command()
def gc(
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show, and delete nothing.")] = False,
    days: Annotated[int, typer.Option(min=0, help="Vectors and runs younger than this stay.")] = 30,
) -> None:
    """Delete what nothing needs: orphaned vectors and tables, old runs. Answers always stay."""
    from pipelines.tidying import TidyingError, survey

    settings = read_settings(config)
    try:
        found = survey(settings, days)
    except TidyingError as error:
        raise stop(str(error)) from error
    _print_survey(found)
    total = file_size(sum(garbage.size for garbage in found.garbage))
    if not found.garbage:
        console.print("Nothing to delete.")
    elif dry_run:
        console.print(f"{total} could be freed; without --dry-run they are.")
    else:
        try:
            found.delete()
        except TidyingError as error:
            raise stop(str(error)) from error
        console.print(f"{total} freed.")


def _print_survey(found: Survey) -> None:
    console.print("Outputs that rely on the cache, whose vectors stay:")
    for user in found.users:
        console.print(f"  {user.output}", soft_wrap=True, highlight=False)
    for what in found.elsewhere:
        console.print(f"The {what} lie in an object store, which others may use: left alone.")
    table = Table("what nothing needs", **NARROW)
    for heading in ("count", "size"):
        table.add_column(heading, justify="right")
    for garbage in found.garbage:
        table.add_row(garbage.what, f"{garbage.count:,}", file_size(garbage.size))
    if found.garbage:
        console.print(table)
    if found.answers_unused:
        console.print(
            f"{found.answers_unused:,} answers are in no table; they were paid, and stay."
        )


@bundle_commands.command("make")
def make_bundle(
    file: Annotated[Path, typer.Argument(help="The archive to write (zip).")],
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
) -> None:
    """Pack config, prompts, answers, tables and versions of what is published."""
    from assets.reports.bundle import BundleError
    from assets.reports.bundle import make_bundle as make
    from resources.archive import ArchiveError
    from resources.language_model.question import LanguageModelError

    settings = read_settings(config)
    names = chosen_benchmarks(settings, benchmark)
    _stop_unless_current(settings, names)
    try:
        manifest = make(settings, names, file)
    except (ArchiveError, BundleError, LanguageModelError) as error:
        raise stop(str(error)) from error
    answers = manifest.about["answers"]
    console.print(
        f"{len(manifest.files):,} files and {answers['recorded']:,} answers of "
        f"{', '.join(names)}: {file} ({file_size(file.stat().st_size)})",
        soft_wrap=True,
    )
    if short := answers["keys"] - answers["recorded"]:
        console.print(f"{short:,} texts have an answer that no model gave: the authors' own.")


@bundle_commands.command("unpack")
def unpack_bundle(
    file: Annotated[Path, typer.Argument(help="A file that `bundle make` wrote.")],
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
) -> None:
    """Lay a bundle out as a project's folder, with DuckDB file and report."""
    from assets.reports.bundle import BundleError, bundled_settings
    from assets.reports.bundle import unpack_bundle as unpack
    from resources.archive import ArchiveError
    from resources.warehouse import WarehouseError

    try:
        settings = bundled_settings(folder, unpack(file, folder))
    except (ArchiveError, BundleError, WarehouseError) as error:
        raise stop(str(error)) from error
    console.print(f"Config       {settings.config_file}", soft_wrap=True)
    console.print(f"DuckDB file  {settings.duckdb_file}", soft_wrap=True)
    console.print(f"Report       {settings.report_file}", soft_wrap=True)
    console.print(f"Derive every figure again: sound-approach bundle verify {folder}")


@bundle_commands.command("verify")
def verify_bundle(
    folder: Annotated[Path, typer.Argument(help="An unpacked bundle.")],
) -> None:
    """Check an unpacked bundle's files, and derive every figure again from texts and vectors."""
    from assets.reports.bundle import BundleError
    from assets.reports.verification import verify_bundle as verify
    from assets.retrieval.galleries import RetrievalError
    from resources.archive import ArchiveError
    from resources.config_file import SettingsError
    from resources.table_model import TableError

    try:
        found = verify(folder)
    except (ArchiveError, BundleError, RetrievalError, SettingsError, TableError) as error:
        raise stop(str(error)) from error
    table = Table("table", **NARROW)
    for heading in ("rows", "cells", "same", "within 1e-9", "different"):
        table.add_column(heading, justify="right")
    for one in found.tables:
        counts = (one.rows, one.cells, one.same, one.close, len(one.different))
        table.add_row(one.table, *(f"{count:,}" for count in counts))
    console.print(table)
    faults = [
        *found.faults,
        *(f"{one.table}, {cell}" for one in found.tables for cell in one.different),
    ]
    for fault in faults[:_SHOWN]:
        console.print(fault, style="red", markup=False, highlight=False, soft_wrap=True)
    if len(faults) > _SHOWN:
        console.print(f"... and {len(faults) - _SHOWN:,} more", style="red")
    if found.absent:
        console.print(f"{len(found.absent)} files of scores are not there; none was needed.")
    if not found.holds:
        console.print("[red]This is not what was packed.[/]")
        raise typer.Exit(1)
    console.print(f"[green]Every cell comes out, and all {found.files:,} files are as packed.[/]")


def _stop_unless_current(settings: Settings, benchmarks: list[str]) -> None:
    """A bundle says what its tables were made of, so it must still be what is there."""
    import dagster as dg

    from pipelines.automation import NOTHING_CHANGED, decide

    if not settings.dagster_home.exists():
        raise stop(f"{settings.output}: nothing was run yet. Run first: {settings.command('run')}")
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        reasons = {name: decide(instance, settings, name).reason for name in benchmarks}
    moved = [f"{name}: {reason}" for name, reason in reasons.items() if reason != NOTHING_CHANGED]
    if moved:
        raise stop(
            f"what is published is not what config, prompts and files say now ({'; '.join(moved)})."
            f" Run first: {settings.command('run')}"
        )
