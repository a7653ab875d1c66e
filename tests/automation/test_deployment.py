"""`deploy/` as it ships: PostgreSQL, code server, web server and daemon as separate processes."""

import re

import pytest
import sqlalchemy as sa
import yaml
from support.chromium import headless_chromium, materialize_all, need_chromium
from support.deployment import Deployment
from support.openai_server import OpenAIServer
from support.prompt_files import answer_plainly

from pipelines.automation import ASKED_TAG
from resources.settings import PROJECT_ROOT

BENCHMARKS = ("epic_mir", "ego_mcq", "epic_sounds")
DEPLOY = PROJECT_ROOT / "deploy"
PATIENCE_S = 600
LOADED = """
    query($s: RepositorySelector!) { repositoryOrError(repositorySelector: $s) { __typename } }
"""
LOCATION = {"repositoryLocationName": "sound_approach", "repositoryName": "__repository__"}
RULE = "      - Do not repeat the input."


@pytest.fixture(scope="module")
def language_model():
    with OpenAIServer(answer_plainly) as server:
        yield server


@pytest.fixture(scope="module")
def deployed(tmp_path_factory, postgres, language_model):
    """The services on a new project; nothing starts by itself at first."""
    need_chromium()
    url = postgres.new_database()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", postgres.password)
        patch.setenv("POSTGRES_AT", f"127.0.0.1:{postgres.port}")
        project = Deployment(
            tmp_path_factory.mktemp("deployed") / "project",
            f"127.0.0.1:{postgres.port}",
            postgres.password,
            ledger=url,
            dagster_storage=url,
            prompts=["describe_zero_shot", "grade_informativeness"],
            language_model={"provider": "openai", "base_url": language_model.url},
            automation={"settle_s": 86400},
        )
        for file in (project.folder / "prompts").iterdir():
            file.touch()
        try:
            project.start()
            yield project
        finally:
            project.stop()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_from_the_ui_and_an_edit_by_the_sensor(deployed, language_model):
    def loaded():
        found = deployed.graphql(LOADED, s=LOCATION)["repositoryOrError"]
        return found["__typename"] == "Repository"

    deployed.wait_for(loaded, PATIENCE_S, "the code server")
    with headless_chromium() as browser:
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(PATIENCE_S * 1000)
        for benchmark in BENCHMARKS:
            materialize_all(page, deployed.url, benchmark)
    deployed.wait_for(deployed.up_to_date, PATIENCE_S, "the runs from the UI")
    assert set(language_model.answered.values()) == {2}, "each text is described, and graded"

    config = yaml.safe_load(deployed.config.read_text())
    deployed.config.write_text(yaml.safe_dump({**config, "automation": {"settle_s": 0}}))
    prompt = deployed.prompt("describe_zero_shot")
    before, text = _descriptions(deployed), prompt.read_text()
    prompt.write_text(text.replace(RULE, f"      - Name the material.\n{RULE}"))
    deployed.wait_for(lambda: _runs_each(deployed) == {2}, PATIENCE_S, "the sensor")
    deployed.wait_for(deployed.up_to_date, PATIENCE_S, "the sensor's runs")
    assert all(deployed.runs(name)[0].dagster_run.tags[ASKED_TAG] for name in BENCHMARKS)
    texts = deployed.published("SELECT count(DISTINCT text_id) FROM descriptions").iloc[0, 0]
    assert len(language_model.answered) == texts
    assert set(language_model.answered.values()) == {3}, "each is described anew, and not graded"
    paid = sa.create_engine(deployed.settings.ledger)
    with paid.connect() as connection:
        answers = sa.text("SELECT count(*) FROM answers WHERE state = 'answered'")
        assert connection.scalar(answers) == 3 * texts
    paid.dispose()

    edited, requests = _descriptions(deployed), language_model.requests
    prompt.write_text(text)
    deployed.wait_for(lambda: _runs_each(deployed) == {3}, PATIENCE_S, "the sensor")
    deployed.wait_for(deployed.up_to_date, PATIENCE_S, "the tables from before")
    assert _descriptions(deployed) == before != edited
    assert language_model.requests == requests, "the answers from before are known"
    assert not list(deployed.folder.rglob("ledger.sqlite"))
    assert not list(deployed.settings.dagster_home.rglob("*.db"))


def _runs_each(deployed):
    """How often the benchmarks were run, as a set: one number where all were as often."""
    return {len(deployed.runs(name)) for name in BENCHMARKS}


def _descriptions(deployed):
    rows = deployed.published(
        "SELECT benchmark, variant, text_id, key, description FROM descriptions"
    )
    return set(map(tuple, rows.to_numpy()))


def test_no_file_holds_a_secret_and_all_that_listens_is_told_where():
    for file in DEPLOY.iterdir():
        text = file.read_text()
        assert not re.search(r"(?i)(password|api_key|secret)\s*[:=]\s*[\"']?[A-Za-z0-9]{6,}", text)
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
