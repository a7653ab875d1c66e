"""Overviews: numbers that are the table's own, for every table, and links that lead somewhere."""

import re
from functools import partial

import pytest
from support.lake_fixture import build_lake

from assets.reports.pages import TEMPLATES
from resources.overviews import overview, report_section
from resources.sql_models import SQL_FOLDER, read_models
from resources.tables import (
    CLIPS,
    COMPARISONS,
    EXCLUSIONS,
    INFORMATIVENESS,
    REQUESTS,
    SCORES,
    TABLES,
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return build_lake(tmp_path_factory.mktemp("overviews"))


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_one_also_where_it_is_empty(lake, table):
    model = TABLES[table]
    assert overview(table, model.frame([]).__getitem__) == {}
    if table in {"clips", "scores", "comparisons", "exclusions"}:
        rows = lake.read(model, "epic_mir")
        assert overview(table, rows.__getitem__)
        shown = overview(table, partial(lake.columns, model, "epic_mir"))
        assert str(shown) == str(overview(table, rows.__getitem__))


def test_counts_add_up(lake):
    for model, name in ((EXCLUSIONS, "items by reason"), (INFORMATIVENESS, "texts by level")):
        rows = lake.read(model, "epic_mir")
        assert sum(overview(model.name, rows.__getitem__)[name].values()) == len(rows)
    clips = lake.read(CLIPS, "epic_mir")
    assert (
        overview("clips", clips.__getitem__)["usable, or why not"]["usable"]
        == clips["usable"].sum()
    )


def test_the_cost_is_what_requests_cost(lake):
    rows = lake.read(REQUESTS, "epic_mir")
    shown = overview("requests", rows.__getitem__)
    assert shown["cost_usd"] == pytest.approx(rows["cost_usd"].sum(), abs=1e-4)
    assert sum(shown["requests by prompt"].values()) == len(rows)


@pytest.mark.parametrize(("benchmark", "metric"), [("epic_mir", "map"), ("ego_mcq", "accuracy")])
def test_scores_and_gains_are_the_main_ones_in_percent(lake, benchmark, metric):
    shown = overview("scores", lake.read(SCORES, benchmark).__getitem__)["main scores, percent"]
    assert shown
    assert all(metric in name and 0 <= value <= 100 for name, value in shown.items())
    gains = overview("comparisons", lake.read(COMPARISONS, benchmark).__getitem__)[
        "gains over the visual text"
    ]
    assert len(gains) > 0
    assert "visual" not in set(gains["variant"])


@pytest.mark.parametrize("table", [*TABLES, *(model.name for model in read_models(SQL_FOLDER))])
def test_the_report_has_the_section_that_a_table_links_to(table):
    template = (TEMPLATES / "report.html.j2").read_text(encoding="utf-8")
    section = report_section(table)
    if section.startswith("figure-"):
        charts = (TEMPLATES.parent / "charts.py").read_text(encoding="utf-8")
        assert f'"{section.removeprefix("figure-")}"' in charts
    else:
        section = re.sub(r"^table-\d$", "table-{{ table.number }}", section)
        assert f'id="{section}"' in template
