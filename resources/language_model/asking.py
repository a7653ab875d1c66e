"""A language model behind the ledger: known answers first, the rest asked, what fails asked again.

How questions reach the server is a `Sender`'s business (`online.py`, `batch.py`); here is what both
share: who asks what, how often, and when enough is enough.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from resources.language_model.ledger import Ledger, Stored
from resources.language_model.question import (
    Answer,
    Answers,
    Check,
    Failure,
    Problem,
    Question,
)
from resources.language_model.replies import fit_schema

POLL_S = 0.2
"""How often another process's answers are looked for."""

IN_BATCH = "in a batch that is not finished"


@dataclass(frozen=True)
class Asking:
    """A question that is about to be asked, and how many answers to it were no good."""

    question: Question
    attempts: int


class Sender(Protocol):
    """Brings questions to a server, and what comes back into the ledger."""

    def send(self, asking: Sequence[Asking], check: Check) -> Mapping[str, str]:
        """Ask each question once.

        Returns:
            By key, why a question got no answer at all; those with an answer, good or bad, are in
            the ledger.
        """
        ...


class LedgerModel:
    """A language model whose answers are kept (see `LanguageModel`).

    Args:
        ledger: where they are kept.
        sender: how new questions are asked.
        max_answers: how many answers to a question are looked at before it is quarantined.
    """

    def __init__(self, ledger: Ledger, sender: Sender, max_answers: int) -> None:
        self.ledger = ledger
        self.sender = sender
        self.max_answers = max_answers

    def ask(self, questions: Sequence[Question], check: Check) -> Answers:
        """Answer every question (see `LanguageModel.ask`).

        Each is asked by one process only; what another live process is asking is waited for. An
        answer that fails is asked for again, alone, until `max_answers` were looked at.
        """
        pending = {question.key: question for question in questions}
        answers = Answers()
        first = True
        while pending:
            to_ask = self._sort_known(pending, check, answers)
            if first:
                answers.known, first = set(answers.answered), False
            for key in [*answers.answered, *answers.quarantined]:
                pending.pop(key, None)
            if to_ask:
                self._ask_ours(to_ask, check, answers)
            for key in answers.not_asked:
                pending.pop(key, None)
        self._assert_complete(questions, answers)
        return answers

    def _sort_known(
        self, pending: Mapping[str, Question], check: Check, answers: Answers
    ) -> list[Asking]:
        """Put what needs no asking into `answers`; give what does."""
        to_ask = []
        stored = self.ledger.look_up(pending)
        rejudged: dict[str, Problem | None] = {}
        for key, question in pending.items():
            known = stored.get(key)
            if known is None or known.state == "open":
                to_ask.append(Asking(question, known.attempts if known else 0))
            elif known.state == "in_batch":
                answers.not_asked[key] = IN_BATCH
            else:
                problem = judge_stored(question, known, check)
                if (problem is None) != (known.state == "answered"):
                    rejudged[key] = problem
                if problem is None:
                    model = known.model or question.model
                    answers.answered[key] = Answer(known.fields or {}, model)
                elif known.attempts < self.max_answers:
                    to_ask.append(Asking(question, known.attempts))
                else:
                    answers.quarantined[key] = Failure(problem, known.raw, known.attempts)
        self.ledger.rejudge(rejudged)
        return to_ask

    def _ask_ours(self, to_ask: Sequence[Asking], check: Check, answers: Answers) -> None:
        claims = self.ledger.claim(
            [item.question for item in to_ask],
            {item.question.key: item.attempts for item in to_ask},
        )
        ours = [item for item in to_ask if item.question.key in claims.ours]
        if not ours:
            time.sleep(POLL_S)
            return
        try:
            answers.not_asked.update(self.sender.send(ours, check))
        finally:
            self.ledger.release()

    def _assert_complete(self, questions: Sequence[Question], answers: Answers) -> None:
        wanted = {question.key for question in questions}
        parts = [set(answers.answered), set(answers.quarantined), set(answers.not_asked)]
        if set().union(*parts) != wanted or sum(map(len, parts)) != len(wanted):
            raise AssertionError(
                f"{len(wanted)} questions became {[len(part) for part in parts]} answered, "
                "quarantined, not asked"
            )


def judge_stored(question: Question, stored: Stored, check: Check) -> Problem | None:
    """What is wrong with a stored answer by today's checks; None: it is good."""
    if stored.fields is None:
        return Problem(stored.problem or "empty", stored.detail or "")  # type: ignore[arg-type]
    return fit_schema(stored.fields, question.answer_schema) or check(question, stored.fields)
