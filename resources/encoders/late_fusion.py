"""`late_fusion`: two or more encoders whose similarities are averaged (method section 6.4).

The weighted mean of their cosines is the cosine of their unit vectors set side by side, each scaled
by the root of its weight: so a fused encoder is vectors like any other, and scoring needs to know
nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from resources.encoders.protocol import Vectors
from resources.hashing import canonical_hash
from resources.settings import LateFusionSettings


def fuse(vectors: Mapping[str, Vectors], weights: Mapping[str, float]) -> Vectors:
    """One item's unit vectors, each `(d_i,)`, by encoder, as one of unit length.

    Args:
        vectors: by the names in `weights`.
        weights: shares by encoder; only their ratio counts.
    """
    total = sum(weights.values())
    scaled = [np.sqrt(weight / total) * vectors[name] for name, weight in weights.items()]
    return np.concatenate(scaled).astype(np.float32)


def fuse_rows(parts: Mapping[str, pd.DataFrame], settings: LateFusionSettings) -> pd.DataFrame:
    """The items that all encoders have: `key` and `vector`, under the index of the parts.

    Args:
        parts: `key` and `vector` by encoder, one row an item of their indexes.
        settings: names encoders and weights.
    """
    both = pd.concat(
        {part: rows[["key", "vector"]] for part, rows in parts.items()}, axis=1, join="inner"
    )

    def of_parts(column: str) -> list[dict[str, Any]]:
        cells = zip(*(both[part, column] for part in parts), strict=True)
        return [dict(zip(parts, row, strict=True)) for row in cells]

    keys = [fused_key(keys, settings) for keys in of_parts("key")]
    vectors = [fuse(vectors, settings.weights) for vectors in of_parts("vector")]
    return pd.DataFrame({"key": keys, "vector": vectors}, index=both.index, dtype=object)


def fused_key(keys: Mapping[str, str], settings: LateFusionSettings) -> str:
    """The key of a fused vector: those of its parts, and their weights."""
    return canonical_hash({"parts": dict(keys), "weights": dict(settings.weights)})
