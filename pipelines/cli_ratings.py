"""Commands about ratings by people: `ratings sheet`, `ratings import`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.terminal import (
    BenchmarkOption,
    ConfigOption,
    chosen_benchmarks,
    console,
    read_settings,
    stop,
)
from resources.lake import Lake
from resources.table_model import TableError

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
