"""Audio embeddings: which vectors are wanted, which are known, and the table of them.

A vector's key is made from the recording's content hash, the segment's times, the crop rule, the
encoder's fingerprint and, only where it matters, the seed: what is known is told without
decoding anything (design section 4).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from assets.embeddings.counting import count
from assets.embeddings.engine import Fault, Progress, ReadSegments, Segment, embed_segments
from resources.counts import Counts
from resources.encoders.catalog import build_encoder
from resources.encoders.precomputed import Precomputed, vector_key
from resources.encoders.protocol import Encoder, EncoderUnavailable
from resources.hashing import canonical_hash
from resources.media.segments import read_segments
from resources.settings import AnyEncoder, Settings
from resources.tables import AUDIO_EMBEDDINGS, EMBEDDING_EXCLUSIONS
from resources.vector_store import VectorStore

TRAINING_SPLIT = "training split"
NO_VECTOR = "no vector"


@dataclass(frozen=True)
class AudioEmbeddings:
    """What `embed_clips` made: two tables and what became of the wanted rows."""

    embeddings: pd.DataFrame
    exclusions: pd.DataFrame
    counts: Counts


@dataclass(frozen=True)
class _EncoderResult:
    """One encoder's rows; `made` are the keys computed now, `failed` the rows that are missing."""

    rows: list[dict[str, Any]]
    exclusions: list[dict[str, Any]]
    made: Collection[str] = ()
    failed: int = 0


def embed_clips(
    settings: Settings,
    benchmark: str,
    clips: pd.DataFrame,
    media: pd.DataFrame,
    previous: pd.DataFrame | None = None,
    read_segments: ReadSegments = read_segments,
    progress: Progress | None = None,
) -> AudioEmbeddings:
    """Embed a benchmark's usable clips with every encoder of the config, once a seed.

    Args:
        settings: names the encoders, seeds and the cache folder.
        benchmark: the partition.
        clips: table `clips`.
        media: table `media`.
        previous: the last `audio_embeddings`, to tell new from stale rows.
        read_segments: where samples come from, if not from the media files.
        progress: called after each batch with clips done and clips to do.

    Returns:
        Tables `audio_embeddings` and `embedding_exclusions`, and the counts. An encoder that
        can't run here has one row in the second, and none in the first.
    """
    usable = clips[clips["usable"]].merge(
        media[["video_id", "path", "content_hash"]], on="video_id", how="left"
    )
    results = []
    for name, encoder_settings in settings.encoders.items():
        try:
            encoder = build_encoder(name, encoder_settings, settings.cache_dir)
            if isinstance(encoder, Precomputed):
                result = _look_up(encoder, benchmark, usable, settings.seeds)
            else:
                result = _embed(encoder, settings, usable, read_segments, progress)
        except EncoderUnavailable as error:
            result = _EncoderResult(
                [], [_exclusion("encoder", name, name, error.reason, error.remedy)]
            )
        results.append(result)
    embeddings = AUDIO_EMBEDDINGS.frame(
        {"benchmark": benchmark, **row} for result in results for row in result.rows
    )
    exclusions = EMBEDDING_EXCLUSIONS.frame(
        {"benchmark": benchmark, **row} for result in results for row in result.exclusions
    )
    return AudioEmbeddings(
        embeddings,
        exclusions,
        count(
            embeddings,
            previous,
            made={key for result in results for key in result.made},
            failed=sum(result.failed for result in results),
            item=["clip_id", "encoder", "seed"],
        ),
    )


def _embed(
    encoder: Encoder,
    settings: Settings,
    clips: pd.DataFrame,
    read_segments: ReadSegments,
    progress: Progress | None,
) -> _EncoderResult:
    """Rows of an encoder that computes: known vectors from the store, the others now."""
    trained_on = clips["content_hash"].isin(encoder.training_recordings)
    scored = clips[~trained_on]
    store = VectorStore(settings.vectors_dir, encoder.fingerprint)
    wanted: list[tuple[str, int, Segment]] = [
        (str(clip.clip_id), seed, _segment(encoder, clip, seed))
        for clip in scored.itertuples()
        for seed in settings.seeds
    ]
    known = store.read({segment.key for _, _, segment in wanted})
    missing = {segment.key: segment for _, _, segment in wanted if segment.key not in known}
    faults: dict[str, Fault] = {}
    if missing:
        faults = embed_segments(encoder, list(missing.values()), store.add, read_segments, progress)
        known |= store.read(missing.keys() - faults.keys())
    failed = {clip_id: faults[s.key] for clip_id, _, s in wanted if s.key in faults}
    rows = [
        {
            "clip_id": clip_id,
            "encoder": encoder.name,
            "seed": seed,
            "crop_rule": encoder.window.rule,
            "key": segment.key,
            "vector": known[segment.key],
        }
        for clip_id, seed, segment in wanted
        if clip_id not in failed
    ]
    exclusions = [
        _exclusion("clip", clip_id, encoder.name, TRAINING_SPLIT, "its recording was fitted on")
        for clip_id in clips.loc[trained_on, "clip_id"]
    ] + [
        _exclusion("clip", clip_id, encoder.name, fault.reason, fault.detail)
        for clip_id, fault in failed.items()
    ]
    return _EncoderResult(rows, exclusions, missing.keys(), len(wanted) - len(rows))


def _look_up(
    encoder: Precomputed, benchmark: str, clips: pd.DataFrame, seeds: tuple[int, ...]
) -> _EncoderResult:
    """Rows of an encoder that was computed elsewhere; a clip without a vector is excluded."""
    vectors = encoder.audio_vectors(benchmark, clips["clip_id"])
    rows = [
        {
            "clip_id": clip_id,
            "encoder": encoder.name,
            "seed": seed,
            "crop_rule": Precomputed.CROP_RULE,
            "key": vector_key(vector),
            "vector": vector,
        }
        for clip_id, vector in vectors.items()
        for seed in seeds
    ]
    absent = [clip_id for clip_id in clips["clip_id"] if clip_id not in vectors]
    return _EncoderResult(
        rows,
        [
            _exclusion("clip", clip_id, encoder.name, NO_VECTOR, f"none in {encoder.audio_file}")
            for clip_id in absent
        ],
        failed=len(absent) * len(seeds),
    )


def _segment(encoder: Encoder, clip: Any, seed: int) -> Segment:
    """One clip under one seed, as the engine takes it, under its content key."""
    content = {
        "recording": clip.content_hash,
        "start_s": clip.start_s,
        "stop_s": clip.stop_s,
    }
    duration_s = clip.stop_s - clip.start_s
    if encoder.window.depends_on_seed(duration_s):
        content["seed"] = seed
    rule = encoder.window.applied(duration_s)
    key = {**content, "crop_rule": rule, "encoder": encoder.fingerprint}
    return Segment(
        canonical_hash(key),
        Path(clip.path),
        clip.start_s,
        clip.stop_s,
        int(canonical_hash(content)[:16], 16),
    )


def _exclusion(kind: str, item_id: str, encoder: str, reason: str, detail: str) -> dict[str, Any]:
    return {
        "item_kind": kind,
        "item_id": item_id,
        "encoder": encoder,
        "reason": reason,
        "detail": detail,
    }


def training_clips_embedded(
    settings: Settings, clips: pd.DataFrame, media: pd.DataFrame, embeddings: pd.DataFrame
) -> pd.DataFrame:
    """Rows of `audio_embeddings` whose recording the encoder was fitted on: there must be none.

    Args:
        settings: names the encoders.
        clips: table `clips`.
        media: table `media`.
        embeddings: table `audio_embeddings`, or any with `clip_id` and `encoder`.

    Returns:
        `clip_id, encoder, video_id` of the offending rows.
    """
    recordings = clips[["clip_id", "video_id"]].merge(media[["video_id", "content_hash"]])
    rows = embeddings[["clip_id", "encoder"]].drop_duplicates().merge(recordings, on="clip_id")
    offending = [
        rows[
            (rows["encoder"] == name)
            & rows["content_hash"].isin(_trained_on(name, encoder, settings.cache_dir))
        ]
        for name, encoder in settings.encoders.items()
    ]
    return pd.concat(offending)[["clip_id", "encoder", "video_id"]].reset_index(drop=True)


def _trained_on(name: str, settings: AnyEncoder, cache_dir: Path) -> frozenset[str]:
    try:
        encoder = build_encoder(name, settings, cache_dir)
        return frozenset() if isinstance(encoder, Precomputed) else encoder.training_recordings
    except EncoderUnavailable:
        return frozenset()
