"""The authors' own descriptions and levels as one more variant, and one more grader: `paper`.

They come from files, not from a language model that was asked: their key is their content.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from resources.hashing import canonical_hash
from resources.tables import DESCRIPTIONS, INFORMATIVENESS

PAPER = "paper"
MODEL = "as published"
"""The files don't say which model answered (method section 7.1)."""


def with_paper_descriptions(
    table: pd.DataFrame, published: pd.DataFrame, benchmark: str
) -> pd.DataFrame:
    """DESCRIPTIONS with the variant `paper` added.

    Args:
        table: DESCRIPTIONS, as answered.
        published: `text_id, text, description` of the authors' files; may be empty.
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
    return [
        {
            "benchmark": benchmark,
            "item_kind": "text",
            "item_id": text_id,
            "effect": "excluded",
            "encoder": None,
            "stage": "descriptions",
            "reason": "not published",
            "detail": f"{PAPER}: {text!r}: in none of the authors' files that the config names",
        }
        for text_id, text in zip(missing["text_id"], missing["text"], strict=True)
    ]


def _joined(
    table: pd.DataFrame, published: pd.DataFrame, benchmark: str, source: str, value: str
) -> pd.DataFrame:
    if published.empty:
        return table
    keys = [
        canonical_hash({"text": text, value: given})
        for text, given in zip(published["text"], published[value], strict=True)
    ]
    added = published.assign(benchmark=benchmark, model=MODEL, key=keys, **{source: PAPER})
    return pd.concat([table.astype(object), added.astype(object)], ignore_index=True)
