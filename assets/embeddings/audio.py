"""Audio embeddings: which vectors are wanted, which are known, and the table of them.

A vector's key is made from the recording's content hash, the segment's times, the crop rule, the
encoder's fingerprint and, only where it matters, the seed: what is known is told without
decoding anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from assets.embeddings.counting import count
from assets.embeddings.engine import Engine, Progress, ReadSegments, Segment, Work, embed_segments
from resources.counts import Counts
from resources.encoders.catalog import (
    Single,
    build_encoder,
    fused_encoders,
    single_encoders,
)
from resources.encoders.late_fusion import fuse, fused_key
from resources.encoders.precomputed import Precomputed, vector_key
from resources.encoders.protocol import Encoder, EncoderUnavailable, Vectors
from resources.keys import ClipContent
from resources.media.segments import read_segments
from resources.settings import LateFusionSettings, Settings
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
    """One encoder's rows; `made` are the keys computed now, `failed` the rows that failed now.

    What is left out for good (training recordings, vectors that nobody brought) has not failed:
    another run would find it no more than this one.
    """

    rows: list[dict[str, Any]]
    exclusions: list[dict[str, Any]]
    made: Collection[str] = ()
    failed: int = 0


@dataclass(frozen=True)
class _Plan:
    """What one encoder that computes is to embed: wanted (clip, seed, segment), known and not."""

    encoder: Encoder
    wanted: list[tuple[str, int, Segment]]
    known: dict[str, Vectors]
    work: Work
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
) -> AudioEmbeddings:
    """Embed a benchmark's usable clips with every encoder of the config, once a seed.

    Args:
        settings: names the encoders, seeds and the cache folder.
        benchmark: the partition.
        clips: table `clips`.
        media: table `media`.
        previous: the last `audio_embeddings`, to tell new from stale rows.
        read_segments: where samples come from, if not from the media files.
        progress: called after each clip with clips done and clips to do.
        engine: what computes the missing vectors.

    Returns:
        Tables `audio_embeddings` and `embedding_exclusions`, and the counts. An encoder that
        can't run here has one row in the second, and none in the first.
    """
    usable = _located(clips, media)
    by_name: dict[str, _EncoderResult] = {}
    plans: list[_Plan] = []
    for name, encoder_settings in single_encoders(settings).items():
        try:
            encoder = build_encoder(name, encoder_settings, settings.cache_dir)
            if isinstance(encoder, Precomputed):
                by_name[name] = _look_up(encoder, benchmark, usable, settings.seeds)
            else:
                plans.append(_plan(encoder, settings, usable))
        except EncoderUnavailable as error:
            by_name[name] = _unavailable(name, error.reason, error.remedy)
    engine([plan.work for plan in plans], read_segments, progress)
    by_name |= {plan.encoder.name: _collect(plan) for plan in plans}
    for name, fused in fused_encoders(settings).items():
        by_name[name] = _fuse(name, fused, by_name)
    results = list(by_name.values())
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
    return {segment.key for _, _, segment in _segments(encoder, seeds, heard)}


def _located(clips: pd.DataFrame, media: pd.DataFrame) -> pd.DataFrame:
    """Usable clips with their recordings."""
    columns = ["video_id", "path", "sample_rate", "content_hash"]
    return clips[clips["usable"]].merge(media[columns], on="video_id", how="left")


def _segments(
    encoder: Encoder, seeds: tuple[int, ...], clips: pd.DataFrame
) -> list[tuple[str, int, Segment]]:
    """Each clip under each seed."""
    return [
        (str(clip.clip_id), seed, _segment(encoder, clip, seed))
        for clip in clips.itertuples()
        for seed in seeds
    ]


def _plan(encoder: Encoder, settings: Settings, clips: pd.DataFrame) -> _Plan:
    """What an encoder that computes is to embed; known vectors are read from the store."""
    trained_on = clips["content_hash"].isin(encoder.training_recordings)
    store = VectorStore(settings.vectors_dir, encoder.fingerprint)
    wanted = _segments(encoder, settings.seeds, clips[~trained_on])
    known = store.read({segment.key for _, _, segment in wanted})
    missing = {segment.key: segment for _, _, segment in wanted if segment.key not in known}
    work = Work(encoder, list(missing.values()), store.add)
    return _Plan(encoder, wanted, known, work, store, list(clips.loc[trained_on, "clip_id"]))


def _collect(plan: _Plan) -> _EncoderResult:
    """The rows of an encoder after its missing vectors were computed."""
    encoder, work = plan.encoder, plan.work
    if work.unavailable:
        return _unavailable(encoder.name, work.unavailable.reason, work.unavailable.remedy)
    made = {segment.key for segment in work.segments} - work.faults.keys()
    vectors = plan.known | plan.store.read(made)
    failed = {clip: work.faults[s.key] for clip, _, s in plan.wanted if s.key in work.faults}
    rows = [
        {
            "clip_id": clip_id,
            "encoder": encoder.name,
            "seed": seed,
            "crop_rule": encoder.window.rule,
            "key": segment.key,
            "vector": vectors[segment.key],
        }
        for clip_id, seed, segment in plan.wanted
        if clip_id not in failed
    ]
    exclusions = [
        _exclusion("clip", clip_id, encoder.name, TRAINING_SPLIT, "its recording was fitted on")
        for clip_id in plan.trained_on
    ] + [
        _exclusion("clip", clip_id, encoder.name, fault.reason, fault.detail)
        for clip_id, fault in failed.items()
    ]
    return _EncoderResult(rows, exclusions, made, len(plan.wanted) - len(rows))


def _unavailable(name: str, reason: str, detail: str) -> _EncoderResult:
    return _EncoderResult([], [_exclusion("encoder", name, name, reason, detail)])


def _fuse(
    name: str, settings: LateFusionSettings, by_name: Mapping[str, _EncoderResult]
) -> _EncoderResult:
    """Rows of an encoder made of others; a clip that one of them lacks is excluded."""
    parts = {part: {(r["clip_id"], r["seed"]): r for r in by_name[part].rows}
             for part in settings.weights}  # fmt: skip
    absent = [part for part, rows in parts.items() if not rows]
    if absent:
        return _unavailable(name, "part unavailable", f"{', '.join(absent)} has no vectors here")
    everything = {item: None for rows in parts.values() for item in rows}
    complete = [item for item in everything if all(item in rows for rows in parts.values())]
    fused = [
        {
            "clip_id": clip_id,
            "encoder": name,
            "seed": seed,
            "crop_rule": " | ".join(rows[clip_id, seed]["crop_rule"] for rows in parts.values()),
            "key": fused_key(
                {p: rows[clip_id, seed]["key"] for p, rows in parts.items()}, settings
            ),
            "vector": fuse(
                {p: rows[clip_id, seed]["vector"] for p, rows in parts.items()}, settings.weights
            ),
        }
        for clip_id, seed in complete
    ]
    missing = {clip_id for clip_id, _ in everything.keys() - set(complete)} | {
        row["item_id"] for part in parts for row in by_name[part].exclusions
    }
    return _EncoderResult(
        fused,
        [
            _exclusion("clip", clip_id, name, NO_VECTOR, "not all fused encoders have one")
            for clip_id in sorted(missing)
        ],
    )


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
    )


def _segment(encoder: Encoder, clip: Any, seed: int) -> Segment:
    """One clip under one seed, as the engine takes it, under its content key."""
    duration_s = clip.stop_s - clip.start_s
    placed_by = seed if encoder.window.depends_on_seed(duration_s) else None
    content = ClipContent(clip.content_hash, clip.start_s, clip.stop_s, placed_by)
    return Segment(
        content.key(encoder.window.applied(duration_s), encoder.fingerprint),
        Path(clip.path),
        int(clip.sample_rate),
        clip.start_s,
        clip.stop_s,
        content.draw(),
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
        for name, encoder in single_encoders(settings).items()
    ]
    return pd.concat(offending)[["clip_id", "encoder", "video_id"]].reset_index(drop=True)


def _trained_on(name: str, settings: Single, cache_dir: Path) -> frozenset[str]:
    try:
        encoder = build_encoder(name, settings, cache_dir)
        return frozenset() if isinstance(encoder, Precomputed) else encoder.training_recordings
    except EncoderUnavailable:
        return frozenset()
