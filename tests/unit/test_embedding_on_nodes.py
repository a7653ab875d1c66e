"""Encoders that one node can't run, and texts that end their workers, on a cluster of two nodes."""

import platform
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.fake_ray import DiedError, FakeRay
from support.stub_encoders import RATE, Sounds, StubEncoder, settings

from assets.embeddings import ray_engine
from assets.embeddings.engine import Segment
from assets.embeddings.ray_engine import EmbeddingWorker, RayEngine, RayTextEngine, TextWorker
from assets.embeddings.work import Work
from resources.encoders.protocol import EncoderUnavailable
from resources.parallel import WORKER_LOST
from resources.ray_cluster import _Run
from resources.settings import RaySettings
from resources.vector_store import VectorStore

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `cluster`")

TEXTS = {f"key{number}": f"text {number}" for number in range(40)}
SEGMENTS = [
    Segment(f"{video}{start}", Path(f"/sounds/{video}.wav"), RATE, start, start + 0.5, 0)
    for video in range(20)
    for start in range(3)
]


class SickEncoder(StubEncoder):
    """Of a node whose GPU is out of order."""

    def embed_audio(self, waveforms, draws):
        raise EncoderUnavailable("encoder failed", "CUDA error")

    def embed_texts(self, texts):
        raise EncoderUnavailable("encoder failed", "CUDA error")


class PoisonedEncoder(StubEncoder):
    def embed_texts(self, texts):
        if "text 7" in texts:
            raise DiedError
        return super().embed_texts(texts)


@pytest.fixture
def run_on(monkeypatch, tmp_path):
    """Lets nodes with these encoders do the work; gives back what to make engines of."""
    found = settings(tmp_path)
    monkeypatch.setattr(ray_engine, "read_segments", Sounds())

    def run(**nodes):
        def work(node, units):
            if isinstance(next(iter(units[0].values())), str):
                worker = TextWorker(found, "stub")
                worker.__dict__["encoder"] = nodes[node][0]
            else:
                worker = EmbeddingWorker(found, {})
                worker.encoders = {encoder.name: encoder for encoder in nodes[node]}
            return worker.work(units)

        def run_shards(engine, worker, arguments, units):
            fake = FakeRay(dict.fromkeys(nodes, 1), work)
            return _Run(fake, engine, worker, arguments, units).run()

        monkeypatch.setattr(ray_engine, "run_shards", run_shards)
        return found, RaySettings()

    return run


def work_of(given, wanted, encoder=None):
    encoder = encoder or StubEncoder()
    return Work(encoder, wanted, VectorStore(given[0].vectors_dir, encoder.fingerprint).add)


def known(given, work, keys):
    return VectorStore(given[0].vectors_dir, work.encoder.fingerprint).known(keys)


KEYS = [segment.key for segment in SEGMENTS]


def test_what_a_sick_node_can_not_embed_another_does(run_on):
    given = run_on(sick=[SickEncoder()], well=[StubEncoder()])
    sounds, texts, progress = work_of(given, SEGMENTS), work_of(given, TEXTS), []
    RayEngine(*given)([sounds], None, lambda *counts: progress.append(counts))
    assert (sounds.faults, sounds.unavailable) == ({}, None)
    assert known(given, sounds, KEYS) == set(KEYS)
    assert progress[-1] == (len(KEYS), len(KEYS))
    RayTextEngine(*given)(texts, lambda done, of: None)
    assert (texts.faults, texts.unavailable) == ({}, None)
    assert known(given, texts, TEXTS) == set(TEXTS)


def test_an_encoder_that_no_node_can_run_is_left_out_alone_and_says_where(run_on):
    given = run_on(
        a=[SickEncoder(), StubEncoder("other", "b" * 64)],
        b=[SickEncoder(), StubEncoder("other", "b" * 64)],
    )
    sick, other = work_of(given, SEGMENTS), work_of(given, SEGMENTS, StubEncoder("other", "b" * 64))
    RayEngine(*given)([sick, other], None)
    assert sick.unavailable.reason == "encoder failed"
    assert sick.unavailable.remedy == f"on {platform.node()}: CUDA error"
    assert (other.faults, other.unavailable) == ({}, None)
    assert known(given, other, KEYS) == set(KEYS)
    texts = work_of(given, TEXTS)
    RayTextEngine(*given)(texts, lambda done, of: None)
    assert texts.unavailable.reason == "encoder failed"


def test_what_was_done_before_an_encoder_fell_out_stays(run_on):
    class FailingEncoder(StubEncoder):
        def embed_audio(self, waveforms, draws):
            if self.clips > 20:
                raise EncoderUnavailable("encoder failed", "CUDA error")
            return super().embed_audio(waveforms, draws)

    given = run_on(a=[FailingEncoder()])
    work = work_of(given, SEGMENTS)
    RayEngine(*given)([work], None)
    assert work.unavailable is None
    made = known(given, work, KEYS)
    assert len(made) > 20
    assert set(work.faults) == set(KEYS) - made
    assert {fault.reason for fault in work.faults.values()} == {"encoder failed"}


def test_a_text_that_ends_its_workers_costs_itself(run_on, monkeypatch):
    monkeypatch.setattr(ray_engine, "BATCH", 10)
    given = run_on(a=[PoisonedEncoder()], b=[PoisonedEncoder()])
    work, progress = work_of(given, TEXTS), []
    RayTextEngine(*given)(work, lambda *counts: progress.append(counts))
    assert {key: fault.reason for key, fault in work.faults.items()} == {"key7": WORKER_LOST}
    assert known(given, work, TEXTS) == set(TEXTS) - {"key7"}
    assert progress[-1] == (len(TEXTS) - 1, len(TEXTS))
    assert np.diff([done for done, _ in progress]).min() > 0
