"""Commands about answers that were paid: `record`, `retry`, `ledger`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.terminal import (
    BenchmarkOption,
    ConfigOption,
    chosen_benchmarks,
    console,
    read_settings,
    stop,
)
from resources.settings import OpenAISettings, Settings

if TYPE_CHECKING:
    from resources.language_model.ledger import Ledger

commands = typer.Typer()
ledger_commands = typer.Typer(no_args_is_help=True, help="The ledger of answers that were paid.")
commands.add_typer(ledger_commands, name="ledger")


@commands.command()
def record(
    file: Annotated[Path, typer.Argument(help="The file to write (JSON lines).")],
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
) -> None:
    """Export this run's answers, so that others can repeat it without a key."""
    from resources.language_model.recorded import write_recorded

    settings = read_settings(config)
    with _ledger(settings) as ledger:
        keys = _keys(settings, benchmark)
        written = write_recorded(file, ledger.recorded_rows(keys))
    console.print(f"{written:,} of {len(keys):,} answers written to {file}", soft_wrap=True)
    if written < len(keys):
        console.print(
            f"The others are not known yet. Ask for them: {settings.command('run')}",
            soft_wrap=True,
        )


@commands.command()
def retry(
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
    problem: Annotated[
        list[str] | None,
        typer.Option("--class", help="Only this class, as `exclusions.reason` names it."),
    ] = None,
) -> None:
    """Let this config's quarantined answers be asked again by the next run."""
    settings = read_settings(config)
    with _ledger(settings) as ledger:
        keys = _keys(settings, benchmark)
        there = ledger.quarantined(keys)
        if not there:
            console.print("Nothing is in quarantine.")
            return
        if unknown := sorted(set(problem or ()) - set(there)):
            names = ", ".join(unknown)
            raise stop(f"nothing of class {names} is in quarantine. There is: {_listed(there)}")
        opened = ledger.retry(problem, keys)
    console.print(f"{opened:,} of {sum(there.values()):,} in quarantine ({_listed(there)}).")
    console.print(
        f"The next run asks them again: {settings.command('run')}",
        soft_wrap=True,
    )


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


def _keys(settings: Settings, benchmarks: list[str] | None) -> set[str]:
    """The keys of all that the config asks."""
    from assets.descriptions.asking import AskedError, read_asked

    try:
        return {
            key
            for benchmark in chosen_benchmarks(settings, benchmarks)
            for key in read_asked(settings, benchmark).question_keys()
        }
    except AskedError as error:
        raise stop(str(error)) from error


def _listed(classes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(classes.items()))
