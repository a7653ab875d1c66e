"""Commands about what was made: `search`, `listen`, `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

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
from resources.lake import Lake
from resources.table_model import TableError

if TYPE_CHECKING:
    import pandas as pd

if TYPE_CHECKING:
    import pandas as pd

commands = typer.Typer()


@commands.command()
def search(
    text: Annotated[str, typer.Argument(help='What it sounds like, such as "water running".')],
    encoder: Annotated[str, typer.Option("--encoder", "-e", help="The encoder's name.")],
    benchmark: Annotated[str, typer.Option("--benchmark", "-b", help="Whose clips.")],
    config: ConfigOption = None,
    count: Annotated[int, typer.Option("-k", min=1, help="How many clips.")] = 10,
    limit: LimitOption = None,
) -> None:
    """Rank a benchmark's clips for a free text."""
    from assets.embeddings.search import SearchError
    from assets.embeddings.search import search as search_clips
    from resources.tables import AUDIO_EMBEDDINGS, CLIPS

    settings = read_settings(config, limit)
    chosen_benchmarks(settings, [benchmark])
    lake = Lake(settings.lake_dir)
    try:
        vectors, clips = (lake.read(model, benchmark) for model in (AUDIO_EMBEDDINGS, CLIPS))
        found = search_clips(settings, encoder, text, vectors, clips, count)
    except (SearchError, TableError) as error:
        raise stop(str(error)) from error
    table = Table("rank", "clip", "recording", "seconds", "text", "cosine", **NARROW)
    for row in found.itertuples():
        seconds = f"{row.start_s:.2f} to {row.stop_s:.2f}"
        cells = (str(row.rank), row.clip_id, row.video_id, seconds, row.text)
        table.add_row(*map(str, cells), f"{row.similarity:.3f}")
    console.print(table)


@commands.command()
def listen(
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Which port of 127.0.0.1.")] = 8790,
    limit: LimitOption = None,
) -> None:
    """Hear what every query found, right or wrong, before and after rewriting."""
    from assets.reports.listening_server import LOOPBACK, serve

    settings = read_settings(config, limit)
    names = chosen_benchmarks(settings, benchmark)
    if not settings.duckdb_file.is_file():
        raise stop(f"{settings.duckdb_file} is not there yet. Run first: {settings.command('run')}")
    stop_if_taken(LOOPBACK, port)
    console.print(
        f"Listen to [bold]{settings.name}[/]: http://{LOOPBACK}:{port}  (Ctrl-C stops it)"
    )
    serve(settings, names, port)


@commands.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where the files are written.")],
    variant: Annotated[str | None, typer.Option(help="Whose descriptions.")] = None,
    grader: Annotated[str | None, typer.Option(help="Whose levels.")] = None,
    style: Annotated[str, typer.Option("--as", help="The files' form: authors.")] = "authors",
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
) -> None:
    """Write descriptions or levels in the form of the authors' own files."""
    from assets.benchmarks.annotation_files import AnnotationError
    from assets.benchmarks.authors_files import export_descriptions, export_levels
    from assets.descriptions.rewriting import reasons_lacking
    from resources.tables import DESCRIPTION_EXCLUSIONS, DESCRIPTIONS, INFORMATIVENESS, QUESTIONS

    if style != "authors" or (variant is None and grader is None):
        raise stop("name --variant, --grader or both; the only form there is: --as authors.")
    settings = read_settings(config)
    lake = Lake(settings.lake_dir)
    for name in chosen_benchmarks(settings, benchmark):
        try:
            written = []
            questions = lake.read(QUESTIONS, name)
            filtered = set(questions.loc[~questions["usable"].astype(bool), "question_id"])
            if variant is not None:
                rows = _rows_of(lake.read(DESCRIPTIONS, name), "variant", variant)
                reasons = reasons_lacking(lake.read(DESCRIPTION_EXCLUSIONS, name), variant)
                written += export_descriptions(settings, name, rows, folder, filtered, reasons)
            if grader is not None:
                levels = _rows_of(lake.read(INFORMATIVENESS, name), "grader", grader)
                written += export_levels(settings, name, levels, folder, filtered)
        except (AnnotationError, TableError) as error:
            raise stop(str(error)) from error
        for file in written:
            console.print(file, soft_wrap=True)


def _rows_of(table: pd.DataFrame, column: str, name: str) -> pd.DataFrame:
    rows = table[table[column] == name]
    if rows.empty:
        there = ", ".join(sorted(set(table[column]))) or "none; run the benchmark first"
        raise stop(f"no row has {column} {name!r}. There are: {there}")
    return rows
