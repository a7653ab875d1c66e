"""Simulated raters: what they save for a sheet, with a known taste and a known care."""

import numpy as np
import pandas as pd
from support.lake_fixture import build_lake

from assets.reports.ratings.answers import COLUMNS
from assets.reports.ratings.drawing import KEY_COLUMNS
from assets.reports.ratings.importing import import_answers
from assets.reports.ratings.storage import RatingsFolder
from assets.reports.ratings.tables import (
    build_agreement,
    build_preferences,
    build_raters,
    build_ratings,
    stored_answers,
)
from resources.settings import MetricsSettings
from resources.sql_models import SQL_FOLDER
from resources.tables import LEVELS, RATERS, RATING_AGREEMENT, RATING_PREFERENCES, RATINGS
from resources.warehouse import publish


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


def rated_warehouse(root, hostile="Cleo"):
    """A DuckDB file with the ratings of two raters, and a third one's that are rejected."""
    folder = RatingsFolder(root / "ratings")
    sheet = folder.write_key(made_up_key())
    for number, rater in enumerate(("Ann", "Ben", hostile)):
        rows = rate(folder.key(sheet), sheet, rater, seed=number, care=0.9, taste=0.8)
        rows = rows.iloc[1:] if rater == hostile else rows
        rows.to_csv(root / "file.csv", index=False)
        assert import_answers(root / "file.csv", folder, False).kept
    answers = stored_answers(folder)
    ratings = build_ratings(answers, folder)
    lake = build_lake(root / "lake")
    lake.write(RATERS, build_raters(answers))
    lake.write(RATINGS, ratings)
    metrics = MetricsSettings(resamples=200)
    lake.write(RATING_AGREEMENT, build_agreement(ratings, metrics))
    lake.write(RATING_PREFERENCES, build_preferences(ratings, metrics))
    publish(lake, SQL_FOLDER, root / "published.duckdb")
    return root / "published.duckdb"
