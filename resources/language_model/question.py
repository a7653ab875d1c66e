"""What is asked and what comes back, and the key under which an answer is known forever.

The key is made from everything that decides an answer, and from nothing else: how questions are
grouped into requests, retried or paid is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from resources.keys import answer_key

Message = Mapping[str, str]
"""One chat message: `role` and `content`."""

ProblemClass = Literal[
    "empty", "unchanged", "too_long", "visual", "schema", "ids", "refusal", "cut_off",
    "rate_limit", "server", "connection", "timeout", "rejected", "expired",
]  # fmt: skip
"""How a question can fail: by an answer that is no good, or (from `rate_limit` on) by none."""


class LanguageModelError(RuntimeError):
    """A language model can't be asked at all; the message says what to do."""


@dataclass(frozen=True)
class Question:
    """One text put to one model by one prompt.

    Attributes:
        text_id: the text's id.
        text: the text itself, for checks and messages to people.
        variant: the prompt's variant; provenance, no part of the key.
        messages: the messages as rendered for this text alone.
        model: the model asked.
        parameters: sampling parameters, as sent.
        answer_schema: JSON schema of the object that must come back.
        texts_per_request: how many questions of this prompt may share a request; no part of the
            key.
    """

    text_id: str
    text: str
    variant: str
    messages: tuple[Message, ...]
    model: str
    parameters: Mapping[str, Any]
    answer_schema: Mapping[str, Any]
    texts_per_request: int = field(default=1)

    @cached_property
    def key(self) -> str:
        """What its answer is known under (see `keys`)."""
        return answer_key(self.messages, self.model, self.parameters, self.answer_schema)


@dataclass(frozen=True)
class Problem:
    """Why an answer can't be used."""

    kind: ProblemClass
    detail: str


@dataclass(frozen=True)
class Answer:
    """A question's answer: its fields, and the model that gave it, as the server names it."""

    fields: Mapping[str, str]
    model: str


@dataclass(frozen=True)
class Failure:
    """A question without a usable answer: why, what came back, after how many tries."""

    problem: Problem
    raw: str | None
    attempts: int


Check = Callable[[Question, Mapping[str, str]], Problem | None]
"""Judges an answer that has the right form; None: it is good."""


@dataclass(frozen=True)
class Progress:
    """How far the asking is: of `total` questions `done` need no more work."""

    done: int
    total: int
    spent_usd: float | None
    """None where a price is unknown."""


@dataclass
class Spent:
    """What asking took.

    Attributes:
        usd: of the requests whose price is known; `unpriced` counts the others.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0

    def count(
        self, prompt_tokens: int | None, completion_tokens: int | None, usd: float | None
    ) -> None:
        """Add one answered request."""
        self.requests += 1
        self.prompt_tokens += prompt_tokens or 0
        self.completion_tokens += completion_tokens or 0
        self.usd += usd or 0.0
        self.unpriced += usd is None


@dataclass
class Answers:
    """What became of every question, by key: in exactly one of the three."""

    answered: dict[str, Answer] = field(default_factory=dict)
    quarantined: dict[str, Failure] = field(default_factory=dict)
    not_asked: dict[str, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    """Which of the answers were there before anybody was asked."""
    refused: set[str] = field(default_factory=set)
    """Which of the questions had answers before, all of them no good."""
    spent: Spent = field(default_factory=Spent)
    """What was spent on them now; nothing on those that were known."""

    def settled_keys(self) -> set[str]:
        """All questions that something became of."""
        return {*self.answered, *self.quarantined, *self.not_asked}

    def add(self, more: Answers) -> None:
        """Take over what became of other questions."""
        self.answered.update(more.answered)
        self.quarantined.update(more.quarantined)
        self.not_asked.update(more.not_asked)


class LanguageModel(Protocol):
    """Whatever answers questions: a recorded file, or a server behind the ledger."""

    def ask(self, questions: Sequence[Question], check: Check) -> Answers:
        """Answer every question, from what is known where that is possible.

        Args:
            questions: any number, repeated ones allowed.
            check: judges each answer, also the known ones.

        Raises:
            LanguageModelError: none can be asked, or a recorded answer is missing.
        """
        ...
