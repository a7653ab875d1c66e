"""`late_fusion`: two or more encoders whose similarities are averaged (method section 6.4).

The weighted mean of their cosines is the cosine of their unit vectors set side by side, each scaled
by the root of its weight: so a fused encoder is vectors like any other, and scoring needs to know
nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

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


def fused_key(keys: Mapping[str, str], settings: LateFusionSettings) -> str:
    """The key of a fused vector: those of its parts, and their weights."""
    return canonical_hash({"parts": dict(keys), "weights": dict(settings.weights)})
