"""Dagster's home of one config: where it lies, and how it is set up the first time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import dagster as dg
from filelock import FileLock

from resources.settings import CONFIG_VARIABLE, PROJECT_ROOT, Settings

TEMPLATE = PROJECT_ROOT / "dagster.yaml"


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
