"""What differs between two prompts, told from their files alone: run or never run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

import pandas as pd

from assets.descriptions.few_shot import Example
from assets.descriptions.prompts import Prompt, PromptError, examples_of, read_prompt_file
from resources.settings import Settings


@dataclass(frozen=True)
class Difference:
    """What differs between a first and a second prompt.

    Attributes:
        fields: name, the first's value, the second's.
        template: lines of a unified diff; none where templates are equal.
        examples: those that only one shows, marked `-` (first) or `+`; or, where only their order
            differs, a line that says so.
    """

    fields: list[tuple[str, str, str]]
    template: list[str]
    examples: list[str]

    @property
    def is_none(self) -> bool:
        """Whether nothing that decides an answer differs."""
        return not (self.fields or self.template or self.examples)


def find_prompt(settings: Settings, variant: str) -> Prompt:
    """A prompt of the folder by its variant, whether the config uses it or not.

    Raises:
        PromptError: there is none, or its file is wrong.
    """
    folder = settings.prompts_folder
    name = variant.split("@", 1)[0]
    path = folder / f"{name}.yaml"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise PromptError({path: [f"no such prompt; there are: {there or 'none'}"]})
    model = settings.language_model.model
    found = {prompt.variant: prompt for prompt in read_prompt_file(path, model)}
    if variant not in found:
        raise PromptError({path: [f"no variant {variant}; it has {', '.join(found)}"]})
    return found[variant]


def compare_prompts(first: Prompt, second: Prompt, pool: pd.DataFrame) -> Difference:
    """What differs.

    Args:
        first: a prompt.
        second: another.
        pool: FEW_SHOT_EXAMPLES, for those that draw from it.

    Raises:
        FewShotError: one wants more examples than there are.
    """
    lines = unified_diff(
        first.template.splitlines(),
        second.template.splitlines(),
        first.variant,
        second.variant,
        n=1,
        lineterm="",
    )
    return Difference(
        fields=list(_fields(first, second)),
        template=list(lines),
        examples=_examples(examples_of(first, pool), examples_of(second, pool)),
    )


def _fields(first: Prompt, second: Prompt) -> Iterator[tuple[str, str, str]]:
    ours, theirs = _named(first), _named(second)
    for name in {**ours, **theirs}:
        one, other = ours.get(name), theirs.get(name)
        if one != other:
            yield name, _shown(one), _shown(other)


def _named(prompt: Prompt) -> dict[str, Any]:
    """Every field but messages and examples, by the name that a file gives it."""
    return {
        "purpose": prompt.purpose,
        "model": prompt.model,
        **{f"parameters.{name}": value for name, value in prompt.parameters.items()},
        **{
            f"answer.{name}": "string" if "enum" not in kind else ", ".join(kind["enum"])
            for name, kind in prompt.answer_schema["properties"].items()
        },
        "texts_per_request": prompt.texts_per_request,
        "benchmarks": ", ".join(prompt.benchmarks) if prompt.benchmarks else "all",
    }


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)


def _examples(first: tuple[Example, ...], second: tuple[Example, ...]) -> list[str]:
    if first != second and set(first) == set(second):
        return [f"the same {len(first)}, in another order"]
    gone = [example for example in first if example not in second]
    come = [example for example in second if example not in first]
    return [
        f"{sign} {example.visual_text} -> {example.audio_caption}"
        for sign, examples in (("-", gone), ("+", come))
        for example in examples
    ]
