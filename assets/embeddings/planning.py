"""How many vectors a run would have to compute, told from keys alone: nothing is decoded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from assets.embeddings.audio import wanted_keys
from resources.encoders.catalog import build_encoder, single_encoders
from resources.encoders.precomputed import Precomputed
from resources.encoders.protocol import EncoderUnavailable
from resources.keys import text_key
from resources.settings import Settings
from resources.tables import normalized
from resources.vector_store import VectorStore


@dataclass(frozen=True)
class VectorPlan:
    """What one encoder would have to compute for one benchmark.

    Attributes:
        audio: new vectors of clips; None where no recording was measured yet.
        texts: new vectors of the texts that are known already.
        unavailable: why it can't run here, if so; then both are 0.
    """

    encoder: str
    audio: int | None
    texts: int
    unavailable: str | None = None


def plan_vectors(
    settings: Settings,
    texts: Collection[str],
    clips: pd.DataFrame | None,
    media: pd.DataFrame | None,
) -> list[VectorPlan]:
    """The plan of each encoder that computes; what is brought or fused costs nothing.

    Args:
        settings: names encoders, seeds and the cache folder.
        texts: all that are known to be wanted.
        clips: table `clips`, where it is there.
        media: table `media`, likewise.
    """
    distinct = {normalized(text) for text in texts}
    plans = []
    for name, encoder_settings in single_encoders(settings).items():
        try:
            encoder = build_encoder(name, encoder_settings, settings.cache_dir)
        except EncoderUnavailable as error:
            plans.append(VectorPlan(name, 0, 0, error.reason))
            continue
        if isinstance(encoder, Precomputed):
            continue
        store = VectorStore(settings.vectors_dir, encoder.fingerprint)
        audio = None
        if clips is not None and media is not None:
            audio = _new(store, wanted_keys(encoder, settings.seeds, clips, media))
        plans.append(
            VectorPlan(
                name, audio, _new(store, {text_key(t, encoder.fingerprint) for t in distinct})
            )
        )
    return plans


def _new(store: VectorStore, keys: set[str]) -> int:
    return len(keys - store.known(keys))
