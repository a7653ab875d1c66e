"""Requests a second to a loopback server of a process of its own, ledger on, beside the bare SDK.

`python tests/performance/bench_language_model.py` prints one table: against 200 ms of latency, as a
share of concurrency / latency; and against a limit of 600 requests a minute over a sliding minute
(which takes a minute and a half), as a share of the limit, with the requests answered 429.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import openai
from support.openai_server import OpenAIServer
from support.prompt_files import answer_plainly, make_prompt

from assets.descriptions.prompts import render
from resources.language_model.providers import open_language_model
from resources.language_model.question import Question
from resources.settings import OpenAISettings

LATENCY_S = 0.2
LIMIT = 600
LIMITED_FOR_S = 90


def serve(pipe: Connection, limit: int | None) -> None:
    with OpenAIServer(answer_plainly, latency_s=LATENCY_S, requests_per_minute=limit) as server:
        pipe.send(server.url)
        pipe.recv()
        pipe.send((server.statuses[200], server.statuses[429]))


@contextlib.contextmanager
def server_process(limit: int | None = None) -> Iterator[tuple[str, Connection]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, limit), daemon=True)
    process.start()
    yield ours.recv(), ours
    process.terminate()
    process.join()


async def sdk_alone(url: str, questions: list[Question], concurrency: int) -> float:
    slots = asyncio.Semaphore(concurrency)
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:

        async def one(question: Question) -> None:
            async with slots:
                await client.chat.completions.create(
                    model=question.model, messages=list(question.messages)
                )

        start = time.perf_counter()
        await asyncio.gather(*map(one, questions))
        return len(questions) / (time.perf_counter() - start)


def ours(url: str, folder: Path, questions: list[Question], **limits: float) -> float:
    settings = SimpleNamespace(
        language_model=OpenAISettings(provider="openai", base_url=url, **limits),
        cache_dir=folder,
        ledger=None,
    )
    start = time.perf_counter()
    with open_language_model(settings) as model:
        answers = model.ask(questions, lambda question, fields: None)
    assert len(answers.answered) == len(questions)
    return len(questions) / (time.perf_counter() - start)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prompt = make_prompt(folder)

        def questions(count: int) -> list[Question]:
            return [render(prompt, f"cut onion {number}", ()) for number in range(count)]

        print(f"{'what':<34}{'concurrency':>12}{'requests/s':>12}{'share':>8}")
        with server_process() as (url, _):
            asyncio.run(sdk_alone(url, questions(8), 8))
            for concurrency in (16, 64):
                many = questions(concurrency * 40)
                rates = {
                    "SDK alone": asyncio.run(sdk_alone(url, many, concurrency)),
                    "with ledger": ours(
                        url, folder / str(concurrency), many, concurrency=concurrency
                    ),
                }
                for what, rate in rates.items():
                    share = rate * LATENCY_S / concurrency
                    print(f"{what + ', 200 ms':<34}{concurrency:>12}{rate:>12.1f}{share:>8.1%}")
        with server_process(LIMIT) as (url, pipe):
            many = questions(LIMIT * LIMITED_FOR_S // 60)
            rate = ours(url, folder / "limit", many, concurrency=16, requests_per_minute=LIMIT)
            pipe.send("end")
            good, refused = pipe.recv()
            print(f"{'limit of 600 a minute':<34}{16:>12}{rate:>12.1f}{rate * 60 / LIMIT:>8.1%}")
            print(f"answered 429: {refused} of {good + refused} ({refused / (good + refused):.1%})")


if __name__ == "__main__":
    main()
