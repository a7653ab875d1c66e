"""What may be spent unasked: the price of a change, told before anything is started, and a bound.

A run that the sensor starts carries the bound as its budget, so that a plan which turns out wrong
can't pass it either; runs for the same change that failed before count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from assets.descriptions.asking import AskedError, read_asked
from assets.descriptions.planning import PlanRow, Range, total_budget_usd, total_usd
from resources.language_model.prices import PRICES_FILE, show_usd
from resources.language_model.providers import open_ledger
from resources.language_model.question import LanguageModelError
from resources.settings import OpenAISettings, Settings


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

    made_for: tuple[str, int, tuple[float, ...]]
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
        wanted: the fingerprint of what is wanted; the same is planned once.
        paid_before: what the ledger had paid before earlier runs for the same change, newest first.
    """
    chosen = settings.language_model
    if not isinstance(chosen, OpenAISettings):
        return Allowance()
    prices = chosen.prices or PRICES_FILE
    changed = prices.stat().st_mtime_ns if prices.exists() else 0
    plan = _plan(settings, benchmark, (wanted, changed, paid_before))
    bound = settings.automation.max_usd_per_change
    spent = plan.paid_usd - paid_before[-1] if paid_before else 0.0
    left = max(0.0, bound - spent)
    budget = total_budget_usd(plan.rows)
    if budget is not None and budget <= left:
        return Allowance(usd=left, paid_usd=plan.paid_usd)
    asked = ", ".join(f"{row.variant}: {row.to_ask:,}" for row in plan.rows if row.to_ask)
    earlier = f", of which earlier runs for this change have spent {show_usd(spent)}"
    return Allowance(
        f"would ask {sum(row.to_ask for row in plan.rows):,} questions ({asked}) for "
        f"{_price(total_usd(plan.rows))}, more than automation.max_usd_per_change allows "
        f"({show_usd(bound)} USD{earlier if spent else ''}). To approve it: sound-approach run "
        f"--config {settings.config_file} --benchmark {benchmark} --budget {show_budget(budget)}"
    )


def show_budget(budget: float | None) -> str:
    """A budget as it is given to `--budget`: rounded up, or what stands for one."""
    if budget is None:
        return "USD"
    unit = 100 if budget >= 0.1 else 10_000
    return show_usd(math.ceil(budget * unit) / unit)


def _price(cost: Range | None) -> str:
    if cost is None:
        return "an unknown price (add the model to the price list)"
    return f"{show_usd(cost.low)} to {show_usd(cost.high)} USD"


def _plan(
    settings: Settings, benchmark: str, made_for: tuple[str, int, tuple[float, ...]]
) -> _Planned:
    """The plan, made once for the same; it has no rows if files are wrong.

    Then the run may start: it says what is wrong, and stops before it asks anything.
    """
    known = _planned.get(benchmark)
    if known and known.made_for == made_for:
        return known
    rows: list[PlanRow] = []
    paid_usd = 0.0
    try:
        with open_ledger(settings) as ledger:
            if ledger:
                paid_usd = ledger.paid_usd()
                rows = read_asked(settings, benchmark).plan(ledger)
    except (AskedError, LanguageModelError):
        rows = []
    _planned[benchmark] = _Planned(made_for, rows, paid_usd)
    return _planned[benchmark]
