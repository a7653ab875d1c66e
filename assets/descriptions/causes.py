"""Why a question has to be asked: what differs from what the last table was made from.

Each row of DESCRIPTIONS and INFORMATIVENESS carries what of its prompt decided it (`made_with`), so
that this is told from the tables alone, for each benchmark by itself, and never from a guess.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from assets.descriptions.few_shot import Example
from assets.descriptions.prompts import Prompt
from resources.hashing import canonical_hash, canonical_json
from resources.language_model.question import Question

FIRST_RUN = "first run"
NEW_PROMPT = "new prompt"
SOURCE = "source"
CODE = "code"
UNANSWERED = "unanswered"
CHECKS = "checks"
LEDGER = "ledger"
CAUSES = {
    FIRST_RUN: "nothing was made of this benchmark yet",
    NEW_PROMPT: "nothing was made with this prompt yet",
    SOURCE: "the text is new or changed",
    "template": "the prompt's messages changed",
    "examples": "the few-shot examples changed: the pool, or which of it are wanted",
    "model": "another model is asked",
    "parameters": "the sampling parameters changed",
    "answer": "the fields of the answer changed",
    CODE: "questions are put otherwise by another release of this project",
    UNANSWERED: "the last run had no usable answer, or didn't ask",
    CHECKS: "the known answer doesn't pass today's checks or word list",
    LEDGER: "the question is the old one, and this ledger doesn't know its answer",
}
"""What each cause means; of a prompt several parts may have changed: `template + model`."""

_DIGITS = 16


@dataclass(frozen=True)
class Before:
    """What the last run left of a table, and of the list of what it lacks.

    Attributes:
        rows: by text id and variant the row's key, and what it was made with.
        texts: ids of all texts that it was about, answered or not.
    """

    rows: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()

    @cached_property
    def variants(self) -> frozenset[str]:
        """The prompts that it has rows of."""
        return frozenset(variant for _, variant in self.rows)

    @classmethod
    def of(
        cls, table: pd.DataFrame | None, exclusions: pd.DataFrame | None, variant_column: str
    ) -> Before:
        """From the stored tables, where there are any; rows of published files are left out."""
        if table is None:
            return cls()
        asked = table[table["made_with"].notna()].astype(object)
        names = ["text_id", variant_column, "key", "made_with"]
        rows = {
            (text_id, variant): (key, made_with)
            for text_id, variant, key, made_with in asked[names].itertuples(index=False)
        }
        lacking = () if exclusions is None else exclusions["item_id"]
        return cls(rows, frozenset([*asked["text_id"], *lacking]))

    def cause(self, question: Question, made_with: str, answered_before: bool) -> str:
        """Why a question is asked (see `CAUSES`).

        Args:
            question: that is asked.
            made_with: what of its prompt decides the answer now (see `made_with`).
            answered_before: whether the ledger has an answer to it that is no good.
        """
        if not self.texts:
            return FIRST_RUN
        row = self.rows.get((question.text_id, question.variant))
        if row is None:
            return self._cause_of_no_row(question)
        key, parts = row
        if key == question.key:
            return CHECKS if answered_before else LEDGER
        old, new = json.loads(parts), json.loads(made_with)
        changed = [name for name in new if new[name] != old.get(name)]
        return " + ".join(changed) or CODE

    def _cause_of_no_row(self, question: Question) -> str:
        if question.variant not in self.variants:
            return NEW_PROMPT
        return UNANSWERED if question.text_id in self.texts else SOURCE


def made_with(prompt: Prompt, examples: tuple[Example, ...]) -> str:
    """What of a prompt decides its answers, as canonical JSON: long parts by their hash."""
    parts: dict[str, Any] = {
        "template": _short_hash(prompt.template),
        "examples": _short_hash([vars(example) for example in examples]),
        "model": prompt.model,
        "parameters": prompt.parameters,
        "answer": list(prompt.answer_schema["properties"]),
    }
    return canonical_json(parts)


def _short_hash(value: Any) -> str:
    return canonical_hash(value)[:_DIGITS]
