"""A user's own benchmark of very many clips and texts through the graph, up to its vectors.

`python tests/performance/bench_million.py --rows 1000000` prints seconds, processor time and peak
memory of each table, of a first run and of two that find everything known: one in which nothing
changed, and one of another release of this project, which makes every table again from what is
stored. Dagster, its type checks and Great Expectations take part. Language model and encoder are
stubs, since what is asked here is what everything else costs a row. Similarities of all pairs are
no part of it: docs/scale.md says where their limit is. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import csv
import resource
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import numpy as np
import pytest
import soundfile
import yaml

from assets.benchmarks.assets import BENCHMARK_TABLES
from assets.descriptions import assets as description_assets
from assets.descriptions.assets import DESCRIPTION_TABLES
from assets.embeddings import audio, fingerprints, texts
from assets.embeddings.assets import EMBEDDING_CHECKS, EMBEDDING_TABLES
from resources.config_file import load_settings
from resources.encoders.protocol import Window, unit_rows
from resources.language_model.asking import Asking, LedgerModel
from resources.language_model.ledger import Ledger
from resources.language_model.ledger_rows import Outcome
from resources.language_model.prices import Prices
from resources.language_model.question import Spent
from resources.language_model.replies import Reply
from resources.language_model.requests import group_questions, make_intent, make_verdict
from resources.table_assets.declared import LakeIOManager, TableAsset
from resources.table_assets.stage import ProjectConfig

BENCHMARK = "many"
RATE = 8000
CLIP_S = 0.02
CLIPS_A_RECORDING = 500
CHAIN = (*BENCHMARK_TABLES, *DESCRIPTION_TABLES, *EMBEDDING_TABLES)
VERBS = ("opens", "closes", "picks up", "drops", "cuts", "washes", "turns", "moves")


class Stub:
    """An encoder that costs next to nothing."""

    fingerprint, sample_rate, window, batch_size = "5" * 64, RATE, Window(), 1024
    training_recordings: frozenset[str] = frozenset()

    def __init__(self, name: str, width: int) -> None:
        self.name = name
        self.waves = np.random.default_rng(0).normal(size=(16, width))

    def embed_audio(self, waveforms: Sequence[Any], draws: Sequence[int]) -> Any:
        """See `Encoder`."""
        return unit_rows(np.array([wave[:16] for wave in waveforms]) @ self.waves)

    def embed_texts(self, texts: Sequence[str]) -> Any:
        """See `Encoder`."""
        seeds = np.array([zlib.crc32(text.encode()) for text in texts], dtype=float)
        return unit_rows(np.cos(np.outer(seeds, np.arange(1, 17))) @ self.waves)


def write_project(folder: Path, rows: int, prompts: int) -> Path:
    """Recordings, annotations, prompts and config of so many clips, every text another one."""
    recordings = folder / "recordings"
    recordings.mkdir(parents=True)
    for number in range(-(-rows // CLIPS_A_RECORDING)):
        noise = np.random.default_rng(number).uniform(
            -0.5, 0.5, int(CLIPS_A_RECORDING * 0.02 * RATE)
        )
        soundfile.write(recordings / f"v{number:05}.wav", noise, RATE)
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["clip_id", "media", "start_s", "stop_s", "text"])
        for row in range(rows):
            recording, place = divmod(row, CLIPS_A_RECORDING)
            start = round(place * CLIP_S, 2)
            text = f"#C C {VERBS[row % len(VERBS)]} the thing number {row}"
            table.writerow([f"c{row}", f"v{recording:05}", start, round(start + CLIP_S, 2), text])
    (folder / "prompts").mkdir()
    for number in range(prompts):
        (folder / "prompts" / f"describe{number}.yaml").write_text(yaml.safe_dump(_prompt(number)))
    for name, header in {
        "kinetics": "label,youtube_id,time_start,time_end\ncooking,aa,0,10",
        "audiocaps": "audiocap_id,youtube_id,start_time,caption\n1,aa,0,water runs",
    }.items():
        (folder / f"{name}.csv").write_text(header + "\n", encoding="utf-8")
    config = folder / "many.yaml"
    config.write_text(yaml.safe_dump(_config()), encoding="utf-8")
    return config


def _prompt(number: int) -> dict[str, Any]:
    return {
        "id": f"describe{number}",
        "about": "For a benchmark of speed.",
        "purpose": "describe",
        "model": "stub",
        "parameters": {"temperature": 0.0, "max_tokens": 50},
        "messages": [{"role": "user", "content": f"Variant {number}, heard: {{{{ text }}}}"}],
        "answer": {"description": "string"},
        "texts_per_request": 20,
    }


def _config() -> dict[str, Any]:
    return {
        "media": ["recordings/{video_id}.wav"],
        "benchmarks": {BENCHMARK: {"adapter": "table", "clips": "clips.csv"}},
        "few_shot": {"audiocaps": ["audiocaps.csv"], "kinetics": ["kinetics.csv"]},
        "language_model": {"provider": "openai"},
        "encoders": {"stub": {"kind": "laion_clap", "checkpoint": "none.pt"}},
    }


class StubModel:
    """Answers at once (see `Sender`); what it is asked and says goes into the ledger as usual."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def collect(self) -> None:
        """Nothing is ever on its way."""

    def send(self, asking: Sequence[Asking], spent: Spent) -> Mapping[str, str]:
        """Ask each question once."""
        intents = [
            make_intent(group, "text", Prices(models={})) for group in group_questions(asking)
        ]
        self.ledger.intend(intents).result()
        written = []
        for intent in intents:
            reply = Reply(None, "stop", None, "m", 1, 1, "")
            verdicts = [
                make_verdict(
                    question.key,
                    ({"description": f"Sounds like: {question.text[3:]}"}, None),
                    reply,
                    "m",
                    0,
                    intent.request_id,
                )
                for question in intent.questions
            ]
            outcome = Outcome(intent.request_id, "answered", 1, "", None, 1, 1, None)
            written.append(self.ledger.settle(outcome, verdicts))
        for future in written:
            future.result()
        return {}


@contextmanager
def stubs(cache_dir: Path, width: int) -> Iterator[None]:
    """With the stubs in place of a config's encoders and language model."""
    with pytest.MonkeyPatch.context() as patch, Ledger.in_folder(cache_dir) as ledger:
        for module in (audio, texts, fingerprints):
            patch.setattr(module, "build_encoder", lambda name, *_: Stub(name, width))
        opened = {
            "open_language_model": LedgerModel(ledger, StubModel(ledger), 2),
            "open_ledger": ledger,
        }
        for name, thing in opened.items():
            patch.setattr(description_assets, name, _always(thing))
        yield


def _always(thing: Any) -> Callable[..., Any]:
    return lambda *_, **__: nullcontext(thing)


@dataclass
class Laps:
    """What each step took: seconds, processor seconds, and the most memory during it."""

    wall: float = field(default_factory=time.perf_counter)
    busy: float = field(default_factory=time.process_time)
    laps: list[tuple[float, float, float]] = field(default_factory=list)

    def step(self, what: str) -> None:
        """End a step; those of no account are only summed up."""
        wall, busy = time.perf_counter(), time.process_time()
        self.laps.append((wall - self.wall, busy - self.busy, _peak_gb()))
        self.wall, self.busy = wall, busy
        if self.laps[-1][1] >= 1:
            self._line(what, *self.laps[-1])

    def finish(self) -> None:
        """Print the sums."""
        self.step("the rest")
        walls, busies, peaks = zip(*self.laps, strict=True)
        self._line("all", sum(walls), sum(busies), max(peaks))

    @staticmethod
    def _line(what: str, wall: float, busy: float, peak: float) -> None:
        print(f"  {what:<40}{wall:>10.1f} s{busy:>10.1f} s{peak:>8.2f} GB", flush=True)


def _peak_gb() -> float:
    """The most memory since the last call (where Linux tells; else since the start)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    (peak,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return int(peak.split()[1]) / 2**20


def run(config: Path, chain: Sequence[TableAsset]) -> None:
    """Materialize the chain with its checks, and print what every step took."""
    partitions = dg.StaticPartitionsDefinition([BENCHMARK])
    project = ProjectConfig(config_file=str(config))
    checks = [check for table in chain for check in table.checks(partitions)]
    checks += [check.definition(partitions) for check in EMBEDDING_CHECKS]
    job = dg.Definitions(
        assets=[table.definition(partitions) for table in chain],
        asset_checks=checks,
        jobs=[dg.define_asset_job("chain", executor_def=dg.in_process_executor)],
        resources={"project": project, "lake": LakeIOManager(project=project)},
    ).resolve_job_def("chain")
    laps, run_id = Laps(), str(uuid4())

    def follow(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event and event.is_step_success:
            laps.step(str(event.step_key))

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_event_listener(run_id, follow)
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        job.execute_in_process(
            instance=instance, partition_key=BENCHMARK, run_id=run_id, run_config=quiet
        )
    laps.finish()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--prompts", type=int, default=1, help="each describes every text anew")
    parser.add_argument("--width", type=int, default=64, help="numbers a vector")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        config = write_project(Path(temporary), given.rows, given.prompts)
        settings = load_settings(config)
        print(f"{given.rows:,} clips and texts, {given.prompts} prompt(s), {given.width} a vector")
        with stubs(settings.cache_dir, given.width):
            for what, release in {"first run": "1", "no-op": "1", "another release": "2"}.items():
                print(f"{what:<42}{'seconds':>10}{'processor':>12}{'peak':>11}")
                run(config, [replace(table, code_version=release) for table in CHAIN])


if __name__ == "__main__":
    main()
