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
from typing import Literal, Protocol

import pandas as pd

from assets.descriptions.causes import Before, made_with
from assets.descriptions.prompts import Prompt, examples_of
from assets.descriptions.rewriting import check_for, prompt_questions
from resources.language_model.asking import Asking, Sorted, sort_known
from resources.language_model.ledger import Ledger
from resources.language_model.ledger_rows import Intent, Observed
from resources.language_model.prices import Prices
from resources.language_model.question import Check, Message, Question
from resources.language_model.recorded import RecordedAnswers
from resources.language_model.requests import group_questions, make_intent
from resources.settings import OpenAISettings

ENOUGH = 20
"""Observed requests from which an estimate is made; below, assumptions serve."""

TOKENS_PER_CHARACTER = (0.15, 0.5)
TOKENS_PER_ANSWER = 8
"""Assumed for what is sent in English, and for the shortest answer, until something is seen."""

ASKED_AGAIN = 1.1
"""Answers that fail are asked for again: the share by which a plan's upper end allows for it."""


@dataclass(frozen=True)
class Range:
    """A lower and an upper end."""

    low: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)


NOTHING = Range(0.0, 0.0)


@dataclass(frozen=True)
class Price:
    """What asking takes.

    Attributes:
        requests: how many.
        usd: None where the model's price is unknown.
        budget_usd: with which all of it is asked for sure, since the most that a request can cost
            is set aside before it leaves: in a batch for all at once. None likewise.
        basis: whether the ranges come from what was observed, or from assumptions.
    """

    requests: int
    prompt_tokens: Range
    completion_tokens: Range
    usd: Range | None
    budget_usd: float | None
    basis: Literal["observed", "assumed"]


@dataclass(frozen=True)
class PlanRow:
    """What one prompt would ask about one benchmark's texts.

    Attributes:
        wanted: its questions; `wanted = known + quarantined + in_batch + to_ask`.
        causes: those to ask by why they are asked (see `causes`).
        price: of asking; None where answers are recorded, and nobody can be asked.
        descriptions: those that are known, if the prompt describes.
    """

    benchmark: str
    variant: str
    purpose: Literal["describe", "grade"]
    model: str
    wanted: int
    known: int
    quarantined: int
    in_batch: int
    to_ask: int
    causes: Mapping[str, int]
    price: Price | None
    descriptions: tuple[str, ...]


class KnownAnswers(Protocol):
    """Where known answers are, and what asking for others takes."""

    def sort(self, wanted: Mapping[str, Question], check: Check) -> Sorted:
        """Tell questions that need no asking from those that do."""
        ...

    def price(self, prompt: Prompt, to_ask: Sequence[Asking]) -> Price | None:
        """What asking a prompt's questions takes."""
        ...


@dataclass(frozen=True)
class InLedger:
    """Answers in the ledger, and a server that can be asked for others.

    Attributes:
        ledger: only read.
        settings: how the server would be asked.
        prices: what tokens cost.
    """

    ledger: Ledger
    settings: OpenAISettings
    prices: Prices

    def sort(self, wanted: Mapping[str, Question], check: Check) -> Sorted:
        """By what the ledger says (see `KnownAnswers.sort`)."""
        return sort_known(wanted, self.ledger.look_up(wanted), check, self.settings.max_answers)

    def price(self, prompt: Prompt, to_ask: Sequence[Asking]) -> Price:
        """From the requests as they would be sent, and what such requests took before."""
        batch = self.settings.mode == "batch"
        intents = [
            make_intent(group, self.settings.response_format, self.prices, batch)
            for group in group_questions(to_ask)
        ]
        observed = self.ledger.observed(prompt.variant, prompt.model)
        prompt_tokens = _prompt_tokens(intents, observed)
        completion_tokens = _completion_tokens(prompt, to_ask, observed)
        usd = _usd(prompt.model, prompt_tokens, completion_tokens, batch, self.prices)
        return Price(
            requests=len(intents),
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            usd=usd,
            budget_usd=_budget_usd(usd, [i.reserved_usd or 0.0 for i in intents], batch),
            basis="observed" if len(observed) >= ENOUGH else "assumed",
        )


@dataclass(frozen=True)
class InFile:
    """Answers that somebody recorded; nobody can be asked for others."""

    recorded: RecordedAnswers

    def sort(self, wanted: Mapping[str, Question], check: Check) -> Sorted:
        """By what the file holds (see `KnownAnswers.sort`)."""
        answers, missing = self.recorded.look_up(wanted, check)
        return Sorted(answers, to_ask=[Asking(question, 0) for question in missing])

    def price(self, prompt: Prompt, to_ask: Sequence[Asking]) -> None:
        """None: see `PlanRow.price`."""


def plan_benchmark(
    benchmark: str,
    texts: pd.DataFrame,
    prompts: Sequence[Prompt],
    pool: pd.DataFrame,
    visual_words: Sequence[str],
    known: KnownAnswers,
    before: Mapping[str, Before],
) -> list[PlanRow]:
    """The plan for one benchmark, a row a prompt.

    Args:
        benchmark: its name.
        texts: `text_id, text`, distinct.
        prompts: all prompts of the run.
        pool: FEW_SHOT_EXAMPLES.
        visual_words: words that a description must not have.
        known: where known answers are.
        before: what the last run left, by the prompts' purpose.
    """
    rows = []
    for prompt in prompts:
        questions = prompt_questions(benchmark, texts, prompt, pool)
        if not questions:
            continue
        wanted = {question.key: question for question in questions}
        found = known.sort(wanted, check_for(prompt, visual_words))
        parts = made_with(prompt, examples_of(prompt, pool))
        causes = Counter(
            before[prompt.purpose].cause(item.question, parts, item.attempts > 0)
            for item in found.to_ask
        )
        answered = found.answers.answered
        described = answered.values() if prompt.purpose == "describe" else ()
        rows.append(
            PlanRow(
                benchmark=benchmark,
                variant=prompt.variant,
                purpose=prompt.purpose,
                model=prompt.model,
                wanted=len(wanted),
                known=len(answered),
                quarantined=len(found.answers.quarantined),
                in_batch=len(found.in_batch),
                to_ask=len(found.to_ask),
                causes=causes,
                price=known.price(prompt, found.to_ask),
                descriptions=tuple(answer.fields["description"] for answer in described),
            )
        )
    return rows


def total_price(rows: Sequence[PlanRow]) -> Price:
    """What all rows take together; of an unknown price among them no sum is known either."""
    prices = [row.price for row in rows if row.price and row.to_ask]
    usd = [price.usd for price in prices if price.usd is not None]
    budgets = [price.budget_usd for price in prices if price.budget_usd is not None]
    complete = len(usd) == len(prices)
    return Price(
        requests=sum(price.requests for price in prices),
        prompt_tokens=sum((price.prompt_tokens for price in prices), NOTHING),
        completion_tokens=sum((price.completion_tokens for price in prices), NOTHING),
        usd=sum(usd, NOTHING) if complete else None,
        budget_usd=sum(budgets) if complete else None,
        basis="observed" if all(price.basis == "observed" for price in prices) else "assumed",
    )


def _budget_usd(usd: Range | None, reserved: Sequence[float], batch: bool) -> float | None:
    """Online the price and, for the last request to leave, the most that it can cost."""
    if usd is None:
        return None
    return sum(reserved) if batch else usd.high + max(reserved, default=0.0)


def _prompt_tokens(intents: Sequence[Intent], observed: Sequence[Observed]) -> Range:
    """Tokens in: characters, by the spread of the ratio that was seen.

    Until then the least is that of the messages alone: not every server counts the answer's schema.
    """
    characters = sum(len(intent.body) for intent in intents)
    if len(observed) >= ENOUGH:
        ratios = [row.prompt_tokens / row.characters for row in observed]
        return Range(characters * min(ratios), characters * max(ratios) * ASKED_AGAIN)
    low, high = TOKENS_PER_CHARACTER
    said = sum(
        len(message["content"])
        for intent in intents
        for message in (*intent.questions[0].messages[:-1], *_last_messages(intent))
    )
    return Range(said * low, characters * high * ASKED_AGAIN)


def _last_messages(intent: Intent) -> list[Message]:
    """Those that differ from text to text."""
    return [question.messages[-1] for question in intent.questions]


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
