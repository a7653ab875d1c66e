"""The tables of ratings, made from the files under `<output>/ratings`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from assets.reports.ratings.answers import Answers, judge, read_answers, unblind
from assets.reports.ratings.statistics import Estimate, alpha, mean, quadratic_kappa
from assets.reports.ratings.storage import RatingsFolder
from resources.settings import MetricsSettings
from resources.tables import (
    LEVELS,
    PREFERENCES,
    RATERS,
    RATING_AGREEMENT,
    RATING_PREFERENCES,
    RATINGS,
    SUBSETS,
)

ALL_RATERS = "all raters"
SCALES: dict[str, tuple[Any, ...]] = {
    "visual_rating": (1, 2, 3, 4, 5),
    "description_rating": (1, 2, 3, 4, 5),
    "preference": PREFERENCES,
    "informativeness": LEVELS,
}
"""What raters judge, and the values in order."""
SHARE = {"description": 1.0, "same": 0.5, "visual": 0.0}

Row = dict[str, Any]


def build_raters(answers: Iterable[Answers]) -> pd.DataFrame:
    """Every rater's file, accepted or not, as a `RATERS` frame."""
    return RATERS.frame(
        {
            "sheet": one.sheet,
            "rater": one.rater,
            "accepted": one.accepted,
            "reason": "; ".join(one.problems) or None,
            "items": len(one.rows),
            "repeats": one.repeats or None,
            "held": one.held if one.repeats else None,
            "contradictions": one.contradictions if one.repeats else None,
        }
        for one in answers
    )


def build_ratings(answers: Iterable[Answers], folder: RatingsFolder) -> pd.DataFrame:
    """Every accepted judgement, said of the description and the visual text: a `RATINGS` frame."""
    accepted = [unblind(one.rows, folder.key(one.sheet)) for one in answers if one.accepted]
    if not accepted:
        return RATINGS.frame([])
    rows = pd.concat(accepted, ignore_index=True)
    rows["repeat_of"] = rows["repeat_of"].where(rows["repeat_of"] != "", None)
    return RATINGS.frame(rows[RATINGS.names])


def stored_answers(folder: RatingsFolder) -> list[Answers]:
    """Every imported file, judged anew by the key of its sheet."""
    files = [(file, read_answers(file)) for file in folder.answers()]
    return [judge(file, rows, folder.key(rows["sheet"].iloc[0])) for file, rows in files]


def build_agreement(ratings: pd.DataFrame, metrics: MetricsSettings) -> pd.DataFrame:
    """Agreement among raters and with the model, as a `RATING_AGREEMENT` frame."""
    rows: list[Row] = []
    for sheet, of_sheet in _first_answers(ratings).groupby("sheet"):
        for subject, scale in SCALES.items():
            judged = of_sheet.pivot(index="item", columns="rater", values=subject)
            places = judged.apply(lambda column, scale=scale: column.map(scale.index))
            for row in _among_raters(places, metrics):
                rows.append({"sheet": sheet, "subject": subject, **row})
        for row in _with_the_model(of_sheet, metrics):
            rows.append({"sheet": sheet, "subject": "informativeness", **row})
    return RATING_AGREEMENT.frame(rows)


def _first_answers(ratings: pd.DataFrame) -> pd.DataFrame:
    return ratings[ratings["repeat_of"].isna()]


def _among_raters(places: pd.DataFrame, metrics: MetricsSettings) -> Iterator[Row]:
    """Alpha over all raters, and kappa of each pair.

    Args:
        places: items x raters, each judgement as its place on the scale.
        metrics: for resamples and their seed.
    """
    names = [str(name) for name in places.columns]
    if len(names) < 2:
        return
    values = places.to_numpy(dtype=int)
    size = {"items": len(places), "raters": len(names)}
    for scale in ("nominal", "ordinal"):
        found = alpha(values, scale, metrics.resamples, metrics.seed)
        yield {"statistic": f"alpha_{scale}", "first": ALL_RATERS, **_interval(found), **size}
    items = np.arange(len(places))
    for one, other in combinations(range(len(names)), 2):
        found = quadratic_kappa(
            values[:, one], values[:, other], items, metrics.resamples, metrics.seed
        )
        pair = {"first": names[one], "second": names[other]}
        yield {"statistic": "quadratic_kappa", **pair, **_interval(found), **size, "raters": 2}


def _with_the_model(ratings: pd.DataFrame, metrics: MetricsSettings) -> Iterator[Row]:
    """Kappa of the levels heard and the model's, for all judgements together and each rater's."""
    groups = [(ALL_RATERS, ratings), *ratings.groupby("rater")]
    for name, rows in groups:
        heard, said = (
            rows[column].map(LEVELS.index).to_numpy(dtype=int)
            for column in ("informativeness", "level")
        )
        items, distinct = pd.factorize(rows["item"])
        found = quadratic_kappa(heard, said, items, metrics.resamples, metrics.seed)
        yield {
            "statistic": "quadratic_kappa",
            "first": name,
            "second": str(rows["grader"].iloc[0]),
            **_interval(found),
            "items": len(distinct),
            "raters": rows["rater"].nunique(),
        }


def build_preferences(ratings: pd.DataFrame, metrics: MetricsSettings) -> pd.DataFrame:
    """How descriptions fare against visual texts, as a `RATING_PREFERENCES` frame.

    One row for all of a sheet, and one for each of its benchmarks, variants and levels.
    """
    rows: list[Row] = []
    for sheet, of_sheet in _first_answers(ratings).groupby("sheet"):
        for place, part in _parts(of_sheet):
            rows.append({"sheet": sheet, **place, **_preference(part, metrics)})
    return RATING_PREFERENCES.frame(rows)


def _parts(ratings: pd.DataFrame) -> Iterator[tuple[Row, pd.DataFrame]]:
    whole = {"benchmark": "all", "variant": "all", "subset": SUBSETS[0]}
    yield whole, ratings
    for column, source in (("benchmark", "benchmark"), ("variant", "variant"), ("subset", "level")):
        for value, part in ratings.groupby(source, observed=True):
            yield {**whole, column: str(value)}, part


def _preference(ratings: pd.DataFrame, metrics: MetricsSettings) -> Row:
    chosen = ratings["preference"].astype(str)
    judged = ratings.assign(
        share=chosen.map(SHARE),
        gain=ratings["description_rating"] - ratings["visual_rating"],
    )
    share, gain = (
        mean(
            judged.pivot(index="item", columns="rater", values=column).to_numpy(dtype=float),
            metrics.resamples,
            metrics.seed,
        )
        for column in ("share", "gain")
    )
    return {
        "for_description": int((chosen == "description").sum()),
        "same": int((chosen == "same").sum()),
        "for_visual": int((chosen == "visual").sum()),
        "share": share.value,
        "ci_low": share.low,
        "ci_high": share.high,
        "gain": gain.value,
        "gain_ci_low": gain.low,
        "gain_ci_high": gain.high,
        "items": ratings["item"].nunique(),
        "raters": ratings["rater"].nunique(),
    }


def _interval(found: Estimate) -> Row:
    return {"value": found.value, "ci_low": found.low, "ci_high": found.high}
