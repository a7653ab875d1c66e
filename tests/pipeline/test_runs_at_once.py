"""Two people start the same thing at the same moment, on an empty folder."""

import os
import subprocess
import sys

import pytest
from support.sample_project import sample_project

from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT
from resources.warehouse import query

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

LIMIT = "5"


def start(config, **environment):
    command = [sys.executable, "-W", "ignore", "-m", "pipelines.cli", "run"]
    return subprocess.Popen(
        [*command, "--config", str(config), "--benchmark", "epic_mir", "--limit", LIMIT],
        cwd=PROJECT_ROOT,
        env={**os.environ, "COLUMNS": "100", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def forbid(folder, *packages):
    """A folder for PYTHONPATH in which these packages can be found, and not imported."""
    for name in packages:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('{name} was imported')")
    return str(folder)


def test_two_first_runs_at_once_both_succeed_and_leave_one_result(tmp_path):
    config = sample_project(tmp_path / "project")
    both = [start(config), start(config)]
    for process in both:
        output, _ = process.communicate()
        assert process.returncode == 0, output

    settings = load_settings(config, limit=int(LIMIT))
    scored = query(settings.duckdb_file, "SELECT count(*) AS n FROM scores")["n"].item()
    assert scored
    heavy = ("torch", "laion_clap", "transformers", "great_expectations", "openai", "scipy")
    again = start(config, PYTHONPATH=forbid(tmp_path / "forbidden", *heavy))
    output, _ = again.communicate()
    assert "Nothing was recomputed." in output, "and nothing dear to load was loaded for it"
    assert query(settings.duckdb_file, "SELECT count(*) AS n FROM scores")["n"].item() == scored
