"""What may be spent unasked: the price of a change, told before anything is started."""

from __future__ import annotations

import math

from assets.descriptions.asking import AskedError, read_asked
from assets.descriptions.planning import PlanRow, Range, total_usd
from resources.language_model.prices import PRICES_FILE
from resources.language_model.providers import open_ledger
from resources.language_model.question import LanguageModelError
from resources.settings import OpenAISettings, Settings

_planned: dict[str, tuple[tuple[str, int], list[PlanRow]]] = {}
"""By benchmark its last plan, since a sensor asks again every few seconds."""


def too_dear(settings: Settings, benchmark: str, wanted: str) -> str | None:
    """Why a benchmark's refresh may not start by itself, and how to start it; None if it may.

    Args:
        settings: the config; `automation.max_usd_per_change` is the bound, for each benchmark.
        benchmark: its name.
        wanted: the fingerprint of what is wanted; the same is planned once.
    """
    chosen = settings.language_model
    if not isinstance(chosen, OpenAISettings):
        return None
    prices = chosen.prices or PRICES_FILE
    version = (wanted, prices.stat().st_mtime_ns if prices.exists() else 0)
    rows = _plan(settings, benchmark, version)
    cost, bound = total_usd(rows), settings.automation.max_usd_per_change
    if cost is not None and cost.high <= bound:
        return None
    asked = ", ".join(f"{row.variant}: {row.to_ask:,}" for row in rows if row.to_ask)
    price, budget = _price(cost)
    return (
        f"would ask {sum(row.to_ask for row in rows):,} questions ({asked}) for {price}, more than "
        f"automation.max_usd_per_change allows ({bound:.2f} USD). To approve it: sound-approach "
        f"run --config {settings.config_file} --benchmark {benchmark} --budget {budget}"
    )


def _price(cost: Range | None) -> tuple[str, str]:
    """A range in words, and the budget that covers it."""
    if cost is None:
        return "an unknown price (add the model to the price list)", "USD"
    return f"{cost.low:.2f} to {cost.high:.2f} USD", f"{math.ceil(cost.high * 100) / 100:.2f}"


def _plan(settings: Settings, benchmark: str, version: tuple[str, int]) -> list[PlanRow]:
    """The plan, made once a version; none if files are wrong.

    Then the run may start: it says what is wrong, and stops before it asks anything.
    """
    if _planned.get(benchmark, ("", []))[0] != version:
        rows: list[PlanRow] = []
        try:
            with open_ledger(settings) as ledger:
                if ledger:
                    rows = read_asked(settings, benchmark).plan(ledger)
        except (AskedError, LanguageModelError):
            rows = []
        _planned[benchmark] = (version, rows)
    return _planned[benchmark][1]
