"""Prompt files and questions for tests of the language-model stage."""

import json
from pathlib import Path

import pandas as pd
import yaml

from assets.descriptions.prompts import Prompt, read_prompt_file
from resources.settings import PROJECT_ROOT
from resources.tables import FEW_SHOT_EXAMPLES, text_id

NO_POOL = FEW_SHOT_EXAMPLES.frame([])

DESCRIBE = {
    "id": "plain",
    "about": "For tests.",
    "purpose": "describe",
    "model": "gpt-4o-mini-2024-07-18",
    "parameters": {"temperature": 0, "max_tokens": 50},
    "messages": [
        {"role": "system", "content": 'Answer with the one field "description".'},
        {"role": "user", "content": "Seen:\n{{ text }}"},
    ],
    "answer": {"description": "string"},
}

GRADE = {
    **DESCRIBE,
    "id": "grade",
    "purpose": "grade",
    "messages": [
        {"role": "system", "content": 'Answer with the one field "level".'},
        {"role": "user", "content": "Seen:\n{{ text }}"},
    ],
    "answer": {"level": ["low", "moderate", "high"]},
}


def write_prompt(folder: Path, **changes: object) -> Path:
    """`DESCRIBE` with changes, as a file under its id; a change to None leaves the key out."""
    given = {name: value for name, value in {**DESCRIBE, **changes}.items() if value is not None}
    path = folder / f"{given['id']}.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
    return path


def make_prompt(folder: Path, **changes: object) -> Prompt:
    (prompt,) = read_prompt_file(write_prompt(folder, **changes))
    return prompt


def shipped_prompt(name: str) -> Prompt:
    (prompt,) = read_prompt_file(PROJECT_ROOT / "prompts" / f"{name}.yaml")
    return prompt


def texts_of(*texts: str) -> pd.DataFrame:
    return pd.DataFrame({"text_id": [text_id(text) for text in texts], "text": list(texts)})


def pool_of(*pairs: tuple[str, str]) -> pd.DataFrame:
    return FEW_SHOT_EXAMPLES.frame(
        {
            "youtube_id": f"video{number}",
            "visual_text": visual,
            "audio_caption": audio,
            "overlap_s": 10.0,
            "kept": True,
            "reason": None,
        }
        for number, (visual, audio) in enumerate(pairs)
    )


def answer_plainly(messages: list[dict[str, str]]) -> str:
    """A good answer for `DESCRIBE` and `GRADE`, made from the text, which is the last line."""
    text = messages[-1]["content"].splitlines()[-1]
    if '"level"' in messages[0]["content"]:
        return json.dumps({"level": "high" if "cut" in text else "low"})
    return json.dumps({"description": f"Something sounds while they {text}"})
