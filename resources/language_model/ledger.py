"""The ledger: what was asked, what is being asked now, and every answer, for good.

One row an answer (by key) and one row a request, in a database that several processes may use at
once: SQLAlchemy Core over SQLite in WAL mode, or PostgreSQL by URL (see `ledger_database`).

What holds it together:
- a question is *claimed* before it is asked, so that of two processes one pays. A claim ends when
  its owner releases it, when the owner's process is gone, or when its lease runs out;
- a request is written down before it is sent, its answers as soon as they arrive. One thread
  writes, many changes a commit, and whoever must not go on before the commit waits for it.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from resources.language_model.ledger_database import (
    ANSWERS,
    BATCHES,
    MEMBERS,
    METADATA,
    REQUESTS,
    chunks,
    open_engine,
    reading,
    transaction,
    upsert,
)
from resources.language_model.ledger_rows import (
    Claims,
    Intent,
    Observed,
    OpenBatch,
    Outcome,
    SentInBatch,
    Stored,
    Verdict,
)
from resources.language_model.ledger_writer import Writer, apply_outcomes, insert_requests
from resources.language_model.question import Problem, Question

LEASE_S = 60.0
"""How long a claim holds without a sign of life from its owner."""


class Ledger:
    """One ledger, opened by one process. Close it, or use it as a context."""

    def __init__(self, url: str) -> None:
        self.owner = f"{_machine()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.engine = open_engine(url)
        with self._write() as connection:
            METADATA.create_all(connection)
        self._writer = Writer(self.engine)

    @classmethod
    def in_folder(cls, cache_dir: Path) -> Ledger:
        """The SQLite ledger that all configs with this cache share."""
        cache_dir.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{cache_dir / 'ledger.sqlite'}")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit what is pending, give claims back, let go of the database."""
        self._writer.close()
        self.release()
        self.engine.dispose()

    def look_up(self, keys: Iterable[str]) -> dict[str, Stored]:
        """What is known under these keys; keys never asked are absent."""
        columns = [ANSWERS.c.key, *(ANSWERS.c[name] for name in Stored.__dataclass_fields__)]
        found: dict[str, Stored] = {}
        with reading(self.engine) as connection:
            for chunk in chunks(list(keys)):
                rows = connection.execute(sa.select(*columns).where(ANSWERS.c.key.in_(chunk)))
                for key, state, fields, *rest in rows:
                    found[key] = Stored(state, json.loads(fields) if fields else None, *rest)
        return found

    def claim(self, questions: Sequence[Question], attempts: Mapping[str, int]) -> Claims:
        """Take questions for this process, but not from a live one that is asking them.

        Args:
            questions: to be asked.
            attempts: by key the attempts that `look_up` saw; a question that has moved on since
                is not taken, so that its new answer is looked at before it is asked again.

        Returns:
            Keys now ours, and those of another process. A key in neither has moved on.
        """
        ours: set[str] = set()
        others: set[str] = set()
        now = time.time()
        with self._write() as connection:
            for chunk in chunks(list(questions)):
                rows = self._holders(connection, [question.key for question in chunk])
                for question in chunk:
                    row = rows.get(question.key)
                    if row is None:
                        ours.add(question.key)
                    elif row.owner != self.owner and is_alive(row.owner, row.lease_until, now):
                        others.add(question.key)
                    elif row.state != "in_batch" and row.attempts == attempts[question.key]:
                        ours.add(question.key)
                mine = [question for question in chunk if question.key in ours]
                self._take(connection, mine, now + LEASE_S)
        return Claims(ours, others)

    def renew(self) -> None:
        """Extend this process's claims; call it more often than `LEASE_S`."""
        until = time.time() + LEASE_S
        with self._write() as connection:
            for table in (ANSWERS, BATCHES):
                connection.execute(
                    sa.update(table).where(table.c.owner == self.owner).values(lease_until=until)
                )

    def release(self) -> None:
        """Give back whatever this process claims and has not answered."""
        with self._write() as connection:
            for table in (ANSWERS, BATCHES):
                connection.execute(
                    sa.update(table)
                    .where(table.c.owner == self.owner)
                    .values(owner=None, lease_until=None)
                )

    def intend(self, intents: Sequence[Intent]) -> Future[None]:
        """Write requests down as sent; they may leave once the future is done."""
        return self._writer.put("intend", [(intent, self.owner) for intent in intents])

    def intend_batch(self, batch: str, server: str, intents: Sequence[Intent]) -> None:
        """Write a batch down before anything of it is uploaded; its questions are then in it."""
        until = time.time() + LEASE_S
        keys = [question.key for intent in intents for question in intent.questions]
        with self._write() as connection:
            connection.execute(
                sa.insert(BATCHES).values(
                    batch=batch,
                    server=server,
                    state="intended",
                    owner=self.owner,
                    lease_until=until,
                )
            )
            insert_requests(connection, [(i, self.owner) for i in intents], "queued", batch)
            for chunk in chunks(keys):
                connection.execute(
                    sa.update(ANSWERS)
                    .where(ANSWERS.c.key.in_(chunk))
                    .values(state="in_batch", problem=None, owner=None, lease_until=None)
                )

    def open_batches(self, server: str) -> list[OpenBatch]:
        """A server's batches that are not collected; those without a live owner become ours."""
        now = time.time()
        with self._write() as connection:
            rows = connection.execute(
                sa.select(BATCHES)
                .where(BATCHES.c.server == server, BATCHES.c.state != "collected")
                .order_by(BATCHES.c.batch)
                .with_for_update()
            ).all()
            mine = [
                row.batch
                for row in rows
                if row.owner == self.owner or not is_alive(row.owner, row.lease_until, now)
            ]
            if mine:
                connection.execute(
                    sa.update(BATCHES)
                    .where(BATCHES.c.batch.in_(mine))
                    .values(owner=self.owner, lease_until=now + LEASE_S)
                )
        return [
            OpenBatch(row.batch, row.state, row.file_id, row.batch_id, row.batch in mine)
            for row in rows
        ]

    def advance_batch(self, batch: str, **changes: str) -> None:
        """Write down how far a batch is: `state`, and `file_id` or `batch_id`."""
        with self._write() as connection:
            connection.execute(sa.update(BATCHES).where(BATCHES.c.batch == batch).values(changes))
            if changes.get("state") == "submitted":
                connection.execute(
                    sa.update(REQUESTS)
                    .where(REQUESTS.c.batch == batch)
                    .values(state="in_batch", attempts=1)
                )

    def batch_requests(self, batch: str) -> list[SentInBatch]:
        """A batch's requests with their members, in a fixed order."""
        names = ("request_id", "model", "body", "answer_schema", "reserved_usd")
        members: dict[str, list[tuple[str, int]]] = {}
        with reading(self.engine) as connection:
            joined = connection.execute(
                sa.select(MEMBERS.c.request_id, MEMBERS.c.key, ANSWERS.c.attempts)
                .join(REQUESTS, REQUESTS.c.request_id == MEMBERS.c.request_id)
                .join(ANSWERS, ANSWERS.c.key == MEMBERS.c.key)
                .where(REQUESTS.c.batch == batch)
                .order_by(MEMBERS.c.request_id, MEMBERS.c.position)
            )
            for request_id, key, attempts in joined:
                members.setdefault(request_id, []).append((key, attempts))
            rows = connection.execute(
                sa.select(*(REQUESTS.c[name] for name in names))
                .where(REQUESTS.c.batch == batch)
                .order_by(REQUESTS.c.request_id)
            ).all()
        return [
            SentInBatch(
                row.request_id,
                row.model,
                row.body,
                json.loads(row.answer_schema),
                row.reserved_usd,
                tuple(members[row.request_id]),
            )
            for row in rows
        ]

    def settle_batch(
        self, batch: str, settled: Sequence[tuple[Outcome, Sequence[Verdict]]]
    ) -> None:
        """Write down all that a batch brought, and that it is done, in one commit."""
        with self._write() as connection:
            apply_outcomes(connection, settled)
            connection.execute(
                sa.update(BATCHES)
                .where(BATCHES.c.batch == batch)
                .values(state="collected", owner=None, lease_until=None)
            )

    def settle(self, outcome: Outcome, verdicts: Sequence[Verdict]) -> Future[None]:
        """Write down what became of a request and of its questions."""
        return self._writer.put("settle", [(outcome, list(verdicts))])

    def rejudge(self, verdicts: Mapping[str, Problem | None]) -> None:
        """Change what is thought of stored answers, because the checks have changed."""
        if not verdicts:
            return
        change = (
            sa.update(ANSWERS)
            .where(ANSWERS.c.key == sa.bindparam("b_key"))
            .values({name: sa.bindparam(name) for name in ("state", "problem", "detail")})
        )
        rows = [
            {
                "b_key": key,
                "state": "failed" if problem else "answered",
                "problem": problem.kind if problem else None,
                "detail": problem.detail if problem else None,
            }
            for key, problem in verdicts.items()
        ]
        with self._write() as connection:
            connection.execute(change, rows)

    def quarantined(self, keys: Iterable[str]) -> Counter[str]:
        """How many of these keys are in quarantine, by class."""
        found: Counter[str] = Counter()
        with reading(self.engine) as connection:
            for chunk in chunks(sorted(set(keys))):
                failed = ANSWERS.c.key.in_(chunk), ANSWERS.c.state == "failed"
                found.update(connection.scalars(sa.select(ANSWERS.c.problem).where(*failed)))
        return found

    def retry(self, problems: Collection[str] | None, keys: Iterable[str]) -> int:
        """Let quarantined questions be asked again.

        Args:
            problems: of which classes; None: of all.
            keys: which ones.

        Returns:
            How many there were.
        """
        opened = 0
        with self._write() as connection:
            for chunk in chunks(sorted(set(keys))):
                chosen = sa.update(ANSWERS).where(
                    ANSWERS.c.state == "failed", ANSWERS.c.key.in_(chunk)
                )
                if problems is not None:
                    chosen = chosen.where(ANSWERS.c.problem.in_(list(problems)))
                done = connection.execute(chosen.values(state="open", attempts=0, fields=None))
                opened += done.rowcount
        return opened

    def fail_lost_requests(self) -> int:
        """Mark requests as failed whose process died while they were in flight.

        Returns:
            How many there were: each may have been paid without an answer.
        """
        now = time.time()
        with self._write() as connection:
            rows = connection.execute(
                sa.select(REQUESTS.c.request_id, REQUESTS.c.owner).where(REQUESTS.c.state == "sent")
            ).all()
            lost = [key for key, owner in rows if not is_alive(owner, now + 1, now)]
            for chunk in chunks(lost):
                connection.execute(
                    sa.update(REQUESTS)
                    .where(REQUESTS.c.request_id.in_(chunk))
                    .values(state="failed", problem="lost")
                )
        return len(lost)

    def requests_about(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """The requests that asked any of these keys, with all their members' text ids.

        Those that were written down and taken back before they left are no requests.
        """
        found: dict[str, dict[str, Any]] = {}
        with reading(self.engine) as connection:
            for chunk in chunks(sorted(set(keys))):
                about = sa.select(MEMBERS.c.request_id).where(MEMBERS.c.key.in_(chunk))
                left = sa.or_(REQUESTS.c.problem.is_(None), REQUESTS.c.problem != "not_sent")
                rows = connection.execute(
                    sa.select(REQUESTS).where(REQUESTS.c.request_id.in_(about), left)
                ).mappings()
                found.update({row["request_id"]: {**row, "text_ids": []} for row in rows})
            for chunk in chunks(sorted(found)):
                members = connection.execute(
                    sa.select(MEMBERS.c.request_id, ANSWERS.c.text_id)
                    .join(ANSWERS, ANSWERS.c.key == MEMBERS.c.key)
                    .where(MEMBERS.c.request_id.in_(chunk))
                    .order_by(MEMBERS.c.request_id, MEMBERS.c.position)
                )
                for request_id, text_id in members:
                    found[request_id]["text_ids"].append(text_id)
        return [found[request_id] for request_id in sorted(found)]

    def history_state(self) -> list[list[Any]]:
        """What differs as soon as a request was written down, or heard of: a few numbers."""
        counted = [REQUESTS.c.attempts, REQUESTS.c.prompt_tokens, REQUESTS.c.completion_tokens]
        kind = (REQUESTS.c.state, REQUESTS.c.problem)
        rows = sa.select(*kind, sa.func.count(), *map(sa.func.sum, counted)).group_by(*kind)
        with reading(self.engine) as connection:
            return sorted((list(row) for row in connection.execute(rows)), key=str)

    def observed(self, variant: str, model: str, most: int = 2000) -> list[Observed]:
        """What answered requests of a variant and model took, for estimates."""
        size = (
            sa.select(sa.func.count())
            .where(MEMBERS.c.request_id == REQUESTS.c.request_id)
            .scalar_subquery()
        )
        wanted = (
            sa.select(
                sa.func.length(REQUESTS.c.body),
                size,
                REQUESTS.c.prompt_tokens,
                REQUESTS.c.completion_tokens,
            )
            .where(
                REQUESTS.c.variant == variant,
                REQUESTS.c.model == model,
                REQUESTS.c.prompt_tokens.is_not(None),
                REQUESTS.c.completion_tokens.is_not(None),
            )
            .order_by(REQUESTS.c.request_id)
            .limit(most)
        )
        with reading(self.engine) as connection:
            return [Observed(*row) for row in connection.execute(wanted)]

    def paid_usd(self) -> float:
        """What all requests have cost; of one on its way, or lost on it, the most it can have."""
        on_its_way = sa.or_(
            REQUESTS.c.state.in_(["queued", "sent", "in_batch"]),
            sa.and_(REQUESTS.c.state == "answered", REQUESTS.c.cost_usd.is_(None)),
            REQUESTS.c.problem.in_(["lost", "timeout", "connection"]),
        )
        unknown = sa.case((on_its_way, REQUESTS.c.reserved_usd), else_=0.0)
        total = sa.select(sa.func.sum(sa.func.coalesce(REQUESTS.c.cost_usd, unknown)))
        with reading(self.engine) as connection:
            return connection.scalar(total) or 0.0

    def recorded_rows(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """Answers in the form of a recorded file (see `recorded.py`), where there are any."""
        columns = [ANSWERS.c[name] for name in ("key", "model", "variant", "text", "fields")]
        rows: list[dict[str, Any]] = []
        with reading(self.engine) as connection:
            for chunk in chunks(sorted(set(keys))):
                found = connection.execute(
                    sa.select(*columns).where(
                        ANSWERS.c.key.in_(chunk), ANSWERS.c.state == "answered"
                    )
                ).mappings()
                for row in found:
                    given = {name: row[name] for name in ("key", "model", "variant", "text")}
                    rows.append({**given, "answer": json.loads(row["fields"])})
        return rows

    def states(self) -> dict[str, int]:
        """How many questions are in each state (see `Stored`)."""
        counted = sa.select(ANSWERS.c.state, sa.func.count()).group_by(ANSWERS.c.state)
        with reading(self.engine) as connection:
            return {row[0]: row[1] for row in connection.execute(counted)}

    def answered(self) -> set[str]:
        """The keys of all answers."""
        wanted = sa.select(ANSWERS.c.key).where(ANSWERS.c.state == "answered")
        with reading(self.engine) as connection:
            return set(connection.scalars(wanted))

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with transaction(self.engine) as connection:
            yield connection

    def _holders(self, connection: sa.Connection, keys: Sequence[str]) -> dict[str, Any]:
        """Rows of `key, state, owner, lease_until, attempts`, by key, locked where locks exist."""
        names = ("key", "state", "owner", "lease_until", "attempts")
        wanted = sa.select(*(ANSWERS.c[name] for name in names)).where(ANSWERS.c.key.in_(keys))
        return {row.key: row for row in connection.execute(wanted.with_for_update())}

    def _take(self, connection: sa.Connection, questions: Sequence[Question], until: float) -> None:
        if not questions:
            return
        insert = upsert(self.engine)(ANSWERS)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["key"],
                set_={"owner": insert.excluded.owner, "lease_until": insert.excluded.lease_until},
            ),
            [
                {
                    "key": question.key,
                    "state": "open",
                    "variant": question.variant,
                    "text_id": question.text_id,
                    "text": question.text,
                    "attempts": 0,
                    "owner": self.owner,
                    "lease_until": until,
                }
                for question in questions
            ],
        )


def is_alive(owner: str | None, lease_until: float | None, now: float) -> bool:
    """Whether a claim still holds: its process lives, as far as can be seen, and so does its lease.

    A process of this machine is looked for; of another one only the lease is known.
    """
    if owner is None or lease_until is None or lease_until < now:
        return False
    machine, process, _ = owner.rsplit(":", 2)
    if machine != _machine():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _machine() -> str:
    """Where process ids mean the same: the host, and on Linux its process namespace."""
    namespace = Path("/proc/self/ns/pid")
    inside = namespace.readlink().name if namespace.is_symlink() else ""
    return f"{socket.gethostname()}/{inside}"
