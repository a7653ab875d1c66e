"""Who is told when an unattended run fails: the real sensor on a real instance, over loopback."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest
from pydantic import ValidationError

from pipelines.failures import TOLD_TAG, failure_told
from pipelines.jobs import PARTITION_TAG
from resources.failure_hook import tell
from resources.settings import FailureHookSettings
from resources.table_assets.stage import ProjectConfig

KEY = "sk-not-to-be-seen"
BY_SENSOR = {"dagster/sensor_name": "inputs_changed"}
SCRIPT = """
import json, os, sys
from pathlib import Path
said = {**json.load(sys.stdin), "key": os.environ.get("OPENAI_API_KEY")}
with open("told.jsonl", "a") as file:
    file.write(json.dumps(said) + "\\n")
"""


@dg.op
def descriptions():
    raise RuntimeError(f"the server said: no such key {KEY}")


@dg.job(name="refresh")
def failing():
    descriptions()


class Webhook:
    """A server on loopback that keeps what is posted to it, and answers as it is told."""

    def __init__(self):
        self.told, self.status = [], 200
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.told.append(json.loads(body))
                self.send_response(webhook.status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/T0/secret-path"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def webhook():
    webhook = Webhook()
    yield webhook
    webhook.server.shutdown()
    webhook.server.server_close()


class Watched:
    """A project whose runs fail, and the sensor that looks at it."""

    def __init__(self, folder, instance, hook):
        self.folder, self.instance, self.cursor = folder, instance, None
        self.write(hook)
        self.project = ProjectConfig(config_file=str(folder / "mine.yaml"))
        self.sensor = failure_told(self.project.settings())
        self.repository = dg.Definitions(
            jobs=[failing], sensors=[self.sensor], resources={"project": self.project}
        ).get_repository_def()
        self.tick()

    def write(self, hook):
        config = {
            "benchmarks": {"mine": {"adapter": "table", "clips": "clips.csv"}},
            "language_model": {"provider": "openai"},
            "encoders": {"mel_ridge": {"kind": "mel_ridge", "train": "train.csv"}},
            "automation": {"on_failure": hook} if hook else {},
        }
        (self.folder / "mine.yaml").write_text(json.dumps(config))

    def fail(self, **tags):
        tags = {PARTITION_TAG: "mine", **{k.replace("__", "/"): v for k, v in tags.items()}}
        done = self.repository.get_job("refresh").execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False
        )
        return done.run_id

    def tick(self):
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"project": self.project},
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        return result

    def outcome(self, run_id):
        return self.instance.get_run_by_id(run_id).tags.get(TOLD_TAG)


@pytest.fixture
def watch(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with dg.DagsterInstance.ephemeral() as instance:
        yield lambda hook: Watched(tmp_path, instance, hook)


def test_a_failed_run_of_the_sensor_is_told_once(watch, webhook):
    project = watch({"webhook": webhook.url})
    run_id = project.fail(dagster__sensor_name="inputs_changed")
    for _ in range(3):
        project.tick()
    (told,) = webhook.told
    log = told.pop("log")
    assert log == str(project.project.settings().dagster_home / "storage" / run_id)
    assert told.pop("failed_at")
    assert told == {
        "event": "run_failed",
        "config": "mine",
        "benchmark": "mine",
        "run_id": run_id,
        "started_by": "inputs_changed",
        "step": "descriptions",
        "error": "RuntimeError: the server said: no such key [key]",
    }
    assert project.outcome(run_id) == "told"


def test_each_failure_is_told_and_so_is_the_schedules(watch, webhook):
    project = watch({"webhook": webhook.url})
    runs = [project.fail(dagster__schedule_name="nightly") for _ in range(2)]
    for _ in range(3):
        project.tick()
    assert [told["run_id"] for told in webhook.told] == runs
    assert {told["started_by"] for told in webhook.told} == {"nightly"}


def test_whoever_starts_a_run_by_hand_sees_it_fail(watch, webhook):
    project = watch({"webhook": webhook.url})
    run_id = project.fail()
    project.tick()
    assert webhook.told == []
    assert project.outcome(run_id) is None


def test_a_killed_run_is_told_without_a_step(watch, webhook):
    project = watch({"webhook": webhook.url})
    run = project.instance.create_run_for_job(
        failing, tags={PARTITION_TAG: "mine", **BY_SENSOR}, status=dg.DagsterRunStatus.STARTED
    )
    project.instance.report_run_failed(run, "The process of this run is gone: it was killed.")
    project.tick()
    (told,) = webhook.told
    assert told["step"] is None
    assert told["error"].startswith("no step failed: its process died")
    assert told["error"].endswith(": The process of this run is gone: it was killed.")


def test_a_failure_is_told_though_the_config_is_broken_just_then(watch, webhook):
    project = watch({"webhook": webhook.url})
    run_id = project.fail(dagster__sensor_name="inputs_changed")
    (project.folder / "mine.yaml").write_text("benchmarks: [")
    project.tick()
    (told,) = webhook.told
    assert told["run_id"] == run_id
    assert project.outcome(run_id) == "told"


def test_a_hook_that_fails_is_only_noted(watch, webhook):
    webhook.status = 500
    project = watch({"webhook": webhook.url, "command": ["./no-such-program"]})
    run_id = project.fail(dagster__sensor_name="inputs_changed")
    project.tick()
    project.tick()
    assert len(webhook.told) == 1
    outcome = project.outcome(run_id)
    assert "./no-such-program can't be started: No such file" in outcome
    assert "the webhook at 127.0.0.1 answers 500" in outcome
    assert "secret-path" not in outcome


def test_a_command_reads_the_message_and_gets_no_key(watch, tmp_path):
    (tmp_path / "tell.py").write_text(SCRIPT)
    project = watch({"command": [sys.executable, "tell.py"]})
    run_id = project.fail(dagster__sensor_name="inputs_changed")
    project.tick()
    (line,) = (tmp_path / "told.jsonl").read_text().splitlines()
    assert json.loads(line)["run_id"] == run_id
    assert json.loads(line)["key"] is None
    assert KEY not in line


def test_nobody_is_told_where_nobody_is_named(watch):
    project = watch(None)
    run_id = project.fail(dagster__sensor_name="inputs_changed")
    project.tick()
    assert project.outcome(run_id) is None


def test_a_command_that_hangs_is_ended(tmp_path):
    hook = FailureHookSettings(command=(sys.executable, "-c", "import time; time.sleep(60)"))
    (problem,) = tell(hook, {}, tmp_path, timeout_s=0.5)
    assert "ended" in problem


def test_a_command_that_fails_is_quoted(tmp_path):
    script = "import sys; sys.exit('no mail today')"
    (problem,) = tell(FailureHookSettings(command=(sys.executable, "-c", script)), {}, tmp_path)
    assert problem == f"{sys.executable} ended with status 1: no mail today"


def test_a_webhook_that_is_not_there(tmp_path, webhook):
    webhook.server.server_close()
    webhook.server.shutdown()
    (problem,) = tell(FailureHookSettings(webhook=webhook.url), {}, tmp_path)
    assert problem == "the webhook at 127.0.0.1 can't be reached: ConnectError"


@pytest.mark.parametrize(
    "given", [{}, {"command": []}, {"webhook": "file:///etc/passwd"}, {"command": "rm -rf /"}]
)
def test_a_hook_must_be_a_list_of_arguments_or_an_address(given):
    with pytest.raises(ValidationError):
        FailureHookSettings.model_validate(given)


def test_the_environment_is_left_as_it_was(tmp_path):
    before = dict(os.environ)
    tell(FailureHookSettings(command=("true",)), {}, tmp_path, without=("HOME",))
    assert dict(os.environ) == before
