"""A loopback server that speaks the OpenAI protocol, counts what it is asked, and can misbehave.

`OpenAIServer(answer)` answers each chat completion with `answer(messages)`. Faults are given as a
script: a callable that sees the request's number and body and says what goes wrong, if anything.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Messages = list[dict[str, str]]
AnswerFunction = Callable[[Messages], str]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    `kind` is one of: status, drop (before answering), drop_after (answered, connection cut in
    the middle of the body), hang, body (200 with `body` as it is), content (the message's content
    is `body`), refusal, length.
    """

    kind: str
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


FaultScript = Callable[[int, dict[str, Any]], Fault | None]


@dataclass
class OpenAIServer:
    """Start with `with`; `url` is what `base_url` wants.

    Attributes:
        answer: the content for a request's messages.
        latency_s: how long an answer takes.
        fault: what goes wrong.
        requests_per_minute: a limit over a sliding minute; beyond it 429.
        limit_headers: whether to say so in `x-ratelimit-*` and `Retry-After`.
        usage: tokens in and out for a request's messages and content.
        batch_polls: how often a batch must be looked at until it is done.
        batch_status: what it then is: completed, expired, failed, cancelled. A row for which
            `fault` says `hang` was not run; one with a status is in the error file.
        before_call, after_call: hear the number of each call before it has an effect, and (of files
            and batches) after it had one and before it is answered.
    """

    answer: AnswerFunction
    latency_s: float = 0.0
    fault: FaultScript | None = None
    requests_per_minute: int | None = None
    limit_headers: bool = True
    usage: Callable[[Messages, str], tuple[int, int]] = field(
        default=lambda messages, content: (
            sum(len(m["content"]) for m in messages) // 4,
            max(1, len(content) // 4),
        )
    )

    batch_polls: int = 1
    batch_status: str = "completed"
    before_call: Callable[[int], None] | None = None
    after_call: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.files: dict[str, str] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.polls: dict[str, int] = {}
        self.answered: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.authorizations: set[str] = set()
        self.in_flight = 0
        self.most_in_flight = 0
        self._accepted: list[float] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def requests(self) -> int:
        """How many chat completions were asked for, whatever came of them."""
        return len(self.bodies)

    def __enter__(self) -> OpenAIServer:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def serve() -> None:
            server = await asyncio.start_server(self._client, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            self._stop = asyncio.Event()
            await self._stop.wait()
            server.close()
            mine = asyncio.current_task()
            clients = [task for task in asyncio.all_tasks() if task is not mine]
            for task in clients:
                task.cancel()
            await asyncio.gather(*clients, return_exceptions=True)

        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(serve()), daemon=True
        )
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=5)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, headers = _parse_head(head)
                length = int(headers.get("content-length", "0"))
                body = await reader.readexactly(length) if length else b""
                self.authorizations.add(headers.get("authorization", ""))
                await self._route(method, path, headers, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _route(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.calls.append(f"{method} {path}")
        number = len(self.calls)
        if self.before_call:
            self.before_call(number)
        if path == "/v1/chat/completions" and method == "POST":
            await self._complete(json.loads(body), writer)
            return
        answer = self._files_and_batches(method, path, headers, body)
        if self.after_call:
            self.after_call(number)
        if answer is None:
            await _send(writer, 404, {"error": {"message": f"no {method} {path}"}})
        else:
            await _send(writer, 200, answer)

    def _files_and_batches(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> dict[str, Any] | str | None:
        """The files and batches API; None for what there is not."""
        parts = path.removeprefix("/v1/").split("/")
        if (method, path) == ("POST", "/v1/files"):
            return self._upload(headers, body)
        if method == "GET" and parts[0] == "files" and parts[-1] == "content":
            return self.files.get(parts[1])
        if (method, path) == ("POST", "/v1/batches"):
            return self._create_batch(json.loads(body))
        if (method, path) == ("GET", "/v1/batches"):
            newest_first = list(self.batches.values())[::-1]
            return {"object": "list", "data": newest_first, "has_more": False}
        if method == "GET" and parts[0] == "batches" and parts[1] in self.batches:
            return self._poll_batch(parts[1])
        return None

    def _upload(self, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        boundary = headers["content-type"].split("boundary=")[1].strip('"').encode()
        pieces = [piece for piece in body.split(b"--" + boundary) if b"filename=" in piece]
        content = pieces[0].split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n", 1)[0].decode()
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = content
        return {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": 0,
            "filename": "x.jsonl",
            "purpose": "batch",
            "status": "processed",
        }

    def _create_batch(self, given: dict[str, Any]) -> dict[str, Any]:
        batch_id = f"batch-{len(self.batches)}"
        rows = len(self.files[given["input_file_id"]].splitlines())
        self.batches[batch_id] = {
            "id": batch_id,
            "object": "batch",
            "created_at": 0,
            "status": "in_progress",
            "request_counts": {"completed": 0, "failed": 0, "total": rows},
            **given,
        }
        self.polls[batch_id] = 0
        return self.batches[batch_id]

    def _poll_batch(self, batch_id: str) -> dict[str, Any]:
        batch = self.batches[batch_id]
        self.polls[batch_id] += 1
        if batch["status"] == "in_progress" and self.polls[batch_id] > self.batch_polls:
            self._run_batch(batch)
        return batch

    def _run_batch(self, batch: dict[str, Any]) -> None:
        batch["status"] = self.batch_status
        if self.batch_status == "failed":
            batch["errors"] = {"object": "list", "data": [{"message": "no such model"}]}
            return
        good, bad = [], []
        for line in self.files[batch["input_file_id"]].splitlines():
            row = json.loads(line)
            self.bodies.append(row["body"])
            fault = self.fault(len(self.bodies), row["body"]) if self.fault else None
            if fault and fault.kind == "hang":
                continue
            failed = fault is not None and fault.kind == "status"
            body = {"error": {"message": "no"}} if failed else self.completion(row["body"], fault)
            status = fault.status if fault and failed else 200
            if not failed:
                self.answered[row["body"]["messages"][-1]["content"]] += 1
            result = {
                "custom_id": row["custom_id"],
                "response": {"status_code": status, "request_id": "r", "body": body},
                "error": None,
            }
            (bad if failed else good).append(json.dumps(result))
        counts = {"completed": len(good), "failed": len(bad)}
        batch["request_counts"] = {**batch["request_counts"], **counts}
        for name, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                batch[name] = f"file-{len(self.files)}"
                self.files[batch[name]] = "\n".join(rows) + "\n"

    async def _complete(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        with self._lock:
            self.bodies.append(body)
            number = len(self.bodies)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._answer_or_fail(number, body, writer)
        finally:
            self.in_flight -= 1

    async def _answer_or_fail(
        self, number: int, body: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        fault = self.fault(number, body) if self.fault else None
        limited = self._over_limit()
        if limited is not None:
            fault = fault or limited
        if self.latency_s and not (fault and fault.kind == "status"):
            await asyncio.sleep(self.latency_s)
        if fault and fault.kind == "status":
            self.statuses[fault.status] += 1
            error = {"error": {"message": fault.body or "no", "code": "some_code", "type": "x"}}
            await _send(writer, fault.status, error, fault.headers)
            return
        if fault and fault.kind == "hang":
            await asyncio.sleep(3600)
        if fault and fault.kind == "drop":
            raise ConnectionError
        completion = self.completion(body, fault)
        if fault and fault.kind == "drop_after":
            await _send(writer, 200, completion, cut=True)
            raise ConnectionError
        self.answered[body["messages"][-1]["content"]] += 1
        self.statuses[200] += 1
        if fault and fault.kind == "body":
            await _send(writer, 200, fault.body)
        else:
            await _send(writer, 200, completion, self._limit_state())

    def completion(self, body: dict[str, Any], fault: Fault | None = None) -> dict[str, Any]:
        """The chat completion for a request's body."""
        own = fault is not None and fault.kind == "content"
        content = fault.body if own else self.answer(body["messages"])
        prompt, output = self.usage(body["messages"], content)
        refused = fault is not None and fault.kind == "refusal"
        cut = fault is not None and fault.kind == "length"
        message = {
            "role": "assistant",
            "content": None if refused else content[: len(content) // 2] if cut else content,
            "refusal": "I can't help with that." if refused else None,
        }
        return {
            "id": f"chatcmpl-{len(self.bodies)}",
            "object": "chat.completion",
            "created": 0,
            "model": f"{body['model']}",
            "choices": [
                {"index": 0, "message": message, "finish_reason": "length" if cut else "stop"}
            ],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": output,
                "total_tokens": prompt + output,
            },
        }

    def _over_limit(self) -> Fault | None:
        if self.requests_per_minute is None:
            return None
        now = time.monotonic()
        self._accepted = [at for at in self._accepted if at > now - 60]
        if len(self._accepted) < self.requests_per_minute:
            self._accepted.append(now)
            return None
        wait = self._accepted[0] + 60 - now
        headers = {"retry-after": f"{wait:.2f}"} if self.limit_headers else {}
        return Fault("status", 429, headers)

    def _limit_state(self) -> dict[str, str]:
        if self.requests_per_minute is None or not self.limit_headers:
            return {}
        used = len(self._accepted)
        return {
            "x-ratelimit-limit-requests": str(self.requests_per_minute),
            "x-ratelimit-remaining-requests": str(self.requests_per_minute - used),
        }


def kitchen_answers(path: Path) -> AnswerFunction:
    """Answers from a file of rows that name texts (`text`, `audio_description`, `informativeness`).

    The text is the last line of a request's last message, as the shipped prompts put it; whether a
    description or a grade is wanted is told by the system message.
    """
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    by_text = {row["text"].strip(): row for row in rows}

    def answer(messages: Messages) -> str:
        row = by_text[messages[-1]["content"].splitlines()[-1].strip()]
        if '"level"' not in messages[0]["content"]:
            return json.dumps({"description": row["audio_description"]})
        fields = {"level": row["informativeness"]}
        if '"reason"' in messages[0]["content"]:
            fields = {"reason": "as recorded", **fields}
        return json.dumps(fields)

    return answer


def grouped(answer: AnswerFunction) -> AnswerFunction:
    """Let an answer function for one text serve requests that hold several inputs."""

    def answer_all(messages: Messages) -> str:
        inputs = re.split(r'^Input id="(\d+)":\n', messages[-1]["content"], flags=re.MULTILINE)
        if len(inputs) == 1:
            return answer(messages)
        rows = []
        for number, content in zip(inputs[1::2], inputs[2::2], strict=True):
            alone = [*messages[:-1], {"role": "user", "content": content.strip()}]
            rows.append({"id": number, **json.loads(answer(alone))})
        return json.dumps({"answers": rows})

    return answer_all


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    return method, path.split("?")[0], {name.lower(): value for name, value in headers.items()}


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: dict[str, Any] | str,
    headers: dict[str, str] | None = None,
    cut: bool = False,
) -> None:
    payload = (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [
        f"HTTP/1.1 {status} X",
        "content-type: application/json",
        f"content-length: {len(payload)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    data = "\r\n".join(lines).encode() + b"\r\n\r\n" + payload
    writer.write(data[: len(data) - len(payload) // 2] if cut else data)
    await writer.drain()
