"""What the owner of a table looks for first: a few numbers of its rows, shown with every version.

An overview is plain data by name: numbers by name (drawn as bars), a frame (shown as a table), or
one number. What only the making of a table knows, such as reused rows, is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from resources.tables import MAIN_METRICS, MAIN_RELEVANCE_KINDS, VISUAL

Overview = Mapping[str, Any]

_MAIN = {"subset": "all", "similarity": "cosine"}
_SHOWN = 24


def overview(table: str, read: Callable[[list[str]], pd.DataFrame]) -> Overview:
    """What is shown of a table's rows; nothing for a table that needs no summing up.

    Args:
        table: its name.
        read: gives some columns of all its rows; no other is read.
    """
    if table not in _OVERVIEWS:
        return {}
    columns, make = _OVERVIEWS[table]
    rows = read(list(columns))
    return make(rows) if len(rows) else {}


def report_section(name: str) -> str:
    """The id of the report's part that speaks of a table or SQL model."""
    if name.startswith("paper_table_"):
        return name.removeprefix("paper_").replace("_", "-")
    return _SECTIONS.get(name, "provenance")


def _counted(column: str, empty: str = "none") -> Callable[[pd.DataFrame], dict[str, float]]:
    """Rows by the values of a column, most first; `empty` names its nulls."""

    def count(rows: pd.DataFrame) -> dict[str, float]:
        values = rows[column].astype(object).fillna(empty).astype(str)
        return {str(name): int(number) for name, number in values.value_counts().items()}

    return count


def _states(rows: pd.DataFrame) -> Overview:
    return {"usable, or why not": _counted("reason", empty="usable")(rows)}


def _by(name: str, column: str) -> Callable[[pd.DataFrame], Overview]:
    count = _counted(column)
    return lambda rows: {name: count(rows)}


def _requests(rows: pd.DataFrame) -> Overview:
    return {
        "cost_usd": round(float(rows["cost_usd"].sum()), 4),
        "requests without a known price": int(rows["cost_usd"].isna().sum()),
        "requests by prompt": _counted("variant")(rows),
        "requests by state": _counted("state")(rows),
    }


def _main(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of each benchmark's main metric over the whole gallery."""
    chosen = rows["metric"].isin(MAIN_METRICS) & rows["relevance_kind"].isin(MAIN_RELEVANCE_KINDS)
    for column, value in _MAIN.items():
        chosen &= rows[column] == value
    # The mean says it in one number; questions have no direction.
    return rows[chosen & (rows["direction"].isna() | (rows["direction"] == "mean"))].head(_SHOWN)


def _scores(rows: pd.DataFrame) -> Overview:
    return {
        "main scores, percent": {
            f"{row['encoder']} · {row['variant']} · {row['metric']}": round(100 * row["value"], 1)
            for row in _main(rows).to_dict("records")
        }
    }


def _comparisons(rows: pd.DataFrame) -> Overview:
    against_visual = _main(rows[rows["baseline"] == VISUAL])
    return {
        "gains over the visual text": pd.DataFrame(
            {
                "encoder": against_visual["encoder"],
                "variant": against_visual["variant"],
                "metric": against_visual["metric"],
                "points": (100 * against_visual["delta"]).round(1),
                "from": (100 * against_visual["ci_low"]).round(1),
                "to": (100 * against_visual["ci_high"]).round(1),
                "corrected p": against_visual["p_holm"].round(4),
            }
        )
    }


_MAIN_COLUMNS = (
    "encoder", "variant", "metric", "subset", "similarity", "relevance_kind", "direction",
)  # fmt: skip

_OVERVIEWS: dict[str, tuple[tuple[str, ...], Callable[[pd.DataFrame], Overview]]] = {
    "media": (("reason",), _states),
    "clips": (("reason",), _states),
    "questions": (
        ("reason", "kind"),
        lambda rows: {**_states(rows), **_by("questions by kind", "kind")(rows)},
    ),
    "few_shot_examples": (
        ("reason",),
        lambda rows: {"kept, or why not": _counted("reason", empty="kept")(rows)},
    ),
    "descriptions": (("variant",), _by("texts by prompt", "variant")),
    "description_exclusions": (("reason",), _by("texts by reason", "reason")),
    "informativeness": (("level",), _by("texts by level", "level")),
    "informativeness_exclusions": (("reason",), _by("texts by reason", "reason")),
    "requests": (("variant", "state", "cost_usd"), _requests),
    "subset_members": (("subset",), _by("items by level", "subset")),
    "audio_embeddings": (("encoder",), _by("vectors by encoder", "encoder")),
    "text_embeddings": (("encoder",), _by("vectors by encoder", "encoder")),
    "embedding_exclusions": (("reason",), _by("clips by reason", "reason")),
    "text_embedding_exclusions": (("reason",), _by("texts by reason", "reason")),
    "exclusions": (
        ("reason", "stage"),
        lambda rows: {
            "items by reason": _counted("reason")(rows),
            "items by stage": _counted("stage")(rows),
        },
    ),
    "scores": ((*_MAIN_COLUMNS, "value"), _scores),
    "comparisons": (
        (*_MAIN_COLUMNS, "baseline", "delta", "ci_low", "ci_high", "p_holm"),
        _comparisons,
    ),
}

_SECTIONS = {
    "media": "excluded",
    "clips": "excluded",
    "captions": "excluded",
    "questions": "excluded",
    "exclusions": "excluded",
    "description_exclusions": "excluded",
    "informativeness_exclusions": "excluded",
    "embedding_exclusions": "excluded",
    "text_embedding_exclusions": "excluded",
    "descriptions": "queries",
    "text_styles": "figure-style",
    "informativeness": "figure-informativeness",
    "subset_members": "figure-informativeness",
    "query_scores": "queries",
    "query_hits": "figure-recall",
    "scores": "tables",
    "comparisons": "figure-gain",
    "score_cells": "tables",
    "headline_scores": "findings",
    "lift_over_visual": "figure-gain",
    "informativeness_curve": "figure-informativeness",
    "style_against_gain": "figure-style",
    "style_by_variant": "figure-style",
    "style_traits": "figure-style",
    "precision_recall_by_style": "figure-style",
    "cost_by_prompt": "figure-cost",
    "main_query_scores": "queries",
    "most_changed_by_rewriting": "queries",
    "hardest_queries": "queries",
    "prompt_comparison": "queries",
    "excluded_by_reason": "excluded",
    "item_counts": "excluded",
}
