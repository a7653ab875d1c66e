"""Answers from a file that somebody recorded: no key, no network, no cost.

The file is JSON Lines: `key`, `model` (that gave the answer), `variant`, `text`, and `answer`,
an object of the fields that the prompt asks for. Only the key is looked up; variant and text are
there for people.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from resources.hashing import canonical_json
from resources.language_model.question import (
    Answer,
    Answers,
    Check,
    Failure,
    LanguageModelError,
    Question,
)
from resources.language_model.replies import fit_schema

REMEDY = """choose a provider that can be asked. In the config:
  language_model:
    provider: openai
    # base_url: http://127.0.0.1:8000/v1     (any compatible server; default: OpenAI)
    # api_key_variable: OPENAI_API_KEY       (the environment variable that holds the key)
or bring the prompt and the texts back to what was recorded."""


class NoRecordedAnswerError(LanguageModelError):
    """The file holds no answer for some questions; says which, and how to choose a provider."""


class RecordedAnswers:
    """A language model that only knows what is in its file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def ask(self, questions: Sequence[Question], check: Check) -> Answers:
        """Look every question up (see `LanguageModel.ask`).

        Raises:
            NoRecordedAnswerError: any is missing; no partial answer is given.
            LanguageModelError: the file can't be read.
        """
        answers, missing = self.look_up({question.key: question for question in questions}, check)
        if missing:
            raise NoRecordedAnswerError(_missing_message(missing, self.file))
        return answers

    def look_up(
        self, wanted: Mapping[str, Question], check: Check
    ) -> tuple[Answers, list[Question]]:
        """What the file holds of the questions, and those of which it holds nothing.

        Raises:
            LanguageModelError: the file can't be read.
        """
        recorded = read_recorded(self.file)
        there = {key: question for key, question in wanted.items() if key in recorded}
        answers = Answers(known=set(there))
        for key, question in there.items():
            fields = recorded[key]["answer"]
            problem = fit_schema(fields, question.answer_schema) or check(question, fields)
            if problem:
                answers.quarantined[key] = Failure(problem, canonical_json(fields), 1)
            else:
                answers.answered[key] = Answer(fields, recorded[key]["model"])
        return answers, [question for key, question in wanted.items() if key not in recorded]


def read_recorded(file: Path) -> dict[str, dict[str, Any]]:
    """A file's rows by key.

    Raises:
        LanguageModelError: it is missing, or a row is not of the form; names file and line.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LanguageModelError(
            f"{file}: recorded answers can't be read ({error}); the config names this file under "
            "`language_model.answers:`"
        ) from error
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _parse_row(line, f"{file}, line {number}")
        if rows.setdefault(row["key"], row) != row:
            raise LanguageModelError(f"{file}, line {number}: another answer for the same key")
    return rows


def write_recorded(file: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows in the form that `read_recorded` reads, sorted by variant and text.

    Returns:
        How many were written.
    """
    ordered = sorted(rows, key=lambda row: (row["variant"], row["text"], row["key"]))
    text = "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in ordered)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
    return len(ordered)


def _parse_row(line: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise LanguageModelError(f"{place}: not JSON: {error}") from error
    wanted = {"key": str, "model": str, "variant": str, "text": str, "answer": dict}
    if not isinstance(row, dict) or any(
        not isinstance(row.get(name), kind) for name, kind in wanted.items()
    ):
        raise LanguageModelError(
            f"{place}: a recorded answer has key, model, variant, text, and answer (an object)"
        )
    return row


def _missing_message(missing: Sequence[Question], file: Path) -> str:
    by_variant = Counter(question.variant for question in missing)
    counts = ", ".join(f"{variant}: {count}" for variant, count in sorted(by_variant.items()))
    first = ", ".join(repr(question.text) for question in missing[:3])
    return (
        f"no recorded answer: {REMEDY}\n"
        f"{file} lacks {len(missing)} answer(s) ({counts}), first those for {first}."
    )
