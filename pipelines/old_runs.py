"""Dagster's records of runs that nobody looks at any more, in the storage of one config."""

import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg

from assets.reports.assets import is_whole
from pipelines.automation import FAILURES_BEFORE_WAITING
from pipelines.jobs import PARTITION_TAG
from resources.garbage import Garbage


def old_runs(instance: dg.DagsterInstance, home: Path, before: datetime) -> Iterator[Garbage]:
    """Finished runs created before a time, with their events and logs.

    The last runs of each job and benchmark stay whatever their age, whole ones and others: the
    sensor looks at them.
    """
    seen: Counter[tuple[str, str | None, bool]] = Counter()
    old = []
    for record in instance.get_run_records():  # newest first
        run = record.dagster_run
        kind = run.job_name, run.tags.get(PARTITION_TAG), is_whole(run)
        seen[kind] += 1
        if (
            seen[kind] > FAILURES_BEFORE_WAITING
            and run.is_finished
            and record.create_timestamp < before
        ):
            old.append(run.run_id)
    if old:
        sizes = [file.stat().st_size for run in old for file in _files(home, run)]
        yield Garbage(
            "runs, with events and logs", len(old), sum(sizes), lambda: _delete(home, old)
        )


def _files(home: Path, run_id: str) -> list[Path]:
    """What SQLite's storage keeps of one run in files of its own."""
    logs = (home / "storage" / run_id).rglob("*")
    events = (home / "history" / "runs").glob(f"{run_id}.db*")
    return [path for path in (*logs, *events) if path.is_file()]


def _delete(home: Path, run_ids: list[str]) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for run_id in run_ids:
            instance.delete_run(run_id)
    for run_id in run_ids:
        for path in _files(home, run_id):
            path.unlink(missing_ok=True)
        shutil.rmtree(home / "storage" / run_id, ignore_errors=True)
