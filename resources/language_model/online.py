"""Asking one request after the other, many at a time, with the OpenAI SDK.

A request is in the ledger before it leaves, and its slot is free again only when its answer is in
the ledger: what a killed process can pay twice is what was in flight, at most `concurrency`.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, cast

from resources.language_model.asking import Asking
from resources.language_model.batch import OVER_BUDGET, BatchDesk
from resources.language_model.ledger import LEASE_S, Ledger
from resources.language_model.ledger_rows import Intent, Outcome, Verdict
from resources.language_model.pace import Pace, back_off_s
from resources.language_model.prices import Budget, Prices
from resources.language_model.question import LanguageModelError, Problem, Progress, Question, Spent
from resources.language_model.replies import Reply, judge_raw
from resources.language_model.requests import (
    group_questions,
    make_intent,
    make_verdict,
    require_prices,
)
from resources.language_model.server import async_client, redact, server_url
from resources.settings import OpenAISettings

if TYPE_CHECKING:
    import openai

GRACE_S = 15.0
"""How long requests in flight are waited for when the run is to stop."""

SLOTS_PER_CLIENT = 16
"""The SDK's pool looks at each of its connections for every request: several small pools are
faster than a large one."""


class OnlineSender:
    """Sends questions to a chat-completions server under its limits and a budget.

    Args:
        settings: server, limits, tries.
        ledger: where intents and answers go.
        prices: what tokens cost.
        budget: what may be spent; None: no limit.
        progress: called after every answered request.
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
        self.progress = progress
        self.pace = Pace(settings.requests_per_minute, settings.tokens_per_minute)
        self.tokens_per_character = 0.3
        self.tokens_per_answer = 30.0

    def collect(self) -> None:
        """Bring in finished batches of an earlier run (see `Sender.collect`)."""
        BatchDesk(self.settings, self.ledger, self.prices).bring_in(0, Spent())

    def send(self, asking: Sequence[Asking], spent: Spent) -> Mapping[str, str]:
        """Ask each question once (see `Sender.send`).

        Raises:
            LanguageModelError: the server refuses altogether (key, model, parameters), or nothing
                gets through; what has arrived is kept.
            KeyboardInterrupt: by Ctrl-C or SIGTERM, after requests in flight were waited for; a
                second one doesn't wait.
        """
        if self.budget:
            require_prices(self.prices, asking)
        self.ledger.fail_lost_requests()
        attempts = {item.question.key: item.attempts for item in asking}
        run = _Run(self, group_questions(asking), attempts, spent)
        try:
            asyncio.run(run.go())
        except asyncio.CancelledError as error:
            raise KeyboardInterrupt from error
        return run.given_up

    def estimate_tokens(self, body: str, questions: int) -> float:
        """About how many tokens a request takes, from what was observed so far."""
        return len(body) * self.tokens_per_character + self.tokens_per_answer * questions

    def observe(self, body: str, reply: Reply, questions: int, estimated: float) -> None:
        """Learn from what a request really took, of which so many tokens were estimated."""
        if reply.prompt_tokens and reply.completion_tokens:
            self.pace.tokens.correct(estimated - reply.prompt_tokens - reply.completion_tokens)
            self.tokens_per_character = reply.prompt_tokens / max(len(body), 1)
            mine = reply.completion_tokens / questions
            self.tokens_per_answer += 0.1 * (mine - self.tokens_per_answer)


class _Run:
    """One call of `send`: its queue, its workers, and why it stopped."""

    def __init__(
        self,
        sender: OnlineSender,
        groups: Sequence[tuple[Question, ...]],
        attempts: Mapping[str, int],
        spent: Spent,
    ) -> None:
        self.sender = sender
        self.settings = sender.settings
        self.ledger = sender.ledger
        self.budget = sender.budget
        self.groups = groups
        self.attempts = attempts
        self.spent = spent
        self.given_up: dict[str, str] = {}
        self.stop_reason: str | None = None
        self.fatal: LanguageModelError | None = None
        self.failures_in_a_row = 0
        self.in_flight: set[asyncio.Task[None]] = set()
        self.ready: asyncio.Queue[Intent | None] = asyncio.Queue(self.settings.concurrency)
        self.waiting: dict[str, Intent] = {}
        self.settled = asyncio.Event()
        self.stopping = asyncio.Event()
        self.outstanding = 0
        self.done = 0
        self.total = sum(len(group) for group in groups)

    async def go(self) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        async with AsyncExitStack() as clients:
            clients.enter_context(_heeding_signals(task.cancel))
            workers = []
            for slot in range(self.settings.concurrency):
                if slot % SLOTS_PER_CLIENT == 0:
                    client = await clients.enter_async_context(async_client(self.settings))
                workers.append(asyncio.create_task(self._work(client)))
            others = [asyncio.create_task(self._feed()), asyncio.create_task(self._renew())]
            try:
                await self._until_done(workers, others[0])
            except asyncio.CancelledError:
                await self._finish_in_flight(workers, others[0])
                raise
            finally:
                for task in [*workers, *others]:
                    task.cancel()
                await asyncio.gather(*workers, *others, return_exceptions=True)
        if self.fatal:
            raise self.fatal

    async def _until_done(
        self, workers: list[asyncio.Task[None]], feeder: asyncio.Task[None]
    ) -> None:
        """Wait for all; an unexpected error of one is everybody's end."""
        finished, _ = await asyncio.wait([*workers, feeder], return_when=asyncio.FIRST_EXCEPTION)
        for task in finished:
            task.result()

    async def _finish_in_flight(
        self, workers: list[asyncio.Task[None]], feeder: asyncio.Task[None]
    ) -> None:
        self.stop_reason = "interrupted"
        self.stopping.set()
        feeder.cancel()
        for worker in workers:
            if worker not in self.in_flight:
                worker.cancel()
        if self.in_flight:
            await asyncio.wait(list(self.in_flight), timeout=min(GRACE_S, self.settings.timeout_s))
        for intent in list(self.waiting.values()):
            await self._drop(intent)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            await asyncio.to_thread(self.ledger.renew)

    async def _feed(self) -> None:
        """Write requests down ahead of the workers, as many at a time as there are slots."""
        waiting = list(self.groups)[::-1]
        while waiting and not self.stop_reason:
            intents: list[Intent] = []
            while waiting and len(intents) < self.settings.concurrency:
                intent = make_intent(waiting[-1], self.settings.response_format, self.sender.prices)
                if not self._reserve(intent):
                    break
                intents.append(intent)
                waiting.pop()
            if intents:
                self.outstanding += len(intents)
                self.waiting.update({intent.request_id: intent for intent in intents})
                await asyncio.wrap_future(self.ledger.intend(intents))
                for intent in intents:
                    await self.ready.put(intent)
            elif self.outstanding:
                self.settled.clear()
                await self.settled.wait()
            else:
                self.stop_reason = OVER_BUDGET
        for group in waiting:
            self._give_up(group, self.stop_reason or "")
        for _ in range(self.settings.concurrency):
            await self.ready.put(None)

    def _reserve(self, intent: Intent) -> bool:
        return self.budget is None or self.budget.reserve(intent.reserved_usd or 0.0)

    async def _work(self, client: openai.AsyncOpenAI) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        while (intent := await self.ready.get()) is not None:
            if self.stop_reason:
                await self._drop(intent)
                continue
            tokens = self.sender.estimate_tokens(intent.body, len(intent.questions))
            await self.sender.pace.turn(tokens)
            del self.waiting[intent.request_id]
            self.in_flight.add(task)
            try:
                await self._request(client, intent, tokens)
            finally:
                self.in_flight.discard(task)
            if self.stop_reason == "interrupted":
                return

    async def _drop(self, intent: Intent) -> None:
        """Take back a request that was written down and never left."""
        self.waiting.pop(intent.request_id, None)
        self._give_up(intent.questions, self.stop_reason or "")
        await self._settle(
            intent,
            Outcome(intent.request_id, "failed", 0, None, "not_sent", None, None, 0.0),
            [],
            0.0,
        )

    async def _request(self, client: openai.AsyncOpenAI, intent: Intent, tokens: float) -> None:
        """Send one request, of about so many tokens, until it is answered, refused or given up."""
        deadline = time.monotonic() + self.settings.deadline_s
        maybe_paid = 0.0
        for attempt in range(1, self.settings.max_attempts + 1):
            problem, headers, raw = await self._try(client, intent)
            if problem is None:
                await self._answered(intent, attempt, raw or "", maybe_paid, tokens)
                return
            if problem.kind in ("timeout", "connection"):
                maybe_paid += intent.reserved_usd or 0.0
            wait = back_off_s(attempt, headers)
            last = attempt == self.settings.max_attempts or time.monotonic() + wait > deadline
            if not (problem.kind == "rejected" or last):
                await self._back_off(problem, wait, tokens)
            if problem.kind == "rejected" or last or self.stop_reason:
                await self._failed(intent, attempt, problem, raw, maybe_paid)
                return

    async def _back_off(self, problem: Problem, wait: float, tokens: float) -> None:
        """Wait before the next try, everybody if the server said so; no longer than the run."""

        async def rest() -> None:
            if problem.kind == "rate_limit":
                self.sender.pace.pause(wait)
            else:
                await asyncio.sleep(wait)
            await self.sender.pace.turn(tokens)

        tasks = [asyncio.create_task(rest()), asyncio.create_task(self.stopping.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    async def _try(
        self, client: openai.AsyncOpenAI, intent: Intent
    ) -> tuple[Problem | None, Mapping[str, str], str | None]:
        """One try: the problem, if there is one, the headers, and the raw body."""
        import httpx2
        import openai

        try:
            response = await client.post(
                "/chat/completions",
                content=intent.body.encode(),
                cast_to=httpx2.Response,
                options={"headers": {"Content-Type": "application/json"}},
            )
        except openai.APIStatusError as error:
            raw = redact(error.response.text, self.settings)
            return self._status_problem(error, raw), error.response.headers, raw
        except openai.APITimeoutError:
            return Problem("timeout", f"no answer in {self.settings.timeout_s} s"), {}, None
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            what = f"{server_url(self.settings)}: {type(cause).__name__}: {cause}"
            detail = redact(what, self.settings)
            return Problem("connection", detail), {}, None
        self.sender.pace.heed(response.headers)
        return None, response.headers, redact(response.text, self.settings)

    def _status_problem(self, error: openai.APIStatusError, raw: str) -> Problem:
        """What an HTTP status means; one that no retry can mend ends the run."""
        status, detail = error.status_code, f"HTTP {error.status_code}: {raw[:300]}"
        if status in (401, 403, 404) or error.code == "insufficient_quota":
            self._end(
                f"refuses ({detail}). Check the key in the environment variable "
                f"{self.settings.api_key_variable}, the model's name in the prompt, "
                "`language_model.base_url`, and the account"
            )
            return Problem("rejected", detail)
        if status == 429:
            return Problem("rate_limit", detail)
        if status in (408, 409) or status >= 500:
            return Problem("server", detail)
        return Problem("rejected", detail)

    async def _answered(
        self, intent: Intent, attempt: int, raw: str, maybe_paid: float, tokens: float
    ) -> None:
        self.failures_in_a_row = 0
        questions = intent.questions
        reply, judged = judge_raw(raw, questions[0].answer_schema, len(questions))
        self.sender.observe(intent.body, reply, len(questions), tokens)
        verdicts = [
            make_verdict(
                question.key,
                judgement,
                reply,
                question.model,
                self.attempts[question.key],
                intent.request_id,
            )
            for question, judgement in zip(questions, judged, strict=True)
        ]
        cost = self._cost(intent, reply)
        outcome = Outcome(
            intent.request_id, "answered", attempt, raw, None,
            reply.prompt_tokens, reply.completion_tokens, cost,
        )  # fmt: skip
        self.spent.count(reply.prompt_tokens, reply.completion_tokens, cost)
        paid = intent.reserved_usd if cost is None else cost
        await self._settle(intent, outcome, verdicts, (paid or 0.0) + maybe_paid)

    async def _failed(
        self, intent: Intent, attempt: int, problem: Problem, raw: str | None, maybe_paid: float
    ) -> None:
        """No answer came. Questions stay open for the next run; a server that is down ends this."""
        self.failures_in_a_row += 1
        self._give_up(intent.questions, f"{problem.kind}: {problem.detail}")
        if self.failures_in_a_row >= max(5, self.settings.concurrency):
            self._end(
                f"gave no answer to {self.failures_in_a_row} requests in a row; the last time: "
                f"{problem.detail}"
            )
        outcome = Outcome(intent.request_id, "failed", attempt, raw, problem.kind, None, None, None)
        await self._settle(intent, outcome, self._still_open(intent, problem), maybe_paid)

    def _still_open(self, intent: Intent, problem: Problem) -> list[Verdict]:
        return [
            Verdict(
                question.key,
                "open",
                None,
                None,
                None,
                problem.kind,
                problem.detail,
                self.attempts[question.key],
                intent.request_id,
            )
            for question in intent.questions
            if self.attempts[question.key] == 0
        ]

    async def _settle(
        self, intent: Intent, outcome: Outcome, verdicts: Sequence[Verdict], paid: float
    ) -> None:
        await asyncio.wrap_future(self.ledger.settle(outcome, verdicts))
        if self.budget:
            self.budget.settle(intent.reserved_usd or 0.0, paid)
        self.outstanding -= 1
        self.settled.set()
        self.done += len(verdicts)
        if self.sender.progress:
            usd = None if self.spent.unpriced else self.spent.usd
            self.sender.progress(Progress(self.done, self.total, usd))

    def _cost(self, intent: Intent, reply: Reply) -> float | None:
        if reply.prompt_tokens is None or reply.completion_tokens is None:
            return None
        model = intent.questions[0].model
        return self.sender.prices.cost(model, reply.prompt_tokens, reply.completion_tokens)

    def _give_up(self, questions: Sequence[Question], reason: str) -> None:
        for question in questions:
            self.given_up[question.key] = reason

    def _end(self, what: str) -> None:
        """Stop everything: nothing good can come of asking on."""
        server = server_url(self.settings)
        self.fatal = self.fatal or LanguageModelError(
            f"the language model at {server} {what}. Answers that have arrived are kept."
        )
        self.stop_reason = self.stop_reason or "the server can't be used"
        self.stopping.set()


@contextmanager
def _heeding_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM call a function, whoever else handles them, such as Dagster.

    An exception raised by a handler would leave requests in flight behind, paid and unread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
