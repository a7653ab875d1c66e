"""What the sensor decides, given the runs there have been and what is wanted now."""

from types import SimpleNamespace

import dagster as dg
import pytest
from support.asked_project import BENCHMARK, AskedProject

from pipelines import automation
from pipelines.automation import (
    ASKED_TAG,
    CHANGED_TAG,
    INPUTS_TAG,
    RUNS_LOOKED_AT,
    TaggedProject,
    ask,
    decide,
)
from pipelines.jobs import PARTITION_TAG, REFRESH

CANCELED = dg.DagsterRunStatus.CANCELED
FAILURE = dg.DagsterRunStatus.FAILURE
STARTED = dg.DagsterRunStatus.STARTED
SUCCESS = dg.DagsterRunStatus.SUCCESS


class History:
    """Runs of `refresh` for one benchmark, and the inputs that are wanted now."""

    def __init__(self, instance, monkeypatch):
        self.instance = instance
        self.wanted = "first"
        monkeypatch.setattr(automation, "fingerprint", lambda settings, benchmark: self.wanted)

    def run(self, status=SUCCESS, benchmark="epic_mir", inputs=None, asked=None, **given):
        """A run that was asked for one fingerprint and, if given, found another at its start."""
        asked = asked or inputs or self.wanted
        tags = {ASKED_TAG: asked, INPUTS_TAG: inputs or asked}
        return self.run_tagged(tags, status, benchmark, **given)

    def run_tagged(self, tags, status=SUCCESS, benchmark="epic_mir", **given):
        """A run with these tags, of everything unless its assets or its steps are `given`."""
        tags = {PARTITION_TAG: benchmark, **tags}
        run = dg.DagsterRun(job_name=REFRESH, tags=tags, status=status, **given)
        return self.instance.add_run(run)

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
        history.run(FAILURE)
    assert not history.decision().start
    history.wanted = "mended"
    assert history.decision().start


def test_successes_before_a_failure_do_not_count_as_failures(history):
    for _ in range(3):
        history.run()
    history.run(FAILURE)
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


def test_runs_in_which_everything_keeps_changing_do_not_go_on_for_ever(history):
    tags = {INPUTS_TAG: "first", ASKED_TAG: "first", CHANGED_TAG: "yes"}
    history.run_tagged(tags)
    assert history.decision().start
    history.run_tagged(tags)
    assert "changed during two runs" in history.decision().reason
    history.wanted = "edited"
    assert history.decision().start


def test_failing_runs_that_see_other_inputs_do_not_go_on_for_ever(history):
    for _ in range(4):
        assert history.decision().start
        history.run(FAILURE, asked="first", inputs="what newer code makes of it")
    assert "failed 4 times" in history.decision().reason
    history.wanted = "edited"
    assert history.decision().start


def test_one_benchmark_does_not_hold_back_another(history):
    history.run(FAILURE, benchmark="ego_mcq")
    history.run(benchmark="epic_mir")
    assert history.decision("ego_mcq").start
    assert not history.decision("epic_mir").start


def test_a_cancelled_run_waits_for_a_change(history):
    history.run(CANCELED)
    assert not history.decision().start
    history.wanted = "edited"
    assert history.decision().start


def test_a_run_cancelled_before_it_began_waits_for_a_change_too(history, tmp_path):
    """As one that was launched in the UI, and cancelled while it was queued."""
    project = AskedProject(tmp_path, SimpleNamespace(url="http://127.0.0.1:9/v1"), ["cut onion"])
    resource = TaggedProject(config_file=str(project.config))
    history.run(benchmark=BENCHMARK)
    run = history.run_tagged({}, CANCELED, benchmark=BENCHMARK)
    for _ in range(2):
        result = ask(history.instance, resource, project.settings, print)
        assert "cancelled by a person" in result.skip_reason.skip_message
    assert history.instance.get_run_by_id(run.run_id).tags[INPUTS_TAG] == "first"
    history.wanted = "edited"
    assert ask(history.instance, resource, project.settings, print).run_requests


def test_a_run_under_way_is_waited_for(history):
    history.run(STARTED)
    history.wanted = "edited"
    assert not history.decision().start


CAPTIONS_ALONE = {"asset_selection": frozenset({dg.AssetKey("captions")})}
"""*Materialize selected*, on the job's page."""
TAKEN_UP = {"step_keys_to_execute": ["descriptions", "warehouse", "report"]}
"""*Re-execute from failure*; the parent's tags are taken over."""


@pytest.mark.parametrize("part", [CAPTIONS_ALONE, TAKEN_UP])
def test_a_run_of_a_part_says_nothing_about_the_whole(history, part):
    history.run(inputs="first")
    history.wanted = "edited"
    history.run(**part)
    assert history.decision().start
    history.wanted = "first"
    assert history.decision().reason == "nothing has changed"


def test_a_part_that_failed_or_was_cancelled_holds_nothing_back(history):
    history.run(inputs="first")
    history.wanted = "edited"
    for status in (FAILURE, FAILURE, FAILURE, FAILURE, CANCELED):
        history.run(status, **CAPTIONS_ALONE)
    assert history.decision().start


def test_a_part_under_way_is_waited_for_and_so_is_the_whole_behind_it(history):
    history.wanted = "edited"
    history.run(STARTED, **CAPTIONS_ALONE)
    assert history.decision().reason == "a run is under way"
    history.run(**CAPTIONS_ALONE)
    assert history.decision().start
    history.run(STARTED)
    history.run(**CAPTIONS_ALONE)
    assert history.decision().reason == "a run is under way"


def test_after_many_runs_of_parts_the_whole_is_still_known(history):
    history.run()
    for _ in range(RUNS_LOOKED_AT - 1):
        history.run(**CAPTIONS_ALONE)
    assert not history.decision().start
