"""A language model's server that is a function: what it answers goes into the ledger as usual."""

import json
from collections.abc import Callable, Mapping, Sequence

from resources.language_model.asking import Asking
from resources.language_model.ledger import Ledger
from resources.language_model.ledger_rows import Outcome
from resources.language_model.prices import Prices
from resources.language_model.question import Question, Spent
from resources.language_model.replies import Reply, judge_reply
from resources.language_model.requests import group_questions, make_intent, make_verdict

_PRICES = Prices(models={})


class FakeSender:
    """Sends each request to `answer`, which gives each question's fields, or raises."""

    def __init__(
        self, ledger: Ledger, answer: Callable[[Sequence[Question]], list[dict[str, str]]]
    ) -> None:
        self.ledger = ledger
        self.answer = answer

    def collect(self) -> None:
        """Nothing is ever on its way."""

    def send(self, asking: Sequence[Asking], spent: Spent) -> Mapping[str, str]:
        attempts = {item.question.key: item.attempts for item in asking}
        for group in group_questions(asking):
            intent = make_intent(group, "text", _PRICES)
            self.ledger.intend([intent]).result()
            reply = _reply(self.answer(group))
            judged = judge_reply(reply, group[0].answer_schema, len(group))
            verdicts = [
                make_verdict(q.key, j, reply, "m", attempts[q.key], intent.request_id)
                for q, j in zip(group, judged, strict=True)
            ]
            outcome = Outcome(intent.request_id, "answered", 1, "", None, 1, 1, None)
            self.ledger.settle(outcome, verdicts).result()
        return {}


def _reply(fields: list[dict[str, str]]) -> Reply:
    numbered = [{"id": str(number), **given} for number, given in enumerate(fields, start=1)]
    content = {"answers": numbered} if len(fields) > 1 else fields[0]
    return Reply(json.dumps(content), "stop", None, "m", 1, 1, "")
