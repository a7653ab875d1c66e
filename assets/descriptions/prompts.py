"""Prompts: YAML files that users edit, checked when they are read, rendered one text at a time.

A file holds one prompt; where it lists several models, each is a variant of its own. Templates are
Jinja2 in a sandbox, and a variable that is not there is an error, never an empty string.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml
from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, ValidationError, model_validator

from assets.descriptions.few_shot import Example, FewShotError, select_examples
from resources.hashing import canonical_json
from resources.language_model.question import Question
from resources.settings import Name, Settings, Strict
from resources.tables import LEVELS, PROMPTS, text_id
from resources.yaml_files import parse_yaml, problems_of

TEMPLATE_VARIABLES = {"text", "examples"}
OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens")
RESERVED_PARAMETERS = {"messages", "model", "response_format", "stream", "n"}
WANTED_ANSWERS = {"describe": ({"description"},), "grade": ({"level"}, {"level", "reason"})}

_SANDBOX = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)


class PromptError(ValueError):
    """Prompt files can't be used.

    Attributes:
        problems: for each bad file all that is wrong with it.
    """

    def __init__(self, problems: Mapping[Path, Sequence[str]]) -> None:
        self.problems = {path: list(found) for path, found in problems.items()}
        lines = [f"{path}: {item}" for path, found in self.problems.items() for item in found]
        super().__init__("\n".join(lines))


class MessageTemplate(Strict):
    """One chat message, its content a Jinja2 template over `text` and `examples`."""

    role: Literal["system", "user", "assistant"]
    content: str = Field(min_length=1)


class ExamplePair(Strict):
    """One example written into the prompt's own file."""

    visual_text: str = Field(min_length=1)
    audio_caption: str = Field(min_length=1)


class ExamplesRequest(Strict):
    """Which few-shot examples a prompt wants: of the overlap pool, or its own."""

    pool: Literal["overlap"] | tuple[ExamplePair, ...] = "overlap"
    count: int = Field(ge=1)
    seed: int = 0
    order: Literal["selection", "random"] = "selection"


class PromptFile(Strict):
    """What a prompt file may say (see `prompts/`)."""

    id: Name
    about: str = Field(min_length=1)
    purpose: Literal["describe", "grade"]
    model: str | None = None
    models: tuple[str, ...] = ()
    parameters: dict[str, str | bool | int | float]
    examples: ExamplesRequest | None = None
    messages: tuple[MessageTemplate, ...] = Field(min_length=1)
    answer: dict[Name, Literal["string"] | tuple[str, ...]]
    texts_per_request: int = Field(default=1, ge=1, le=100)
    benchmarks: tuple[Name, ...] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> PromptFile:
        problems = [*self._model_problems(), *self._template_problems(), *self._answer_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _model_problems(self) -> list[str]:
        problems = []
        if (self.model is None) == (not self.models):
            problems.append("name one `model:`, or several under `models:`")
        if len(set(self.models)) < len(self.models):
            problems.append("`models:` names one twice")
        if reserved := sorted(RESERVED_PARAMETERS & set(self.parameters)):
            problems.append(f"`parameters:` can't set {', '.join(reserved)}")
        limits = [self.parameters[name] for name in OUTPUT_LIMITS if name in self.parameters]
        if not (len(limits) == 1 and type(limits[0]) is int and limits[0] > 0):
            problems.append(
                "`parameters:` needs max_tokens (or max_completion_tokens), a positive "
                "number: it bounds the price of an answer"
            )
        return problems

    def _template_problems(self) -> list[str]:
        problems, used = [], [set[str]() for _ in self.messages]
        for position, message in enumerate(self.messages):
            try:
                used[position] = meta.find_undeclared_variables(_SANDBOX.parse(message.content))
            except TemplateError as error:
                problems.append(f"messages.{position}: not a Jinja2 template: {error}")
                continue
            if unknown := sorted(used[position] - TEMPLATE_VARIABLES):
                problems.append(
                    f"messages.{position}: unknown variable {', '.join(unknown)}; "
                    "there are `text` and `examples`"
                )
        if problems:
            return problems
        if self.messages[-1].role != "user" or "text" not in used[-1]:
            problems.append("the last message is the user's and contains {{ text }}")
        if self.texts_per_request > 1 and any("text" in names for names in used[:-1]):
            problems.append("with several texts_per_request only the last message may use `text`")
        if self.examples and not any("examples" in names for names in used):
            problems.append("`examples:` is given, but no message uses `examples`")
        return problems or self._trial()

    def _trial(self) -> list[str]:
        """Render once, so that an error in a template shows when it is saved."""
        examples = (Example("washing dishes", "Water runs and dishes clink"),)
        try:
            render_messages(self.messages, "open door", examples if self.examples else ())
        except (TemplateError, TypeError, ArithmeticError) as error:
            return [f"messages: can't be rendered: {error}"]
        return []

    def _answer_problems(self) -> list[str]:
        wanted = WANTED_ANSWERS[self.purpose]
        if set(self.answer) not in wanted:
            named = " or ".join(" and ".join(sorted(fields)) for fields in wanted)
            return [f"`answer:` of a prompt that is to {self.purpose} has the fields: {named}"]
        if self.purpose == "grade" and self.answer["level"] != LEVELS:
            return [f"`answer.level:` is [{', '.join(LEVELS)}]"]
        return []


@dataclass(frozen=True)
class Prompt:
    """One prompt put to one model.

    Attributes:
        variant: the prompt's id, or `id@model` where its file lists several models.
        file: its file's name.
        answer_schema: JSON schema of the object that must come back.
        benchmarks: for which it is meant; None: for all.
    """

    variant: str
    purpose: Literal["describe", "grade"]
    about: str
    model: str
    parameters: Mapping[str, Any]
    examples: ExamplesRequest | None
    messages: tuple[MessageTemplate, ...]
    answer_schema: Mapping[str, Any]
    texts_per_request: int
    benchmarks: tuple[str, ...] | None
    file: str

    @property
    def template(self) -> str:
        """All messages' templates as one text."""
        return "\n\n".join(f"[{message.role}]\n{message.content}" for message in self.messages)

    def is_for(self, benchmark: str) -> bool:
        """Whether the prompt's file names this benchmark, or none."""
        return self.benchmarks is None or benchmark in self.benchmarks


def load_prompts(settings: Settings) -> tuple[Prompt, ...]:
    """Read the prompts that a config asks for; a file's name is its prompt's id.

    Returns:
        One prompt a model, sorted by variant.

    Raises:
        PromptError: files are missing or wrong; every problem of every file is listed.
    """
    folder = settings.prompts_folder
    there = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    wanted = sorted(there) if settings.prompts == "all" else sorted(set(settings.prompts))
    problems: dict[Path, list[str]] = {}
    prompts: list[Prompt] = []
    if not there and settings.prompts == "all":
        problems[folder] = ["no prompts: put at least one `<id>.yaml` here"]
    for name in wanted:
        if name not in there:
            path = folder / f"{name}.yaml"
            problems[path] = [
                f"no such file; the config asks for it, and there are: {', '.join(there) or 'none'}"
            ]
            continue
        try:
            prompts += read_prompt_file(there[name], settings.language_model.model)
        except PromptError as error:
            problems.update(error.problems)
    if problems:
        raise PromptError(problems)
    return tuple(sorted(prompts, key=lambda prompt: prompt.variant))


def read_prompt_file(path: Path, model: str | None = None) -> list[Prompt]:
    """One file's prompts, one a model.

    Args:
        path: the file.
        model: who is asked instead of its `model:`; `models:` stay as they are.

    Raises:
        PromptError: it can't be used; all its problems are listed.
    """
    try:
        return list(_prompts_of(path, path.read_text(encoding="utf-8"), model))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PromptError({path: [f"not readable as YAML in UTF-8: {error}"]}) from error


@lru_cache(maxsize=256)
def _prompts_of(path: Path, text: str, instead: str | None) -> tuple[Prompt, ...]:
    """What a file with this text says; every step of a run asks, and few files change."""
    raw = parse_yaml(text)
    if not isinstance(raw, dict):
        raise PromptError({path: ["a prompt is a mapping of keys, such as `purpose:`"]})
    try:
        given = PromptFile.model_validate(raw)
    except ValidationError as error:
        raise PromptError({path: problems_of(error, raw, PromptFile)}) from error
    if given.id != path.stem:
        raise PromptError({path: [f"id: `{given.id}` must be the file's name, `{path.stem}`"]})
    models = given.models or (instead or given.model or "",)
    return tuple(_prompt(given, model, path.name) for model in models)


def render_messages(
    templates: Sequence[MessageTemplate], text: str, examples: Sequence[Example]
) -> tuple[dict[str, str], ...]:
    """The chat messages for one text."""
    clean = unicodedata.normalize("NFC", text.strip())
    return tuple(
        {
            "role": template.role,
            "content": _compile(template.content).render(text=clean, examples=examples).strip(),
        }
        for template in templates
    )


def render(prompt: Prompt, text: str, examples: Sequence[Example]) -> Question:
    """A prompt's question about one text, with the key that its answer is known under.

    The text goes in stripped and NFC-normalised, as `text_id` sees it, so that one distinct text is
    one question.
    """
    return Question(
        text_id=text_id(text),
        text=text,
        variant=prompt.variant,
        messages=render_messages(prompt.messages, text, examples),
        model=prompt.model,
        parameters=prompt.parameters,
        answer_schema=prompt.answer_schema,
        texts_per_request=prompt.texts_per_request,
    )


def examples_of(prompt: Prompt, pool: pd.DataFrame) -> tuple[Example, ...]:
    """A prompt's few-shot examples, in the order in which it shows them.

    Args:
        prompt: the prompt.
        pool: FEW_SHOT_EXAMPLES.

    Raises:
        FewShotError: it wants more than there are; the message names prompt and remedy.
    """
    wanted = prompt.examples
    if wanted is None:
        return ()
    if wanted.pool != "overlap":
        own = [(pair.visual_text, pair.audio_caption, True) for pair in wanted.pool]
        pool = pd.DataFrame(own, columns=["visual_text", "audio_caption", "kept"])
    try:
        return select_examples(pool, wanted.count, wanted.seed, wanted.order)
    except FewShotError as error:
        raise FewShotError(f"prompt {prompt.variant} ({prompt.file}): {error}") from error


def prompts_table(prompts: Sequence[Prompt], pool: pd.DataFrame) -> pd.DataFrame:
    """PROMPTS: every prompt as it is in its file now, its examples written out."""
    return PROMPTS.frame(
        [
            {
                "variant": prompt.variant,
                "purpose": prompt.purpose,
                "model": prompt.model,
                "parameters": canonical_json(prompt.parameters),
                "template": prompt.template,
                "template_hash": hashlib.sha256(prompt.template.encode()).hexdigest(),
                "examples": [
                    f"{example.visual_text} -> {example.audio_caption}"
                    for example in examples_of(prompt, pool)
                ],
                "file": prompt.file,
            }
            for prompt in prompts
        ]
    )


def _prompt(given: PromptFile, model: str, file: str) -> Prompt:
    return Prompt(
        variant=f"{given.id}@{model}" if len(given.models) > 1 else given.id,
        purpose=given.purpose,
        about=given.about.strip(),
        model=model,
        parameters={name: _whole(value) for name, value in given.parameters.items()},
        examples=given.examples,
        messages=given.messages,
        answer_schema=_schema(given.answer),
        texts_per_request=given.texts_per_request,
        benchmarks=given.benchmarks,
        file=file,
    )


def _whole(value: str | bool | int | float) -> str | bool | int | float:
    """1.0 as 1, so that writing a number otherwise is no other question."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _schema(answer: Mapping[str, Literal["string"] | tuple[str, ...]]) -> dict[str, Any]:
    """The answer's fields as a JSON schema, in the file's order."""
    return {
        "type": "object",
        "properties": {
            name: {"type": "string"} if kind == "string" else {"type": "string", "enum": [*kind]}
            for name, kind in answer.items()
        },
        "required": list(answer),
        "additionalProperties": False,
    }


@lru_cache(maxsize=256)
def _compile(source: str) -> Template:
    return _SANDBOX.from_string(source)
