"""Commands about ratings by people: `ratings sheet`, `ratings import`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from pipelines.terminal import (
    NARROW,
    BenchmarkOption,
    ConfigOption,
    chosen_benchmarks,
    console,
    read_settings,
    stop,
)
from resources.lake import Lake
from resources.settings import CONFIG_VARIABLE, Settings
from resources.table_model import TableError
from resources.warehouse import query

if TYPE_CHECKING:
    from assets.reports.ratings.importing import Imported

_WORDS = 3
"""Columns of words in each table that `import` prints; those after them hold numbers."""
_PREFERENCES = """
    SELECT sheet, benchmark, variant, subset, format('{:.0f}', 100 * share) AS "%",
        format('{:.0f} to {:.0f}', 100 * ci_low, 100 * ci_high) AS "95 % interval", items, raters
    FROM rating_preferences ORDER BY ALL
"""
_AGREEMENT = """
    SELECT sheet, subject, statistic, coalesce(second, 'one another') AS "raters with",
        coalesce(format('{:.2f}', value), '-') AS value,
        coalesce(format('{:.2f} to {:.2f}', ci_low, ci_high), '') AS "95 % interval"
    FROM rating_agreement WHERE first = 'all raters' ORDER BY ALL
"""

commands = typer.Typer(
    help="Blind ratings by people: draw a sheet, import what raters saved.", no_args_is_help=True
)


@commands.command()
def sheet(
    count: Annotated[int, typer.Option("--n", min=1, help="How many clips.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Decides what is drawn.")] = 1,
    variant: Annotated[
        list[str] | None, typer.Option(help="Only this prompt's descriptions (repeatable).")
    ] = None,
    grader: Annotated[
        str | None, typer.Option(help="Whose levels, where several prompts grade.")
    ] = None,
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
) -> None:
    """Draw a blind sample, stratified by benchmark and level, as one page that works from disk."""
    from assets.reports.ratings.drawing import DrawingError, draw_items, read_candidates
    from assets.reports.ratings.sheet import SheetError, write_sheet
    from assets.reports.ratings.storage import RatingsFolder

    settings = read_settings(config)
    names = chosen_benchmarks(settings, benchmark)
    try:
        candidates = read_candidates(Lake(settings.lake_dir), names, variant or (), grader)
        written = write_sheet(
            draw_items(candidates, count, seed), RatingsFolder(settings.ratings_dir)
        )
    except (DrawingError, SheetError, TableError) as error:
        raise stop(str(error)) from error
    clips = written.items - written.repeats
    if clips < count:
        console.print(f"[yellow]There are only {clips} clips to rate, not {count}.[/]")
    size = written.bytes / 1e6
    console.print(f"{clips} clips, {written.repeats} of them twice, {size:.1f} MB")
    console.print(f"For the raters   {written.page}", soft_wrap=True)
    console.print(f"Stays with you   {written.key}", soft_wrap=True)


@commands.command("import")
def import_files(
    files: Annotated[list[Path], typer.Argument(help="What raters saved, one file a rater.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Take a rater's new file instead of the old one.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Take raters' files in, reject those that can't be trusted, and publish what they say."""
    from assets.reports.ratings.importing import import_answers
    from assets.reports.ratings.storage import RatingsFolder
    from pipelines.run import run_reports

    settings = read_settings(config)
    imported = [
        import_answers(file, RatingsFolder(settings.ratings_dir), replace) for file in files
    ]
    for one in imported:
        _print_imported(one)
    if any(one.kept for one in imported):
        os.environ[CONFIG_VARIABLE] = str(settings.config_file)
        outcome = run_reports(settings, console)
        if outcome.errors:
            raise stop("\n".join(outcome.errors))
        _print_ratings(settings)
    if not all(one.accepted for one in imported):
        raise typer.Exit(1)


def _print_imported(one: Imported) -> None:
    verdict = "[green]accepted[/]" if one.accepted else "[red]rejected[/]"
    console.print(f"{verdict} ", end="")
    console.print(f"{one.file}: {one.told}", markup=False, highlight=False, soft_wrap=True)


def _print_ratings(settings: Settings) -> None:
    """What the accepted raters say, as the published file has it."""
    for title, sql in (
        ("How often the description is preferred", _PREFERENCES),
        ("Agreement", _AGREEMENT),
    ):
        for sheet_id, rows in query(settings.duckdb_file, sql).groupby("sheet"):
            table = Table(title=f"{title}, sheet {sheet_id}", **NARROW)
            for place, heading in enumerate(rows.columns[1:]):
                table.add_column(str(heading), justify="left" if place < _WORDS else "right")
            for row in rows.to_numpy():
                table.add_row(*map(str, row[1:]))
            console.print(table)
    console.print(f"Report  {settings.report_file}", soft_wrap=True)
