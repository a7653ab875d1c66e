"""What Dagster is told: keys, groups, job, sensor and schedule, loaded without secrets or torch."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from resources.column_origins import ANNOTATIONS
from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT
from resources.tables import TABLES


@pytest.fixture(scope="module")
def repository():
    from pipelines.definitions import build_definitions

    definitions = build_definitions(load_settings(PROJECT_ROOT / "configs" / "sample.yaml"))
    return definitions.get_repository_def()


def test_definitions_load_without_secrets_torch_or_network():
    """In a process of its own, with an empty environment and every socket refused."""
    script = textwrap.dedent(
        """
        import json, socket, sys
        def refuse(*_, **__):
            raise OSError("no network in this test")
        socket.socket.connect = refuse
        from pipelines.definitions import defs
        assert defs.get_repository_def().get_job("refresh")
        heavy = ("torch", "laion_clap", "transformers", "great_expectations", "openai", "altair")
        heavy += ("ray", "psycopg", "psycopg2", "dagster_postgres", "boto3")
        print(json.dumps([name for name in heavy if name in sys.modules]))
        """
    )
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_every_table_is_an_asset_in_its_stages_group(repository):
    graph = repository.asset_graph
    for model in TABLES.values():
        node = graph.get(
            next(key for key in graph.get_all_asset_keys() if key.path == [model.name])
        )
        assert node.group_name == model.stage
        assert bool(node.partitions_def) == model.partitioned
        assert node.owners
        assert node.kinds >= {"parquet"}
        assert node.metadata["dagster/column_schema"].columns[0].name == model.names[0]


def test_every_table_has_a_blocking_check(repository):
    checks = repository.asset_graph.asset_check_keys
    assert {check.asset_key.path[0] for check in checks} >= set(TABLES)
    suites = [check for check in checks if check.name == "great_expectations"]
    assert len(suites) == len(TABLES)
    assert all(repository.asset_graph.get(check).blocking for check in suites)


def test_every_sql_model_is_an_asset(repository):
    keys = {key.path[-1] for key in repository.asset_graph.get_all_asset_keys()}
    models = {file.stem for file in (PROJECT_ROOT / "dbt_like_sql").glob("*.sql")}
    assert keys == {*TABLES, *models, "warehouse", "report", "listening", ANNOTATIONS}
    assert {f"paper_table_{number}" for number in range(1, 6)} <= models


def test_job_sensor_and_schedule(repository):
    assert repository.has_job("refresh")
    sensor = repository.get_sensor_def("inputs_changed")
    assert sensor.minimum_interval_seconds == 10
    assert sensor.default_status.value == "RUNNING"
    assert repository.get_sensor_def("failure_told").default_status.value == "RUNNING"
    assert repository.get_schedule_def("nightly").cron_schedule == "0 3 * * *"


def test_workspace_and_project_name_the_same_location():
    import tomllib

    import yaml

    workspace = yaml.safe_load((PROJECT_ROOT / "workspace.yaml").read_text())
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    location = workspace["load_from"][0]["python_module"]
    assert location["location_name"] == project["code_location_name"]
    assert location["module_name"] == project["code_location_target_module"]
