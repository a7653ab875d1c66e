"""Signs that rewriting failed as the paper's own sometimes did, counted per variant.

They are shares of a table DESCRIPTIONS, for warnings: a description that still speaks of what is
seen, one that many texts have in common, one that hardly differs from the text it was made from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from assets.descriptions.few_shot import find_visual_words

ALIKE = 0.7
"""Share of words in common (Jaccard) from which a description hardly differs from its text."""

TOLERATED = {"visual": 0.02, "repeated": 0.25, "unchanged": 0.05}
"""The share of each sign from which on it deserves a warning: a first guess, ours. Texts that sound
alike may well share a description, so that repeating is tolerated most."""


@dataclass(frozen=True)
class FailureSigns:
    """Shares of one variant's descriptions.

    Attributes:
        visual: that have a word which speaks of what is seen.
        repeated: that another text's description repeats word for word.
        unchanged: that hardly differ from their text.
        examples: the first few of each kind, as `kind: text -> description`.
    """

    variant: str
    descriptions: int
    visual: float
    repeated: float
    unchanged: float
    examples: tuple[str, ...]

    def warnings(self) -> list[str]:
        """A sentence for each sign that is too frequent, with examples."""
        shares = {"visual": self.visual, "repeated": self.repeated, "unchanged": self.unchanged}
        return [
            f"{self.variant}: {share:.0%} of {self.descriptions} descriptions are {sign}, "
            f"more than {TOLERATED[sign]:.0%}: "
            + "; ".join(line for line in self.examples if line.startswith(sign))
            for sign, share in shares.items()
            if share > TOLERATED[sign]
        ]


def failure_signs(
    descriptions: pd.DataFrame, visual_words: Sequence[str], examples: int = 3
) -> list[FailureSigns]:
    """The signs of each variant, sorted by variant; `examples` are shown of each."""
    return [
        _signs(str(variant), rows, visual_words, examples)
        for variant, rows in descriptions.groupby("variant", observed=True, sort=True)
    ]


def before_and_after(descriptions: pd.DataFrame, count: int = 5) -> pd.DataFrame:
    """The first texts (by id, so as good as random) beside what each variant made of them.

    Returns:
        `text`, then one column a variant.
    """
    chosen = sorted(descriptions["text_id"].unique())[:count]
    rows = descriptions[descriptions["text_id"].isin(chosen)]
    wide = rows.assign(variant=rows["variant"].astype(str)).pivot(
        index="text", columns="variant", values="description"
    )
    return wide.reset_index().rename_axis(columns=None)


def _signs(
    variant: str, rows: pd.DataFrame, visual_words: Sequence[str], examples: int
) -> FailureSigns:
    folded = rows["description"].map(lambda text: " ".join(_words(text)))
    signs = {
        "visual": rows["description"].map(lambda text: bool(find_visual_words(text, visual_words))),
        "repeated": folded.duplicated(keep=False),
        "unchanged": pd.Series(
            [
                _alike(text, description) >= ALIKE
                for text, description in zip(rows["text"], rows["description"], strict=True)
            ],
            index=rows.index,
        ),
    }
    shown = [
        f"{kind}: {row.text} -> {row.description}"
        for kind, marked in signs.items()
        for row in rows[marked].head(examples).itertuples()
    ]
    shares = {kind: float(marked.mean()) for kind, marked in signs.items()}
    return FailureSigns(variant, len(rows), **shares, examples=tuple(shown))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def _alike(one: str, other: str) -> float:
    first, second = set(_words(one)), set(_words(other))
    return len(first & second) / len(first | second) if first | second else 1.0
