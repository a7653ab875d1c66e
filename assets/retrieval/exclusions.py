"""The table `exclusions`: what every stage left out or altered, where all of it is known."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from resources.tables import EXCLUSIONS


def embedding_rows(embedding_exclusions: pd.DataFrame) -> pd.DataFrame:
    """What encoders have no vector of, in the form of `exclusions`."""
    return EXCLUSIONS.frame(embedding_exclusions.assign(effect="excluded", stage="embeddings"))


def gather(stages: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One table of all stages' rows; a row that two encoders or variants share occurs once.

    Args:
        stages: frames in the form of `exclusions`.
    """
    rows = [frame.astype(object) for frame in stages if len(frame)]
    both = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=EXCLUSIONS.names)
    return EXCLUSIONS.frame(both.drop_duplicates())
