"""The tables `captions` and `relevance`: texts to search by, and pairs of own benchmarks."""

from __future__ import annotations

import pandas as pd

from assets.benchmarks.annotations import Annotations
from resources.tables import CAPTIONS, RELEVANCE, text_id


def build_captions(annotations: Annotations) -> pd.DataFrame:
    """The benchmark's query texts, as a `CAPTIONS` frame; none where it asks questions."""
    captions = annotations.captions.assign(
        benchmark=annotations.benchmark, text_id=annotations.captions["text"].map(text_id)
    )
    return CAPTIONS.frame(captions)


def build_relevance(annotations: Annotations) -> pd.DataFrame:
    """The pairs that a user's benchmark brings, as a `RELEVANCE` frame; else none.

    Official benchmarks have none here: theirs follows from classes, computed in blocks.
    """
    return RELEVANCE.frame(annotations.relevance.assign(benchmark=annotations.benchmark))
