"""Dagster's home of one config: its first set-up, and which of its runs are still alive."""

from __future__ import annotations

import atexit
import os
import shutil
import time
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from resources.settings import CONFIG_VARIABLE, PROJECT_ROOT, Settings

TEMPLATE = PROJECT_ROOT / "dagster.yaml"
STARTING_S = 60.0
"""A run that started less than this ago may not have come to its sign of life yet."""

_signs: dict[Path, FileLock] = {}


def prepare_home(settings: Settings) -> Path:
    """Create the home if need be, and point this process and its children at it.

    Two first starts at once are kept apart by a file lock: Dagster's own set-up of a new
    SQLite storage is not safe against a second one.
    """
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ[CONFIG_VARIABLE] = str(settings.config_file)
    with FileLock(home / ".setup.lock"):
        if not (home / "dagster.yaml").exists():
            shutil.copyfile(TEMPLATE, home / "dagster.yaml")
        with dg.DagsterInstance.get() as instance:
            instance.get_run_records(limit=1)
    return home


def show_alive(home: Path, run_id: str) -> None:
    """Give a sign that a run is alive: a locked file, which the system frees with the process."""
    sign = _sign(home, run_id)
    if sign in _signs:
        return
    sign.parent.mkdir(exist_ok=True)
    lock = FileLock(sign)
    lock.acquire(timeout=0)
    _signs[sign] = lock
    atexit.register(_let_go, lock, sign)


def fail_dead_runs(instance: dg.DagsterInstance, home: Path) -> list[str]:
    """Report runs as failed whose process is gone, and free their places in the pools.

    Dagster can't tell: after a power cut, or when everything was killed, it would count such a
    run as under way for ever, and hold back whatever waits for it.

    Returns:
        Their ids.
    """
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    dead = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=statuses)):
        run = record.dagster_run
        started = record.start_time or record.create_timestamp.timestamp()
        if time.time() - started > STARTING_S and not _is_alive(home, run.run_id):
            instance.report_run_failed(run, "The process of this run is gone: it was killed.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            _sign(home, run.run_id).unlink(missing_ok=True)
            dead.append(run.run_id)
    return dead


def _sign(home: Path, run_id: str) -> Path:
    return home / "alive" / f"{run_id}.lock"


def _is_alive(home: Path, run_id: str) -> bool:
    sign = _sign(home, run_id)
    if not sign.exists():
        return False
    try:
        with FileLock(sign).acquire(timeout=0):
            return False
    except Timeout:
        return True


def _let_go(lock: FileLock, sign: Path) -> None:
    lock.release()
    sign.unlink(missing_ok=True)
