"""Texts and clips embedded a second, beside the `laion-clap` package used as its README says.

`python tests/performance/bench_embeddings.py` prints one table. Weights are random and the same on
both sides; the tokenizer is a stand-in trained here (the real vocabulary is a download), with
which texts are some tokens longer or shorter than they really are. Ratios are measured in one run,
turn by turn, and nothing is asserted: times belong to a machine. Where there is an accelerator,
both sides run on it, and the share of time that it was busy and the share of its peak are printed.

With the real data at hand (SOUND_APPROACH_TEST_DATA) the texts are the EPIC narrations and the
clips those of the kitchen suite; else both are made up.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import soundfile as sf
import torch
from support.encoder_files import roberta_vocabulary
from support.laion_package import clap_module

from assets.embeddings.engine import Segment, embed_segments
from assets.embeddings.work import Work
from resources.encoders import torch_runtime
from resources.encoders.laion_clap import LaionClap
from resources.media.segments import read_segments
from resources.settings import LaionClapSettings

_LIST = 48
Clip = tuple[Path, int, float, float]
"""Recording, its sample rate, start and stop in seconds."""


def real_data(*parts: str) -> Path | None:
    """A path in the folder of real data, if there is one."""
    folder = os.environ.get("SOUND_APPROACH_TEST_DATA")
    return Path(folder, *parts) if folder else None


def narrations() -> list[str]:
    """The distinct EPIC narrations, or as many made up with the same lengths."""
    file = real_data("epic_kitchens_100", "retrieval_annotations", "EPIC_100_retrieval_test.csv")
    if file is None:
        draw = np.random.default_rng(0)
        words = [f"word{number}" for number in range(900)]
        return [" ".join(draw.choice(words, draw.integers(2, 6))) for _ in range(3835)]
    with file.open(encoding="utf-8") as rows:
        return list(dict.fromkeys(row["narration"] for row in csv.DictReader(rows)))


def clips(folder: Path, count: int) -> list[Clip]:
    """Some clips of the kitchen suite, from all its recordings, or of made-up noise."""
    suite = real_data("kitchen_suite")
    if suite is None:
        noise = np.random.default_rng(0).uniform(-0.2, 0.2, 24_000 * 60)
        paths = [folder / f"noise_{minute}.flac" for minute in range(-(-count // 30))]
        for path in paths:
            sf.write(path, noise, 24_000)
        return [
            (paths[i // 30], 24_000, 2.0 * (i % 30), 2.0 * (i % 30) + 1.9) for i in range(count)
        ]
    found: list[Clip] = []
    with (suite / "epic_sounds" / "EPIC_Sounds_validation.csv").open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            place = f"{row['participant_id']}/{row['video_id']}"
            flac, mp4 = suite / "audio" / f"{place}.flac", suite / "videos" / f"{place}.MP4"
            path, rate = (flac, 24_000) if flac.exists() else (mp4, 48_000)
            if path.exists() and "K99" not in place:
                found.append((path, rate, *map(_seconds, _times(row))))
    return found[:: max(1, len(found) // count)][:count]


def _times(row: dict[str, str]) -> tuple[str, str]:
    return row["start_timestamp"], row["stop_timestamp"]


def _seconds(timestamp: str) -> float:
    hours, minutes, seconds = timestamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def cut_to_files(given: list[Clip], folder: Path) -> list[str]:
    """The same clips as files of their own: what the package takes."""
    files = []
    for number, (path, rate, start, stop) in enumerate(given):
        _, samples = next(read_segments(path, [(start, stop)]))
        files.append(str(folder / f"{number}.wav"))
        sf.write(files[-1], samples, rate)
    return files


def embed_ours(encoder: LaionClap, given: list[Clip]) -> None:
    """Clips from their recordings through the engine."""
    segments = [Segment(str(number), *clip, 0) for number, clip in enumerate(given)]
    work = Work(encoder, segments, lambda keys, vectors: None)
    embed_segments([work], read_segments)
    if work.faults or work.unavailable:
        raise SystemExit(f"the benchmark itself failed: {work.faults or work.unavailable}")


class Rate(NamedTuple):
    """Items a second on the clock, and a second of processor time: other work disturbs it less."""

    clock: float
    processor: float


def rates(runs: dict[str, tuple[int, Callable[[], Any]]], turns: int) -> dict[str, Rate]:
    """Each run's rates, the median of several turns, one after the other."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, (_, run) in runs.items():
            start, busy = time.perf_counter(), time.process_time()
            run()
            took = time.perf_counter() - start, time.process_time() - busy
            seconds[name].append(took)
    return {
        name: Rate(*(count / median(took) for took in zip(*seconds[name], strict=True)))
        for name, (count, _) in runs.items()
    }


def busy_share(run: Callable[[], Any]) -> float:
    """The share of a run's wall time in which the accelerator computed, by its own profiler."""
    from torch.profiler import ProfilerActivity, profile

    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        run()
    seconds = time.perf_counter() - start
    busy = sum(event.self_device_time_total for event in profiled.key_averages())
    return busy / 1e6 / seconds


def operations_a_clip(encoder: LaionClap) -> float:
    """Floating-point operations of one ten-second clip through the model."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        encoder.embed_audio([np.zeros(480_000, np.float32)], [0])
    return float(counter.get_total_flops())


class Bench:
    """Both sides with the same weights, and what they are given."""

    def __init__(self, folder: Path, given: argparse.Namespace) -> None:
        self.folder = folder
        self.given = given
        self.has_accelerator = torch.cuda.is_available()
        self.texts = narrations()
        self._vocabulary = roberta_vocabulary(folder / "vocabulary", self.texts, size=5000)
        self.theirs = clap_module(
            False, self._vocabulary, "cuda" if self.has_accelerator else "cpu"
        )
        self._checkpoint = folder / "random.pt"
        self._checkpoint.write_bytes(b"stands in for the weights")

    def ours(self, **settings: Any) -> LaionClap:
        """Our encoder, loaded with the package's weights."""
        made = LaionClap(
            "ours",
            LaionClapSettings(
                kind="laion_clap",
                checkpoint=self._checkpoint,
                vocabulary=str(self._vocabulary),
                fusion=False,
                **settings,
            ),
            self.folder,
        )
        weights = self.theirs.model.state_dict()
        with mock.patch.object(torch_runtime, "load_weights", lambda *_: weights):
            _ = made._model
        return made

    def measure_texts(self) -> None:
        """The package embeds a sample, evenly spaced; ours embeds all."""
        full = self.ours()
        some = self.texts[:: max(1, len(self.texts) // self.given.texts)][: self.given.texts]
        self.theirs.get_text_embedding(some[:8])  # both warm up
        full.embed_texts(some[:8])
        print(f"{len(self.texts):,} texts (stand-in tokenizer); the package embeds {len(some):,}")
        measured = rates(
            {
                "laion-clap": (len(some), lambda: self.theirs.get_text_embedding(some)),
                "ours, float32": (len(self.texts), lambda: full.embed_texts(self.texts)),
            },
            self.given.turns,
        )
        show("texts/s", measured)

    def _embed_files(self, files: list[str]) -> None:
        """List by list, since the package takes a list as one batch."""
        for start in range(0, len(files), _LIST):
            self.theirs.get_audio_embedding_from_filelist(x=files[start : start + _LIST])

    def measure_clips(self) -> None:
        """The package takes a file a clip; ours cuts the clips out of their recordings."""
        full, half = self.ours(), self.ours(precision="bfloat16")
        sample = clips(self.folder, self.given.clips)
        files = cut_to_files(sample, self.folder)
        self._embed_files(files[:8])  # all warm up
        embed_ours(full, sample[:8])
        embed_ours(half, sample[:8])
        print(f"{len(sample):,} clips")
        measured = rates(
            {
                "laion-clap": (len(files), lambda: self._embed_files(files)),
                "ours, float32": (len(sample), lambda: embed_ours(full, sample)),
                "ours, bfloat16": (len(sample), lambda: embed_ours(half, sample)),
            },
            self.given.turns,
        )
        show("clips/s", measured)
        if not self.has_accelerator:
            print("accelerator: skipped, there is none here")
            return
        busy = busy_share(lambda: embed_ours(half, sample))
        share = (
            operations_a_clip(half)
            * measured["ours, bfloat16"].clock
            / self.given.peak_tflops
            / 1e12
        )
        print(
            f"accelerator: {torch.cuda.get_device_name()}, busy {busy:.0%} of the time, "
            f"{share:.1%} of its bf16 peak of {self.given.peak_tflops:g} TFLOP/s"
        )


def show(unit: str, measured: dict[str, Rate]) -> None:
    """Print rates, and their ratios to the package's."""
    package = measured["laion-clap"]
    for name, rate in measured.items():
        print(
            f"{unit:8} {name:16} {rate.clock:8.1f} {rate.clock / package.clock:6.1f}x"
            f" {rate.processor / package.processor:6.1f}x by processor time"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--parts", nargs="+", choices=("texts", "clips"), default=("texts", "clips")
    )
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--texts", type=int, default=64, help="texts that the package embeds")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--peak-tflops", type=float, default=989, help="the card's; by default an H100's or H200's"
    )
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(Path(temporary), given)
        if "texts" in given.parts:
            bench.measure_texts()
        if "clips" in given.parts:
            bench.measure_clips()


if __name__ == "__main__":
    main()
