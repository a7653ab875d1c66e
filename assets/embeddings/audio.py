"""Audio embeddings: which vectors are wanted, which are known, and the table of them.

A vector's key is made from the recording's content hash, the segment's times, the crop rule, the
encoder's fingerprint and, only where it matters, the seed: what is known is told without
decoding anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assets.embeddings.engine import Engine, ReadSegments, Segment, SoundWork, embed_segments
from assets.embeddings.results import (
    Embeddings,
    EncoderResult,
    all_encoders,
    exclusion,
    failed_rows,
    left_out,
)
from assets.embeddings.work import Progress, Work
from resources.encoders.catalog import Single, build_encoder, single_encoders
from resources.encoders.late_fusion import fuse_rows
from resources.encoders.precomputed import Precomputed, vector_key
from resources.encoders.protocol import Encoder, EncoderUnavailable, Vectors
from resources.keys import ClipContent
from resources.media.segments import read_segments
from resources.settings import LateFusionSettings, Settings
from resources.tables import AUDIO_EMBEDDINGS, EMBEDDING_EXCLUSIONS
from resources.vector_store import VectorStore

TRAINING_SPLIT = "training split"
NO_VECTOR = "no vector"

_HEARD = ["content_hash", "start_s", "stop_s", "seed"]
"""The columns that say what is heard, in the order of `ClipContent`."""


@dataclass(frozen=True)
class _Plan:
    """What one encoder that computes is to embed: `wanted` (see `_wanted`), known and not."""

    encoder: Encoder
    wanted: pd.DataFrame
    known: dict[str, Vectors]
    work: SoundWork
    store: VectorStore
    trained_on: list[str]


def embed_clips(
    settings: Settings,
    benchmark: str,
    clips: pd.DataFrame,
    media: pd.DataFrame,
    previous: pd.DataFrame | None = None,
    read_segments: ReadSegments = read_segments,
    progress: Progress | None = None,
    engine: Engine = embed_segments,
) -> Embeddings:
    """Embed a benchmark's usable clips with every encoder of the config, once a seed.

    Args:
        settings: names the encoders, seeds and the cache folder.
        benchmark: the partition.
        clips: table `clips`.
        media: table `media`.
        previous: the last `audio_embeddings` (`clip_id, encoder, seed`), to tell new from stale
            rows.
        read_segments: where samples come from, if not from the media files.
        progress: called after each clip with clips done and clips to do.
        engine: what computes the missing vectors.

    Returns:
        Tables `audio_embeddings` and `embedding_exclusions`, and the counts. An encoder that
        can't run here has one row in the second, and none in the first: what is scored with it
        would depend on where it broke off. What it embedded is in the store.
    """
    usable = _located(clips, media)
    by_name: dict[str, EncoderResult] = {}
    plans: list[_Plan] = []
    for name, encoder_settings in single_encoders(settings).items():
        try:
            encoder = build_encoder(name, encoder_settings, settings.cache_dir)
            if isinstance(encoder, Precomputed):
                by_name[name] = _look_up(encoder, benchmark, usable, settings.seeds)
            else:
                plans.append(_plan(encoder, settings, usable))
        except EncoderUnavailable as error:  # told without embedding, so by its fingerprint too
            by_name[name] = left_out(name, error)
    engine([plan.work for plan in plans], read_segments, progress)
    by_name |= {plan.encoder.name: _collect(plan) for plan in plans}
    models = (AUDIO_EMBEDDINGS, EMBEDDING_EXCLUSIONS)
    return all_encoders(settings, benchmark, by_name, _fuse, models, previous)


def wanted_keys(
    encoder: Encoder, seeds: tuple[int, ...], clips: pd.DataFrame, media: pd.DataFrame
) -> set[str]:
    """The keys of all vectors that an encoder is to have of a benchmark's usable clips.

    Args:
        encoder: one that computes.
        seeds: of the config.
        clips: table `clips`.
        media: table `media`.
    """
    located = _located(clips, media)
    heard = located[~located["content_hash"].isin(encoder.training_recordings)]
    return set(_wanted(encoder, seeds, heard)["key"])


def _located(clips: pd.DataFrame, media: pd.DataFrame) -> pd.DataFrame:
    """Usable clips with their recordings."""
    columns = ["video_id", "path", "sample_rate", "content_hash"]
    return clips[clips["usable"]].merge(media[columns], on="video_id", how="left")


def _wanted(encoder: Encoder, seeds: tuple[int, ...], clips: pd.DataFrame) -> pd.DataFrame:
    """Each located clip under each seed, with columns `seed` and `key`; rows may be millions."""
    wanted = clips.loc[clips.index.repeat(len(seeds))].reset_index(drop=True)
    wanted["seed"] = np.tile(np.array(seeds, dtype=int), len(clips))
    wanted["key"] = [
        _key(encoder, _content(encoder, *heard))
        for heard in wanted[_HEARD].itertuples(index=False, name=None)
    ]
    return wanted


def _key(encoder: Encoder, clip: ClipContent) -> str:
    return clip.key(encoder.window.applied(clip.stop_s - clip.start_s), encoder.fingerprint)


def _content(encoder: Encoder, recording: str, start: float, stop: float, seed: int) -> ClipContent:
    """What an encoder hears of a clip (see `_HEARD`)."""
    placed_by = seed if encoder.window.depends_on_seed(stop - start) else None
    return ClipContent(recording, start, stop, placed_by)


def _plan(encoder: Encoder, settings: Settings, clips: pd.DataFrame) -> _Plan:
    """What an encoder that computes is to embed; known vectors are read from the store."""
    trained_on = clips["content_hash"].isin(encoder.training_recordings)
    store = VectorStore(settings.vectors_dir, encoder.fingerprint)
    wanted = _wanted(encoder, settings.seeds, clips[~trained_on])
    known = store.read(wanted["key"])
    missing = wanted[~wanted["key"].isin(known.keys())].drop_duplicates("key")
    work: SoundWork = Work(encoder, _segments(encoder, missing), store.add)
    return _Plan(encoder, wanted, known, work, store, list(clips.loc[trained_on, "clip_id"]))


def _collect(plan: _Plan) -> EncoderResult:
    """The rows of an encoder after its missing vectors were computed."""
    encoder, work = plan.encoder, plan.work
    if work.unavailable:
        return left_out(encoder.name, work.unavailable, failed_rows(encoder, len(plan.wanted)))
    made = {segment.key for segment in work.wanted} - work.faults.keys()
    vectors = plan.known | plan.store.read(made)
    faulty = plan.wanted[plan.wanted["key"].isin(work.faults.keys())]
    failed = {
        clip_id: work.faults[key]
        for clip_id, key in zip(faulty["clip_id"], faulty["key"], strict=True)
    }
    rows = plan.wanted.loc[~plan.wanted["clip_id"].isin(failed), ["clip_id", "seed", "key"]]
    rows = rows.assign(encoder=encoder.name, crop_rule=encoder.window.rule)
    rows["vector"] = rows["key"].map(vectors.__getitem__)
    exclusions = [
        exclusion("clip", clip_id, encoder.name, TRAINING_SPLIT, "its recording was fitted on")
        for clip_id in plan.trained_on
    ] + [
        exclusion("clip", clip_id, encoder.name, fault.reason, fault.detail)
        for clip_id, fault in failed.items()
    ]
    return EncoderResult(rows, exclusions, made, len(plan.wanted) - len(rows))


def _fuse(
    name: str, settings: LateFusionSettings, by_name: Mapping[str, EncoderResult]
) -> EncoderResult:
    """Rows of an encoder made of others; a clip that one of them lacks is excluded."""
    parts = {part: by_name[part].rows.set_index(["clip_id", "seed"]) for part in settings.weights}
    fused = fuse_rows(parts, settings)
    rules = (rows["crop_rule"].loc[fused.index] for rows in parts.values())
    crop_rules = [" | ".join(both) for both in zip(*rules, strict=True)]
    missing = {
        clip_id
        for rows in parts.values()
        for clip_id, _ in rows.index[~rows.index.isin(fused.index)]
    } | {row["item_id"] for part in parts for row in by_name[part].exclusions}
    return EncoderResult(
        fused.assign(encoder=name, crop_rule=crop_rules).reset_index(),
        [
            exclusion("clip", clip_id, name, NO_VECTOR, "not all fused encoders have one")
            for clip_id in sorted(missing)
        ],
    )


def _look_up(
    encoder: Precomputed, benchmark: str, clips: pd.DataFrame, seeds: tuple[int, ...]
) -> EncoderResult:
    """Rows of an encoder that was computed elsewhere; a clip without a vector is excluded."""
    vectors = encoder.audio_vectors(benchmark, clips["clip_id"])
    rows = pd.DataFrame({"clip_id": list(vectors), "vector": list(vectors.values())}, dtype=object)
    rows = rows.assign(encoder=encoder.name, crop_rule=Precomputed.CROP_RULE)
    rows["key"] = rows["vector"].map(vector_key)
    absent = [clip_id for clip_id in clips["clip_id"] if clip_id not in vectors]
    return EncoderResult(
        rows.merge(pd.DataFrame({"seed": list(seeds)}), how="cross"),
        [
            exclusion("clip", clip_id, encoder.name, NO_VECTOR, f"none in {encoder.audio_file}")
            for clip_id in absent
        ],
    )


def _segments(encoder: Encoder, missing: pd.DataFrame) -> list[Segment]:
    """Wanted rows as the engine takes them; those of a recording share its path."""
    paths = {path: Path(path) for path in missing["path"].unique()}
    names = ["key", "path", "sample_rate", *_HEARD]
    rows: Iterator[tuple[Any, ...]] = missing[names].itertuples(index=False, name=None)
    segments = []
    for key, path, rate, *heard in rows:
        clip = _content(encoder, *heard)
        segments.append(
            Segment(key, paths[path], int(rate), clip.start_s, clip.stop_s, clip.draw())
        )
    return segments


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
        for name, encoder in single_encoders(settings).items()
    ]
    return pd.concat(offending)[["clip_id", "encoder", "video_id"]].reset_index(drop=True)


def _trained_on(name: str, settings: Single, cache_dir: Path) -> frozenset[str]:
    try:
        encoder = build_encoder(name, settings, cache_dir)
        return frozenset() if isinstance(encoder, Precomputed) else encoder.training_recordings
    except EncoderUnavailable:
        return frozenset()
