"""The authors' own descriptions and levels as one more variant, and one more grader: `paper`.

They come from files, not from a language model that was asked: their key is their content.
"""

from __future__ import annotations

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
