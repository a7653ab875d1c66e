"""What the sensor decides, given the runs there have been and what is wanted now."""

import dagster as dg
import pytest

from pipelines import automation
from pipelines.automation import ASKED_TAG, INPUTS_TAG, decide
from pipelines.jobs import PARTITION_TAG


@dg.op
def succeed():
    pass


@dg.op
def fail():
    raise RuntimeError("made to fail")


@dg.job(name="refresh")
def good_refresh():
    succeed()


@dg.job(name="refresh")
def bad_refresh():
    fail()


class History:
    """Runs of `refresh` for one benchmark, and the inputs that are wanted now."""

    def __init__(self, instance, monkeypatch):
        self.instance = instance
        self.wanted = "first"
        monkeypatch.setattr(automation, "fingerprint", lambda settings, benchmark: self.wanted)

    def run(self, job=good_refresh, benchmark="epic_mir", inputs=None, asked=None):
        """A run that was asked for one fingerprint and, if given, found another at its start."""
        asked = asked or inputs or self.wanted
        tags = {PARTITION_TAG: benchmark, ASKED_TAG: asked, INPUTS_TAG: inputs or asked}
        return job.execute_in_process(instance=self.instance, tags=tags, raise_on_error=False)

    def decision(self, benchmark="epic_mir"):
        return decide(self.instance, None, benchmark)


@pytest.fixture
def history(monkeypatch):
    with dg.DagsterInstance.ephemeral() as instance:
        yield History(instance, monkeypatch)


def test_what_never_ran_is_started(history):
    assert history.decision().start


def test_nothing_happens_while_nothing_changed(history):
    history.run()
    assert not history.decision().start


def test_a_change_is_seen_whenever_it_was_made(history):
    history.run()
    history.wanted = "edited"
    assert history.decision().start
    assert history.decision().wanted == "edited"


def test_a_revert_is_a_change_too(history):
    history.run(inputs="first")
    history.run(inputs="edited")
    assert history.decision().start


def test_a_failed_run_is_tried_again_but_not_for_ever(history):
    history.run()
    history.wanted = "edited"
    for _ in range(4):
        assert history.decision().start
        history.run(bad_refresh)
    assert not history.decision().start
    history.wanted = "mended"
    assert history.decision().start


def test_successes_before_a_failure_do_not_count_as_failures(history):
    for _ in range(3):
        history.run()
    history.run(bad_refresh)
    assert history.decision().start


def test_an_edit_between_asking_and_starting_is_not_taken_for_done(history):
    history.run(asked="first", inputs="edited again")
    assert history.decision().start


def test_runs_that_see_other_inputs_than_the_sensor_do_not_go_on_for_ever(history):
    """As where the code was changed, and the definitions were not reloaded."""
    history.run(asked="first", inputs="what newer code makes of it")
    assert history.decision().start
    history.run(asked="first", inputs="what newer code makes of it")
    decision = history.decision()
    assert not decision.start
    assert "reload definitions" in decision.reason
    history.wanted = "edited"
    assert history.decision().start


def test_one_benchmark_does_not_hold_back_another(history):
    history.run(bad_refresh, benchmark="ego_mcq")
    history.run(benchmark="epic_mir")
    assert history.decision("ego_mcq").start
    assert not history.decision("epic_mir").start


def test_a_cancelled_run_waits_for_a_change(history):
    done = history.run(bad_refresh)
    run = history.instance.get_run_by_id(done.run_id)
    history.instance.delete_run(run.run_id)
    history.instance.add_run(run.with_status(dg.DagsterRunStatus.CANCELED))
    assert not history.decision().start
    history.wanted = "edited"
    assert history.decision().start


def test_a_run_under_way_is_waited_for(history):
    done = history.run()
    run = history.instance.get_run_by_id(done.run_id)
    history.instance.delete_run(run.run_id)
    history.instance.add_run(run.with_status(dg.DagsterRunStatus.STARTED))
    history.wanted = "edited"
    assert not history.decision().start
