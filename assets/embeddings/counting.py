"""Counts of one materialization: what was reused, made and given up."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from resources.counts import Counts


def count(
    table: pd.DataFrame,
    previous: pd.DataFrame | None,
    made: Collection[str],
    failed: int,
    item: list[str],
) -> Counts:
    """Count a table's rows by what became of them.

    Args:
        table: the rows now, with the columns of `item` and `key`.
        previous: the rows of the last table, or None.
        made: the keys whose vectors were computed now; all others were reused.
        failed: wanted rows without a vector.
        item: the columns that name an item, whatever its key.
    """
    before = set() if previous is None else set(_items(previous, item))
    now = _items(table, item)
    fresh = [name for name, key in zip(now, table["key"], strict=True) if key in made]
    stale = sum(name in before for name in fresh)
    return Counts(
        wanted=len(table) + failed,
        reused=len(table) - len(fresh),
        new=len(fresh) - stale,
        stale=stale,
        orphaned=len(before - set(now)),
        failed=failed,
    )


def _items(table: pd.DataFrame, item: list[str]) -> list[tuple[object, ...]]:
    return list(table[item].astype(object).itertuples(index=False, name=None))
