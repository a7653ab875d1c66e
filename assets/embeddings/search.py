"""Ranks clips for a free text: the vectors are the table's, only a new text is embedded."""

from __future__ import annotations

import numpy as np
import pandas as pd

from resources.encoders.catalog import build_encoder
from resources.encoders.late_fusion import fuse
from resources.encoders.precomputed import Precomputed
from resources.encoders.protocol import EncoderUnavailable, Vectors
from resources.keys import text_key
from resources.settings import LateFusionSettings, Settings
from resources.tables import normalized, text_id
from resources.vector_store import VectorStore


class SearchError(ValueError):
    """Nothing can be searched; the message says why, and what to do."""


def search(
    settings: Settings,
    encoder: str,
    text: str,
    embeddings: pd.DataFrame,
    clips: pd.DataFrame,
    count: int = 10,
) -> pd.DataFrame:
    """The clips most similar to a text.

    Args:
        settings: names the encoders.
        encoder: which of them.
        text: any text.
        embeddings: table `audio_embeddings`.
        clips: table `clips`.
        count: how many.

    Returns:
        `rank, clip_id, video_id, start_s, stop_s, text, similarity` (a cosine, averaged over
        seeds), the most similar first; equal ones by clip id.

    Raises:
        SearchError: the encoder is unknown, has no vectors, or can't embed this text here.
    """
    if encoder not in settings.encoders:
        raise SearchError(f"no encoder {encoder}; the config has {', '.join(settings.encoders)}.")
    rows = embeddings[embeddings["encoder"] == encoder]
    if rows.empty:
        raise SearchError(
            f"encoder {encoder} has no vectors of this benchmark: materialize `audio_embeddings`, "
            f"and see `embedding_exclusions` for the reason if it stays so."
        )
    try:
        vector = _text_vector(settings, encoder, normalized(text))
    except EncoderUnavailable as error:
        raise SearchError(f"encoder {encoder} can't embed this text: {error}") from error
    similarities = np.stack(list(rows["vector"])) @ vector
    ranked = (
        pd.DataFrame({"clip_id": rows["clip_id"].to_numpy(), "similarity": similarities})
        .groupby("clip_id", as_index=False)
        .mean()
        .sort_values(["similarity", "clip_id"], ascending=[False, True])
        .head(count)
        .merge(clips[["clip_id", "video_id", "start_s", "stop_s", "text"]], on="clip_id")
    )
    ranked.insert(0, "rank", range(1, len(ranked) + 1))
    return ranked[["rank", "clip_id", "video_id", "start_s", "stop_s", "text", "similarity"]]


def _text_vector(settings: Settings, name: str, text: str) -> Vectors:
    """One text's unit vector, `(d,)`."""
    encoder_settings = settings.encoders[name]
    if isinstance(encoder_settings, LateFusionSettings):
        parts = {part: _text_vector(settings, part, text) for part in encoder_settings.weights}
        return fuse(parts, encoder_settings.weights)
    encoder = build_encoder(name, encoder_settings, settings.cache_dir)
    if not isinstance(encoder, Precomputed):
        key = text_key(text, encoder.fingerprint)
        known = VectorStore(settings.vectors_dir, encoder.fingerprint).read([key])
        return known[key] if known else encoder.embed_texts([text])[0]
    vectors = encoder.text_vectors([text_id(text)])
    if not vectors:
        raise EncoderUnavailable(
            "no vector", "its vectors are brought by you, and there is none of this text among them"
        )
    return vectors[text_id(text)]
