"""What may be spent unasked: the price of a change, told before anything is started, and a bound.

A run that the sensor starts carries the bound as its budget, so that a plan which turns out wrong
can't pass it either; runs for the same change that failed before count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from assets.benchmarks.annotation_files import AnnotationError
from assets.benchmarks.assets import questions
from assets.descriptions.asking import Asked, AskedError, read_asked
from assets.descriptions.planning import PlanRow, Price, total_price
from assets.embeddings.planning import VectorPlan, plan_vectors
from resources.lake import Lake
from resources.language_model.ledger import Ledger
from resources.language_model.prices import PRICES_FILE, show_usd
from resources.language_model.providers import ledger_of, open_ledger
from resources.language_model.question import LanguageModelError
from resources.settings import OpenAISettings, Settings
from resources.table_assets.stage import Stage
from resources.tables import CLIPS, MEDIA, QUESTIONS


@dataclass(frozen=True)
class Allowance:
    """Whether a benchmark's refresh may start by itself.

    Attributes:
        refusal: why not, and how to start it; None if it may.
        usd: what it may spend; None where nothing can be spent.
        paid_usd: what the ledger has paid until now.
    """

    refusal: str | None = None
    usd: float | None = None
    paid_usd: float = 0.0


@dataclass(frozen=True)
class _Planned:
    """A plan, and for what it was made: the same is not made again."""

    made_for: tuple[object, ...]
    rows: list[PlanRow]
    paid_usd: float


_planned: dict[str, _Planned] = {}
"""By benchmark its last plan, since a sensor asks again every few seconds."""


def allow(
    settings: Settings, benchmark: str, wanted: str, paid_before: tuple[float, ...] = ()
) -> Allowance:
    """Weigh what a refresh would ask against what may be spent unasked.

    Args:
        settings: the config; `automation.max_usd_per_change` is the bound, for each benchmark.
        benchmark: its name.
        wanted: the fingerprint of what is wanted; the same is planned once, until the ledger has
            more to say.
        paid_before: what the ledger had paid before earlier runs for the same change, newest first.
    """
    chosen = settings.language_model
    if not isinstance(chosen, OpenAISettings):
        return Allowance()
    prices = chosen.prices or PRICES_FILE
    changed = prices.stat().st_mtime_ns if prices.exists() else 0
    plan = _plan(settings, benchmark, wanted, changed, paid_before)
    bound = settings.automation.max_usd_per_change
    spent = plan.paid_usd - paid_before[-1] if paid_before else 0.0
    left = max(0.0, bound - spent)
    price = total_price(plan.rows)
    if price.budget_usd is not None and price.budget_usd <= left:
        return Allowance(usd=left, paid_usd=plan.paid_usd)
    command = f"sound-approach run --config {settings.config_file} --benchmark {benchmark}"
    asked = ", ".join(f"{row.variant}: {row.to_ask:,}" for row in plan.rows if row.to_ask)
    questions = f"would ask {sum(row.to_ask for row in plan.rows):,} questions ({asked})"
    if price.budget_usd is None:
        return Allowance(f"{questions} for an unknown price. {_how_to_price(plan.rows, prices)}")
    earlier = f", of which earlier runs for this change have spent {show_usd(spent)}"
    return Allowance(
        f"{questions} for {show_price(price)} USD, more than automation.max_usd_per_change allows "
        f"({show_usd(bound)} USD{earlier if spent else ''}). To approve it: "
        f"{command} --budget {show_budget(price.budget_usd)}"
    )


def asked_now(settings: Settings, benchmark: str) -> Asked:
    """What would be asked; of questions those that pass the filters, where that is known.

    Raises:
        AskedError: a file can't be used.
    """
    stage = Stage(settings, benchmark)
    try:
        current = questions.is_current(stage)
    except AnnotationError as error:
        raise AskedError(str(error)) from error
    return read_asked(settings, benchmark, stage.table(QUESTIONS) if current else None)


def plan_run(
    settings: Settings, benchmarks: Iterable[str]
) -> Iterator[tuple[str, list[PlanRow], list[VectorPlan]]]:
    """What a run would ask and compute, benchmark by benchmark.

    Raises:
        AskedError: a file can't be used.
        LanguageModelError: ledger, recorded answers or price list can't be read.
    """
    lake = Lake(settings.lake_dir)
    with open_ledger(settings) as ledger:
        for benchmark in benchmarks:
            asked = asked_now(settings, benchmark)
            rows = asked.plan(ledger)
            described = (text for row in rows for text in row.descriptions)
            texts = {*asked.texts["text"], *asked.clip_texts, *described, *asked.published}
            measured = all(lake.stamp(model, benchmark) for model in (CLIPS, MEDIA))
            clips, media = (
                lake.read(model, benchmark) if measured else None for model in (CLIPS, MEDIA)
            )
            yield benchmark, rows, plan_vectors(settings, texts, clips, media)


def show_price(price: Price) -> str:
    """What it costs in USD, from the least to the most."""
    if price.usd is None:
        return "unknown"
    low, high = show_usd(price.usd.low), show_usd(price.usd.high)
    if low == high:
        return low
    return f"{low} to {high}" if float(low) else f"up to {high}"


def show_budget(usd: float) -> str:
    """A budget that covers so much, as `--budget` takes it: rounded up."""
    unit = 100 if usd >= 0.1 else 10_000
    return show_usd(math.ceil(usd * unit) / unit)


def _how_to_price(rows: Iterable[PlanRow], prices: Path) -> str:
    """What to write into the price list, without which no bound can be kept."""
    models = {row.model for row in rows if row.to_ask and row.price and row.price.usd is None}
    lines = " and ".join(f"`{name}: {{input: 0, output: 0}}`" for name in sorted(models))
    return (
        f"To approve it, add under `models:` in {prices} what it costs, in USD per million tokens "
        f"(0 for a model that costs nothing): {lines}"
    )


def _plan(settings: Settings, benchmark: str, *given: object) -> _Planned:
    """The plan, made once for the same; it has no rows if files are wrong.

    Then the run may start: it says what is wrong, and stops before it asks anything.
    """
    try:
        with ledger_of(settings) as ledger:
            paid_usd = ledger.paid_usd()
            made_for = (*given, paid_usd, ledger.states())
            known = _planned.get(benchmark)
            if known is None or known.made_for != made_for:
                _planned[benchmark] = _Planned(
                    made_for, _rows(settings, benchmark, ledger), paid_usd
                )
            return _planned[benchmark]
    except LanguageModelError:
        return _Planned((), [], 0.0)


def _rows(settings: Settings, benchmark: str, ledger: Ledger) -> list[PlanRow]:
    try:
        return asked_now(settings, benchmark).plan(ledger)
    except (AskedError, LanguageModelError):
        return []
