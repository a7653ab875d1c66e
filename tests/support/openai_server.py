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

    def __post_init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
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
            async with server:
                self._stop = asyncio.Event()
                await self._stop.wait()

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
        if path == "/v1/chat/completions" and method == "POST":
            await self._complete(json.loads(body), writer)
        else:
            await _send(writer, 404, {"error": {"message": f"no {method} {path}"}})

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
