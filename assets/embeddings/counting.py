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
    now = _items(table, item)
    before = _items(table.iloc[:0] if previous is None else previous, item)
    fresh = table["key"].isin(made).to_numpy()
    known = now.isin(before)
    stale = int((fresh & known).sum())
    return Counts(
        wanted=len(table) + failed,
        reused=len(table) - int(fresh.sum()),
        new=int(fresh.sum()) - stale,
        stale=stale,
        orphaned=int((~before.isin(now)).sum()),
        failed=failed,
    )


def _items(table: pd.DataFrame, item: list[str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(table[item].astype(object))
