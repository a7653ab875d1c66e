"""Texts and clips embedded a second, beside the `laion-clap` package used as its README says.

`python tests/performance/bench_embeddings.py` prints one table. Weights are random and the same on
both sides; the tokenizer is a stand-in trained here (the real vocabulary is a download), with
which texts are some tokens longer or shorter than they really are. Ratios are measured in one run,
turn by turn, and nothing is asserted: times belong to a machine.

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
from typing import Any
from unittest import mock

import numpy as np
import soundfile as sf
from support.encoder_files import roberta_vocabulary
from support.laion_package import clap_module

from assets.embeddings.engine import Segment, Work, embed_segments
from resources.encoders import torch_runtime
from resources.encoders.laion_clap import LaionClap
from resources.media.segments import read_segments
from resources.settings import LaionClapSettings

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
    """Some clips of the kitchen suite, recording by recording, or of made-up noise."""
    suite = real_data("kitchen_suite")
    if suite is None:
        path = folder / "noise.flac"
        noise = np.random.default_rng(0).uniform(-0.2, 0.2, 24_000 * 2 * count)
        sf.write(path, noise, 24_000)
        return [(path, 24_000, 2.0 * i, 2.0 * i + 1.9) for i in range(count)]
    found: list[Clip] = []
    with (suite / "epic_sounds" / "EPIC_Sounds_validation.csv").open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            place = f"{row['participant_id']}/{row['video_id']}"
            flac, mp4 = suite / "audio" / f"{place}.flac", suite / "videos" / f"{place}.MP4"
            path, rate = (flac, 24_000) if flac.exists() else (mp4, 48_000)
            if path.exists() and "K99" not in place:
                found.append((path, rate, *map(_seconds, _times(row))))
    return found[:count]


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


def rates(runs: dict[str, tuple[int, Callable[[], Any]]], turns: int) -> dict[str, float]:
    """Items a second of each run, the median of several turns, one after the other."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, (_, run) in runs.items():
            start = time.perf_counter()
            run()
            if turn:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: count / median(seconds[name]) for name, (count, _) in runs.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--texts", type=int, default=64, help="texts that the package embeds")
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        texts = narrations()
        vocabulary = roberta_vocabulary(folder / "vocabulary", texts, size=5000)
        theirs = clap_module(fusion=False, vocabulary=vocabulary)
        checkpoint = folder / "random.pt"
        checkpoint.write_bytes(b"stands in for the weights")

        def ours(**settings: Any) -> LaionClap:
            return LaionClap(
                "ours",
                LaionClapSettings(
                    kind="laion_clap",
                    checkpoint=checkpoint,
                    vocabulary=str(vocabulary),
                    fusion=False,
                    **settings,
                ),
                folder,
            )

        full, half = ours(), ours(precision="bfloat16")
        with mock.patch.object(torch_runtime, "load_weights", lambda *_: theirs.model.state_dict()):
            _ = full._model, half._model
        sample = clips(folder, given.clips)
        files = cut_to_files(sample, folder)
        some = texts[:: max(1, len(texts) // given.texts)][: given.texts]
        text_rates = rates(
            {
                "laion-clap": (len(some), lambda: theirs.get_text_embedding(some)),
                "ours, float32": (len(texts), lambda: full.embed_texts(texts)),
            },
            given.turns,
        )
        clip_rates = rates(
            {
                "laion-clap": (
                    len(files),
                    lambda: theirs.get_audio_embedding_from_filelist(x=files),
                ),
                "ours, float32": (len(sample), lambda: embed_ours(full, sample)),
                "ours, bfloat16": (len(sample), lambda: embed_ours(half, sample)),
            },
            given.turns,
        )
    print(f"{len(texts):,} texts (stand-in tokenizer), {len(sample)} clips, same random weights")
    for what, measured in (("texts/s", text_rates), ("clips/s", clip_rates)):
        for name, rate in measured.items():
            ratio = rate / measured["laion-clap"]
            print(f"{what:8} {name:16} {rate:8.1f} {ratio:6.1f}x")


if __name__ == "__main__":
    main()
