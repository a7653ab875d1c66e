"""How far graders agree: two prompts, or two models, on the same texts (method section 7.2).

Kappa is Cohen's: agreement beyond what the graders' own habits would give by chance. The quadratic
one counts low against high as four times the disagreement of neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from resources.tables import LEVELS


@dataclass(frozen=True)
class Agreement:
    """How two graders agree on the texts that both graded.

    Attributes:
        texts: how many texts that are.
        exact: share of equal levels.
        kappa: Cohen's; None where chance agreement is 1.
        quadratic_kappa: with quadratic weights; None likewise.
        confusion: 3 x 3 counts, rows the first grader's levels from low to high.
    """

    first: str
    second: str
    texts: int
    exact: float
    kappa: float | None
    quadratic_kappa: float | None
    confusion: tuple[tuple[int, ...], ...]


def grader_agreement(informativeness: pd.DataFrame) -> list[Agreement]:
    """Every pair of graders of a table INFORMATIVENESS that have a text in common."""
    levels = informativeness.assign(level=informativeness["level"].astype(str)).pivot(
        index="text_id", columns="grader", values="level"
    )
    pairs = []
    for first, second in combinations(sorted(map(str, levels.columns)), 2):
        both = levels[[first, second]].dropna()
        if len(both):
            pairs.append(_agreement(first, second, list(both[first]), list(both[second])))
    return pairs


def weighted_kappa(confusion: np.ndarray, weights: np.ndarray) -> float | None:
    """1 - observed / expected disagreement.

    Args:
        confusion: counts, levels x levels.
        weights: how much each cell disagrees, 0 on the diagonal, levels x levels.

    Returns:
        At most 1; None where no disagreement is expected, since all fell into one level.
    """
    share = confusion / confusion.sum()
    expected = np.outer(share.sum(axis=1), share.sum(axis=0))
    by_chance = float((weights * expected).sum())
    return None if by_chance == 0 else 1 - float((weights * share).sum()) / by_chance


def _agreement(
    first: str, second: str, first_levels: Sequence[str], second_levels: Sequence[str]
) -> Agreement:
    confusion = np.zeros((len(LEVELS), len(LEVELS)), dtype=int)
    for one, other in zip(first_levels, second_levels, strict=True):
        confusion[LEVELS.index(one), LEVELS.index(other)] += 1
    distance = np.abs(np.subtract.outer(np.arange(len(LEVELS)), np.arange(len(LEVELS))))
    return Agreement(
        first=first,
        second=second,
        texts=int(confusion.sum()),
        exact=float(np.trace(confusion) / confusion.sum()),
        kappa=weighted_kappa(confusion, (distance > 0).astype(float)),
        quadratic_kappa=weighted_kappa(confusion, distance.astype(float) ** 2),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )
