"""Asking through the batch API: cheaper, answered within a day, and never submitted twice.

A batch is in the ledger, with an id of ours, before anything is uploaded; that id travels in the
batch's metadata. Whoever finds an unfinished batch lists the server's batches and adopts the one
that carries the id, and only submits where there is none.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from resources.language_model.asking import IN_BATCH, Asking
from resources.language_model.ledger import Ledger
from resources.language_model.ledger_rows import Intent, OpenBatch, Outcome, SentInBatch, Verdict
from resources.language_model.prices import Budget, Prices
from resources.language_model.question import LanguageModelError, ProblemClass, Progress, Spent
from resources.language_model.replies import judge_raw
from resources.language_model.requests import (
    group_questions,
    make_intent,
    make_verdict,
    require_prices,
)
from resources.language_model.server import plain_client, redact, server_url
from resources.settings import OpenAISettings

if TYPE_CHECKING:
    import openai
    from openai.types import Batch

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
METADATA_KEY = "sound_approach_batch"
FINAL = ("completed", "failed", "expired", "cancelled")
OVER_BUDGET = "over budget"


class BatchSender:
    """Sends questions in batches (see `Sender`).

    Args:
        settings: server and limits.
        ledger: where intents and answers go.
        prices: what tokens cost.
        budget: what may be spent; None: no limit. What does not fit is not submitted.
        progress: called after every look at the batches.
    """

    def __init__(
        self,
        settings: OpenAISettings,
        ledger: Ledger,
        prices: Prices,
        budget: Budget | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.prices = prices
        self.budget = budget
        self.desk = BatchDesk(settings, ledger, prices, budget, progress)

    def collect(self) -> None:
        """Wait for what an earlier run has submitted, or intended to."""
        self.desk.bring_in(self.settings.batch_wait_s, Spent())

    def send(self, asking: Sequence[Asking], spent: Spent) -> Mapping[str, str]:
        """Submit, wait as long as the settings say, and collect (see `Sender.send`).

        Raises:
            LanguageModelError: the server refuses the batch; nothing of it was paid.
        """
        if self.budget:
            require_prices(self.prices, asking)
        given_up: dict[str, str] = {}
        for intents in self._batches(asking, given_up):
            batch = uuid.uuid4().hex
            self.ledger.intend_batch(batch, server_url(self.settings), intents)
            self.desk.reserved.add(batch)
        self.desk.bring_in(self.settings.batch_wait_s, spent)
        stored = self.ledger.look_up(item.question.key for item in asking)
        for item in asking:
            row = stored[item.question.key]
            if row.state == "in_batch":
                given_up[item.question.key] = IN_BATCH
            elif row.state == "open" and row.problem:
                given_up[item.question.key] = f"{row.problem}: {row.detail}"
        return given_up

    def _batches(
        self, asking: Sequence[Asking], given_up: dict[str, str]
    ) -> Iterator[list[Intent]]:
        """Requests in batches that the server takes and the budget holds."""
        waiting: list[Intent] = []
        for group in group_questions(asking):
            intent = make_intent(group, self.settings.response_format, self.prices, batch=True)
            if self.budget and not self.budget.reserve(intent.reserved_usd or 0.0):
                given_up.update({question.key: OVER_BUDGET for question in group})
                continue
            waiting.append(intent)
            if len(waiting) == self.settings.batch_size:
                yield waiting
                waiting = []
        if waiting:
            yield waiting


class BatchDesk:
    """Takes every unfinished batch of the ledger as far as it goes, from wherever it stands."""

    def __init__(
        self,
        settings: OpenAISettings,
        ledger: Ledger,
        prices: Prices,
        budget: Budget | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.prices = prices
        self.budget = budget
        self.progress = progress
        self.reserved: set[str] = set()
        """Batches that the budget holds a reservation for; an earlier run's are not among them."""

    def bring_in(self, wait_s: float, spent: Spent) -> None:
        """Submit, adopt, poll and collect, until all are in or the time is over.

        Batches that another live process looks after are waited for as well.

        Args:
            wait_s: how long, seconds.
            spent: what the collected ones took is counted here.
        """
        until = time.monotonic() + wait_s
        seen: dict[str, tuple[int, int]] = {}
        while batches := self.ledger.open_batches(server_url(self.settings)):
            ours = [batch for batch in batches if batch.ours]
            if ours:
                with plain_client(self.settings) as client:
                    for batch in ours:
                        seen[batch.batch] = self._advance(client, batch, spent)
            if self.progress and seen:
                done, total = map(sum, zip(*seen.values(), strict=True))
                usd = None if spent.unpriced else spent.usd
                self.progress(Progress(done, total, usd))
            if not self.ledger.open_batches(server_url(self.settings)):
                return
            if time.monotonic() >= until:
                return
            self.ledger.renew()
            time.sleep(min(self.settings.batch_poll_s, max(0.0, until - time.monotonic())))

    def _advance(self, client: openai.OpenAI, batch: OpenBatch, spent: Spent) -> tuple[int, int]:
        """One batch, one look: submitted if it was not, collected if it is done.

        Returns:
            Of how many requests the server says that it is done, and how many there are.
        """
        import openai

        try:
            there = self._submitted(client, batch)
            if there.status in FINAL:
                self._collect(client, batch, there, spent)
            counts = there.request_counts
            return (counts.completed + counts.failed, counts.total) if counts else (0, 0)
        except openai.APIStatusError as error:
            raise LanguageModelError(
                f"the batch API at {server_url(self.settings)} refuses (HTTP "
                f"{error.status_code}: {redact(error.response.text[:300], self.settings)}). The "
                "batch stays in the ledger and is taken up again by the next run."
            ) from error
        except openai.APIConnectionError as error:
            raise LanguageModelError(
                f"the batch API at {server_url(self.settings)} can't be reached "
                f"({type(error).__name__}). The batch stays in the ledger and is taken up "
                "again by the next run."
            ) from error

    def _submitted(self, client: openai.OpenAI, batch: OpenBatch) -> Batch:
        """The server's batch. Only after its upload was written down can it have been created."""
        if batch.batch_id:
            return client.batches.retrieve(batch.batch_id)
        there = _find(client, batch.batch) if batch.file_id else None
        if there is None:
            file_id = batch.file_id or self._upload(client, batch)
            there = client.with_options(max_retries=0).batches.create(
                input_file_id=file_id,
                endpoint=ENDPOINT,
                completion_window="24h",
                metadata={METADATA_KEY: batch.batch},
            )
        self.ledger.advance_batch(batch.batch, state="submitted", batch_id=there.id)
        return there

    def _upload(self, client: openai.OpenAI, batch: OpenBatch) -> str:
        lines = [
            json.dumps(
                {
                    "custom_id": request.request_id,
                    "method": "POST",
                    "url": ENDPOINT,
                    "body": json.loads(request.body),
                },
                ensure_ascii=False,
            )
            for request in self.ledger.batch_requests(batch.batch)
        ]
        content = "\n".join(lines).encode()
        file = client.files.create(file=(f"{batch.batch}.jsonl", content), purpose="batch")
        self.ledger.advance_batch(batch.batch, state="uploaded", file_id=file.id)
        return file.id

    def _collect(self, client: openai.OpenAI, batch: OpenBatch, there: Batch, spent: Spent) -> None:
        """Write down what came, what failed and what never came, in one commit."""
        results: dict[str, dict[str, Any]] = {}
        for file_id in (there.output_file_id, there.error_file_id):
            if file_id:
                for line in client.files.content(file_id).text.splitlines():
                    if line.strip():
                        row = json.loads(line)
                        results[row["custom_id"]] = row
        requests = self.ledger.batch_requests(batch.batch)
        settled = [self._settle(request, results, there) for request in requests]
        self.ledger.settle_batch(batch.batch, settled)
        for outcome, _ in settled:
            if outcome.state == "answered":
                spent.count(outcome.prompt_tokens, outcome.completion_tokens, outcome.cost_usd)
        if self.budget and batch.batch in self.reserved:
            for request, (outcome, _) in zip(requests, settled, strict=True):
                self.budget.settle(request.reserved_usd or 0.0, outcome.cost_usd or 0.0)
        if there.status == "failed":
            said = [error.message for error in (there.errors.data if there.errors else None) or []]
            raise LanguageModelError(
                f"the server refused batch {there.id} as a whole: {'; '.join(map(str, said))}. "
                "Nothing of it was paid."
            )

    def _settle(
        self, request: SentInBatch, results: Mapping[str, dict[str, Any]], there: Batch
    ) -> tuple[Outcome, list[Verdict]]:
        result = results.get(request.request_id)
        response = (result or {}).get("response") or {}
        if response.get("status_code") != 200:
            return self._unanswered(request, result, there)
        raw = redact(json.dumps(response["body"], ensure_ascii=False), self.settings)
        reply, judged = judge_raw(raw, request.answer_schema, len(request.members))
        verdicts = [
            make_verdict(key, judgement, reply, request.model, attempts, request.request_id)
            for (key, attempts), judgement in zip(request.members, judged, strict=True)
        ]
        cost = None
        if reply.prompt_tokens is not None and reply.completion_tokens is not None:
            tokens = (reply.prompt_tokens, reply.completion_tokens)
            cost = self.prices.cost(request.model, *tokens, batch=True)
        return Outcome(
            request.request_id, "answered", 1, raw, None,
            reply.prompt_tokens, reply.completion_tokens, cost,
        ), verdicts  # fmt: skip

    def _unanswered(
        self, request: SentInBatch, result: Mapping[str, Any] | None, there: Batch
    ) -> tuple[Outcome, list[Verdict]]:
        """No answer to a request; its questions are open again. One not run is not paid."""
        kind: ProblemClass = "server" if result else "expired"
        raw = None
        detail = f"batch {there.status}"
        if result:
            raw = redact(json.dumps(result, ensure_ascii=False), self.settings)
            detail = raw[:300]
        outcome = Outcome(request.request_id, "failed", 1, raw, kind, None, None, 0.0)
        return outcome, [
            Verdict(key, "open", None, None, None, kind, detail, attempts, request.request_id)
            for key, attempts in request.members
        ]


def _find(client: openai.OpenAI, batch: str) -> Batch | None:
    """The server's batch that carries our id, if it was ever created."""
    for there in client.batches.list(limit=100):
        if (there.metadata or {}).get(METADATA_KEY) == batch:
            return there
    return None
