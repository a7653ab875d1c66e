"""Dagster's home: first starts at once, and runs whose process was killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import dagster as dg
import pytest
from support.sample_project import sample_settings
from typer.testing import CliRunner

from pipelines import instance as home_module
from pipelines.cli import app
from pipelines.definitions import build_definitions
from pipelines.history import keep_connections_of
from pipelines.instance import POOLS, fail_dead_runs, prepare_home
from resources.settings import PROJECT_ROOT

HANGING_RUN = """
    import os, sys, time
    from pathlib import Path
    import dagster as dg
    from pipelines.instance import show_alive

    @dg.op(pool="encoders")
    def hang(context):
        show_alive(Path(os.environ["DAGSTER_HOME"]), context.run_id)
        print(context.run_id, flush=True)
        time.sleep(600)

    @dg.job
    def hanging():
        hang()

    with dg.DagsterInstance.get() as instance:
        hanging.execute_in_process(instance=instance)
"""
FIRST_START = """
    import sys
    from pathlib import Path
    from pipelines.instance import prepare_home
    from resources.config_file import load_settings

    prepare_home(load_settings(Path(sys.argv[1])))
    import dagster as dg
    with dg.DagsterInstance.get() as instance:
        print(len(instance.get_run_records()), instance.get_concurrency_config().pool_config)
"""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")  # prepare_home sets both; put back afterwards
    monkeypatch.setenv("SOUND_APPROACH_CONFIG", "")
    return sample_settings(tmp_path / "project")


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_first_starts_at_once_create_one_home(settings):
    processes = [start(FIRST_START, settings.config_file) for _ in range(3)]
    for process in processes:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert output.startswith("0 ")
        assert "default_pool_limit=1" in output


def test_a_home_that_was_edited_stays_as_it_is(settings):
    home = prepare_home(settings)
    file = home / "dagster.yaml"
    file.write_text(file.read_text().replace("max_concurrent_runs: 4", "max_concurrent_runs: 9"))
    prepare_home(settings)
    assert "max_concurrent_runs: 9" in file.read_text()


@pytest.fixture
def hanging(settings, monkeypatch):
    """A run that hangs in a step of a pool, in a process of its own."""
    prepare_home(settings)
    monkeypatch.setattr(home_module, "STARTING_S", 0.0)
    process = start(HANGING_RUN)
    process.run_id = process.stdout.readline().strip()
    assert process.run_id, process.stderr.read()
    yield process
    process.kill()
    process.wait()


def test_a_run_that_is_alive_is_left_alone(settings, hanging):
    with dg.DagsterInstance.get() as instance:
        assert fail_dead_runs(instance, settings.dagster_home) == []
        assert instance.get_run_by_id(hanging.run_id).status == dg.DagsterRunStatus.STARTED


def test_a_killed_run_is_reported_as_failed_and_gives_its_pool_back(settings, hanging):
    os.kill(hanging.pid, signal.SIGKILL)
    hanging.wait()
    with dg.DagsterInstance.get() as instance:
        pools = instance.event_log_storage
        assert pools.get_concurrency_info("encoders").active_slot_count == 1
        assert fail_dead_runs(instance, settings.dagster_home) == [hanging.run_id]
        assert instance.get_run_by_id(hanging.run_id).status == dg.DagsterRunStatus.FAILURE
        assert pools.get_concurrency_info("encoders").active_slot_count == 0
        assert fail_dead_runs(instance, settings.dagster_home) == []
    assert list((settings.dagster_home / "alive").iterdir()) == []


def test_a_run_that_has_just_started_is_given_time(settings, hanging, monkeypatch):
    os.kill(hanging.pid, signal.SIGKILL)
    hanging.wait()
    monkeypatch.setattr(home_module, "STARTING_S", 60.0)
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_records()[0]
        assert time.time() - run.start_time < 60
        assert fail_dead_runs(instance, settings.dagster_home) == []


def test_a_home_in_a_database_is_shared_and_keeps_what_was_edited(settings, postgres, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    file = prepare_home(settings) / "dagster.yaml"
    file.write_text(file.read_text().replace("max_concurrent_runs: 4", "max_concurrent_runs: 9"))
    in_database = settings.model_copy(update={"dagster_storage": postgres.new_database()})
    for _ in range(2):
        prepare_home(in_database)
    assert file.read_text().count("storage:") == 1
    assert postgres.password not in file.read_text()
    with dg.DagsterInstance.get() as instance:
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 1
        instance.add_run(dg.DagsterRun(job_name="refresh"))
        assert len(instance.get_run_records()) == 1
    assert "max_concurrent_runs: 9" in file.read_text()
    prepare_home(settings)
    assert "postgres" not in file.read_text()


def test_pools_are_those_of_the_assets(settings):
    graph = build_definitions(settings).resolve_asset_graph()
    steps = {graph.get(key).assets_def for key in graph.materializable_asset_keys}
    assert {pool for step in steps for pool in step.node_def.pools} == set(POOLS)


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_pools_have_their_limit_before_the_first_run_and_after_an_edit(
    settings, where, request, monkeypatch
):
    """In PostgreSQL Dagster itself fails at both (see `instance._open_pools`)."""
    if where == "postgresql":
        postgres = request.getfixturevalue("postgres")
        monkeypatch.setenv("PGPASSWORD", postgres.password)
        settings = settings.model_copy(update={"dagster_storage": postgres.new_database()})

    @dg.op(pool="encoders")
    def embed():
        pass

    @dg.job
    def embedding():
        embed()

    file = prepare_home(settings) / "dagster.yaml"
    with dg.DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        assert _limits(storage) == dict.fromkeys(POOLS, 1)
        assert embedding.execute_in_process(instance=instance).success
        storage.set_concurrency_slots("warehouse", 5)  # by hand, as a user does in the UI
    file.write_text(file.read_text().replace("default_limit: 1", "default_limit: 2"))
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        assert _limits(instance.event_log_storage) == {
            "language_model": 2,
            "encoders": 2,
            "warehouse": 5,
        }
        assert embedding.execute_in_process(instance=instance).success


def _limits(storage):
    return {pool.name: pool.limit for pool in storage.get_pool_limits()}


def test_runs_that_another_launcher_put_elsewhere_are_left_to_it(settings, monkeypatch):
    monkeypatch.setattr(home_module, "STARTING_S", 0.0)
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.DagsterRun(job_name="refresh", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(run)
        assert fail_dead_runs(instance, settings.dagster_home) == []


def test_an_event_finds_its_files_open(settings, monkeypatch):
    opened, connect = [], sqlite3.dbapi2.connect

    def counted(address, *arguments, **options):
        opened.append(Path(address).name)
        return connect(address, *arguments, **options)

    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        run = instance.add_run(dg.DagsterRun(job_name="refresh"))
        instance.report_engine_event("one", run)
        files = {f"{run.run_id}.db", "runs.db"}
        assert files < set(opened)
        opened.clear()
        for status in ("two", "three"):
            instance.report_engine_event(status, run)
        assert len(instance.all_logs(run.run_id)) == 3
        assert instance.get_run_by_id(run.run_id).job_name == "refresh"
    assert not files & set(opened)


def test_events_in_a_database_share_a_connection_and_outlive_its_restart(
    settings, postgres, monkeypatch
):
    import psycopg2

    opened, connect = [], psycopg2.connect
    monkeypatch.setattr(psycopg2, "connect", lambda *a, **k: opened.append(1) or connect(*a, **k))
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    prepare_home(settings.model_copy(update={"dagster_storage": postgres.new_database()}))
    with dg.DagsterInstance.get() as instance:
        for _ in range(2):
            keep_connections_of(instance)
        run = instance.add_run(dg.DagsterRun(job_name="refresh"))
        opened.clear()
        for number in range(10):
            instance.report_engine_event(str(number), run)
        assert len(opened) <= 2
        postgres.stop()
        postgres.start()
        instance.report_engine_event("later", run)
        assert len(instance.all_logs(run.run_id)) == 11


def test_the_home_of_another_config_is_told(settings, monkeypatch):
    """Services that are started with it would show that config's runs."""
    command = ["home", "--config", str(settings.config_file)]
    own = str(settings.dagster_home)
    monkeypatch.setattr(home_module, "prepare_home", lambda settings: settings.dagster_home)
    for given, told in ((own, False), ("/elsewhere", True)):
        monkeypatch.setenv("DAGSTER_HOME", given)
        done = CliRunner().invoke(app, command)
        assert done.stdout.split() == [own]
        assert (
            "DAGSTER_HOME is /elsewhere, which belongs to another config" in done.stderr
        ) == told
