"""A process that asks a server plain questions, to be killed by tests: see `start`."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from support.prompt_files import make_prompt, texts_of

from assets.descriptions.prompts import render
from resources.language_model.providers import open_language_model
from resources.settings import PROJECT_ROOT, OpenAISettings


def texts(count: int) -> list[str]:
    return [f"cut onion {number}" for number in range(count)]


def start(cache: Path, count: int, **settings: object) -> subprocess.Popen:
    """Ask `count` questions in a process of its own; it prints `started`, and at its end JSON."""
    code = Path(__file__)
    command = [sys.executable, str(code), str(cache), str(count), json.dumps(settings)]
    paths = f"{PROJECT_ROOT}:{PROJECT_ROOT / 'tests'}"
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PYTHONPATH": paths, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("settings", type=json.loads)
    given = parser.parse_args()
    import openai  # noqa: F401 so that the time until it is loaded is over

    settings = SimpleNamespace(
        language_model=OpenAISettings(provider="openai", **given.settings), cache_dir=given.cache
    )
    given.cache.mkdir(parents=True, exist_ok=True)
    prompt = make_prompt(given.cache)
    questions = [render(prompt, text, ()) for text in texts_of(*texts(given.count))["text"]]
    print("started", flush=True)
    with open_language_model(settings) as model:
        answers = model.ask(questions, lambda question, fields: None)
    print(
        json.dumps(
            {
                "answered": len(answers.answered),
                "known": len(answers.known),
                "quarantined": len(answers.quarantined),
                "not_asked": len(answers.not_asked),
            }
        )
    )


if __name__ == "__main__":
    main()
