"""Turning what a server sent back into answers, or into a problem with a name.

Several questions of a prompt may share a request: each input then carries an id, and each id must
come back exactly once. How that is put into messages, and taken apart again, is here as well.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.language_model.question import Problem, Question

REFUSAL = re.compile(
    r"^\W*(i'?m sorry|sorry,|i am sorry|i (can'?t|cannot|can not|won'?t|am unable|'?m unable)\b"
    r"|as an ai\b|unfortunately,? i\b)",
    re.IGNORECASE,
)
"""How a model declines in plain words; captions of sounds do not begin so."""

GROUP_INSTRUCTION = (
    "There are several inputs below. Treat each one by itself, exactly as if it were the only one. "
    'Answer with a JSON object {"answers": [...]} that holds one object per input, with its "id" '
    "and the fields described above."
)


Judged = tuple[Mapping[str, str] | None, Problem | None]
"""A question's answer as its fields, or why there is none."""


@dataclass(frozen=True)
class Reply:
    """One completion as it came: its text, why it ended, who gave it, and what it took."""

    content: str | None
    finish_reason: str | None
    refusal: str | None
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    raw: str


def request_body(questions: Sequence[Question], response_format: str) -> dict[str, Any]:
    """The chat-completions body for one question, or for several of the same prompt.

    Args:
        questions: of one variant.
        response_format: how the form of the answer is asked for: `json_schema`, `json_object`,
            or `text` (in words only), for servers that know less.
    """
    first = questions[0]
    alone = len(questions) == 1
    messages = [dict(message) for message in first.messages]
    if not alone:
        inputs = "\n\n".join(
            f'Input id="{number}":\n{question.messages[-1]["content"]}'
            for number, question in enumerate(questions, start=1)
        )
        messages[-1] = {"role": "user", "content": f"{GROUP_INSTRUCTION}\n\n{inputs}"}
    body: dict[str, Any] = {
        "model": first.model,
        "messages": messages,
        **_scaled(first.parameters, len(questions)),
    }
    if response_format == "json_schema":
        schema = first.answer_schema if alone else _group_schema(first.answer_schema)
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        }
    elif response_format == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def read_reply(raw: str) -> Reply:
    """Take a completion's body apart.

    Raises:
        ValueError: it is no chat completion (malformed or truncated JSON, no choice).
    """
    body = json.loads(raw)
    try:
        choice = body["choices"][0]
        message = choice["message"]
        usage = body.get("usage") or {}
        return Reply(
            content=message.get("content"),
            finish_reason=choice.get("finish_reason"),
            refusal=message.get("refusal"),
            model=str(body.get("model") or ""),
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
            raw=raw,
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"no chat completion: {error!r}") from error


def judge_raw(raw: str, schema: Mapping[str, Any], questions: int) -> tuple[Reply, list[Judged]]:
    """A body as it came, taken apart, and what it answers to each of a request's questions."""
    try:
        reply = read_reply(raw)
    except ValueError as error:
        problem = Problem("schema", str(error)[:200])
        return Reply(None, None, None, "", None, None, raw), [(None, problem)] * questions
    return reply, judge_reply(reply, schema, questions)


def judge_reply(reply: Reply, schema: Mapping[str, Any], questions: int) -> list[Judged]:
    """For each question its answer's fields, or why there are none, in the questions' order."""
    whole = _whole_problem(reply)
    if whole:
        return [(None, whole)] * questions
    try:
        answer = json.loads(_strip_fence(reply.content or ""))
    except json.JSONDecodeError as error:
        if REFUSAL.match(reply.content or ""):
            problem = Problem("refusal", (reply.content or "")[:200])
        else:
            problem = Problem("schema", f"no JSON: {error}")
        return [(None, problem)] * questions
    if questions == 1:
        return [_fit(answer, schema)]
    return _judge_group(answer, schema, questions)


def fit_schema(fields: object, schema: Mapping[str, Any]) -> Problem | None:
    """Whether an answer is an object of exactly the wanted fields, each of its kind."""
    if not isinstance(fields, Mapping):
        return Problem("schema", f"no object, but {type(fields).__name__}")
    wanted = schema["properties"]
    if set(fields) != set(wanted):
        return Problem("schema", f"fields {sorted(map(str, fields))}, wanted {sorted(wanted)}")
    for name, kind in wanted.items():
        value = fields[name]
        if not isinstance(value, str):
            return Problem("schema", f"{name} is no text, but {type(value).__name__}")
        if "enum" in kind and value not in kind["enum"]:
            return Problem("schema", f"{name} is {value[:60]!r}, not one of {kind['enum']}")
    return None


def _whole_problem(reply: Reply) -> Problem | None:
    if reply.refusal or reply.finish_reason == "content_filter":
        return Problem("refusal", (reply.refusal or "content filter")[:200])
    if reply.finish_reason == "length":
        return Problem("cut_off", "the answer reached the output limit")
    if not (reply.content or "").strip():
        return Problem("empty", "no content")
    return None


def _fit(fields: Any, schema: Mapping[str, Any]) -> Judged:
    problem = fit_schema(fields, schema)
    return (None, problem) if problem else (fields, None)


def _judge_group(answer: Any, schema: Mapping[str, Any], questions: int) -> list[Judged]:
    rows = answer.get("answers") if isinstance(answer, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        problem = Problem("schema", "no list of answers")
        return [(None, problem)] * questions
    times = Counter(str(row.get("id")) for row in rows)
    by_id = {str(row.get("id")): row for row in rows}
    judged: list[Judged] = []
    for number in range(1, questions + 1):
        found = times[str(number)]
        if found != 1:
            judged.append((None, Problem("ids", f"id {number} came back {found} times")))
            continue
        fields = {name: value for name, value in by_id[str(number)].items() if name != "id"}
        judged.append(_fit(fields, schema))
    return judged


def _group_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    item = {
        **schema,
        "properties": {"id": {"type": "string"}, **schema["properties"]},
        "required": ["id", *schema["required"]],
    }
    return {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": item}},
        "required": ["answers"],
        "additionalProperties": False,
    }


def _scaled(parameters: Mapping[str, Any], questions: int) -> dict[str, Any]:
    """Parameters with the output limit multiplied, since a group's answer is that much longer."""
    return {
        name: value * questions if name in ("max_tokens", "max_completion_tokens") else value
        for name, value in parameters.items()
    }


def _strip_fence(content: str) -> str:
    """The JSON inside a Markdown fence, in which smaller models like to wrap it."""
    fenced = re.fullmatch(r"\s*```(?:json)?\s*(.*?)\s*```\s*", content, re.DOTALL)
    return fenced[1] if fenced else content
