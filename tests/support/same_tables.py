"""Two lakes compared: vectors and what is computed from them within 1e-6, all else exactly."""

from __future__ import annotations

import numpy as np
import pandas as pd

from resources.lake import Lake
from resources.tables import REQUESTS, TABLES

TOLERANCE = 1e-6


def assert_same_tables(one: Lake, other: Lake) -> int:
    """Compare all tables but the history of requests; how many files that were."""
    places = [
        (model, benchmark)
        for model in TABLES.values()
        if model is not REQUESTS
        for benchmark in (one.benchmarks(model) if model.partitioned else [None])
        if benchmark or one.holds(model)
    ]
    for model, benchmark in places:
        left, right = one.read(model, benchmark), other.read(model, benchmark)
        assert_same_rows(left, right, f"{model.name} of {benchmark}")
    return len(places)


def assert_same_rows(left: pd.DataFrame, right: pd.DataFrame, what: str) -> None:
    """Compare two frames of one table."""
    assert len(left) == len(right), what
    vectors = ["vector"] if "vector" in left else []
    numbers = list(left.select_dtypes("floating").columns)
    exact = [name for name in left if name not in {*vectors, *numbers}]
    pd.testing.assert_frame_equal(left[exact], right[exact], obj=what, check_exact=True)
    for name in [*vectors, *numbers]:
        pair = [np.stack(list(frame[name])) for frame in (left, right)] if len(left) else [0, 0]
        np.testing.assert_allclose(*pair, rtol=0, atol=TOLERANCE, err_msg=f"{name} of {what}")
