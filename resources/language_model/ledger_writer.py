"""How the ledger is written: one thread, and whatever is waiting goes into one commit."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import sqlalchemy as sa

from resources.hashing import canonical_json
from resources.language_model.ledger_database import ANSWERS, MEMBERS, REQUESTS, transaction
from resources.language_model.ledger_rows import Intent, Outcome, Verdict


class Writer:
    """One thread that writes: whatever is waiting goes into one commit."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._waiting: queue.SimpleQueue[tuple[str, list[Any], Future[None]] | None]
        self._waiting = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def put(self, kind: str, payload: list[Any]) -> Future[None]:
        """Have a change written; the future is done when it is committed.

        Args:
            kind: `intend` (payload: intents with their owner) or `settle` (outcomes with verdicts).
            payload: what is to be written.
        """
        future: Future[None] = Future()
        self._waiting.put((kind, payload, future))
        return future

    def close(self) -> None:
        """Write what is waiting, and end."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            for _, _, future in batch:
                future.set_running_or_notify_cancel()  # from here on nobody can cancel it
            try:
                with transaction(self._engine) as connection:
                    sent = [item for kind, items, _ in batch if kind == "intend" for item in items]
                    back = [item for kind, items, _ in batch if kind == "settle" for item in items]
                    insert_requests(connection, sent, "sent")
                    apply_outcomes(connection, back)
            except Exception as error:  # every waiter must hear of it
                for _, _, future in batch:
                    if not future.cancelled():
                        future.set_exception(error)
            else:
                for _, _, future in batch:
                    if not future.cancelled():
                        future.set_result(None)

    def _next(self) -> list[tuple[str, list[Any], Future[None]]] | None:
        first = self._waiting.get()
        if first is None:
            return None
        batch = [first]
        while not self._waiting.empty():
            item = self._waiting.get()
            if item is None:
                self._waiting.put(None)
                break
            batch.append(item)
        return batch


def insert_requests(
    connection: sa.Connection,
    intents: Sequence[tuple[Intent, str]],
    state: str,
    batch: str | None = None,
) -> None:
    """Write requests down, with their members."""
    if not intents:
        return
    connection.execute(
        sa.insert(REQUESTS),
        [
            {
                "request_id": intent.request_id,
                "variant": intent.questions[0].variant,
                "model": intent.questions[0].model,
                "state": state,
                "attempts": 0,
                "body": intent.body,
                "answer_schema": canonical_json(intent.questions[0].answer_schema),
                "reserved_usd": intent.reserved_usd,
                "batch": batch,
                "owner": owner,
            }
            for intent, owner in intents
        ],
    )
    connection.execute(
        sa.insert(MEMBERS),
        [
            {"request_id": intent.request_id, "position": position, "key": question.key}
            for intent, _ in intents
            for position, question in enumerate(intent.questions)
        ],
    )


_SETTLE_REQUEST = (
    sa.update(REQUESTS)
    .where(REQUESTS.c.request_id == sa.bindparam("b_request_id"))
    .values(
        {name: sa.bindparam(name) for name in Outcome.__dataclass_fields__ if name != "request_id"}
    )
)
_SETTLE_ANSWER = (
    sa.update(ANSWERS)
    .where(ANSWERS.c.key == sa.bindparam("b_key"))
    .values({name: sa.bindparam(name) for name in Verdict.__dataclass_fields__ if name != "key"})
)
_LET_GO = (
    sa.update(ANSWERS)
    .where(ANSWERS.c.key == sa.bindparam("b_key"))
    .values(owner=None, lease_until=None)
)


def apply_outcomes(
    connection: sa.Connection, settled: Sequence[tuple[Outcome, Sequence[Verdict]]]
) -> None:
    """Write down what became of requests and of their questions; answered ones are let go."""
    if not settled:
        return
    outcomes = [{**vars(outcome), "b_request_id": outcome.request_id} for outcome, _ in settled]
    connection.execute(_SETTLE_REQUEST, [_without(row, "request_id") for row in outcomes])
    verdicts = [verdict for _, given in settled for verdict in given]
    if verdicts:
        rows = [{**vars(verdict), "b_key": verdict.key} for verdict in verdicts]
        connection.execute(_SETTLE_ANSWER, [_without(row, "key") for row in rows])
    done = [{"b_key": verdict.key} for verdict in verdicts if verdict.state != "open"]
    if done:
        connection.execute(_LET_GO, done)


def _without(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
