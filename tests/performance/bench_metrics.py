"""Metrics and intervals at EPIC's size, beside the published formulas in plain numpy.

Run it with `make bench`, or alone: `python tests/performance/bench_metrics.py`. Each row is
measured in a process of its own, so that its peak memory is its own. Ratios are of one run, side by
side, on the clock and in processor time (which other work on the machine disturbs less); nothing is
asserted. Relevance has EPIC's shape; where SOUND_APPROACH_TEST_DATA names the real files, it is
theirs.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support import published_formulas  # noqa: E402

from assets.benchmarks.relevance import ClassRelevance, DenseMatrix, class_relevance  # noqa: E402
from assets.retrieval.intervals import (  # noqa: E402
    cluster_sums,
    percentile_interval,
    resampled_means,
    resampled_medians,
    weight_blocks,
)
from assets.retrieval.metrics import BOTH_DIRECTIONS, query_metrics  # noqa: E402
from assets.retrieval.similarity import CosineSimilarity  # noqa: E402

CAPTIONS, CLIPS, VIDEOS, RESAMPLES = 3842, 9668, 138, 2000


def relevance() -> ClassRelevance:
    """The real one if it is there, else one like it."""
    if os.environ.get("SOUND_APPROACH_TEST_DATA"):
        from support.epic import epic_clips_and_captions

        clips, captions = epic_clips_and_captions()
        return class_relevance(captions, clips, "caption")
    draw = np.random.default_rng(0)

    def items(count: int) -> pd.DataFrame:
        verbs = np.minimum(draw.zipf(1.6, count), 78)
        nouns = [[int(noun)] for noun in np.minimum(draw.zipf(1.4, count), 211)]
        return pd.DataFrame({"verb_class": verbs, "noun_classes": nouns})

    return class_relevance(items(CAPTIONS), items(CLIPS), "caption")


def similarity() -> DenseMatrix:
    """Seeded, held whole by the caller."""
    draw = np.random.default_rng(1)
    return DenseMatrix(draw.standard_normal((CAPTIONS, CLIPS), dtype=np.float32))


def by_formulas() -> tuple[float, float]:
    """mAP and nDCG of both directions over whole matrices, as published."""
    whole, similar = relevance().caption_rows(slice(None)), similarity().values
    return timed(lambda: [
        formula(rows, graded)
        for rows, graded in ((similar, whole), (similar.T, whole.T))
        for formula in (published_formulas.map_published, published_formulas.ndcg)
    ])  # fmt: skip


def by_us() -> tuple[float, float]:
    """All metrics of both directions, the relevance computed on the way."""
    relevant, similar = relevance(), similarity()
    return timed(lambda: [query_metrics(similar, relevant, d) for d in BOTH_DIRECTIONS])


def large_gallery() -> tuple[float, float]:
    """20,000 x 20,000, similarity from vectors, both directions."""
    draw = np.random.default_rng(2)
    vectors = draw.standard_normal((40_000, 512), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = draw.integers(0, 2000, 20_000)
    relevant = ClassRelevance("class", np.arange(2000.0), np.zeros((2000, 0)), codes, codes)
    similar = CosineSimilarity(vectors[:20_000], np.arange(20_000), vectors[20_000:])
    return timed(lambda: [query_metrics(similar, relevant, d) for d in BOTH_DIRECTIONS])


def bootstrap() -> tuple[float, float]:
    """Intervals of 16 metrics, 3 of them medians, for both directions, by text and recording."""
    return timed(lambda: [intervals(CAPTIONS, CAPTIONS), intervals(CLIPS, VIDEOS)])


def plain_bootstrap() -> tuple[float, float]:
    """The plain intervals beside them, by audio query; text queries are drawn singly anyway."""
    return timed(lambda: intervals(CLIPS, CLIPS))


def intervals(queries: int, clusters: int) -> None:
    """All intervals of one direction."""
    draw = np.random.default_rng(3)
    codes = draw.permutation(np.arange(queries) % clusters)
    values = draw.random((16, queries))
    sums = np.stack([cluster_sums(v, codes, clusters) for v in values], axis=1)
    sizes = np.bincount(codes, minlength=clusters)[:, None] * np.ones(16)
    resampled = []
    for weights in weight_blocks(clusters, RESAMPLES, (0, clusters)):
        block = resampled_means(sums, sizes, weights)
        for column, ranks in enumerate(values[:3]):
            block[:, column] = resampled_medians(ranks, codes, weights)
        resampled.append(block)
    percentile_interval(np.concatenate(resampled))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that it takes: on the clock, and of all processors."""
    start, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - busy


def inputs_only() -> tuple[float, float]:
    """What is held before any measurement begins, to be taken off."""
    return timed(lambda: (relevance(), similarity()))


CASES = {
    "inputs": inputs_only,
    "published formulas, numpy": by_formulas,
    "metrics, all": by_us,
    "20,000 x 20,000": large_gallery,
    "bootstrap, 2,000 resamples": bootstrap,
    "plain bootstrap beside it": plain_bootstrap,
}


def measure(name: str) -> tuple[float, float, float]:
    """Seconds on the clock and of processors, and peak memory in GB, in a process of its own."""
    output = subprocess.run(
        [sys.executable, __file__, name], capture_output=True, text=True, check=True
    ).stdout
    seconds, busy, kilobytes = (float(number) for number in output.split())
    return seconds, busy, kilobytes / 1e6


def main() -> None:
    """Print the table, or, told a case's name, its seconds and peak memory."""
    if len(sys.argv) > 1:
        print(*CASES[sys.argv[1]](), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    results = {name: measure(name) for name in CASES}
    held = results["inputs"][2]
    print(f"{'case':<30}{'seconds':>9}{'busy s':>9}{'peak GB':>9}{'extra GB':>10}")
    for name, (seconds, busy, memory) in results.items():
        extra = max(memory - held, 0)
        print(f"{name:<30}{seconds:>9.2f}{busy:>9.2f}{memory:>9.2f}{extra:>10.2f}")
    theirs, ours = results["published formulas, numpy"], results["metrics, all"]
    print(
        f"\nfaster than the formulas: {theirs[0] / ours[0]:.1f} times on the clock, "
        f"{theirs[1] / ours[1]:.1f} times in processor time"
    )


if __name__ == "__main__":
    main()
