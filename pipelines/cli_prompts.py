"""Commands about prompts, before they are run and after: `prompt show`, `plan`, `diff`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

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
)
from resources.settings import Settings

if TYPE_CHECKING:
    from assets.descriptions.agreement import Agreement
    from assets.descriptions.asking import Asked
    from assets.descriptions.planning import PlanRow
    from assets.descriptions.prompts import Prompt
    from assets.embeddings.planning import VectorPlan
    from assets.reports.prompt_moves import Moves

commands = typer.Typer()
prompt_commands = typer.Typer(no_args_is_help=True, help="Look at prompts as they would be sent.")
commands.add_typer(prompt_commands, name="prompt")


@prompt_commands.command("show")
def show_prompt(
    variant: Annotated[str, typer.Argument(help="The prompt's id.")],
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many texts a benchmark.")] = 3,
) -> None:
    """Render the very messages that would be sent."""
    from assets.descriptions.asking import AskedError

    settings = read_settings(config)
    prompt = _find(settings, variant)
    for asked in _asked(settings, benchmark):
        try:
            questions = asked.questions(prompt)[:limit]
        except AskedError as error:
            raise stop(str(error)) from error
        if not questions:
            console.print(f"{variant} is not for {asked.benchmark}.")
        for question in questions:
            console.rule(f"{asked.benchmark} · {question.text}")
            for message in question.messages:
                console.print(f"[bold]{message['role']}[/]")
                console.print(message["content"], markup=False, highlight=False)


@commands.command()
def plan(
    config: ConfigOption = None, benchmark: BenchmarkOption = None, limit: LimitOption = None
) -> None:
    """Say what a run would ask and compute, why, and what that would cost, before anything runs."""
    from assets.descriptions.asking import AskedError
    from assets.descriptions.causes import CAUSES
    from pipelines.spending import plan_run
    from resources.language_model.question import LanguageModelError

    settings = read_settings(config, limit)
    rows: list[PlanRow] = []
    try:
        for name, asked, vectors in plan_run(settings, chosen_benchmarks(settings, benchmark)):
            _print_plan(name, asked, vectors)
            rows += asked
    except (AskedError, LanguageModelError) as error:
        raise stop(str(error)) from error
    parts = (part for row in rows for cause in row.causes for part in cause.split(" + "))
    for name in dict.fromkeys(parts):
        console.print(f"{name}: {CAUSES[name]}", style="dim")
    _print_price(settings, rows)


@commands.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="PROMPT_A", help="A prompt's id.")],
    second: Annotated[str, typer.Argument(metavar="PROMPT_B", help="Another's.")],
    config: ConfigOption = None,
    benchmark: BenchmarkOption = None,
    limit: Annotated[int, typer.Option(min=0, help="How many moved texts a benchmark.")] = 5,
) -> None:
    """Say how two prompts differ and, where both were run, which texts moved and how far."""
    from assets.descriptions.asking import AskedError, read_pool
    from assets.descriptions.comparison import compare_prompts
    from assets.descriptions.few_shot import FewShotError
    from assets.reports.prompt_moves import read_moves
    from resources.warehouse import WarehouseError

    settings = read_settings(config)
    prompts = _find(settings, first), _find(settings, second)
    try:
        found = compare_prompts(*prompts, read_pool(settings))
    except (AskedError, FewShotError) as error:
        raise stop(str(error)) from error
    for title, lines in (
        ("Fields", [f"{name}: {one} -> {other}" for name, one, other in found.fields]),
        ("Messages", found.template),
        ("Examples", found.examples),
    ):
        if lines:
            console.print(f"[bold]{title}[/]")
            console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    if found.is_none:
        console.print("Nothing that decides an answer differs.")
    for name in chosen_benchmarks(settings, benchmark):
        try:
            moves = read_moves(settings.duckdb_file, name, first, second)
        except WarehouseError as error:
            console.print(f"{name}: {error}", style="dim", soft_wrap=True)
            continue
        _print_moves(name, moves, limit)


def _find(settings: Settings, variant: str) -> Prompt:
    from assets.descriptions.comparison import find_prompt
    from assets.descriptions.prompts import PromptError

    try:
        return find_prompt(settings, variant)
    except PromptError as error:
        raise stop(str(error)) from error


def _asked(settings: Settings, benchmarks: list[str] | None) -> Iterator[Asked]:
    from assets.descriptions.asking import AskedError, read_asked

    for benchmark in chosen_benchmarks(settings, benchmarks):
        try:
            yield read_asked(settings, benchmark)
        except AskedError as error:
            raise stop(str(error)) from error


def _print_plan(benchmark: str, rows: list[PlanRow], vectors: list[VectorPlan]) -> None:
    """One benchmark: a line a prompt, what is held back, and a line an encoder."""
    from pipelines.spending import show_price

    table = Table("prompt", title=benchmark, **NARROW)
    for name in ("wanted", "known", "to ask"):
        table.add_column(name, justify="right")
    table.add_column("because")
    table.add_column("USD", justify="right")
    for row in rows:
        because = "\n".join(f"{cause} {count:,}" for cause, count in sorted(row.causes.items()))
        price = show_price(row.price) if row.price and row.to_ask else ""
        counts = (f"{count:,}" for count in (row.wanted, row.known, row.to_ask))
        table.add_row(row.variant, *counts, because, price)
    console.print(table)
    for row in rows:
        if row.quarantined:
            console.print(f"{row.variant}: {row.quarantined:,} in quarantine (see `retry`)")
        if row.in_batch:
            console.print(f"{row.variant}: {row.in_batch:,} in a batch that is not finished")
    unknown = sum(row.wanted - row.known for row in rows if row.purpose == "describe")
    more = f", and of up to {unknown:,} descriptions that are not known yet" if unknown else ""
    for plan in vectors:
        clips = "clips (not measured yet)" if plan.audio is None else f"{plan.audio:,} clips"
        new = f"new vectors of {clips}, {plan.texts:,} texts{more}"
        console.print(f"{plan.encoder}: {plan.unavailable or new}")


def _print_price(settings: Settings, rows: list[PlanRow]) -> None:
    """All of it together, and the budget that covers it."""
    from assets.descriptions.planning import total_price
    from pipelines.spending import show_budget, show_price

    asking = [row for row in rows if row.to_ask]
    questions = sum(row.to_ask for row in asking)
    console.print()
    if not asking:
        console.print("Every answer is known: nothing is asked or paid.")
        return
    if not any(row.price for row in asking):
        console.print(
            f"{questions:,} answers are not recorded and nobody can be asked: choose a provider "
            "under `language_model:` in the config."
        )
        return
    price = total_price(rows)
    tokens = " and ".join(
        f"{found.low:,.0f} to {found.high:,.0f} tokens {way}"
        for found, way in ((price.prompt_tokens, "in"), (price.completion_tokens, "out"))
    )
    console.print(f"In all {questions:,} questions in {price.requests:,} requests: {tokens}.")
    if price.budget_usd is None:
        unknown = sorted({row.model for row in asking if row.price and row.price.usd is None})
        console.print(
            f"The price of {', '.join(unknown)} is unknown: add it to the price list "
            "(`language_model.prices:`, or the project's prices.yaml)."
        )
        return
    basis = "as such requests took before" if price.basis == "observed" else "a first guess"
    console.print(f"Price: {show_price(price)} USD ({basis}).")
    budget = show_budget(price.budget_usd)
    command = f"sound-approach run --config {settings.config_file} --budget {budget}"
    console.print(f"A budget that covers it: {command}", soft_wrap=True)


def _print_moves(benchmark: str, moves: Moves, limit: int) -> None:
    """One benchmark: main figures or agreement, then the texts that moved most."""
    if not moves.texts:
        console.print(f"\n[bold]{benchmark}[/]: no text has been put to both yet.")
        return
    console.print(f"\n[bold]{benchmark}[/]: {moves.moved:,} of {moves.texts:,} texts differ")
    if moves.agreement:
        _print_agreement(moves.agreement)
    for row in moves.scores.itertuples():
        console.print(f"  {_setting(row)}: {_change(row)}")
    for text, rows in list(moves.rows.groupby("text", sort=False))[:limit]:
        first = rows.iloc[0]
        console.print(f"  [bold]{text}[/]", highlight=False)
        for sign, side in (("-", "a"), ("+", "b")):
            said = first[f"description_{side}"] or first[f"level_{side}"]
            console.print(f"    {sign} {said}", markup=False, highlight=False)
        for row in rows[rows["encoder"].notna()].itertuples():
            console.print(f"      {_setting(row)}: {_change(row)}", style="dim")
    if moves.moved > limit:
        console.print(f"  and {moves.moved - limit:,} more (`--limit`)", style="dim")


def _print_agreement(agreement: Agreement) -> None:
    kappas = (("kappa", agreement.kappa), ("quadratic", agreement.quadratic_kappa))
    shown = ", ".join(f"{name} {value:.2f}" for name, value in kappas if value is not None)
    console.print(f"  agreement {agreement.exact:.0%}" + f" ({shown})" * bool(shown))


def _setting(row: Any) -> str:
    from assets.reports.tables import DIRECTION_NAMES, METRIC_NAMES

    metric = METRIC_NAMES.get(row.metric, row.metric)
    return " ".join([row.encoder, metric, DIRECTION_NAMES.get(row.direction, "")]).strip()


def _change(row: Any) -> str:
    from assets.reports.tables import signed

    return f"{row.value_a:.1f} -> {row.value_b:.1f} ({signed(row.change)})"
