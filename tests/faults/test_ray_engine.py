"""Embedding on a Ray cluster: the vectors of one process, a lost node, a poison recording."""

import copy
import threading
import time
from collections import Counter
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from support.media_files import truncate
from support.ray_nodes import Marker, ray_cluster
from support.sample_project import sample_project

from assets.benchmarks.adapters import read_annotations
from assets.benchmarks.clips import build_clips
from assets.benchmarks.recordings import locate, media_inventory
from assets.embeddings import ray_engine
from assets.embeddings.audio import embed_clips
from assets.embeddings.engine import Segment
from assets.embeddings.ray_engine import (
    EmbeddingWorker,
    RayEngine,
    RayTextEngine,
    TextWorker,
    chosen_engine,
    chosen_text_engine,
)
from assets.embeddings.texts import embed_texts
from assets.embeddings.work import Fault, Work
from resources import ray_cluster as cluster_module
from resources.config_file import SettingsError, load_settings
from resources.encoders.protocol import EncoderUnavailable
from resources.media.decoding import MediaError
from resources.media.loudness import SpansOf, _check, _measure
from resources.parallel import WORKER_LOST, Lost, NodeLacksError
from resources.ray_cluster import (
    ClusterError,
    FunctionWorker,
    _Run,
    over_cluster,
    run_shards,
)
from resources.sample import write_sample
from resources.settings import LaionClapSettings, RaySettings
from resources.tables import text_id

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `cluster`")
BENCHMARK = "epic_sounds"
DAMAGED = "S01_02"
UNITS = [f"unit{number:02}" for number in range(48)]


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster(1, 1, 2) as running:
        yield running


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """The sample, synthesised, with one recording that breaks off."""
    found = load_settings(sample_project(tmp_path_factory.mktemp("sample") / "project"))
    write_sample(found.sample)
    truncate(locate(found, read_annotations(found, BENCHMARK))[DAMAGED])
    return found


def spread_units(units, folder, pause_s=0, **engine):
    """What became of units on a cluster: how often each was done, and those given up."""
    done, lost = Counter(), []
    for shard, made in run_shards(RaySettings(**engine), Marker, [folder, pause_s], units):
        if isinstance(made, Lost):
            lost += shard
        else:
            assert made == [unit.upper() for unit in shard]
            done.update(shard)
    return done, lost


@pytest.mark.slow
def test_every_unit_is_done_on_a_node_on_loopback(cluster, tmp_path):
    import ray

    assert spread_units(UNITS, tmp_path) == (Counter(UNITS), [])
    nodes = [node for node in ray.nodes() if node["Alive"]]
    assert [node["NodeManagerAddress"] for node in nodes] == ["127.0.0.1"] * 3


@pytest.mark.slow
def test_a_poison_unit_is_given_up_alone(cluster, tmp_path):
    units = [*UNITS[:20], "poison", *UNITS[20:]]
    assert spread_units(units, tmp_path) == (Counter(UNITS), ["poison"])


@pytest.mark.slow
def test_an_error_of_the_code_is_no_loss(cluster, tmp_path):
    with pytest.raises(ValueError, match="a fault of the code"):
        spread_units(["fault"], tmp_path)
    with pytest.raises(Exception, match="a fault and its particulars"):
        spread_units(["unreadable"], tmp_path)


@pytest.mark.slow
def test_a_cluster_without_room_for_a_worker_says_so(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "_PATIENCE_S", 1)
    with pytest.raises(ClusterError, match="no worker came up"):
        spread_units(UNITS, tmp_path, cpus_per_worker=9)


@pytest.mark.slow
def test_a_cluster_scans_and_measures_what_one_process_does(cluster, settings, tmp_path):
    annotations = read_annotations(settings, BENCHMARK)
    shared = settings.model_copy(update={"cache_dir": tmp_path, "engine": RaySettings()})
    progress = []
    media = media_inventory(shared, annotations, lambda *counts: progress.append(counts))
    clips = build_clips(shared, annotations, media)
    assert media.equals(media_inventory(settings, annotations))
    assert clips.equals(build_clips(settings, annotations, media))
    assert progress == [(done, len(media)) for done in range(len(media) + 1)]
    reasons = media.set_index("video_id")["reason"].dropna()
    assert list(reasons.index) == [DAMAGED]
    assert reasons[DAMAGED].startswith("damaged: ")
    assert set(clips.loc[clips["video_id"] == DAMAGED, "reason"]) == {"damaged"}


@pytest.mark.slow
def test_a_recording_that_a_node_has_not_is_a_fault_of_the_cluster(
    cluster, settings, tmp_path, monkeypatch
):
    """Otherwise its clips would be taken for unreadable."""
    absent = tmp_path / "absent.wav"
    said = r"node 127\.0\.0\.1: /.*absent\.wav is not there\."
    check = partial(_check, {absent: 7})
    with pytest.raises(ClusterError, match=said):
        list(over_cluster(RaySettings())(_measure, [("", SpansOf(absent, "", []))], check))
    work = Work(Encoder(), segments(absent), lambda keys, vectors: None)
    monkeypatch.setattr(ray_engine, "_sizes", lambda works: {absent: 7})
    with pytest.raises(ClusterError, match=said):
        RayEngine(settings, RaySettings())([work], None)


@pytest.mark.slow
def test_an_encoder_that_a_node_has_not_is_a_fault_of_the_cluster(cluster, settings, tmp_path):
    """Otherwise it would be left out, though it can run."""
    lacking = with_checkpoint(settings, tmp_path / "mine.pt")
    heard = locate(settings, read_annotations(settings, BENCHMARK))["S01_01"]
    work = Work(Encoder(), segments(heard), lambda keys, vectors: None)
    said = r"node 127\.0\.0\.1: encoder stub: .*mine\.pt is not there"
    with pytest.raises(ClusterError, match=said):
        RayEngine(lacking, RaySettings())([work], None)


@pytest.mark.slow
def test_an_error_of_media_comes_back_as_it_was(cluster, settings):
    path = locate(settings, read_annotations(settings, BENCHMARK))[DAMAGED]
    with pytest.raises(MediaError, match=r"^damaged: ") as raised:
        list(over_cluster(RaySettings())(_measure, [("", SpansOf(path, "", [(0.0, 1e4)]))]))
    assert raised.value.reason == "damaged"


@pytest.mark.slow
def test_a_cluster_computes_the_tables_of_one_process(cluster, settings, tmp_path):
    annotations = read_annotations(settings, BENCHMARK)
    media = media_inventory(settings, annotations)
    clips = build_clips(settings, annotations, media)
    alone = embed_clips(settings, BENCHMARK, clips, media)
    shared = settings.model_copy(update={"vectors": tmp_path / "shared", "engine": RaySettings()})
    progress = []
    together = embed_clips(
        shared,
        BENCHMARK,
        clips,
        media,
        progress=lambda done, total: progress.append((done, total)),
        engine=chosen_engine(shared),
    )
    assert together.counts == alone.counts
    assert together.exclusions.equals(alone.exclusions)
    left, right = alone.embeddings, together.embeddings
    assert left.drop(columns="vector").equals(right.drop(columns="vector"))
    difference = np.stack(list(left["vector"])) - np.stack(list(right["vector"]))
    assert np.abs(difference).max() <= 1e-6
    assert progress[-1] == (together.counts.new, together.counts.new)
    again = embed_clips(shared, BENCHMARK, clips, media, engine=chosen_engine(shared))
    assert (again.counts.new, again.counts.reused) == (0, alone.counts.wanted)


@pytest.mark.slow
def test_texts_of_a_cluster_are_those_of_one_process(cluster, settings, tmp_path, monkeypatch):
    words = ["a knife taps on a board", "water runs", "a drawer slides shut", "a motor hums"]
    texts = pd.DataFrame({"text_id": [text_id(text) for text in words], "text": words})
    alone = embed_texts(settings, BENCHMARK, texts).embeddings
    shared = settings.model_copy(update={"vectors": tmp_path / "shared", "engine": RaySettings()})
    monkeypatch.setattr(ray_engine, "BATCH", 2)
    engine = chosen_text_engine(shared)
    made = embed_texts(shared, BENCHMARK, texts, engine=engine)
    assert made.counts.new == len(words)
    together = made.embeddings
    assert alone.drop(columns="vector").equals(together.drop(columns="vector"))
    difference = np.stack(list(alone["vector"])) - np.stack(list(together["vector"]))
    assert np.abs(difference).max() <= 1e-6


@pytest.mark.slow
def test_of_a_lost_node_only_what_was_in_flight_is_done_twice(cluster, tmp_path):
    """The last test on this cluster: one of its nodes is gone afterwards."""
    victim = list(cluster.worker_nodes)[-1]

    def lose():
        while len(list(tmp_path.iterdir())) < 8:
            time.sleep(0.05)
        cluster.remove_node(victim, allow_graceful=False)

    thread = threading.Thread(target=lose)
    thread.start()
    became = spread_units(UNITS, tmp_path, pause_s=0.15)
    thread.join()
    assert became == (Counter(UNITS), [])
    times = Counter(file.name.partition(".")[0] for file in tmp_path.iterdir())
    assert set(times) == set(UNITS)
    shard = len(UNITS) // (cluster_module._SHARDS_A_WORKER * 4)
    assert sum(times.values()) - len(UNITS) <= 2 * shard, "more than its two workers' shards"


def segments(*recordings):
    return [
        Segment(f"{path}{number}", Path(path), 8000, number, number + 1, 0)
        for path in recordings
        for number in range(3)
    ]


class Encoder:
    name, fingerprint = "stub", "f" * 64


def with_checkpoint(settings, checkpoint):
    """The same project, whose encoder `stub` is read from a checkpoint."""
    stub = LaionClapSettings(kind="laion_clap", checkpoint=str(checkpoint))
    return settings.model_copy(update={"encoders": {"stub": stub}})


def test_why_an_encoder_is_unavailable_travels_between_processes():
    error = EncoderUnavailable("weights missing", "fetch them")
    found = copy.copy(error)
    assert (found.reason, found.remedy, str(found)) == (error.reason, error.remedy, str(error))


def test_a_worker_of_either_kind_says_what_its_node_lacks(tmp_path):
    recording = tmp_path / "a.wav"
    recording.touch()
    settings = with_checkpoint(
        load_settings(sample_project(tmp_path / "project")), tmp_path / "mine.pt"
    )
    sizes = {recording: 0}
    with pytest.raises(NodeLacksError, match=r"encoder stub: .*mine\.pt"):
        EmbeddingWorker(settings, sizes).work([{"stub": segments(recording)}])
    with pytest.raises(NodeLacksError, match=r"encoder stub: .*mine\.pt"):
        TextWorker(settings, "stub").work([{"key": "a text"}])


def test_a_worker_does_not_embed_another_recording_than_the_one_that_was_meant(tmp_path):
    settings = load_settings(sample_project(tmp_path / "project"))
    (tmp_path / "a.wav").write_bytes(b"half")
    with pytest.raises(NodeLacksError, match=r"a\.wav has 4 bytes there and 8 where the graph"):
        EmbeddingWorker(settings, {tmp_path / "a.wav": 8}).work(
            [{"stub": segments(tmp_path / "a.wav")}]
        )


def test_a_file_that_a_node_lacks_is_told_whatever_its_error_knows():
    def told(cause):
        error = RuntimeError("ray::Worker.work() (pid=7, ip=10.0.0.7, actor_id=a)\nTraceback ...")
        error.cause = cause
        return str(cluster_module._told(error)[0])

    found = told(FileNotFoundError(2, "No such file", "/a.wav"))
    assert found.startswith("node 10.0.0.7: /a.wav is not there. Every node needs")
    assert "10.0.0.7: s3://b/x is not there" in told(FileNotFoundError("s3://b/x"))
    assert "10.0.0.7: encoder stub: it lacks" in told(NodeLacksError("encoder stub: it lacks"))


def test_clips_of_a_recording_given_up_are_named_and_the_others_are_not(tmp_path, monkeypatch):
    settings = load_settings(sample_project(tmp_path / "project"))
    work = Work(Encoder(), segments("a.wav", "poison.wav"), lambda keys, vectors: None)

    def run(engine, worker, arguments, units):
        store = ray_engine.VectorStore(settings.vectors_dir, Encoder.fingerprint)
        for unit in units:
            if unit["stub"][0].path.name == "poison.wav":
                yield [unit], Lost("the process ended")
                continue
            store.add([s.key for s in unit["stub"]], np.ones((3, 2), np.float32))
            yield [unit], {"stub": {}}

    monkeypatch.setattr(ray_engine, "run_shards", run)
    RayEngine(settings, RaySettings())([work], None)
    assert set(work.faults) == {f"poison.wav{number}" for number in range(3)}
    assert {fault.reason for fault in work.faults.values()} == {WORKER_LOST}
    assert "poison.wav: the process ended" in work.faults["poison.wav0"].detail


def test_texts_given_up_or_failed_with_are_named_and_the_others_are_not(tmp_path, monkeypatch):
    settings = load_settings(sample_project(tmp_path / "project"))
    work = Work(Encoder(), {key: f"text {key}" for key in "abc"}, lambda keys, vectors: None)

    def run(engine, worker, arguments, units):
        store = ray_engine.VectorStore(settings.vectors_dir, Encoder.fingerprint)
        store.add(["a"], np.ones((1, 2), np.float32))
        failed = {"c": Fault("encoder failed", "odd")}
        for unit in units:
            made = failed if "c" in unit else {}
            yield [unit], Lost("the process ended") if "b" in unit else made

    monkeypatch.setattr(ray_engine, "BATCH", 1)
    monkeypatch.setattr(ray_engine, "run_shards", run)
    RayTextEngine(settings, RaySettings())(work, lambda done, of: None)
    assert work.faults == {
        "b": Fault(WORKER_LOST, "the process ended"),
        "c": Fault("encoder failed", "odd"),
    }


def test_a_store_that_the_nodes_do_not_share_is_told(tmp_path, monkeypatch):
    settings = load_settings(sample_project(tmp_path / "project"))
    work = Work(Encoder(), segments("a.wav"), lambda keys, vectors: None)
    monkeypatch.setattr(
        ray_engine,
        "run_shards",
        lambda engine, worker, arguments, units: ((shard, {"stub": {}}) for shard in [units]),
    )
    with pytest.raises(ClusterError, match="3 vectors that the cluster computed are not in"):
        RayEngine(settings, RaySettings())([work], None)


@pytest.mark.parametrize(
    ("worker", "gpus", "workers"),
    [(Marker, 2, 2), (Marker, 0, 16), (FunctionWorker, 2, 64), (FunctionWorker, 0, 64)],
)
def test_gpus_are_for_encoders_and_a_scan_takes_single_cores(worker, gpus, workers):
    resources = {"CPU": 64.0, "GPU": float(gpus)}
    ray = SimpleNamespace(
        cluster_resources=lambda: resources,
        nodes=lambda: [{"NodeID": "a", "Alive": True, "Resources": resources}],
    )
    assert _Run(ray, RaySettings(cpus_per_worker=4), worker, [], [])._capacity() == workers


@pytest.mark.parametrize(
    ("given", "address"), [("ray", None), ("{kind: ray, address: 'head:6379'}", "head:6379")]
)
def test_a_config_names_the_engine(tmp_path, given, address):
    config = sample_project(tmp_path / "project")
    with config.open("a") as file:
        file.write(f"\nengine: {given}\n")
    assert load_settings(config).engine == RaySettings(address=address)
    config.write_text(config.read_text().replace(given, "dask"))
    with pytest.raises(SettingsError, match="engine"):
        load_settings(config)
