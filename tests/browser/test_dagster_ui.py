"""Dagster's UI as a user meets it: find the graph, materialize all of it, look at its tables."""

from __future__ import annotations

import re
from collections import Counter

import dagster as dg
import pytest
from support.chromium import headless_chromium, need_chromium
from support.command_line import CommandLineRun
from support.live_project import LiveProject

from pipelines.jobs import PARTITION_TAG
from resources.lake import Lake
from resources.tables import SCORES, TABLES

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
BENCHMARK = "epic_sounds"
PATIENCE_MS = 60_000
"""For one step of the page, on a machine that does other things too."""


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A new project, in which nothing starts by itself: its prompts never count as settled."""
    need_chromium()
    project = LiveProject(tmp_path_factory.mktemp("live") / "project")
    for file in (project.folder / "prompts").iterdir():
        file.touch()
    with project.config.open("a") as config:
        config.write("\nautomation: {settle_s: 86400}\n")
    try:
        project.start()
        yield project
    finally:
        project.stop()


@pytest.fixture(scope="module")
def browser():
    with headless_chromium() as browser:
        yield browser


@pytest.fixture
def page(live, browser):
    context = browser.new_context(viewport={"width": 1500, "height": 1000}, base_url=live.url)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def backfill(live, browser):
    """The whole graph of every benchmark, materialized by clicking through the graph's dialog."""
    page = browser.new_context(viewport={"width": 1500, "height": 1000}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{live.url}/asset-groups")
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).click()
    dialog.get_by_role("button", name="Launch backfill").click()
    dialog.wait_for(state="hidden")
    page.context.close()
    live.wait_for(lambda: ended_backfills(live), 480, "the backfill to end")
    return ended_backfills(live)[0]


def ended_backfills(live):
    with live.instance() as instance:
        return [one for one in instance.get_backfills() if one.status.name != "REQUESTED"]


def test_the_graph_shows_the_stages_in_groups(page):
    page.goto("/asset-groups")
    for stage in ("benchmarks", "descriptions", "embeddings", "retrieval", "reports"):
        page.get_by_text(stage, exact=True).first.wait_for()
    assert page.get_by_role("button", name="Materialize all").is_enabled()


def test_the_sensor_is_on_and_says_why_it_waits(page, live):
    page.goto("/automation")
    page.get_by_text("inputs_changed", exact=True).first.wait_for()
    live.wait_for(lambda: "saved just now" in live.sensor_says(), 60, "a tick")


def test_materialize_all_makes_every_table_of_every_benchmark_once(backfill, live):
    assert backfill.status.name == "COMPLETED_SUCCESS", backfill.error
    made = Counter()
    with live.instance() as instance:
        runs = instance.get_run_records(
            dg.RunsFilter(tags={"dagster/backfill": backfill.backfill_id})
        )
    for run in (record.dagster_run for record in runs):
        assert run.is_success
        made.update((table, run.tags.get(PARTITION_TAG)) for table in live.counts(run.run_id))
    assert set(made.values()) == {1}
    benchmarks = list(live.settings.benchmarks)
    of_tables = {
        (model.name, benchmark)
        for model in TABLES.values()
        for benchmark in (benchmarks if model.partitioned else [None])
    }
    assert of_tables < made.keys()


def test_a_plain_run_after_it_finds_everything_made_and_published(backfill, live):
    before, published = _stamps(live), live.settings.duckdb_file.stat().st_mtime_ns
    scored = live.published("SELECT DISTINCT benchmark FROM scores")
    assert set(scored["benchmark"]) == set(live.settings.benchmarks)
    assert "Nothing was recomputed." in CommandLineRun(live.config).done.stdout
    assert _stamps(live) == before
    assert live.settings.duckdb_file.stat().st_mtime_ns == published
    assert live.up_to_date()


def _stamps(live):
    lake = Lake(live.settings.lake_dir)
    return {
        (model.name, benchmark): lake.stamp(model, benchmark)
        for model in TABLES.values()
        for benchmark in lake.benchmarks(model)
    }


def test_a_tables_page_shows_columns_rows_and_first_rows(page, backfill, live):
    page.goto(f"/assets/scores?view=partitions&partition={BENCHMARK}")
    preview = page.get_by_role("row", name=re.compile("^preview"))
    preview.get_by_text(BENCHMARK, exact=True).first.wait_for()
    rows = len(Lake(live.settings.lake_dir).read(SCORES, BENCHMARK))
    page.get_by_role("row", name=f"dagster/partition_row_count {rows}", exact=True).wait_for()
    page.goto("/assets/scores")
    page.get_by_text(SCORES.description).first.wait_for()
    for column in SCORES.columns:
        page.get_by_text(column.name, exact=True).first.wait_for()


def test_a_tables_page_shows_what_its_owner_looks_for_first(page, backfill, live):
    page.goto(f"/assets/scores?view=partitions&partition={BENCHMARK}")
    drawn = page.get_by_role("row", name=re.compile("^main scores, percent"))
    drawn.get_by_text("mel_ridge · visual · map_published").first.wait_for()
    link = page.get_by_role("row", name=re.compile("^report")).get_by_role("link")
    assert link.first.get_attribute("href") == f"{live.settings.report_file.as_uri()}#tables"
    page.goto(f"/assets/exclusions?view=partitions&partition={BENCHMARK}")
    page.get_by_role("row", name=re.compile("^items by reason")).first.wait_for()


def test_a_papers_table_shows_its_query_columns_and_rows(page, backfill, live):
    page.goto("/assets/paper_table_3")
    page.get_by_text("Row count").wait_for()
    rows = live.published("SELECT * FROM paper_table_3")
    assert page.get_by_text(str(len(rows)), exact=True).count() >= 1
    page.get_by_text("SELECT", exact=True).first.wait_for()
    page.get_by_text("Columns", exact=True).first.wait_for()
    preview = page.get_by_role("row", name=re.compile("^preview"))
    preview.get_by_text(BENCHMARK, exact=True).first.wait_for()
