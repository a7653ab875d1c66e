"""Commands about prompts, answers and money: `prompt`, `plan`, `record`, `retry`, `ledger`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
from resources.settings import OpenAISettings, Settings

if TYPE_CHECKING:
    from assets.descriptions.asking import Asked
    from assets.descriptions.planning import PlanRow, Range
    from resources.language_model.ledger import Ledger

commands = typer.Typer()
prompt_commands = typer.Typer(no_args_is_help=True, help="The prompts.")
ledger_commands = typer.Typer(no_args_is_help=True, help="The ledger of answers that were paid.")
commands.add_typer(prompt_commands, name="prompt")
commands.add_typer(ledger_commands, name="ledger")


@prompt_commands.command("show")
def show_prompt(
    variant: Annotated[str, typer.Argument(help="The prompt's id.")],
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
    limit: Annotated[int, typer.Option(help="How many texts a benchmark.")] = 3,
) -> None:
    """Render the very messages that would be sent."""
    settings = read_settings(config)
    for asked in _asked(settings, benchmark):
        chosen = [prompt for prompt in asked.prompts if prompt.variant == variant]
        if not chosen:
            known = ", ".join(prompt.variant for prompt in asked.prompts)
            raise stop(f"the config uses no prompt {variant}; it uses {known}.")
        for question in asked.questions(chosen[0])[:limit]:
            console.rule(f"{asked.benchmark} · {question.text}")
            for message in question.messages:
                console.print(f"[bold]{message['role']}[/]")
                console.print(message["content"], markup=False, highlight=False)


@commands.command()
def plan(config: ConfigOption = None, benchmark: BenchmarkOption = None) -> None:
    """Say what a run would ask and what that would cost, before anything is asked."""
    from assets.descriptions.planning import total_usd

    settings = read_settings(config)
    rows: list[PlanRow] = []
    with _ledger(settings) as ledger:
        for asked in _asked(settings, benchmark):
            rows += asked.plan(ledger)
    table = Table("benchmark", "prompt", **NARROW)
    for name in ("wanted", "known", "to ask", "requests", "USD"):
        table.add_column(name, justify="right")
    for row in rows:
        counts = (row.wanted, row.known, row.to_ask, row.requests)
        table.add_row(row.benchmark, row.variant, *(f"{n:,}" for n in counts), _usd(row.usd))
    console.print(table)
    total = total_usd(rows)
    if total is None:
        console.print("The price of a model is unknown: add it to the price list (prices.yaml).")
    else:
        console.print(f"In all {_usd(total)} USD.")


@commands.command()
def record(
    file: Annotated[Path, typer.Argument(help="The file to write (JSON lines).")],
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
) -> None:
    """Export this run's answers, so that others can repeat it without a key."""
    from resources.language_model.recorded import write_recorded

    settings = read_settings(config)
    keys = [key for asked in _asked(settings, benchmark) for key in asked.question_keys()]
    with _ledger(settings) as ledger:
        rows = ledger.recorded_rows(keys)
    written = write_recorded(file, rows)
    console.print(f"{written:,} of {len(set(keys)):,} answers written to {file}", soft_wrap=True)


@commands.command()
def retry(
    config: ConfigOption = None,
    problem: Annotated[
        list[str] | None,
        typer.Option("--class", help="Only this class, as `exclusions.reason` names it."),
    ] = None,
) -> None:
    """Let quarantined answers be asked again by the next run."""
    with _ledger(read_settings(config)) as ledger:
        console.print(f"{ledger.retry(problem):,} questions will be asked again.")


@ledger_commands.command("backup")
def back_up_ledger(
    file: Annotated[Path, typer.Argument(help="The copy to write.")], config: ConfigOption = None
) -> None:
    """Copy the ledger, whole, also while others write."""
    from resources.language_model.ledger_backup import back_up
    from resources.language_model.question import LanguageModelError

    with _ledger(read_settings(config)) as ledger:
        try:
            back_up(ledger, file)
        except LanguageModelError as error:
            raise stop(str(error)) from error
    console.print(f"copied to {file}", soft_wrap=True)


@ledger_commands.command("restore")
def restore_ledger(
    file: Annotated[Path, typer.Argument(help="A copy that `backup` wrote.")],
    config: ConfigOption = None,
) -> None:
    """Take over a copy's answers that are not known here; nothing known here is lost."""
    from resources.language_model.ledger_backup import restore
    from resources.language_model.question import LanguageModelError

    with _ledger(read_settings(config)) as ledger:
        try:
            console.print(f"{restore(ledger, file):,} answers taken over.")
        except LanguageModelError as error:
            raise stop(str(error)) from error


@contextmanager
def _ledger(settings: Settings) -> Iterator[Ledger]:
    from resources.language_model.providers import ledger_of
    from resources.language_model.question import LanguageModelError

    if not isinstance(settings.language_model, OpenAISettings):
        raise stop(
            f"{settings.config_file}: answers come from a recorded file: there is no ledger and "
            "nothing to pay."
        )
    try:
        ledger = ledger_of(settings)
    except LanguageModelError as error:
        raise stop(str(error)) from error
    with ledger:
        yield ledger


def _asked(settings: Settings, benchmarks: list[str] | None) -> Iterator[Asked]:
    from assets.descriptions.asking import AskedError, read_asked

    for benchmark in chosen_benchmarks(settings, benchmarks):
        try:
            yield read_asked(settings, benchmark)
        except AskedError as error:
            raise stop(str(error)) from error


def _usd(usd: Range | None) -> str:
    return "unknown" if usd is None else f"{usd.low:.2f} to {usd.high:.2f}"
