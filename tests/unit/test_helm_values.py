"""Values for Dagster's chart and for KubeRay's say the same as compose.yaml and dagster.yaml."""

import importlib.metadata
import re
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement

from resources.settings import PROJECT_ROOT

DEPLOY = PROJECT_ROOT / "deploy"
VARIABLE = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")
SECRET = {
    *("PGPASSWORD", "OPENAI_API_KEY"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
}
DEFAULT = {"extra": "default"}
IMAGE = "registry.example/sound-approach"


def read(name):
    return yaml.safe_load((DEPLOY / name).read_text())


def filled(text):
    """A part of compose's file as it is without any variable set."""
    return VARIABLE.sub(lambda found: found[2] or "", text)


@pytest.fixture(scope="module")
def compose():
    services = read("compose.yaml")["services"]
    environment = {name: filled(text) for name, text in services["code"]["environment"].items()}
    commands = {
        name: [filled(part) for part in service["command"]]
        for name, service in services.items()
        if "command" in service
    }
    return SimpleNamespace(environment=environment, commands=commands, services=services)


@pytest.fixture(scope="module")
def values():
    return read("dagster-values.yaml")


@pytest.fixture(scope="module")
def code(values):
    (only,) = values["dagster-user-deployments"]["deployments"]
    return only


def test_the_code_server_is_started_as_in_the_compose_file(compose, code):
    chart = ["dagster", "code-server", "start", "-h", "0.0.0.0", "-p", str(code["port"])]
    assert chart + code["codeServerArgs"] == compose.commands["code"]


def test_the_home_is_prepared_as_in_the_compose_file(compose, code):
    (home,) = code["initContainers"]
    assert home["args"] == compose.commands["home"]
    assert home["image"] == f"{code['image']['repository']}:{code['image']['tag']}"
    assert (home["env"], home["volumeMounts"]) == (code["env"], code["volumeMounts"])


def test_the_web_server_finds_the_code_server_under_the_usual_name(compose, values, code):
    (server,) = values["dagsterWebserver"]["workspace"]["servers"]
    workspace = read("workspace.yaml")["load_from"][0]["grpc_server"]
    assert server == {
        "host": code["name"],
        "port": code["port"],
        "name": workspace["location_name"],
    }
    assert code["codeServerArgs"][-1] == workspace["location_name"]


def test_every_variable_of_the_compose_file_has_its_value(compose, values, code):
    for part in (code, values["dagsterWebserver"], values["dagsterDaemon"]):
        given = {item["name"]: item["value"] for item in part["env"]}
        assert part["envSecrets"] == [{"name": values["global"]["postgresqlSecretName"]}]
        given |= {
            "DAGSTER_HOME": values["global"]["dagsterHome"],  # set by the chart
            "CODE_HOST": code["name"],  # by which the web server's workspace is written
            "CODE_PORT": str(code["port"]),
        }
        assert given.keys() | SECRET == compose.environment.keys()
        assert given.items() <= compose.environment.items()


def test_of_what_is_in_the_checkout_every_folder_that_a_config_names_is_mounted(compose):
    for service in ("home", "code", "webserver", "daemon"):
        mounted = compose.services[service]["volumes"]
        for folder in ("prompts", "configs", "deploy"):
            assert f"../{folder}:/app/{folder}:ro" in mounted


def test_the_database_is_that_of_the_config(compose, values):
    database = values["postgresql"]
    host = f"{database['postgresqlHost']}:{database['service']['port']}"
    url = read("cluster.yaml")["dagster_storage"].replace("${POSTGRES_AT}", host)
    user, name = database["postgresqlUsername"], database["postgresqlDatabase"]
    assert url == f"postgresql://{user}@{compose.environment['POSTGRES_AT']}/{name}"
    assert not database["enabled"]
    assert not values["generatePostgresqlPasswordSecret"]


def test_dagster_is_set_up_as_on_one_machine(values):
    own = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text())
    daemon = values["dagsterDaemon"]
    queue = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert daemon["runCoordinator"]["type"] == own["run_coordinator"]["class"]
    assert queue == {
        "maxConcurrentRuns": own["concurrency"]["runs"]["max_concurrent_runs"],
        "dequeueIntervalSeconds": own["run_coordinator"]["config"]["dequeue_interval_seconds"],
    }
    pools = own["concurrency"]["pools"]
    assert values["concurrency"]["pools"]["defaultLimit"] == pools["default_limit"]
    assert daemon["runMonitoring"] == {
        "enabled": own["run_monitoring"]["enabled"],
        "startTimeoutSeconds": own["run_monitoring"]["start_timeout_seconds"],
        "pollIntervalSeconds": own["run_monitoring"]["poll_interval_seconds"],
    }
    assert values["telemetry"] == own["telemetry"]


def test_runs_are_children_of_the_code_server(values):
    import dagster

    launcher = values["runLauncher"]["config"]["customRunLauncher"]
    assert values["runLauncher"]["type"] == "CustomRunLauncher"
    assert launcher["module"] == "dagster"
    assert issubclass(getattr(dagster, launcher["class"]), dagster.DefaultRunLauncher)


def test_the_chart_is_of_the_release_that_is_installed():
    text = (DEPLOY / "dagster-values.yaml").read_text()
    pins = (PROJECT_ROOT / "constraints.txt").read_text()
    (version,) = re.findall(r"--version (\S+)", text)
    assert f"\ndagster=={version}\n" in pins


@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `cluster`")
def test_ray_nodes_can_say_that_they_are_well():
    """KubeRay asks over HTTP, by the version that is named; plain `ray` does not answer."""
    pins = (PROJECT_ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    assert f"\nray=={read('ray-values.yaml')['head']['rayVersion']}\n" in pins
    assert '"ray[default]"' in (DEPLOY / "Dockerfile").read_text()
    wanted = [Requirement(line) for line in importlib.metadata.requires("ray")]
    wanted = [each.name for each in wanted if each.marker and each.marker.evaluate(DEFAULT)]
    assert "aiohttp" in wanted
    for name in wanted:
        assert f"\n{name.lower().replace('_', '-')}==" in pins


def test_ray_nodes_are_of_the_same_image_and_know_the_same_config(compose):
    nodes = read("ray-values.yaml")
    given = {item["name"]: item["value"] for item in nodes["common"]["containerEnv"]}
    given.pop("RAY_USAGE_STATS_ENABLED")
    assert given.items() <= compose.environment.items()
    assert nodes["image"]["repository"] == read("dagster-values.yaml")["x-image"]["repository"]
    assert nodes["head"]["rayStartParams"]["num-cpus"] == "0"
    for part in ("head", "worker"):
        assert nodes[part]["envFrom"] == [{"secretRef": {"name": "sound-approach"}}]
    text = (DEPLOY / "ray-values.yaml").read_text()
    (address,) = re.findall(r"address: '(\S+)'", text)
    assert address == f"{nodes['fullnameOverride']}-head-svc:6379"
