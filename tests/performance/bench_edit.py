"""What a user of the sample waits for: its first run, a run without a change, an edited prompt.

`python tests/performance/bench_edit.py` prints seconds, the median of some turns: of the command
line in a process of its own, by the clock and of processor time; and, with web server and daemon
running as `make ui` starts them, from saving a prompt to the published tables of all benchmarks.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from support.command_line import CommandLineRun
from support.live_project import LiveProject
from support.recorded_edit import edit, edit_back

PATIENCE_S = 300


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that some work took by the clock, and of its finished processes' processor time."""
    busy, begun = _busy(), time.perf_counter()
    work()
    return time.perf_counter() - begun, _busy() - busy


def _busy() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(what: str, turns: list[tuple[float, float]]) -> None:
    clock, processor = (median(column) for column in zip(*turns, strict=True))
    print(f"{what:<46}{clock:>8.1f}{processor:>12.1f}{len(turns):>7}", flush=True)


def to_tables(live: LiveProject, change: Callable[[Path], None]) -> tuple[float, float]:
    """Seconds from a saved prompt to its last table, and until the last run has ended."""
    saved = time.time()
    change(live.prompts)
    live.wait_for(live.up_to_date, PATIENCE_S, "the edit's tables")
    return live.settings.duckdb_file.stat().st_mtime - saved, time.time() - saved


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--turns", type=int, default=3, help="of a run without a change")
    options.add_argument("--edits", type=int, default=4, help="with the daemon, there and back")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        live = LiveProject(Path(folder, "project"))
        print(f"{'':<46}{'clock, s':>8}{'processor, s':>14}{'turns':>5}")
        runs: list[CommandLineRun] = []
        row("first run", [timed(lambda: runs.append(CommandLineRun(live.config)))])
        row("run without a change", [timed(runs[0].again) for _ in range(given.turns)])
        if given.edits:
            with_daemon(live, given.edits)


def with_daemon(live: LiveProject, edits: int) -> None:
    try:
        live.start()
        live.wait_for(lambda: "nothing has changed" in live.sensor_says(), PATIENCE_S, "a tick")
        waited = [to_tables(live, edit_back if turn % 2 else edit) for turn in range(edits)]
    finally:
        live.stop()
    tables, ended = (median(column) for column in zip(*waited, strict=True))
    print(f"{'saved prompt to published tables, daemon':<46}{tables:>8.1f}{'':>12}{edits:>7}")
    print(f"{'saved prompt to the end of the last run':<46}{ended:>8.1f}{'':>12}{edits:>7}")
    print("each, in order:", " ".join(f"{seconds:.1f}" for seconds, _ in waited))


if __name__ == "__main__":
    main()
