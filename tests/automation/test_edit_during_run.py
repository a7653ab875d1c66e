"""Files that are edited while a run goes on: what it publishes may be of both versions."""

import dagster as dg
import pytest
from support.asked_project import BENCHMARK, AskedProject
from support.openai_server import OpenAIServer
from support.prompt_files import DESCRIBE, answer_plainly

from pipelines import automation
from pipelines.automation import CHANGED_TAG, decide
from resources.table_assets.declared import TableAsset
from resources.tables import DESCRIPTIONS

SYSTEM, USER = DESCRIBE["messages"]
EDITED = [{**SYSTEM, "content": f"Listen. {SYSTEM['content']}"}, USER]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(automation, "is_whole", lambda run: True)
    with OpenAIServer(answer_plainly) as server:
        yield AskedProject(tmp_path / "project", server, ["cut onion", "open door"])


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def before(monkeypatch):
    """Have something done in a run, before a table is made."""
    actions, tables = {}, TableAsset.tables

    def after_acting(self, stage):
        actions.pop(self.models[0].name, lambda: None)()
        return tables(self, stage)

    monkeypatch.setattr(TableAsset, "tables", after_acting)
    return actions


def edit(project):
    project.write_prompt(messages=EDITED)


def keys(project):
    return set(project.table(DESCRIPTIONS)["key"])


def run(project, instance):
    """A run that succeeds, and what it is tagged with."""
    done = project.materialize(instance)
    assert done.success
    return instance.get_run_by_id(done.run_id).tags


def decision(project, instance):
    return decide(instance, project.settings, BENCHMARK)


def test_an_edit_that_is_taken_back_after_the_run(project, instance, before):
    assert CHANGED_TAG not in run(project, instance)
    wanted = keys(project)
    before["descriptions"] = lambda: edit(project)
    run(project, instance)
    project.write_prompt()
    assert keys(project) != wanted
    assert decision(project, instance).start

    assert CHANGED_TAG not in run(project, instance)
    assert keys(project) == wanted
    assert not decision(project, instance).start


def test_an_edit_that_is_taken_back_before_the_run_ends(project, instance, before):
    run(project, instance)
    wanted = keys(project)
    before["descriptions"] = lambda: edit(project)
    before["requests"] = project.write_prompt
    run(project, instance)
    assert keys(project) != wanted
    assert decision(project, instance).start


def test_a_config_that_is_broken_at_the_end_is_an_edit_too(project, instance, before):
    before["requests"] = lambda: project.config.write_text("benchmarks: [")
    done = project.materialize(instance, raise_on_error=False)
    assert not done.success
    assert CHANGED_TAG in instance.get_run_by_id(done.run_id).tags
