"""Dagster's home of one config: its first set-up, and which of its runs are still alive."""

from __future__ import annotations

import atexit
import json
import os
import time
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from pipelines.history import keep_connections
from resources.remote import require
from resources.settings import CONFIG_VARIABLE, PROJECT_ROOT, Settings

TEMPLATE = PROJECT_ROOT / "dagster.yaml"
STORAGE_MARK = "# -- from the config's `dagster_storage`; written anew at every start --\n"
STARTING_S = 60.0
"""A run that started less than this ago may not have come to its sign of life yet."""
POOLS = ("language_model", "encoders", "warehouse")
"""What steps that are dear belong to."""

_signs: dict[Path, FileLock] = {}


def prepare_home(settings: Settings) -> Path:
    """Create the home if need be, and point this process and its children at it.

    Two first starts at once are kept apart by a file lock: Dagster's own set-up of a new
    SQLite storage is not safe against a second one.

    Raises:
        ExtraMissingError: the config names a `dagster_storage`, and its driver is not installed.
    """
    if settings.dagster_storage:
        require("dagster_postgres", "dagster_storage")
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ[CONFIG_VARIABLE] = str(settings.config_file)
    keep_connections()
    with FileLock(home / ".setup.lock"):
        file = home / "dagster.yaml"
        text = (file if file.exists() else TEMPLATE).read_text(encoding="utf-8")
        wanted = _with_storage(text, settings.dagster_storage)
        if not file.exists() or wanted != text:
            file.write_text(wanted, encoding="utf-8")
        with dg.DagsterInstance.get() as instance:
            instance.get_run_records(limit=1)
            _open_pools(instance)
    return home


def _open_pools(instance: dg.DagsterInstance) -> None:
    """Enter every pool with its limit, before a run needs it.

    Runs do so themselves, but Dagster's way to it fails in PostgreSQL where the pool is known: of
    the first runs all but one would fail, and every run after an edit of the limit.
    """
    limit = instance.global_op_concurrency_default_limit
    storage = instance.event_log_storage
    known = {pool.name: pool for pool in storage.get_pool_limits()}
    for name in POOLS if limit is not None else ():
        pool = known.get(name)
        if pool and (pool.limit == limit or not pool.from_default):
            continue
        if pool:
            storage.delete_concurrency_limit(name)
        storage.initialize_concurrency_limit_to_default(name)


def _with_storage(text: str, url: str | None) -> str:
    """Dagster's settings with this database for runs and events; all that a user edited stays."""
    own = text.partition(STORAGE_MARK)[0]
    if url is None:
        return own
    driver = url.replace("postgresql://", "postgresql+psycopg2://", 1)  # Dagster's; ours is newer
    return f"{own}{STORAGE_MARK}storage:\n  postgres:\n    postgres_url: {json.dumps(driver)}\n"


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
    run as under way for ever, and hold back whatever waits for it. Runs that a cluster's launcher
    put on other machines are that launcher's to watch.

    Returns:
        Their ids.
    """
    if not isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        return []
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


def living_runs(home: Path) -> list[str]:
    """The ids of runs whose process is alive, however they were started."""
    signs = (home / "alive").glob("*.lock")
    return sorted(sign.stem for sign in signs if _is_alive(home, sign.stem))


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
