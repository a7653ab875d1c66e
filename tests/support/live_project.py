"""A sample project with Dagster's web server and daemon running on it, as `sound-approach ui` does.

Everything is a real process in a group of its own, so that nothing outlives a test.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
from support.ports import free_port
from support.processes import end_service, start_service
from support.sample_project import sample_project

from pipelines.automation import INPUTS_TAG
from pipelines.inputs import fingerprint
from pipelines.jobs import PARTITION_TAG, REFRESH
from pipelines.run import COUNTED
from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT, Settings
from resources.warehouse import query

_SENSOR = {
    "repositoryLocationName": "sound_approach",
    "repositoryName": "__repository__",
    "sensorName": "inputs_changed",
}
_POLL_S = 0.5


class LiveProject:
    """A user's folder, and what runs on it between `start` and `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = sample_project(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None

    @property
    def settings(self) -> Settings:
        """The config as it is now."""
        return load_settings(self.config)

    @property
    def prompts(self) -> Path:
        """The folder of its prompts."""
        return self.folder / "prompts"

    def prompt(self, name: str) -> Path:
        """A prompt's file."""
        return self.prompts / f"{name}.yaml"

    def start(self) -> None:
        """Start web server and daemon, and wait until they answer."""
        arguments = ["ui", "--config", str(self.config), "--port", str(self.port)]
        command = [sys.executable, "-W", "ignore", "-m", "pipelines.cli", *arguments]
        self._process = start_service(command, PROJECT_ROOT, self.folder / "ui.log", {})
        self.wait_for(self._answers, 120, "the web server to answer")

    def stop(self) -> None:
        """End every process that was started, as a crash would: nobody gets to say goodbye."""
        if self._process is not None:
            end_service(self._process)
            self._process = None

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """The `data` of an answer of Dagster's own interface."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def stop_sensor(self) -> None:
        """Turn `inputs_changed` off, as its switch in the UI does."""
        found = self.graphql(
            "query($s: SensorSelector!) { sensorOrError(sensorSelector: $s) "
            "{ ... on Sensor { id } } }",
            s=_SENSOR,
        )
        self.graphql(
            "mutation($id: String!) { stopSensor(id: $id) { __typename } }",
            id=found["sensorOrError"]["id"],
        )

    def reload(self) -> None:
        """Load the definitions anew, as the UI's button *Reload* does."""
        found = self.graphql(
            "mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) "
            "{ __typename ... on WorkspaceLocationEntry { loadStatus } } }",
            name=_SENSOR["repositoryLocationName"],
        )
        assert found["reloadRepositoryLocation"]["__typename"] == "WorkspaceLocationEntry", found

    def sensor_says(self) -> str:
        """The reason that the sensor's last finished tick gave for starting nothing."""
        found = self.graphql(
            "query($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor { "
            "sensorState { ticks(limit: 2) { status skipReason error { message } } } } } }",
            s=_SENSOR,
        )
        ticks = found["sensorOrError"]["sensorState"]["ticks"]
        assert not any(tick["error"] for tick in ticks), ticks
        return next((t["skipReason"] or "" for t in ticks if t["status"] != "STARTED"), "")

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """This project's Dagster instance."""
        with dg.DagsterInstance.from_config(str(self.settings.dagster_home)) as instance:
            yield instance

    def runs(self, benchmark: str, since: float = 0.0) -> list[dg.RunRecord]:
        """The runs of `refresh` for a benchmark created after a time, newest first."""
        if not self.settings.dagster_home.exists():
            return []
        with self.instance() as instance:
            records = instance.get_run_records(
                dg.RunsFilter(job_name=REFRESH, tags={PARTITION_TAG: benchmark})
            )
        return [record for record in records if record.create_timestamp.timestamp() >= since]

    def up_to_date(self, *benchmarks: str) -> bool:
        """Whether the newest run of these (all) benchmarks succeeded with what is wanted now."""
        settings = self.settings
        for benchmark in benchmarks or settings.benchmarks:
            runs = [record.dagster_run for record in self.runs(benchmark)]
            if not runs or not runs[0].is_success:
                return False
            if runs[0].tags.get(INPUTS_TAG) != fingerprint(settings, benchmark):
                return False
        return True

    def counts(self, run_id: str) -> dict[str, Counter[str]]:
        """What a run's materializations say that they wanted, reused and computed, by table."""
        with self.instance() as instance:
            entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        counts = {}
        for entry in entries:
            event = entry.asset_materialization
            values = {name: event.metadata.get(name) for name in COUNTED}
            counts[event.asset_key.path[-1]] = Counter(
                {name: value.value for name, value in values.items() if value is not None}
            )
        return counts

    def published(self, sql: str) -> pd.DataFrame:
        """Rows of the published DuckDB file, which is opened for reading only."""
        return query(self.settings.duckdb_file, sql)

    def wait_for(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Wait until a condition holds; the seconds that it took.

        Raises:
            AssertionError: it does not hold in time; the message ends with the log.
        """
        start = time.monotonic()
        while not condition():
            if time.monotonic() - start > seconds:
                log = (self.folder / "ui.log").read_text(errors="replace")[-4000:]
                raise AssertionError(f"waited {seconds:.0f} s in vain for {what}:\n{log}")
            time.sleep(_POLL_S)
        return time.monotonic() - start

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=5):
                return True
        except OSError:
            return False


@contextmanager
def live_project(folder: Path) -> Iterator[LiveProject]:
    """A new project with everything running; whatever happens, it is stopped at the end."""
    project = LiveProject(folder)
    try:
        project.start()
        yield project
    finally:
        project.stop()
