"""Audio segments a second, resampled, beside `librosa.load(offset, duration)` on the same files.

`python tests/performance/bench_media.py` prints one table. Ours reads a recording a thread, as the
pipeline does; the single-thread figure stands beside it. Ratios are measured in one run, turn by
turn, on the clock and in processor time, which other work on the machine disturbs less; nothing is
asserted: times belong to a machine.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import soundfile as sf
from support.media_files import write_video

from resources.media.segments import read_segments

STORED, TARGET = 24_000, 48_000
RECORDINGS, SECONDS, SEGMENTS = 2, 600, 300
Spans = list[tuple[float, float]]


def noise_with_hum(seed: int, rate: int = STORED) -> np.ndarray:
    """Something that compresses as a kitchen does: hum, and bursts of noise."""
    draw = np.random.default_rng(seed)
    seconds = np.arange(SECONDS * rate) / rate
    bursts = np.repeat(draw.uniform(0, 0.2, SECONDS) ** 2, rate)
    noise = bursts * draw.standard_normal(len(seconds))
    return (0.05 * np.sin(2 * np.pi * 100 * seconds) + noise).astype(np.float32)


def spans(seed: int) -> Spans:
    """Segments of 0.5 to 10 s, anywhere."""
    draw = np.random.default_rng(seed)
    lengths = draw.uniform(0.5, 10, SEGMENTS)
    starts = draw.uniform(0, SECONDS - 10, SEGMENTS)
    return [(float(a), float(a + b)) for a, b in zip(starts, lengths, strict=True)]


def write_recordings(folder: Path) -> dict[str, list[Path]]:
    """The same sound in every form, as addresses."""
    addresses: dict[str, list[Path]] = {"FLAC": [], "WAV": [], "HDF5": [], "MP4": []}
    with h5py.File(folder / "audio.hdf5", "w") as file:
        for seed in range(RECORDINGS):
            samples = noise_with_hum(seed)
            for form in ("FLAC", "WAV"):
                addresses[form].append(folder / f"{seed}.{form.lower()}")
                sf.write(addresses[form][-1], samples, STORED, subtype="PCM_16")
            file.create_dataset(str(seed), data=samples)
            addresses["HDF5"].append(folder / f"audio.hdf5::{seed}")
            stereo = np.repeat(noise_with_hum(seed, TARGET)[:, None], 2, axis=1)
            path = folder / f"{seed}.mp4"
            addresses["MP4"].append(write_video(path, stereo, TARGET, seconds=1.0))
    return addresses


def by_librosa(path: Path, wanted: Spans) -> int:
    """The way of the authors' loader: the file is opened anew for each segment."""
    import librosa

    for start, stop in wanted:
        librosa.load(path, sr=TARGET, offset=start, duration=stop - start)
    return len(wanted)


def by_us(path: Path, wanted: Spans) -> int:
    """A recording, decoded once."""
    return sum(1 for _ in read_segments(path, wanted, TARGET))


class Rate(NamedTuple):
    """Segments a second on the clock, and a second of processor time."""

    clock: float
    processor: float


def rate(work: Callable[[], int]) -> Rate:
    """How fast a way is."""
    start, busy = time.perf_counter(), time.process_time()
    done = work()
    return Rate(done / (time.perf_counter() - start), done / (time.process_time() - busy))


def best_rates(*ways: Callable[[], int], turns: int = 3) -> list[Rate]:
    """The best of some turns of each way, taken in turn, so that all meet the same machine."""
    rates = [[rate(way) for way in ways] for _ in range(turns)]
    return [Rate(*map(max, zip(*column, strict=True))) for column in zip(*rates, strict=True)]


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    wanted = [spans(seed) for seed in range(RECORDINGS)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(RECORDINGS) as pool:
        addresses = write_recordings(Path(folder))
        by_librosa(addresses["FLAC"][0], wanted[0][:3])
        flac = Rate(0, 0)
        print(f"{'segments/s':<12}{'librosa':>9}{'1 thread':>10}{'threads':>9}{'ratio':>8}", end="")
        print("  per processor second")
        for form, paths in addresses.items():
            baseline_paths = paths if form in {"FLAC", "WAV"} else addresses["FLAC"]
            baseline, single, ours = best_rates(
                lambda files=baseline_paths: sum(map(by_librosa, files, wanted)),
                lambda files=paths: sum(map(by_us, files, wanted)),
                lambda files=paths: sum(pool.map(by_us, files, wanted)),
            )
            flac = baseline if form == "FLAC" else flac
            against = baseline if form in {"FLAC", "WAV"} else flac
            print(
                f"{form:<12}{against.clock:>9.0f}{single.clock:>10.0f}{ours.clock:>9.0f}"
                f"{ours.clock / against.clock:>7.1f}x{single.processor / against.processor:>9.1f}x"
            )
        print("HDF5 and MP4 stand beside librosa on FLAC; an MP4 is decoded once for its segments.")


if __name__ == "__main__":
    main()
