"""Reads raters' files, and says of each why it can't be trusted, if it can't.

A file is accepted whole or rejected whole: half a rater would tilt the sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from resources.tables import LEVELS

COLUMNS = (
    "sheet",
    "rater",
    "item",
    "rating_a",
    "rating_b",
    "preference",
    "informativeness",
    "plays",
)
ALLOWED = {
    "rating_a": tuple("12345"),
    "rating_b": tuple("12345"),
    "preference": ("a", "same", "b"),
    "informativeness": LEVELS,
}
MOST_CONTRADICTIONS = 0.1
"""Share of items in which the text rated worse may be the preferred one: slips happen."""
FEWEST_HELD = 0.5
"""Share of hidden repeats that must hold. Of careful raters' about three in four do, of random
answers' one in fourteen."""
CONSTANT_FROM = 10
"""With this many items, always the same answer is no judgement any more."""
_SHOWN = 5


class AnswerError(ValueError):
    """A file is no rater's file, or of no sheet drawn here; the message names file and remedy."""


@dataclass(frozen=True)
class Answers:
    """One rater's answers to one sheet, and what speaks against them.

    Attributes:
        rows: `COLUMNS`, as text, in the order of the file.
        problems: why they are rejected; none: they are accepted.
        repeats, held: hidden repeats, and those that were answered alike.
        contradictions: items whose preferred text was rated worse than the other.
    """

    file: Path
    sheet: str
    rater: str
    rows: pd.DataFrame
    problems: tuple[str, ...]
    repeats: int = 0
    held: int = 0
    contradictions: int = 0

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against them."""
        return not self.problems


def read_answers(file: Path) -> pd.DataFrame:
    """A rater's file as it is: `COLUMNS`, all of one sheet and one named rater.

    Raises:
        AnswerError: it is no such file.
    """
    try:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig").fillna("")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise AnswerError(f"{file}: no CSV that can be read: {error}") from error
    if missing := [name for name in COLUMNS if name not in rows.columns]:
        raise AnswerError(
            f"{file}: no column {', '.join(missing)}. Hand in the file just as the page saved it; "
            "spreadsheets tend to change it."
        )
    for name in ("sheet", "rater"):
        found = sorted(rows[name].str.strip().unique())
        if len(found) != 1 or not found[0]:
            told = ", ".join(found[:_SHOWN]) or "none"
            raise AnswerError(f"{file}: one {name} a file, this one has {told}")
    return rows[list(COLUMNS)].apply(lambda column: column.str.strip())


def judge(file: Path, rows: pd.DataFrame, key: pd.DataFrame) -> Answers:
    """What speaks against a rater's answers.

    Args:
        file: where they come from.
        rows: from `read_answers`.
        key: the sheet's key, from `RatingsFolder.key`.
    """
    sheet, rater = rows["sheet"].iloc[0], rows["rater"].iloc[0]
    wrong = (*_wrong_items(rows, key), *_wrong_values(rows))
    if wrong:
        return Answers(file, sheet, rater, rows, wrong)
    unblinded = unblind(rows, key)
    again = unblinded[unblinded["repeat_of"] != ""]
    first = unblinded.set_index("item").loc[again["repeat_of"]]
    held = _held(first.reset_index(), again.reset_index())
    contradictions = int(_contradicts(rows).sum())
    return Answers(
        file,
        sheet,
        rater,
        rows,
        (*_doubts(rows, contradictions), *_unsteady(held, len(again))),
        repeats=len(again),
        held=held,
        contradictions=contradictions,
    )


def unblind(rows: pd.DataFrame, key: pd.DataFrame) -> pd.DataFrame:
    """Answers with the key's columns, said of the description and the visual text.

    Args:
        rows: valid answers, one for each item.
        key: the sheet's key.

    Returns:
        The key's columns, `sheet, rater, informativeness, plays`, and `description_rating,
        visual_rating` (1 to 5), `preference` (`description`, `visual`, `same`), in the key's order.
    """
    both = key.merge(rows, on="item", how="inner")
    is_a = both["description_side"] == "a"
    sides = {"a": is_a.map({True: "description", False: "visual"})}
    sides["b"] = is_a.map({True: "visual", False: "description"})
    preference = both["preference"].where(both["preference"] == "same")
    for side, variant in sides.items():
        preference = preference.where(both["preference"] != side, variant)
    return both.assign(
        description_rating=both["rating_a"].where(is_a, both["rating_b"]).astype(int),
        visual_rating=both["rating_b"].where(is_a, both["rating_a"]).astype(int),
        preference=preference,
        plays=both["plays"].astype(int),
    ).drop(columns=["rating_a", "rating_b"])


def _wrong_items(rows: pd.DataFrame, key: pd.DataFrame) -> Iterator[str]:
    wanted, given = set(key["item"]), rows["item"]
    missing = [item for item in key["item"] if item not in set(given)]
    if missing:
        yield (
            f"{len(missing)} of {len(key)} items are not answered; the rater's page still has the "
            "others: answer these and save again"
        )
    if strange := [item for item in given if item not in wanted]:
        yield f"{len(strange)} items are not on the sheet: {_some(strange)}"
    doubled = rows[given.duplicated(keep=False)]
    if len(doubled):
        differ = doubled.drop_duplicates()["item"]
        contradict = list(dict.fromkeys(differ[differ.duplicated()]))
        told = f", {len(contradict)} with other answers: {_some(contradict)}" if contradict else ""
        yield f"{doubled['item'].nunique()} items are answered more than once{told}"


def _wrong_values(rows: pd.DataFrame) -> Iterator[str]:
    for name, allowed in ALLOWED.items():
        bad = rows[~rows[name].isin(allowed)]
        if len(bad):
            row = bad.iloc[0]
            yield (
                f"{name} is {row[name]!r} for item {row['item']}, one of {', '.join(allowed)} is "
                f"allowed ({len(bad)} such rows)"
            )
    unheard = rows[~rows["plays"].str.fullmatch(r"[1-9][0-9]{0,5}")]
    if len(unheard):
        yield f"{len(unheard)} items were rated unheard: {_some(unheard['item'])}"


def _contradicts(rows: pd.DataFrame) -> pd.Series:
    """Where one text is rated better and the other preferred."""
    rated = rows[["rating_a", "rating_b"]].astype(int)
    better = rated["rating_a"] - rated["rating_b"]
    preferred = rows["preference"].map({"a": 1, "same": 0, "b": -1})
    return better * preferred < 0


def _doubts(rows: pd.DataFrame, contradictions: int) -> Iterator[str]:
    if contradictions > MOST_CONTRADICTIONS * len(rows):
        yield (
            f"in {contradictions} of {len(rows)} items the preferred text is the one rated worse "
            f"(at most {MOST_CONTRADICTIONS:.0%} may)"
        )
    if len(rows) < CONSTANT_FROM:
        return
    for name in ("preference", "informativeness"):
        if rows[name].nunique() == 1 and rows[name].iloc[0] != "same":
            yield f"{name} is {rows[name].iloc[0]} for every item"
    if rows[["rating_a", "rating_b"]].stack().nunique() == 1:
        yield f"every text is rated {rows['rating_a'].iloc[0]}"


def _held(first: pd.DataFrame, again: pd.DataFrame) -> int:
    """Repeats answered alike: ratings a step apart at most, levels too, and the same preference."""
    alike = first["preference"] == again["preference"]
    for name in ("description_rating", "visual_rating"):
        alike &= (first[name] - again[name]).abs() <= 1
    steps = {level: step for step, level in enumerate(LEVELS)}
    levels = [rows["informativeness"].map(steps) for rows in (first, again)]
    return int((alike & ((levels[0] - levels[1]).abs() <= 1)).sum())


def _unsteady(held: int, repeats: int) -> Iterator[str]:
    if held < FEWEST_HELD * repeats:
        yield (
            f"of {repeats} sounds that came twice only {held} were answered alike "
            f"(at least {FEWEST_HELD:.0%} must be)"
        )


def _some(items: object) -> str:
    listed = [str(item) for item in items]  # type: ignore[attr-defined]
    return ", ".join(listed[:_SHOWN]) + (" ..." if len(listed) > _SHOWN else "")
