"""The authors' own descriptions and levels as one more variant, and one more grader: `paper`.

They come from files, not from a language model that was asked: their key is their content.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from resources.hashing import canonical_hash
from resources.tables import DESCRIPTIONS, INFORMATIVENESS

PAPER = "paper"
SEVERAL = "several descriptions published"
MODEL = "as published"
"""The files don't say which model answered (method section 7.1)."""


def with_paper_descriptions(
    table: pd.DataFrame, published: pd.DataFrame, benchmark: str
) -> pd.DataFrame:
    """DESCRIPTIONS with the variant `paper` added.

    Args:
        table: DESCRIPTIONS, as answered.
        published: the authors' files (see `paper_descriptions`); may be empty.
        benchmark: whose.
    """
    return DESCRIPTIONS.frame(_joined(table, published, benchmark, "variant", "description"))


def with_paper_levels(table: pd.DataFrame, published: pd.DataFrame, benchmark: str) -> pd.DataFrame:
    """INFORMATIVENESS with the grader `paper` added (arguments: `with_paper_descriptions`)."""
    return INFORMATIVENESS.frame(_joined(table, published, benchmark, "grader", "level"))


def paper_exclusions(
    texts: pd.DataFrame, published: pd.DataFrame, benchmark: str
) -> list[dict[str, Any]]:
    """The texts that the authors' files say nothing of, in the form of EXCLUSIONS.

    Args:
        texts: `text_id, text`, distinct: those that are wanted.
        published: what their files hold of this kind; where it is empty, nothing is missed.
        benchmark: whose.
    """
    if published.empty:
        return []
    missing = texts[~texts["text_id"].isin(published["text_id"])]
    where = "in none of the authors' files that the config names"
    return [
        _listed(benchmark, text_id, "excluded", "not published", f"{text!r}: {where}")
        for text_id, text in zip(missing["text_id"], missing["text"], strict=True)
    ]


def paper_alterations(published: pd.DataFrame, benchmark: str) -> list[dict[str, Any]]:
    """The texts whose rows carry several published descriptions, in the form of EXCLUSIONS.

    The authors score each row with its own; here a text has one description.

    Args:
        published: see `paper_descriptions`.
        benchmark: whose.
    """
    return [
        _listed(
            benchmark,
            row["text_id"],
            "altered",
            SEVERAL,
            f"{row['text']!r}: {row['description']!r} stands for every row; others have "
            + ", ".join(map(repr, row["others"])),
        )
        for row in published.to_dict("records")
        if row["others"]
    ]


def _listed(benchmark: str, text_id: str, effect: str, reason: str, detail: str) -> dict[str, Any]:
    return {
        "benchmark": benchmark,
        "item_kind": "text",
        "item_id": text_id,
        "effect": effect,
        "encoder": None,
        "stage": "descriptions",
        "reason": reason,
        "detail": f"{PAPER}: {detail}",
    }


def _joined(
    table: pd.DataFrame, published: pd.DataFrame, benchmark: str, source: str, value: str
) -> pd.DataFrame:
    if published.empty:
        return table
    keys = [
        canonical_hash({"text": text, value: given})
        for text, given in zip(published["text"], published[value], strict=True)
    ]
    given = published[["text_id", "text", value]]
    added = given.assign(benchmark=benchmark, model=MODEL, key=keys, **{source: PAPER})
    return pd.concat([table.astype(object), added.astype(object)], ignore_index=True)
