"""What goes into the ledger and comes out of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from resources.language_model.question import Question


@dataclass(frozen=True)
class Stored:
    """What the ledger knows under a key.

    Attributes:
        state: `open` (asked for, no answer yet), `in_batch`, `answered`, `failed`.
        fields: the answer, if one of the right form came.
        model: that gave it.
        attempts: how many answers were looked at and not taken, plus the one that was.
    """

    state: str
    fields: Mapping[str, str] | None
    model: str | None
    raw: str | None
    problem: str | None
    detail: str | None
    attempts: int


@dataclass(frozen=True)
class Intent:
    """A request that is about to be sent."""

    questions: tuple[Question, ...]
    body: str
    reserved_usd: float | None
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Outcome:
    """What became of a request; `state` is answered or failed."""

    request_id: str
    state: str
    attempts: int
    raw_answer: str | None
    problem: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None


@dataclass(frozen=True)
class Verdict:
    """What became of one question of a request; `state` is answered, failed or open."""

    key: str
    state: str
    fields: str | None
    model: str | None
    raw: str | None
    problem: str | None
    detail: str | None
    attempts: int
    request_id: str


@dataclass(frozen=True)
class Observed:
    """What one answered request of a variant took: its body's length, and tokens in and out."""

    characters: int
    questions: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class OpenBatch:
    """A batch that is not collected yet; `ours` if this process looks after it."""

    batch: str
    state: str
    file_id: str | None
    batch_id: str | None
    ours: bool


@dataclass(frozen=True)
class SentInBatch:
    """A request of a batch. `members` are keys, with the answers that each had before."""

    request_id: str
    model: str
    body: str
    answer_schema: Mapping[str, Any]
    reserved_usd: float | None
    members: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Claims:
    """What came of claiming: keys now ours, and keys that another process is asking."""

    ours: set[str]
    others: set[str]
