"""AudioEgoMCQ at full size: 39,000 questions over 195,000 clips through adapter and filters.

`python tests/performance/bench_ego_mcq.py` prints seconds and peak memory of each step. The file is
made up from a seed; there are no recordings, so what is timed is everything but listening.
"""

from __future__ import annotations

import json
import random
import resource
import tempfile
import time
from pathlib import Path

from support.benchmark_files import question, record, settings_for

from assets.benchmarks.adapters import read_annotations
from assets.benchmarks.clips import build_clips
from assets.benchmarks.exclusions import benchmark_exclusions
from assets.benchmarks.questions import build_questions
from assets.benchmarks.recordings import media_inventory
from resources.tables import CLIPS, EXCLUSIONS, QUESTIONS

INTER, INTRA, VIDEOS, OPTIONS = 24_000, 15_000, 1_500, 5


def write_questions(path: Path) -> None:
    """As many questions, clips and words as the published file has."""
    draw = random.Random(0)
    verbs = ["opens", "closes", "picks up", "drops", "cuts", "washes", "turns", "moves"]
    clips = 0
    questions = {}
    for number in range(INTER + INTRA):
        inter = number < INTER
        videos = (
            draw.sample(range(VIDEOS), OPTIONS) if inter else [draw.randrange(VIDEOS)] * OPTIONS
        )
        options = []
        for video in videos:
            start = round(clips * 0.31 + draw.random(), 13)
            text = f"#C C {draw.choice(verbs)} the thing {draw.randrange(3_000)}"
            clip = record(f"{video:08x}-0000-4000-8000-000000000000", start, start + 1.0, text)
            extra = {"video_dur": 480.0, "narration_source": "narration_pass_1"}
            options.append({**clip, **extra, "narration_ind": clips, "narration_time": start})
            clips += 1
        questions[str(number)] = question(options, draw.randrange(OPTIONS), 1 if inter else 2)
    path.write_text(json.dumps(questions))


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "egomcq.json")
        write_questions(path)
        begun = lap = time.perf_counter()
        busy = time.process_time()

        def done(step: str) -> None:
            nonlocal lap
            now = time.perf_counter()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"{step:<34}{now - lap:>7.1f} s{peak:>8.2f} GB peak")
            lap = now

        settings = settings_for(Path(folder), {"ego_mcq": {"questions": str(path)}})
        done(f"the file: {path.stat().st_size / 2**20:.0f} MB")
        annotations = read_annotations(settings, "ego_mcq")
        done("read and checked")
        media = media_inventory(settings, annotations)
        clips = build_clips(settings, annotations, media)
        done(f"{len(clips):,} clips of {len(media):,} recordings")
        questions = build_questions(settings, annotations, clips)
        done(f"{len(questions):,} questions filtered")
        exclusions = benchmark_exclusions(annotations, media, clips, questions)
        done(f"{len(exclusions):,} exclusions named")
        for model, frame in ((CLIPS, clips), (QUESTIONS, questions), (EXCLUSIONS, exclusions)):
            model.to_arrow(frame)
        done("tables in Arrow")
        processor = time.process_time() - busy
        print(
            f"{'all':<34}{time.perf_counter() - begun:>7.1f} s, {processor:.1f} s of processor time"
        )


if __name__ == "__main__":
    main()
