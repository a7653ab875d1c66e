"""What a tick of the sensor, or a night of the schedule, asks for and says."""

import os
import time
from types import SimpleNamespace

import dagster as dg
import pytest
import yaml
from support.asked_project import BENCHMARK, AskedProject
from support.openai_server import Fault, OpenAIServer
from support.prompt_files import answer_plainly

from pipelines import automation, instance, spending
from pipelines.automation import NOTHING_CHANGED, TaggedProject, ask
from pipelines.jobs import PARTITION_TAG, REFRESH


class Watched:
    """A project, Dagster's history of it, and what was logged."""

    def __init__(self, project, history):
        self.project, self.history, self.logged = project, history, []
        self.loaded = project.settings

    def tick(self, **night):
        """The benchmarks asked for, and the reason given for none."""
        resource = TaggedProject(config_file=str(self.project.config))
        result = ask(self.history, resource, self.loaded, self.logged.append, **night)
        asked = [request.partition_key for request in result.run_requests or ()]
        return asked, result.skip_reason and result.skip_reason.skip_message

    def add_run(self, benchmark=BENCHMARK, **given):
        run = dg.DagsterRun(job_name=REFRESH, tags={PARTITION_TAG: benchmark}, **given)
        return self.history.add_run(run)

    def configure(self, **keys):
        raw = yaml.safe_load(self.project.config.read_text())
        self.project.config.write_text(yaml.safe_dump({**raw, **keys}))


@pytest.fixture(autouse=True)
def own_process(monkeypatch):
    monkeypatch.setattr(spending, "_planned", {})


@pytest.fixture
def history():
    with dg.DagsterInstance.ephemeral() as history:
        yield history


@pytest.fixture
def watched(tmp_path, history):
    server = SimpleNamespace(url="http://127.0.0.1:9/v1")
    return Watched(AskedProject(tmp_path / "project", server, ["cut onion"]), history)


def test_a_file_that_is_being_copied_is_waited_for_where_it_would_start_a_run(watched):
    watched.configure(automation={"settle_s": 3600})
    then = time.time() - 7200
    for file in watched.project.folder.rglob("*"):
        os.utime(file, (then, then))
    assert watched.tick()[0] == [BENCHMARK]
    (watched.project.folder / "a.wav").touch()
    assert watched.tick() == ([], f"{BENCHMARK}: a.wav was saved just now: next tick")


def test_what_else_is_to_be_said_is_logged_where_a_run_starts(watched):
    watched.configure(automation={"settle_s": 0, "nightly": "0 4 * * *"})
    assert watched.tick() == ([BENCHMARK], None)
    reload, why = watched.logged[0].split("; ")
    assert reload == "reload definitions: automation.nightly changed"
    assert why == f"{BENCHMARK}: never run"


def test_a_killed_run_is_found_though_a_prompt_is_invalid(watched, tmp_path, monkeypatch):
    monkeypatch.setattr(instance, "STARTING_S", -1.0)
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as watched.history:
        run = watched.add_run(status=dg.DagsterRunStatus.STARTED)
        watched.project.write_prompt(purpose="nonsense")
        assert "last valid version" in watched.tick()[1]
        found = watched.history.get_run_by_id(run.run_id).status
    assert found == dg.DagsterRunStatus.FAILURE


def test_the_schedule_asks_again_for_answers_that_are_missing(tmp_path, history, monkeypatch):
    """Here a server that was down; as where a batch is not done, or the budget was too small."""
    monkeypatch.setattr(automation, "is_whole", lambda run: True)
    down = True
    with OpenAIServer(answer_plainly) as server:
        server.fault = lambda number, body: Fault("status", 400) if down and number > 2 else None
        project = AskedProject(tmp_path / "project", server, ["cut onion", "open door"])
        project.write_config(max_attempts=1, concurrency=1)
        watched = Watched(project, history)
        project.materialize(history)
        assert watched.tick() == ([], f"{BENCHMARK}: {NOTHING_CHANGED}")
        said = " ".join(project.command("doctor").split())
        assert f"{BENCHMARK}: rows are missing from informativeness" in said
        assert watched.tick(missing_too=True) == ([BENCHMARK], None)
        assert watched.logged == [f"{BENCHMARK}: rows are missing from informativeness"]

        down = False
        project.materialize(history)
        assert watched.tick(missing_too=True) == ([], f"{BENCHMARK}: {NOTHING_CHANGED}")
        assert "rows are missing" not in project.command("doctor")
