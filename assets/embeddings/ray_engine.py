"""Missing vectors computed on a Ray cluster: the same keys, the same vectors.

Clips travel by recording, texts in batches.

A worker holds each encoder once, reads its recordings itself and puts finished vectors into the
store under their keys, where this process then finds them. So a store that all nodes reach is
wanted: an object store, or a folder that every node has mounted; and media that they find under
the same paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from assets.embeddings.engine import (
    Engine,
    Fault,
    Progress,
    ReadSegments,
    Segment,
    Work,
    embed_segments,
)
from assets.embeddings.texts import BATCH, TextEngine, TextVectors, embed_here
from resources.encoders.catalog import build_encoder, single_encoders
from resources.encoders.precomputed import Precomputed
from resources.encoders.protocol import Encoder, EncoderUnavailable
from resources.media.addresses import check_copy, stat_of
from resources.media.segments import read_segments
from resources.parallel import WORKER_LOST, Lost, NodeLacksError
from resources.ray_cluster import ClusterError, run_shards
from resources.settings import RaySettings, Settings
from resources.vector_store import VectorStore

_Recording = Mapping[str, Sequence[Segment]]
"""One unit: a recording's missing segments by encoder."""


@dataclass
class _Done:
    """What became of a shard, by encoder; every key without a fault is in the store."""

    faults: dict[str, dict[str, Fault]] = field(default_factory=dict)
    unavailable: dict[str, tuple[str, str]] = field(default_factory=dict)


class EmbeddingWorker:
    """Embeds recordings' segments on one node (see `ray_cluster.Worker`)."""

    holds_encoder: ClassVar[bool] = True

    def __init__(self, settings: Settings, sizes: Mapping[Path, int]) -> None:
        self.settings = settings
        self.sizes = sizes
        self.encoders: dict[str, Encoder] = {}

    def work(self, units: Sequence[_Recording]) -> _Done:
        """Embed with the engine of one process; a recording is decoded once for all encoders."""
        segments: dict[str, list[Segment]] = {}
        for recording in units:
            for name, wanted in recording.items():
                path = wanted[0].path
                if path in self.sizes:  # without it a node must not take clips for unreadable
                    check_copy(path, self.sizes[path])
                segments.setdefault(name, []).extend(wanted)
        works = {name: self._work(name, wanted) for name, wanted in segments.items()}
        embed_segments(list(works.values()), read_segments)
        done = _Done()
        for name, work in works.items():
            done.faults[name] = work.faults
            if work.unavailable:
                done.unavailable[name] = (work.unavailable.reason, work.unavailable.remedy)
        return done

    def _work(self, name: str, segments: Sequence[Segment]) -> Work:
        if name not in self.encoders:
            self.encoders[name] = _build(self.settings, name)
        encoder = self.encoders[name]
        store = VectorStore(self.settings.vectors_dir, encoder.fingerprint)
        return Work(encoder, segments, store.add)


class TextWorker:
    """Embeds texts with one encoder on one node (see `ray_cluster.Worker`)."""

    holds_encoder: ClassVar[bool] = True

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings = settings
        self.name = name

    @cached_property
    def encoder(self) -> Encoder:
        """Built for the first batch, whose failing is told; a worker that does not start is not."""
        return _build(self.settings, self.name)

    def work(self, units: Sequence[Mapping[str, str]]) -> tuple[str, str] | None:
        """Embed batches of texts by key; why the encoder can't run here, if it can't."""
        store = VectorStore(self.settings.vectors_dir, self.encoder.fingerprint)
        try:
            for batch in units:
                embed_here(self.encoder, store, batch, lambda done, of: None)
        except EncoderUnavailable as error:
            return error.reason, error.remedy
        return None


def _build(settings: Settings, name: str) -> Encoder:
    """An encoder on a node.

    Raises:
        NodeLacksError: what it is made of is not there, as it is where the graph runs.
    """
    try:
        built = build_encoder(name, single_encoders(settings)[name], settings.cache_dir)
        if not isinstance(built, Precomputed):
            built.fingerprint  # noqa: B018 (reads every file that decides a vector)
    except EncoderUnavailable as error:
        raise NodeLacksError(f"encoder {name}: {error}") from error
    if isinstance(built, Precomputed):
        raise AssertionError(f"{name} computes nothing")
    return built


@dataclass(frozen=True)
class RayEngine:
    """Does what `embed_segments` does, elsewhere; only the media's readers are the nodes' own."""

    settings: Settings
    engine: RaySettings

    def __call__(
        self,
        works: Sequence[Work],
        read_segments: ReadSegments,
        progress: Progress | None = None,
    ) -> None:
        """Fill in the works' faults; every other key is in the store afterwards.

        Raises:
            ClusterError: the cluster can't do it, or its store is not the one that is read here.
        """
        by_name = {work.encoder.name: work for work in works}
        units = _recordings(works)
        finished, total = 0, sum(map(_size, units))
        arguments = [self.settings, _sizes(works)]
        with closing(run_shards(self.engine, EmbeddingWorker, arguments, units)) as shards:
            for recordings, made in shards:
                if isinstance(made, Lost):
                    _give_up(by_name, recordings, made)
                else:
                    _take_over(by_name, made)
                finished += sum(map(_size, recordings))
                if progress:
                    progress(finished, total)
        for work in works:
            self._check(work)

    def _check(self, work: Work) -> None:
        if work.unavailable:
            return
        made = {segment.key for segment in work.segments} - work.faults.keys()
        store = VectorStore(self.settings.vectors_dir, work.encoder.fingerprint)
        _tell_unseen(store, len(made) - len(store.known(made)))


@dataclass(frozen=True)
class RayTextEngine:
    """Does what `embed_here` does, elsewhere."""

    settings: Settings
    engine: RaySettings

    def __call__(
        self, encoder: Encoder, store: VectorStore, missing: Mapping[str, str], report: Progress
    ) -> TextVectors:
        """Every text's vector by key, read from the store.

        Raises:
            EncoderUnavailable: the encoder can't run on the nodes.
            ClusterError: the cluster can't do it, or its store is not the one that is read here.
        """
        items = list(missing.items())
        batches = [dict(items[start : start + BATCH]) for start in range(0, len(items), BATCH)]

        finished = 0
        arguments = [self.settings, encoder.name]
        with closing(run_shards(self.engine, TextWorker, arguments, batches)) as shards:
            for done, unavailable in shards:
                if isinstance(unavailable, Lost):
                    raise ClusterError(
                        f"encoder {encoder.name}: every worker that embedded {len(done[0])} texts, "
                        f"the first {next(iter(done[0].values()))!r}, was lost: "
                        f"{unavailable.reason}"
                    )
                if unavailable:
                    raise EncoderUnavailable(*unavailable)
                finished += sum(map(len, done))
                report(finished, len(items))
        vectors = store.read(missing)
        _tell_unseen(store, len(missing) - len(vectors))
        return vectors


def _take_over(by_name: Mapping[str, Work], made: _Done) -> None:
    """Note what a shard's worker says of its segments."""
    for name, faults in made.faults.items():
        by_name[name].faults.update(faults)
    for name, (reason, remedy) in made.unavailable.items():
        by_name[name].unavailable = EncoderUnavailable(reason, remedy)


def _give_up(by_name: Mapping[str, Work], recordings: Sequence[_Recording], lost: Lost) -> None:
    """Name every segment of the recordings that nobody survived."""
    for recording in recordings:
        for name, segments in recording.items():
            by_name[name].faults.update(
                {s.key: Fault(WORKER_LOST, f"{s.path}: {lost.reason}") for s in segments}
            )


def chosen_text_engine(settings: Settings) -> TextEngine:
    """The engine that a config names, for texts."""
    return RayTextEngine(settings, settings.engine) if settings.engine else embed_here


def _tell_unseen(store: VectorStore, unseen: int) -> None:
    if unseen:
        raise ClusterError(
            f"{unseen} vectors that the cluster computed are not in {store.folder.place('')}: let "
            "the config's `vectors:` be a URL, or a folder that every node has mounted."
        )


def chosen_engine(settings: Settings) -> Engine:
    """The engine that a config names."""
    return RayEngine(settings, settings.engine) if settings.engine else embed_segments


def _recordings(works: Sequence[Work]) -> list[_Recording]:
    """The missing segments, a recording together, the longest recording first."""
    found: dict[object, dict[str, list[Segment]]] = {}
    for work in works:
        for segment in work.segments:
            recording = found.setdefault(segment.path, {})
            recording.setdefault(work.encoder.name, []).append(segment)
    return sorted(found.values(), key=_size, reverse=True)


def _sizes(works: Sequence[Work]) -> dict[Path, int]:
    """The bytes of every recording that is here; clips of others are unreadable everywhere."""
    sizes = {}
    for path in {segment.path for work in works for segment in work.segments}:
        with suppress(OSError):
            sizes[path] = stat_of(path)[0]
    return sizes


def _size(recording: _Recording) -> int:
    return sum(map(len, recording.values()))
