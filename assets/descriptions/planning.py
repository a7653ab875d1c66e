"""What a run would ask and what that would cost, told before anybody is asked.

Counts come after the look-up in the ledger. Tokens come from what the same prompt and model took
before, where there is enough of it, else from assumptions that are wide on purpose; either way as
a range in which the true cost is meant to lie.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from assets.descriptions.causes import Before, made_with
from assets.descriptions.prompts import Prompt, examples_of
from assets.descriptions.rewriting import check_for, prompt_questions
from resources.language_model.asking import Asking, sort_known
from resources.language_model.ledger import Ledger
from resources.language_model.ledger_rows import Observed
from resources.language_model.prices import Prices
from resources.language_model.requests import group_questions, make_intent
from resources.settings import OpenAISettings

ENOUGH = 20
"""Observed requests from which an estimate is made; below, assumptions serve."""

TOKENS_PER_CHARACTER = (0.15, 0.5)
TOKENS_PER_ANSWER = 8
"""Assumed for a request's body in English, and for the shortest answer, until something is seen."""

ASKED_AGAIN = 1.1
"""Answers that fail are asked for again: the share by which a plan's upper end allows for it."""


@dataclass(frozen=True)
class Range:
    """A lower and an upper end."""

    low: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)


@dataclass(frozen=True)
class PlanRow:
    """What one prompt would ask about one benchmark's texts.

    Attributes:
        wanted: its questions; `wanted = known + quarantined + in_batch + to_ask`.
        causes: those to ask by why they are asked (see `causes`).
        usd: None where the model's price is unknown.
        budget_usd: with which all of it is asked for sure, since the most that a request can cost
            is set aside before it leaves: in a batch for all at once. None likewise.
        basis: whether the range comes from what was observed, or from assumptions.
    """

    benchmark: str
    variant: str
    model: str
    wanted: int
    known: int
    quarantined: int
    in_batch: int
    to_ask: int
    causes: Mapping[str, int]
    requests: int
    prompt_tokens: Range
    completion_tokens: Range
    usd: Range | None
    budget_usd: float | None
    basis: Literal["observed", "assumed"]


def plan_benchmark(
    benchmark: str,
    texts: pd.DataFrame,
    prompts: Sequence[Prompt],
    pool: pd.DataFrame,
    visual_words: Sequence[str],
    ledger: Ledger,
    settings: OpenAISettings,
    prices: Prices,
    before: Mapping[str, Before],
) -> list[PlanRow]:
    """The plan for one benchmark, a row a prompt.

    Args:
        benchmark: its name.
        texts: `text_id, text`, distinct.
        prompts: all prompts of the run.
        pool: FEW_SHOT_EXAMPLES.
        visual_words: words that a description must not have.
        ledger: where known answers are; only read.
        settings: how the model would be asked.
        prices: what tokens cost.
        before: what the last run left, by the prompts' purpose.
    """
    rows = []
    for prompt in prompts:
        questions = prompt_questions(benchmark, texts, prompt, pool)
        if not questions:
            continue
        wanted = {question.key: question for question in questions}
        check = check_for(prompt, visual_words)
        known = sort_known(wanted, ledger.look_up(wanted), check, settings.max_answers)
        batch = settings.mode == "batch"
        intents = [
            make_intent(group, settings.response_format, prices, batch)
            for group in group_questions(known.to_ask)
        ]
        observed = ledger.observed(prompt.variant, prompt.model)
        prompt_tokens = _prompt_tokens([len(intent.body) for intent in intents], observed)
        completion_tokens = _completion_tokens(prompt, known.to_ask, observed)
        usd = _usd(prompt.model, prompt_tokens, completion_tokens, batch, prices)
        rows.append(
            PlanRow(
                benchmark=benchmark,
                variant=prompt.variant,
                model=prompt.model,
                wanted=len(wanted),
                known=len(known.answers.answered),
                quarantined=len(known.answers.quarantined),
                in_batch=len(known.in_batch),
                to_ask=len(known.to_ask),
                causes=_causes(prompt, known.to_ask, pool, before[prompt.purpose]),
                requests=len(intents),
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                usd=usd,
                budget_usd=_budget_usd(usd, [i.reserved_usd or 0.0 for i in intents], batch),
                basis="observed" if len(observed) >= ENOUGH else "assumed",
            )
        )
    return rows


def _causes(
    prompt: Prompt, to_ask: Sequence[Asking], pool: pd.DataFrame, before: Before
) -> Mapping[str, int]:
    parts = made_with(prompt, examples_of(prompt, pool))
    return Counter(before.cause(item.question, parts, item.attempts > 0) for item in to_ask)


def total_usd(rows: Sequence[PlanRow]) -> Range | None:
    """What all rows cost together; None where a row that asks has an unknown price."""
    asking = [row.usd for row in rows if row.to_ask]
    if any(usd is None for usd in asking):
        return None
    return sum((usd for usd in asking if usd is not None), Range(0.0, 0.0))


def total_budget_usd(rows: Sequence[PlanRow]) -> float | None:
    """The budget with which everything is asked; None where a row that asks has no price."""
    budgets = [row.budget_usd for row in rows if row.to_ask]
    if any(usd is None for usd in budgets):
        return None
    return sum(usd for usd in budgets if usd is not None)


def _budget_usd(usd: Range | None, reserved: Sequence[float], batch: bool) -> float | None:
    """Online the price and, for the last request to leave, the most that it can cost."""
    if usd is None:
        return None
    return sum(reserved) if batch else usd.high + max(reserved, default=0.0)


def _prompt_tokens(lengths: Sequence[int], observed: Sequence[Observed]) -> Range:
    """Tokens in: characters, by the spread of the ratio that was seen."""
    low, high = TOKENS_PER_CHARACTER
    if len(observed) >= ENOUGH:
        ratios = [row.prompt_tokens / row.characters for row in observed]
        low, high = min(ratios), max(ratios)
    return Range(sum(lengths) * low, sum(lengths) * high * ASKED_AGAIN)


def _completion_tokens(
    prompt: Prompt, to_ask: Sequence[Asking], observed: Sequence[Observed]
) -> Range:
    """Tokens out: the observed mean within three of its standard errors, for so many answers."""
    count = len(to_ask)
    if len(observed) < ENOUGH:
        parameters = prompt.parameters
        limit = parameters.get("max_tokens") or parameters.get("max_completion_tokens")
        return Range(count * TOKENS_PER_ANSWER, count * float(limit or 0))
    each = [row.completion_tokens / row.questions for row in observed]
    mean, spread = statistics.fmean(each), statistics.stdev(each)
    error = 3 * spread * math.sqrt(1 / len(each) + 1 / max(count, 1))
    return Range(count * max(0.0, mean - error), count * (mean + error) * ASKED_AGAIN)


def _usd(
    model: str,
    prompt_tokens: Range,
    completion_tokens: Range,
    batch: bool,
    prices: Prices,
) -> Range | None:
    low = prices.cost(model, int(prompt_tokens.low), int(completion_tokens.low), batch)
    high = prices.cost(
        model, math.ceil(prompt_tokens.high), math.ceil(completion_tokens.high), batch
    )
    return None if low is None or high is None else Range(low, high)
