"""The one edit of a prompt that the sample has recorded answers for: a line, and where it goes."""

from pathlib import Path

PROMPT = "describe_zero_shot"
FOLLOWS = (
    "      - Say what makes the sound and how it sounds: water pours, metal clinks, a motor hums.\n"
)
LINE = "      - Name the material that sounds, where the text implies one.\n"


def edit(prompts: Path) -> None:
    """Add the line to the prompt in a folder of prompts."""
    _replace(prompts, FOLLOWS, FOLLOWS + LINE)


def edit_back(prompts: Path) -> None:
    """Take it out again."""
    _replace(prompts, LINE, "")


def _replace(prompts: Path, old: str, new: str) -> None:
    file = prompts / f"{PROMPT}.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{file} is not as the edit wants it"
    file.write_text(text.replace(old, new), encoding="utf-8")
