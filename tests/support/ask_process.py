"""A process that asks a server plain questions, to be killed by tests: see `start`.

Processes are forked from one that has imported everything, so that a hundred of them cost little.
"""

import multiprocessing
import os
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import openai  # noqa: F401 so that the time until it is loaded is over
from support.prompt_files import make_prompt, texts_of

from assets.descriptions.prompts import render
from resources.language_model.providers import open_language_model
from resources.settings import OpenAISettings

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["support.ask_process"])


def texts(count: int) -> list[str]:
    return [f"cut onion {number}" for number in range(count)]


class Asking:
    """A running process. `process` can be killed."""

    def __init__(
        self, cache: Path, count: int, ledger: str | None, settings: dict[str, Any]
    ) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.reader, writer = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(
            target=_ask, args=(cache, count, ledger, settings, dict(os.environ), writer)
        )
        with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):
            self.process.start()  # the first one starts the process that the others fork from
        writer.close()
        assert self.reader.recv() == "started"

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def end(self) -> dict[str, int] | str | None:
        """Counts of answers, or the traceback of what ended it; None if it was killed."""
        try:
            outcome = self.reader.recv() if self.reader.poll(120) else "still running"
        except EOFError:
            outcome = None
        self.process.join(10)
        return outcome


def start(cache: Path, count: int, ledger: str | None = None, **settings: object) -> Asking:
    """Ask `count` questions in a process of its own, with the ledger of a folder or of a URL."""
    return Asking(cache, count, ledger, dict(settings))


def _ask(
    cache: Path,
    count: int,
    ledger: str | None,
    given: dict[str, Any],
    environment: dict[str, str],
    writer: Connection,
) -> None:
    os.environ.update(environment)  # it was forked from a process that may have started earlier
    settings = SimpleNamespace(
        language_model=OpenAISettings(provider="openai", **given), cache_dir=cache, ledger=ledger
    )
    prompt = make_prompt(cache)
    questions = [render(prompt, text, ()) for text in texts_of(*texts(count))["text"]]
    writer.send("started")
    try:
        with open_language_model(settings) as model:
            answers = model.ask(questions, lambda question, fields: None)
    except BaseException:
        writer.send(traceback.format_exc())
        raise
    writer.send(
        {
            "answered": len(answers.answered),
            "known": len(answers.known),
            "quarantined": len(answers.quarantined),
            "not_asked": len(answers.not_asked),
        }
    )
