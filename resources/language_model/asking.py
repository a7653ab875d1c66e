"""A language model behind the ledger: known answers first, the rest asked, what fails asked again.

How questions reach the server is a `Sender`'s business (`online.py`, `batch.py`); here is what both
share: who asks what, how often, and when enough is enough.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from resources.language_model.ledger import Ledger
from resources.language_model.ledger_rows import Stored
from resources.language_model.question import (
    Answer,
    Answers,
    Check,
    Failure,
    Problem,
    ProblemClass,
    Question,
    Spent,
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

    def collect(self) -> None:
        """Bring in what an earlier run left on its way, as far as it has arrived."""
        ...

    def send(self, asking: Sequence[Asking], spent: Spent) -> Mapping[str, str]:
        """Ask each question once.

        Args:
            asking: the questions.
            spent: what it takes is counted here.

        Returns:
            By key, why a question got no answer at all; those with an answer, good or bad, are in
            the ledger.
        """
        ...


@dataclass
class Sorted:
    """Questions by what the ledger says about them.

    Attributes:
        answers: those that need no asking: answered or quarantined.
        in_batch: keys of those that are on their way in a batch.
        to_ask: the others.
        rejudged: stored answers of which today's checks think otherwise than the ledger.
    """

    answers: Answers = field(default_factory=Answers)
    in_batch: list[str] = field(default_factory=list)
    to_ask: list[Asking] = field(default_factory=list)
    rejudged: dict[str, Problem | None] = field(default_factory=dict)


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
        wanted = {question.key: question for question in questions}
        self.sender.collect()
        pending, answers = dict(wanted), Answers()
        first, waited = True, False
        while pending:
            known = sort_known(pending, self.ledger.look_up(pending), check, self.max_answers)
            self.ledger.rejudge(known.rejudged)
            if first:
                answers.known, first = set(known.answers.answered), False
                answers.refused = {item.question.key for item in known.to_ask if item.attempts}
            answers.add(known.answers)
            answers.not_asked.update(self._ask_ours(known.to_ask, answers.spent))
            if known.in_batch and waited:
                answers.not_asked.update(dict.fromkeys(known.in_batch, IN_BATCH))
            elif known.in_batch:  # submitted meanwhile, by another process
                self.sender.collect()
                waited = True
            for key in answers.settled_keys():
                pending.pop(key, None)
        _assert_complete(wanted, answers)
        return answers

    def _ask_ours(self, to_ask: Sequence[Asking], spent: Spent) -> Mapping[str, str]:
        """Ask what no other process is asking; wait a little if that is nothing."""
        if not to_ask:
            return {}
        claims = self.ledger.claim(
            [item.question for item in to_ask],
            {item.question.key: item.attempts for item in to_ask},
        )
        ours = [item for item in to_ask if item.question.key in claims.ours]
        if not ours:
            time.sleep(POLL_S)
            return {}
        try:
            return self.sender.send(ours, spent)
        finally:
            self.ledger.release()


def sort_known(
    pending: Mapping[str, Question], stored: Mapping[str, Stored], check: Check, max_answers: int
) -> Sorted:
    """Tell questions that need no asking from those that do.

    Args:
        pending: questions by key.
        stored: what the ledger knows of them.
        check: judges stored answers too, since checks may have changed since.
        max_answers: how many answers to a question are looked at.
    """
    found = Sorted()
    for key, question in pending.items():
        known = stored.get(key)
        if known is None or known.state == "open":
            found.to_ask.append(Asking(question, known.attempts if known else 0))
        elif known.state == "in_batch":
            found.in_batch.append(key)
        else:
            _sort_answered(question, known, check, max_answers, found)
    return found


def judge_stored(question: Question, stored: Stored, check: Check) -> Problem | None:
    """What is wrong with a stored answer by today's checks; None: it is good."""
    if stored.fields is None:
        return Problem(cast("ProblemClass", stored.problem or "empty"), stored.detail or "")
    return fit_schema(stored.fields, question.answer_schema) or check(question, stored.fields)


def _sort_answered(
    question: Question, known: Stored, check: Check, max_answers: int, found: Sorted
) -> None:
    problem = judge_stored(question, known, check)
    if (problem is None) != (known.state == "answered"):
        found.rejudged[question.key] = problem
    if problem is None:
        answer = Answer(known.fields or {}, known.model or question.model)
        found.answers.answered[question.key] = answer
    elif known.attempts < max_answers:
        found.to_ask.append(Asking(question, known.attempts))
    else:
        failure = Failure(problem, known.raw, known.attempts)
        found.answers.quarantined[question.key] = failure


def _assert_complete(wanted: Mapping[str, Question], answers: Answers) -> None:
    numbers = len(answers.answered), len(answers.quarantined), len(answers.not_asked)
    if set(wanted) != answers.settled_keys() or sum(numbers) != len(wanted):
        raise AssertionError(
            f"{len(wanted)} questions became {numbers} answered, quarantined, not asked"
        )
