"""Commands about numbers: `evaluate`, `explain`."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Annotated

import typer
from rich.table import Table

from pipelines.terminal import NARROW, ConfigOption, LimitOption, console, read_settings, stop

commands = typer.Typer()


@commands.command()
def evaluate(
    similarity: Annotated[Path, typer.Option(help="An .npy file: audio x texts.")],
    relevance: Annotated[Path, typer.Option(help="An .npy file of the same shape, in [0, 1].")],
    groups: Annotated[
        Path | None,
        typer.Option(
            help="A CSV with the columns `row` (from 0) and `group`: what each row of the "
            "matrices belongs to, such as its recording. Intervals then resample groups."
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures here as well.")] = None,
) -> None:
    """Metrics and intervals of your own matrices; rows are audio clips, columns are texts."""
    from assets.retrieval.evaluation import EvaluationError, read_and_evaluate

    try:
        evaluation = read_and_evaluate(similarity, relevance, groups)
        if json:
            evaluation.write(json)
    except (EvaluationError, OSError) as error:
        raise stop(str(error)) from error
    table = Table("direction", "metric", **NARROW)
    for heading in ("value", "95 % interval"):
        table.add_column(heading, justify="right")
    for row in evaluation.rows():
        table.add_row(*row)
    console.print(table)
    console.print(evaluation.notes, style="dim", highlight=False)
    if json:
        console.print(f"Figures  {json}", soft_wrap=True)


@commands.command()
def explain(
    table: Annotated[str, typer.Option(help="A result table, such as paper_table_1.")],
    column: Annotated[str, typer.Option(help="The cell's column, such as map_published.")],
    where: Annotated[
        list[str] | None,
        typer.Option(help="What names the row: column=value, and more of them after it."),
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="COLUMN=VALUE", show_default=False, help="More of `--where`."),
    ] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Derive it anew from texts, vectors, relevance.")
    ] = False,
    config: ConfigOption = None,
    limit: LimitOption = None,
) -> None:
    """Tell what a cell of a result table rests on: rows, prompts, encoder, relevance, versions."""
    from assets.reports.cell import CellError
    from assets.reports.explain import ExplainError
    from assets.reports.explain import explain as explain_cell
    from assets.retrieval.galleries import RetrievalError
    from resources.table_model import TableError
    from resources.warehouse import WarehouseError

    pairs = [pair.partition("=") for pair in [*(where or ()), *(more or ())]]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise stop(f"--where takes column=value, not {', '.join(wrong)}")
    conditions = {name: value for name, _, value in pairs}
    try:
        found = explain_cell(read_settings(config, limit), table, conditions, column, recompute)
    except (CellError, ExplainError, RetrievalError, TableError, WarehouseError) as error:
        raise stop(str(error)) from error
    for section in [found.heading, *found.sections]:
        console.print(f"\n[bold]{section.title}[/]")
        for name, value in section.lines:
            text = indent(f"\n{value}", "    ") if "\n" in value else value
            console.print(f"  {name}: {text}", markup=False, highlight=False, soft_wrap=True)
    if not found.agrees:
        raise typer.Exit(1)
