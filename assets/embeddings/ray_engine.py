"""Missing vectors computed on a Ray cluster: the same keys, the same vectors.

Clips travel by recording, texts in batches.

What an encoder can't do on a node is tried on another; where it can't either, it is left out.

A worker holds each encoder once, reads its recordings itself and puts finished vectors into the
store under their keys, where this process then finds them. So a store that all nodes reach is
wanted: an object store, or a folder that every node has mounted; and media that they find under
the same paths.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from assets.embeddings.engine import Engine, ReadSegments, Segment, SoundWork, embed_segments
from assets.embeddings.texts import BATCH, TextEngine, TextWork, embed_here
from assets.embeddings.work import Fault, Progress, Work
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


class UnavailableThereError(Exception):
    """An encoder turned out not to run on a node; it may on another.

    Attributes:
        encoder: its name.
        why: names the node.
    """

    def __init__(self, encoder: str, reason: str, remedy: str) -> None:
        super().__init__(encoder, reason, remedy)
        self.encoder = encoder
        self.why = EncoderUnavailable(reason, remedy)

    def __str__(self) -> str:
        return f"{self.encoder}: {self.why}"


class EmbeddingWorker:
    """Embeds recordings' segments on one node (see `ray_cluster.Worker`)."""

    holds_encoder: ClassVar[bool] = True

    def __init__(self, settings: Settings, sizes: Mapping[Path, int]) -> None:
        self.settings = settings
        self.sizes = sizes
        self.encoders: dict[str, Encoder] = {}

    def work(self, units: Sequence[_Recording]) -> dict[str, dict[str, Fault]]:
        """Embed with the engine of one process; a recording is decoded once for all encoders.

        Returns:
            Faults by encoder and key; every other key is in the store.

        Raises:
            NodeLacksError: the node lacks a recording, or what an encoder is made of.
            UnavailableThereError: an encoder can't run here.
        """
        segments: dict[str, list[Segment]] = {}
        for recording in units:
            for name, wanted in recording.items():
                path = _path(recording)
                if path in self.sizes:  # without it a node must not take clips for unreadable
                    check_copy(path, self.sizes[path])
                segments.setdefault(name, []).extend(wanted)
        works = {name: self._work(name, wanted) for name, wanted in segments.items()}
        embed_segments(list(works.values()), read_segments)
        for work in works.values():
            _require_available(work)
        return {name: work.faults for name, work in works.items()}

    def _work(self, name: str, segments: Sequence[Segment]) -> SoundWork:
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

    def work(self, units: Sequence[Mapping[str, str]]) -> dict[str, Fault]:
        """Embed batches of texts by key; faults (see `EmbeddingWorker`)."""
        texts = {key: text for batch in units for key, text in batch.items()}
        store = VectorStore(self.settings.vectors_dir, self.encoder.fingerprint)
        work: TextWork = Work(self.encoder, texts, store.add)
        embed_here(work, lambda done, of: None)
        _require_available(work)
        return work.faults


def _require_available(work: Work[Any]) -> None:
    if why := work.unavailable:
        there = f"on {platform.node()}: {why.remedy}"
        raise UnavailableThereError(work.encoder.name, why.reason, there)


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
        works: Sequence[SoundWork],
        read_segments: ReadSegments,
        progress: Progress | None = None,
    ) -> None:
        """Fill in the works' faults; every other key is in the store afterwards.

        Raises:
            ClusterError: the cluster can't do it, or its store is not the one that is read here.
        """
        by_name = {work.encoder.name: work for work in works}
        waiting = {_path(unit): unit for unit in _recordings(works)}
        total = sum(map(_size, waiting.values()))
        arguments = [self.settings, _sizes(works)]
        while waiting:
            units = list(waiting.values())
            try:
                with closing(run_shards(self.engine, EmbeddingWorker, arguments, units)) as shards:
                    for recordings, made in shards:
                        for recording in recordings:
                            del waiting[_path(recording)]
                        _take_over(by_name, recordings, made)
                        if progress:
                            progress(total - sum(map(_size, waiting.values())), total)
            except UnavailableThereError as error:
                waiting = _leave_out(by_name[error.encoder], waiting, error.why)
        for work in works:
            _check(self.settings, work, [segment.key for segment in work.wanted])


@dataclass(frozen=True)
class RayTextEngine:
    """Does what `embed_here` does, elsewhere."""

    settings: Settings
    engine: RaySettings

    def __call__(self, work: TextWork, report: Progress) -> None:
        """Fill in the work's faults; every other key is in the store afterwards.

        Raises:
            ClusterError: the cluster can't do it, or its store is not the one that is read here.
        """
        items = list(work.wanted.items())
        batches = [dict(items[start : start + BATCH]) for start in range(0, len(items), BATCH)]
        try:
            lost = self._embed(work, batches, 0, report)
            # A text that nobody survives takes its batch along: they are tried one by one.
            alone = [{key: work.wanted[key]} for key in lost]
            lost = self._embed(work, alone, len(items) - len(lost), report)
        except UnavailableThereError as error:
            work.unavailable = error.why
        else:
            work.faults |= {key: Fault(WORKER_LOST, reason) for key, reason in lost.items()}
        _check(self.settings, work, work.wanted.keys())

    def _embed(
        self, work: TextWork, batches: Sequence[Mapping[str, str]], finished: int, report: Progress
    ) -> dict[str, str]:
        """Embed batches; why there is nothing of them that cost their workers, by key."""
        lost: dict[str, str] = {}
        arguments = [self.settings, work.encoder.name]
        with closing(run_shards(self.engine, TextWorker, arguments, batches)) as shards:
            for done, made in shards:
                keys = [key for batch in done for key in batch]
                if isinstance(made, Lost):
                    lost |= dict.fromkeys(keys, made.reason)
                else:
                    work.faults |= made
                    finished += len(keys)
                    report(finished, len(work.wanted))
        return lost


def _take_over(
    by_name: Mapping[str, SoundWork],
    recordings: Sequence[_Recording],
    made: Mapping[str, Mapping[str, Fault]] | Lost,
) -> None:
    """Note what became of recordings: every segment is named of those that nobody survived."""
    if not isinstance(made, Lost):
        for name, faults in made.items():
            by_name[name].faults.update(faults)
        return
    for recording in recordings:
        for name, segments in recording.items():
            by_name[name].faults.update(
                {s.key: Fault(WORKER_LOST, f"{s.path}: {made.reason}") for s in segments}
            )


def _leave_out(
    work: SoundWork, waiting: Mapping[Path, _Recording], why: EncoderUnavailable
) -> dict[Path, _Recording]:
    """What is waiting, without an encoder; its segments are named if it could do others."""
    name = work.encoder.name
    left = [segment for unit in waiting.values() for segment in unit.get(name, ())]
    if len(left) == len(work.wanted):
        work.unavailable = why
    else:
        work.faults |= {segment.key: Fault(why.reason, why.remedy) for segment in left}
    others = {
        path: {other: segments for other, segments in unit.items() if other != name}
        for path, unit in waiting.items()
    }
    return {path: unit for path, unit in others.items() if unit}


def chosen_text_engine(settings: Settings) -> TextEngine:
    """The engine that a config names, for texts."""
    return RayTextEngine(settings, settings.engine) if settings.engine else embed_here


def _check(settings: Settings, work: Work[Any], keys: Collection[str]) -> None:
    """Make sure that this process finds what the cluster computed."""
    if work.unavailable:
        return
    store = VectorStore(settings.vectors_dir, work.encoder.fingerprint)
    made = set(keys) - work.faults.keys()
    unseen = len(made) - len(store.known(made))
    if unseen:
        raise ClusterError(
            f"{unseen} vectors that the cluster computed are not in {store.folder.place('')}: let "
            "the config's `vectors:` be a URL, or a folder that every node has mounted."
        )


def chosen_engine(settings: Settings) -> Engine:
    """The engine that a config names."""
    return RayEngine(settings, settings.engine) if settings.engine else embed_segments


def _recordings(works: Sequence[SoundWork]) -> list[_Recording]:
    """The missing segments, a recording together, the longest recording first."""
    found: dict[object, dict[str, list[Segment]]] = {}
    for work in works:
        for segment in work.wanted:
            recording = found.setdefault(segment.path, {})
            recording.setdefault(work.encoder.name, []).append(segment)
    return sorted(found.values(), key=_size, reverse=True)


def _sizes(works: Sequence[SoundWork]) -> dict[Path, int]:
    """The bytes of every recording that is here; clips of others are unreadable everywhere."""
    sizes = {}
    for path in {segment.path for work in works for segment in work.wanted}:
        with suppress(OSError):
            sizes[path] = stat_of(path)[0]
    return sizes


def _path(recording: _Recording) -> Path:
    return next(iter(recording.values()))[0].path


def _size(recording: _Recording) -> int:
    return sum(map(len, recording.values()))
