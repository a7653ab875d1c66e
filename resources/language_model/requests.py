"""Questions as requests, and replies as entries of the ledger: the same online and in a batch."""

from __future__ import annotations

import json
from collections.abc import Sequence

from resources.language_model.asking import Asking
from resources.language_model.ledger_rows import Intent, Verdict
from resources.language_model.prices import Prices, token_bound
from resources.language_model.question import LanguageModelError, Question
from resources.language_model.replies import Judged, Reply, request_body


def group_questions(asking: Sequence[Asking]) -> list[tuple[Question, ...]]:
    """Questions as requests: first tries of a prompt together, if it allows; others alone."""
    groups: list[tuple[Question, ...]] = []
    together: dict[tuple[str, str], list[Question]] = {}
    for item in asking:
        question = item.question
        if item.attempts or question.texts_per_request == 1:
            groups.append((question,))
            continue
        same = together.setdefault((question.variant, question.model), [])
        same.append(question)
        if len(same) == question.texts_per_request:
            groups.append(tuple(same))
            same.clear()
    return groups + [tuple(rest) for rest in together.values() if rest]


def make_intent(
    questions: tuple[Question, ...], response_format: str, prices: Prices, batch: bool = False
) -> Intent:
    """A request for the ledger: its body, and the most that it can cost."""
    body = json.dumps(request_body(questions, response_format), ensure_ascii=False)
    tokens = token_bound(body, questions[0].parameters, len(questions))
    return Intent(questions, body, prices.cost(questions[0].model, *tokens, batch=batch))


def make_verdict(
    key: str, judged: Judged, reply: Reply, model: str, attempts: int, request_id: str
) -> Verdict:
    """What a reply says to one question.

    Args:
        key: the question's.
        judged: its fields, or what is wrong.
        reply: the whole reply.
        model: the model asked, in case the reply names none.
        attempts: how many answers there were before.
        request_id: the request's.
    """
    fields, problem = judged
    return Verdict(
        key=key,
        state="failed" if problem else "answered",
        fields=None if fields is None else json.dumps(dict(fields), ensure_ascii=False),
        model=reply.model or model,
        raw=reply.raw if reply.content is None else reply.content,
        problem=problem.kind if problem else None,
        detail=problem.detail if problem else None,
        attempts=attempts + 1,
        request_id=request_id,
    )


def require_prices(prices: Prices, asking: Sequence[Asking]) -> None:
    """Refuse to keep a budget for a model whose price is unknown.

    Raises:
        LanguageModelError: there is one; names it and the remedy.
    """
    unknown = sorted({item.question.model for item in asking} - set(prices.models))
    if unknown:
        raise LanguageModelError(
            f"a budget can't be kept: the price of {', '.join(unknown)} is unknown. Add it to "
            "prices.yaml (0 for a model that costs nothing)."
        )
