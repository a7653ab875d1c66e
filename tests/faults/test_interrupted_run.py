"""Ctrl-C during `sound-approach run`: what was asked is kept, and nothing goes on by itself."""

import os
import signal
import sqlite3
import subprocess
import sys
import time

import dagster as dg
import pytest
import yaml
from support.asked_project import BENCHMARK, AskedProject
from support.openai_server import OpenAIServer
from support.prompt_files import answer_plainly

from resources.settings import PROJECT_ROOT


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_interrupted_run_keeps_what_was_in_flight_and_stops_for_good(tmp_path):
    with OpenAIServer(answer_plainly, latency_s=0.3) as server:
        project = AskedProject(tmp_path / "project", server, [f"cut onion {n}" for n in range(200)])
        given = yaml.safe_load(project.config.read_text())
        given["benchmarks"]["second"] = given["benchmarks"][BENCHMARK]
        project.config.write_text(yaml.safe_dump(given))
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "run", "--config", str(project.config)],
            cwd=PROJECT_ROOT,
            env={**os.environ, "COLUMNS": "80"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while server.requests < 40 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 130, said
        assert "Interrupted. What has arrived is kept" in said

        assert 40 <= server.requests < 200
        ledger = sqlite3.connect(project.settings.cache_dir / "ledger.sqlite")
        states = dict(ledger.execute("SELECT state, count(*) FROM requests GROUP BY state"))
        answers = dict(ledger.execute("SELECT state, count(*) FROM answers GROUP BY state"))
        ledger.close()
        assert states.get("sent", 0) == 0
        assert states["answered"] == answers["answered"] == server.requests
        with dg.DagsterInstance.from_config(str(project.settings.dagster_home)) as instance:
            (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.CANCELED
