"""A run that the sensor starts carries its bound: it can't spend more, whatever the plan said."""

import dagster as dg
import pytest
from support.asked_project import BENCHMARK, AskedProject
from support.openai_server import Fault, OpenAIServer
from support.prompt_files import answer_plainly

from pipelines import automation, spending
from pipelines.automation import BUDGET_TAG, PAID_TAG, TaggedProject, ask
from resources.language_model.ledger import Ledger
from resources.language_model.providers import run_budget
from resources.table_assets.declared import TableAsset
from resources.tables import DESCRIPTION_EXCLUSIONS, REQUESTS

BOUND = 0.0034


def cheap(messages, content):
    return 10, 5


def dear(messages, content):
    """Within what a request can take at most, and far beyond what was seen before."""
    return 200, 50


@pytest.fixture(autouse=True)
def own_process(monkeypatch):
    """A run has its process, and so its budget, to itself; here it ends when all is asked."""
    monkeypatch.setattr(automation, "is_whole", lambda run: True)
    monkeypatch.setattr(spending, "_planned", {})
    run_budget.cache_clear()


@pytest.fixture
def project(tmp_path):
    with OpenAIServer(answer_plainly, usage=cheap) as server:
        yield AskedProject(tmp_path / "project", server, [f"cut onion {n}" for n in range(30)])


def tick(project, instance):
    """The tags of the run that the sensor starts, or why it starts none."""
    result = ask(instance, TaggedProject(config_file=str(project.config)), project.settings, print)
    if not result.run_requests:
        return result.skip_reason.skip_message
    return dict(result.run_requests[0].tags)


def paid(project):
    with Ledger.in_folder(project.settings.cache_dir) as ledger:
        return ledger.paid_usd()


def test_a_plan_that_was_too_cheap_can_t_pass_the_bound(project):
    with dg.DagsterInstance.ephemeral() as instance:
        project.materialize(instance)
        before = paid(project)
        assert before > 0
        project.write_texts([f"open door {n}" for n in range(200)])
        project.write_config(automation={"max_usd_per_change": BOUND})
        tags = tick(project, instance)
        assert (float(tags[BUDGET_TAG]), float(tags[PAID_TAG])) == (BOUND, pytest.approx(before))
        project.server.usage = dear
        run_budget.cache_clear()
        assert project.materialize(instance, **tags).success
        assert 0.9 * BOUND < paid(project) - before <= BOUND
        reasons = project.table(DESCRIPTION_EXCLUSIONS)["detail"]
        assert reasons.str.endswith("over budget").any()
        assert "nothing has changed" in tick(project, instance)


def test_runs_for_the_same_change_share_the_bound(project):
    answers = 0

    def fail_after_some(number, body):
        return Fault("status", 500) if sum(project.server.answered.values()) >= answers else None

    bound = 0.005
    project.write_config(automation={"max_usd_per_change": bound}, max_attempts=1, concurrency=1)
    project.server.usage = lambda messages, content: (450, 50)
    project.server.fault = fail_after_some
    with dg.DagsterInstance.ephemeral() as instance:
        tags = tick(project, instance)
        for answers in (10, 45):
            run_budget.cache_clear()
            assert not project.materialize(instance, raise_on_error=False, **tags).success
            spent = paid(project)
            assert spent == pytest.approx(answers * (450 * 0.15e-6 + 50 * 0.6e-6))
            last, tags = tags, tick(project, instance)
            if answers == 10:
                assert float(tags[BUDGET_TAG]) == pytest.approx(bound - spent, abs=1e-6)
        assert float(last[BUDGET_TAG]) < bound
        assert f"of which earlier runs for this change have spent {spent:.4f}" in tags
        assert f"--benchmark {BENCHMARK} --budget 0.00" in tags


def test_what_an_approved_run_paid_is_known_though_it_failed_late(project, monkeypatch):
    project.write_config(automation={"max_usd_per_change": 0.0})
    tables = TableAsset.tables

    def full_disk(self, stage):
        if self.models[0] is REQUESTS:
            raise OSError("no space left on device")
        return tables(self, stage)

    with dg.DagsterInstance.ephemeral() as instance:
        assert "would ask 60 questions" in tick(project, instance)
        with monkeypatch.context() as patch:
            patch.setattr(TableAsset, "tables", full_disk)
            assert not project.materialize(instance, raise_on_error=False).success
        assert float(tick(project, instance)[BUDGET_TAG]) == 0.0


def test_a_run_keeps_the_smaller_of_both_budgets(project):
    project.write_config(budget_usd=0.5)
    settings = project.settings
    assert settings.bounded(1.0).language_model.budget_usd == 0.5
    assert settings.bounded(0.1).language_model.budget_usd == 0.1
    assert settings.bounded(None).language_model.budget_usd == 0.5
    project.materialize(**{BUDGET_TAG: "0"})
    assert project.server.requests == 0


def test_a_bound_that_is_no_amount_stops_the_run_and_is_named(project):
    for tag in ("fifty cents", "-1", "nan", "inf", ""):
        with pytest.raises(dg.DagsterError) as caught:
            project.materialize(**{BUDGET_TAG: tag})
        said = f"tag {BUDGET_TAG} is '{tag}': give it an amount of USD"
        assert said in str(caught.value.__cause__)
    assert project.server.requests == 0
