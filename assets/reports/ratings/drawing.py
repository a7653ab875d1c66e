"""Draws the items of a rating sheet: which clips, which texts, and on which side each text stands.

The sample is stratified by benchmark and by the model's informativeness level, with as nearly the
same number of clips from each as there are, so that rare levels are heard too. Who opens the page
can't tell which text is the visual one; only the key, which stays behind, says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from assets.benchmarks.ego_mcq import clean_speaker_tags
from resources.lake import Lake
from resources.tables import CLIPS, DESCRIPTIONS, INFORMATIVENESS, MEDIA

LONGEST_S = 20.0
"""Of a longer clip its first seconds are heard: a page of long clips would be too large to send."""
REPEATED = 0.05
"""This share of the items comes back once, sides swapped, to see whether a rater is consistent."""
SIDES = ("a", "b")

KEY_COLUMNS = (
    "item",
    "benchmark",
    "clip_id",
    "text_id",
    "text",
    "variant",
    "description",
    "grader",
    "level",
    "description_side",
    "repeat_of",
)
"""What the key says of each item, in the order in which raters meet them."""


class DrawingError(ValueError):
    """No sheet can be drawn from these tables; the message says what is missing."""


def read_candidates(
    lake: Lake, benchmarks: Sequence[str], variants: Sequence[str], grader: str | None
) -> pd.DataFrame:
    """Every usable clip that has a description and a level, once for each description.

    Args:
        lake: where the tables lie.
        benchmarks: whose clips.
        variants: whose descriptions; none named: all there are.
        grader: whose levels; None where there is only one grader.

    Returns:
        The columns `benchmark, clip_id, path, start_s, stop_s, text_id, text, variant,
        description, grader, level`.

    Raises:
        DrawingError: no clip is left, or it is not clear whose levels are meant.
        TableError: a table is not there yet.
    """
    parts = []
    for benchmark in benchmarks:
        media = lake.read(MEDIA, benchmark)[["video_id", "path"]]
        clips = lake.read(CLIPS, benchmark).merge(media, on="video_id")
        own = ["benchmark", "clip_id", "path", "start_s", "stop_s", "text_id", "text"]
        descriptions = lake.read(DESCRIPTIONS, benchmark)[["text_id", "variant", "description"]]
        levels = lake.read(INFORMATIVENESS, benchmark)[["text_id", "grader", "level"]]
        found = clips.loc[clips["usable"], own].merge(descriptions, on="text_id")
        parts.append(found.merge(levels, on="text_id"))
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.astype(dict.fromkeys(("benchmark", "variant", "grader", "level"), object))
    rows = _of_grader(rows, grader)
    known = sorted(rows["variant"].unique())
    if unknown := sorted(set(variants) - set(known)):
        raise DrawingError(f"no descriptions of {', '.join(unknown)}; there are {', '.join(known)}")
    rows = rows[rows["variant"].isin(variants or known) & (rows["description"] != rows["text"])]
    if rows.empty:
        raise DrawingError("no usable clip has a description and a level: run the benchmark first")
    return rows.sort_values(["benchmark", "clip_id", "variant"], ignore_index=True)


def _of_grader(rows: pd.DataFrame, grader: str | None) -> pd.DataFrame:
    known = sorted(rows["grader"].unique())
    if grader is None and len(known) > 1:
        raise DrawingError(f"there are several graders, name one: {', '.join(known)}")
    if grader is not None and grader not in known:
        raise DrawingError(f"no levels of {grader}; there are {', '.join(known) or 'none'}")
    return rows if grader is None else rows[rows["grader"] == grader]


def draw_items(candidates: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Draw a sheet's items, hide which side is the description, and add hidden repeats.

    Args:
        candidates: from `read_candidates`.
        count: how many different clips; fewer where there are no more.
        seed: decides everything that is drawn.

    Returns:
        `KEY_COLUMNS` and `path, start_s, stop_s` (of what is heard), in the order of the sheet.
        An item's id says nothing but its place.
    """
    rng = np.random.default_rng(seed)
    drawn = _one_variant_each(candidates, _stratified(candidates, count, rng), rng)
    drawn = drawn.iloc[rng.permutation(len(drawn))].reset_index(drop=True)
    half_and_half = np.resize(SIDES, len(drawn))
    drawn["description_side"] = rng.permutation(half_and_half)
    drawn["stop_s"] = np.minimum(drawn["stop_s"], drawn["start_s"] + LONGEST_S)
    return _with_repeats(drawn, rng)


def _stratified(candidates: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Clips in turn from each stratum, until there are enough; no text again before all others."""
    clips = candidates.drop_duplicates(["benchmark", "clip_id"])
    clips = clips.iloc[rng.permutation(len(clips))]
    again = clips.groupby(["benchmark", "text_id"]).cumcount()
    clips = clips.iloc[np.argsort(again.to_numpy(), kind="stable")]
    turn = clips.groupby(["benchmark", "level"]).cumcount()
    return clips.iloc[np.argsort(turn.to_numpy(), kind="stable")[:count]]


def _one_variant_each(
    candidates: pd.DataFrame, clips: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """For each clip one of its descriptions, variants in turn within a stratum."""
    offset = int(rng.integers(len(candidates)))
    turns = clips.groupby(["benchmark", "level"]).cumcount() + offset
    wanted = clips[["benchmark", "clip_id"]].assign(turn=turns)
    rows = wanted.merge(candidates, on=["benchmark", "clip_id"], sort=False)
    of_clip = rows.groupby(["benchmark", "clip_id"], sort=False)
    chosen = of_clip.cumcount() == rows["turn"] % of_clip["variant"].transform("size")
    return rows[chosen].drop(columns="turn")


def _with_repeats(drawn: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Some items of the first third once more in the last third, with sides swapped."""
    third = max(len(drawn) // 3, 1)
    count = min(max(round(REPEATED * len(drawn)), 1), third)
    chosen = np.sort(rng.choice(third, count, replace=False))
    repeats = drawn.iloc[chosen].assign(
        description_side=lambda rows: rows["description_side"].map({"a": "b", "b": "a"})
    )
    after = np.sort(rng.integers(len(drawn) - third, len(drawn) + 1, count))
    places = np.concatenate([np.arange(len(drawn), dtype=float), after - 0.5])
    order = np.argsort(places, kind="stable")
    items = pd.concat([drawn, repeats], ignore_index=True).iloc[order].reset_index(drop=True)
    items["item"] = [_item_id(place) for place in range(len(items))]
    id_of = dict(zip(order, items["item"], strict=True))
    original = dict(zip(range(len(drawn), len(items)), chosen, strict=True))
    items["repeat_of"] = [id_of[original[row]] if row in original else "" for row in order]
    return items[[*KEY_COLUMNS, "path", "start_s", "stop_s"]]


def _item_id(place: int) -> str:
    return hashlib.sha256(f"item {place}".encode()).hexdigest()[:8]


def shown_texts(items: pd.DataFrame) -> list[tuple[str, str]]:
    """The texts that raters see as A and B, in one style, so that the style gives nothing away."""
    pairs = zip(items["description"], items["text"], items["description_side"], strict=True)
    return [
        (_styled(description), _styled(text))
        if side == "a"
        else (_styled(text), _styled(description))
        for description, text, side in pairs
    ]


def _styled(text: str) -> str:
    """Without annotators' tags (`#C C`), starting with a capital letter, without a full stop."""
    plain = clean_speaker_tags(text).strip().rstrip(".")
    return plain[:1].upper() + plain[1:]
