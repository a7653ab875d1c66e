"""Which language model a config names, opened and closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from resources.language_model.asking import LedgerModel, Sender
from resources.language_model.batch import BatchSender
from resources.language_model.ledger import Ledger
from resources.language_model.online import OnlineSender
from resources.language_model.prices import Budget, load_prices
from resources.language_model.question import LanguageModel, LanguageModelError, Progress
from resources.language_model.recorded import RecordedAnswers
from resources.remote import ExtraMissingError
from resources.settings import RecordedSettings, Settings


@cache
def run_budget(limit_usd: float) -> Budget:
    """What this run may spend in all. A run is a process: whatever it asks shares one budget."""
    return Budget(limit_usd)


@contextmanager
def open_language_model(
    settings: Settings,
    budget: Budget | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[LanguageModel]:
    """The config's language model, with its ledger where it needs one.

    Args:
        settings: the config.
        budget: what may be spent, shared by all that is asked with it; by default the config's
            `budget_usd` (see `run_budget`).
        progress: called after every answered request, or look at batches.

    Raises:
        LanguageModelError: ledger or price list can't be opened.
    """
    chosen = settings.language_model
    if isinstance(chosen, RecordedSettings):
        yield RecordedAnswers(chosen.answers)
        return
    if budget is None and chosen.budget_usd is not None:
        budget = run_budget(chosen.budget_usd)
    prices = load_prices(chosen.prices)
    with ledger_of(settings) as ledger:
        sender: Sender = (
            OnlineSender(chosen, ledger, prices, budget, progress)
            if chosen.mode == "online"
            else BatchSender(chosen, ledger, prices, budget, progress)
        )
        yield LedgerModel(ledger, sender, chosen.max_answers)


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger | None]:
    """The ledger behind the config's language model; None where answers are recorded."""
    if isinstance(settings.language_model, RecordedSettings):
        yield None
        return
    with ledger_of(settings) as ledger:
        yield ledger


def ledger_of(settings: Settings) -> Ledger:
    """The ledger that a config names: its `ledger:`, or the file of its `cache_dir`.

    Raises:
        LanguageModelError: it can't be opened.
    """
    if settings.ledger is None:
        return Ledger.in_folder(settings.cache_dir)
    try:
        return Ledger(settings.ledger)
    except ExtraMissingError as error:
        raise LanguageModelError(str(error)) from error
