"""Clips embedded on a Ray cluster of one and two one-core nodes, beside the engine of one process.

`python tests/performance/bench_cluster.py` prints one table. The encoder is a stub that only costs
time of one core, so the ratios speak of the engine: what travels, what waits, what is stored. They
are said twice: of a run's steady part, from the moment that its first worker begins, and of all of
it, workers' start included, which is some seconds however long the run. The cluster's own start is
not counted. Nothing is asserted: times belong to a machine, and two nodes want two free cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from support.ray_nodes import ray_cluster

from assets.embeddings.engine import Segment, embed_segments
from assets.embeddings.work import Work
from resources.encoders.protocol import Window
from resources.media.segments import read_segments
from resources.parallel import Lost
from resources.ray_cluster import run_shards
from resources.settings import RaySettings
from resources.vector_store import VectorStore

RATE = 8000
CLIPS_A_RECORDING = 50


class Burner:
    """An encoder that keeps one core busy for so many seconds a clip."""

    name, fingerprint, sample_rate, window, batch_size = "burner", "b" * 64, RATE, Window(), 10
    training_recordings: frozenset[str] = frozenset()

    def __init__(self, cost_s: float) -> None:
        self.cost_s = cost_s

    def embed_audio(self, waveforms: Sequence[Any], draws: Sequence[int]) -> Any:
        """See `Encoder`."""
        until = time.thread_time() + self.cost_s * len(waveforms)
        while time.thread_time() < until:
            pass
        return np.array([[wave.mean(), 1.0] for wave in waveforms], dtype=np.float32)


class BurningWorker:
    """A node's worker, with the stub in place of a config's encoders."""

    holds_encoder = True

    def __init__(self, store: Path, cost_s: float) -> None:
        self.store = store
        self.cost_s = cost_s

    def work(self, units: Sequence[Sequence[Segment]]) -> float:
        """Embed some recordings' segments as the engine of one process does; when it began."""
        began = time.time()
        embed(self.store, self.cost_s, [segment for unit in units for segment in unit])
        return began


def embed(store: Path, cost_s: float, segments: Sequence[Segment]) -> None:
    """In this process."""
    encoder = Burner(cost_s)
    save = VectorStore(store, encoder.fingerprint).add
    embed_segments([Work(encoder, segments, save)], read_segments)


def recordings(folder: Path, count: int) -> list[list[Segment]]:
    """Recordings of noise with their segments."""
    units = []
    for number in range(count):
        path = folder / f"{number}.wav"
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, CLIPS_A_RECORDING * RATE // 10)
        soundfile.write(path, noise, RATE)
        units.append(
            [
                Segment(f"{number:04}{clip:060}", path, RATE, clip / 10, clip / 10 + 0.1, 0)
                for clip in range(CLIPS_A_RECORDING)
            ]
        )
    return units


def on_nodes(
    nodes: int, store: Path, cost_s: float, units: Sequence[Sequence[Segment]]
) -> tuple[float, float]:
    """Seconds of the steady part and of all of it, on a cluster of so many one-core nodes."""
    with ray_cluster(*[1] * nodes):
        start, began = time.time(), []
        for _, made in run_shards(RaySettings(), BurningWorker, [store, cost_s], units):
            assert not isinstance(made, Lost), made
            began.append(made)
        end = time.time()
    return end - min(began), end - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=32)
    parser.add_argument("--cost-ms", type=float, default=25.0)
    given = parser.parse_args()
    cost_s = given.cost_ms / 1000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        units = recordings(folder, given.recordings)
        clips = len(units) * CLIPS_A_RECORDING
        start = time.perf_counter()
        embed(folder / "alone", cost_s, [segment for unit in units for segment in unit])
        alone = time.perf_counter() - start
        print(f"{clips} clips, {given.cost_ms:g} ms of one core each")
        print(f"one process             {alone:6.1f} s  {clips / alone:6.1f} clips/s")
        one = on_nodes(1, folder / "one", cost_s, units)
        two = on_nodes(2, folder / "two", cost_s, units)
        for part, of_one, of_two in zip(("steady", "all of it"), one, two, strict=True):
            print(
                f"one node, {part:<13} {of_one:6.1f} s  {clips / of_one:6.1f} clips/s  "
                f"{alone / of_one:.2f} x one process"
            )
            print(
                f"two nodes, {part:<12} {of_two:6.1f} s  {clips / of_two:6.1f} clips/s  "
                f"{of_one / of_two:.2f} x one node"
            )


if __name__ == "__main__":
    main()
