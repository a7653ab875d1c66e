"""The page that raters open: one file that works from disk, with every clip inside.

It holds the two texts of each item and its sound, and nothing that says which text is whose.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from assets.reports.ratings.drawing import shown_texts
from assets.reports.ratings.storage import RatingsFolder
from resources.media.decoding import MediaError
from resources.media.excerpts import cut_excerpts, data_url

TEMPLATES = Path(__file__).parents[1] / "templates"


class SheetError(RuntimeError):
    """The sound of an item can't be cut; the message names the recording."""


@dataclass(frozen=True)
class Sheet:
    """A sheet that was written."""

    name: str
    page: Path
    key: Path
    items: int
    repeats: int
    bytes: int


def write_sheet(items: pd.DataFrame, folder: RatingsFolder) -> Sheet:
    """Write the page of drawn items, and the key that stays behind.

    Args:
        items: from `draw_items`.
        folder: where both are written.

    Raises:
        SheetError: a recording can't be read any more.
    """
    sounds = _sounds(items)
    name = folder.write_key(items)
    page = folder.page(name)
    page.write_text(render_sheet(name, items, sounds), encoding="utf-8")
    return Sheet(
        name=name,
        page=page,
        key=folder.keys[name],
        items=len(items),
        repeats=int((items["repeat_of"] != "").sum()),
        bytes=page.stat().st_size,
    )


def _sounds(items: pd.DataFrame) -> list[str]:
    """Each item's sound as a data URL; every recording is decoded once."""
    by_recording: dict[str, list[int]] = defaultdict(list)
    for place, path in enumerate(items["path"]):
        by_recording[path].append(place)
    sounds = [""] * len(items)
    for path, places in sorted(by_recording.items()):
        spans = [(items["start_s"].iloc[place], items["stop_s"].iloc[place]) for place in places]
        try:
            for index, mp3 in cut_excerpts(Path(path), spans):
                sounds[places[index]] = data_url(mp3)
        except (MediaError, OSError) as error:
            raise SheetError(
                f"{path}: {error}. The tables still name this recording: run the benchmark again."
            ) from error
    return sounds


def render_sheet(name: str, items: pd.DataFrame, sounds: list[str]) -> str:
    """The page's HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    script = (TEMPLATES / "rating_sheet.js").read_text(encoding="utf-8")
    digest = hashlib.sha256(script.encode()).digest()
    shown = zip(items["item"], shown_texts(items), sounds, strict=True)
    return environment.get_template("rating_sheet.html.j2").render(
        sheet=name,
        count=len(items),
        script=script,
        script_hash=base64.b64encode(digest).decode(),
        content={
            "sheet": name,
            "items": [
                {"item": item, "a": a, "b": b, "sound": sound} for item, (a, b), sound in shown
            ],
        },
    )
