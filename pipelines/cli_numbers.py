"""Commands about numbers: `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipelines.terminal import NARROW, console, stop

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
