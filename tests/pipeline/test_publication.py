"""Which benchmarks a publication takes from the lake: never new tables beside old ones."""

from types import SimpleNamespace

import dagster as dg
import pytest
from support.benchmark_files import settings_for

from assets.reports import assets
from assets.reports.assets import _whole as whole
from resources.table_assets import Made, Stage, table_asset
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

    def whole(self, partition=None, selected=None):
        tags = {"dagster/partition": partition} if partition else {}
        keys = None if selected is None else {dg.AssetKey(name) for name in selected}
        run = SimpleNamespace(tags=tags, asset_selection=keys)
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
