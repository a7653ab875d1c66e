"""Which benchmarks a publication takes from the lake: never new tables beside old ones."""

from types import SimpleNamespace

import dagster as dg
import pytest
from support.benchmark_files import settings_for

from assets.reports import assets
from assets.reports.assets import _whole as whole
from assets.reports.assets import is_whole
from pipelines.definitions import build_definitions
from pipelines.jobs import REFRESH
from resources.table_assets.declared import table_asset
from resources.table_assets.stage import Made, Stage
from resources.tables import CAPTIONS, RELEVANCE, REQUESTS, TABLES

BENCHMARK = "epic_mir"


class Project:
    """A chain of two tables, the second made from the first, and an edit that changes both."""

    def __init__(self, folder, monkeypatch):
        benchmark = {"clips": str(folder / "clips.csv"), "sentences": str(folder / "texts.csv")}
        self.settings = settings_for(folder, {BENCHMARK: benchmark})
        self.stage = Stage(self.settings, BENCHMARK)
        self.text = "open door"

        @table_asset(CAPTIONS, code_version="1", version=lambda stage: self.text)
        def first(stage):
            row = {
                "benchmark": BENCHMARK,
                "caption_id": "c",
                "clip_id": "c",
                "text": self.text,
                "text_id": "t",
                "noun_classes": [],
            }
            return CAPTIONS.frame([row])

        @table_asset(RELEVANCE, reads=[CAPTIONS], code_version="1")
        def second(stage):
            return RELEVANCE.frame([])

        @table_asset(REQUESTS, code_version="1")
        def history(stage):
            raise AssertionError("only the run that asked knows")

        self.tables = (first, second)
        monkeypatch.setattr(assets, "CHAIN", (*self.tables, history))

    def make(self, position):
        for model, made, stamp in self.tables[position].tables(self.stage):
            if isinstance(made, Made):
                self.stage.lake.write(model, made.frame, BENCHMARK, stamp)

    def whole(self, partition=None, selected=None, steps=None):
        tags = {"dagster/partition": partition} if partition else {}
        keys = None if selected is None else frozenset(map(dg.AssetKey, selected))
        run = dg.DagsterRun(REFRESH, tags=tags, asset_selection=keys, step_keys_to_execute=steps)
        return whole(SimpleNamespace(run=run), self.settings)


@pytest.fixture
def project(tmp_path, monkeypatch):
    return Project(tmp_path, monkeypatch)


def test_a_benchmark_whose_tables_are_not_all_there_is_not_whole(project):
    assert project.whole() == []
    project.make(0)
    assert project.whole() == []
    project.make(1)
    assert project.whole() == [BENCHMARK]


def test_an_edit_that_came_half_way_waits_for_the_rest(project):
    for position in (0, 1):
        project.make(position)
    project.text = "close door"
    assert project.whole() == []
    project.make(0)
    assert project.whole() == []
    project.make(1)
    assert project.whole() == [BENCHMARK]


def test_a_run_of_all_tables_publishes_its_own_benchmark(project):
    assert project.whole(BENCHMARK) == [BENCHMARK]
    assert project.whole(BENCHMARK, selected=[]) == [BENCHMARK]
    assert project.whole(BENCHMARK, selected=[*TABLES, "warehouse"]) == [BENCHMARK]


def test_a_run_of_some_tables_does_not(project):
    project.make(0)
    assert project.whole(BENCHMARK, selected=["captions", "warehouse"]) == []


def test_a_run_that_takes_up_a_failed_one_does_not(project):
    """*Re-execute from failure*: what came before that step may have been made from other files."""
    project.make(0)
    assert project.whole(BENCHMARK, steps=["descriptions", "warehouse", "report"]) == []


def test_a_run_from_the_ui_lists_all_its_steps_and_is_of_the_whole(tmp_path):
    settings = settings_for(tmp_path, {BENCHMARK: {"clips": "clips.csv", "sentences": "t.csv"}})
    job = build_definitions(settings).resolve_job_def(REFRESH)
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"dagster/partition": BENCHMARK}
        run = instance.create_run_for_job(job, tags=tags)
        assert run.step_keys_to_execute
        assert is_whole(run)
        chosen = {"asset_selection": frozenset([dg.AssetKey("captions")])}
        assert not is_whole(instance.create_run_for_job(job, tags=tags, **chosen))
