"""What the report says of ratings by people: its figures as text, from the published tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

_WHOLE = """
    SELECT sheet, items, raters, format('{:.0f}', 100 * share) AS share,
        format('{:.0f} to {:.0f}', 100 * ci_low, 100 * ci_high) AS interval,
        CASE WHEN ci_low > 0.5 THEN 'gain' WHEN ci_high < 0.5 THEN 'loss' ELSE 'none' END AS verdict
    FROM rating_preferences
    WHERE benchmark = 'all' AND variant = 'all' AND subset = 'all' ORDER BY sheet
"""
_PREFERENCES = """
    SELECT sheet, benchmark, variant, subset, for_description, same, for_visual,
        format('{:.0f}', 100 * share) AS "preferred, %",
        format('{:.0f} to {:.0f}', 100 * ci_low, 100 * ci_high) AS "95 % interval",
        format('{:+.2f}', gain) AS "rated better by",
        format('{:.2f} to {:.2f}', gain_ci_low, gain_ci_high) AS "its interval", items
    FROM rating_preferences
    ORDER BY benchmark <> 'all', benchmark, variant <> 'all', variant,
        list_position(['all', 'low', 'moderate', 'high'], subset)
"""
_AGREEMENT = """
    SELECT sheet, first, subject, statistic, coalesce(second, 'one another') AS "raters with",
        coalesce(format('{:.2f}', value), '') AS value,
        coalesce(format('{:.2f} to {:.2f}', ci_low, ci_high), '') AS "95 % interval"
    FROM rating_agreement ORDER BY ALL
"""
_LEVELS = """
    SELECT sheet, model_level, human_level, judgements, format('{:.0f}', share) AS "share, %"
    FROM human_informativeness
    ORDER BY list_position(['low', 'moderate', 'high'], model_level),
        list_position(['low', 'moderate', 'high'], human_level)
"""
_REJECTED = "SELECT sheet, rater, reason FROM raters WHERE NOT accepted ORDER BY ALL"


@dataclass(frozen=True)
class SheetRatings:
    """What the raters of one sheet say; the frames' columns are headings.

    Attributes:
        whole: over all of the sheet, how often the description is preferred, and its verdict.
        preferences: the same by benchmark, prompt and level.
        agreement: of all raters, with one another and with the model.
        pairs: of each rater, with each other one and with the model.
        levels: the model's and the raters'.
    """

    whole: dict[Any, Any]
    preferences: pd.DataFrame
    agreement: pd.DataFrame
    pairs: pd.DataFrame
    levels: pd.DataFrame


@dataclass(frozen=True)
class RatingSection:
    """Every sheet that somebody's accepted ratings belong to, and the files that do not count."""

    sheets: list[SheetRatings]
    rejected: list[dict[Any, Any]]


def rating_section(rows: Callable[[str], pd.DataFrame]) -> RatingSection:
    """Read the section's content from the published file; `rows` gives a query's frame."""
    frames = [rows(sql) for sql in (_PREFERENCES, _AGREEMENT, _LEVELS)]

    def sheet(whole: dict[Any, Any]) -> SheetRatings:
        preferences, agreement, levels = (
            frame[frame["sheet"] == whole["sheet"]].drop(columns="sheet") for frame in frames
        )
        together = agreement["first"] == "all raters"
        return SheetRatings(
            whole,
            preferences,
            agreement[together].drop(columns="first"),
            agreement[~together].rename(columns={"first": "rater", "raters with": "with"}),
            levels,
        )

    whole = rows(_WHOLE).to_dict("records")
    return RatingSection([sheet(row) for row in whole], rows(_REJECTED).to_dict("records"))
