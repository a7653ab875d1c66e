"""Simulated raters: what they save for a sheet, with a known taste and a known care."""

import numpy as np
import pandas as pd

from assets.reports.ratings.answers import COLUMNS
from assets.reports.ratings.drawing import KEY_COLUMNS
from resources.tables import LEVELS


def made_up_key(count=60, seed=0, repeats=4):
    """A sheet's key without recordings; its last items repeat its first, sides swapped."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "item": f"item{place:03}",
            "benchmark": ("epic_mir", "ego_mcq")[place % 2],
            "clip_id": f"clip{place}",
            "text_id": f"text{place}",
            "text": f"cut thing {place}",
            "variant": ("plain", "with_examples")[place % 3 == 0],
            "description": f"A knife taps on board {place}",
            "grader": "grade",
            "level": LEVELS[place % 3],
            "description_side": "ab"[int(rng.integers(2))],
            "repeat_of": "",
        }
        for place in range(count)
    ]
    for place in range(repeats):
        side = "b" if rows[place]["description_side"] == "a" else "a"
        again = {"item": f"item{count + place:03}", "description_side": side}
        rows.append({**rows[place], **again, "repeat_of": rows[place]["item"]})
    return pd.DataFrame(rows, columns=KEY_COLUMNS)


def rate(key, sheet, rater, seed=0, care=1.0, taste=0.7):
    """A rater's rows, as the page saves them.

    `care` is the chance that a judgement is what the sound deserves (the same for all raters) and
    not drawn at random; `taste` the chance that it deserves the description.
    """
    rng = np.random.default_rng([seed, 1])
    rows = []
    for row in key.itertuples():
        of_clip = np.random.default_rng([*row.clip_id.encode()])
        level = LEVELS[int(of_clip.integers(3))]
        truth = ("description" if of_clip.random() < taste else "visual", level)
        better, level = truth
        if rng.random() >= care:
            better = ("description", "visual")[int(rng.integers(2))]
        if rng.random() >= care:
            level = LEVELS[int(rng.integers(3))]
        side = row.description_side if better == "description" else swapped(row.description_side)
        rows.append(
            {
                "sheet": sheet,
                "rater": rater,
                "item": row.item,
                "rating_a": "4" if side == "a" else "2",
                "rating_b": "4" if side == "b" else "2",
                "preference": side,
                "informativeness": level,
                "plays": "1",
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def swapped(side):
    return "b" if side == "a" else "a"
