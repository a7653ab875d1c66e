"""The three uses that the project exists for, one after the other in one user's folder.

They materialize from Dagster's UI. They let the schedule pick up edited prompts. They query the
results in DuckDB, often while a run is going on.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import yaml
from support.chromium import headless_chromium, materialize_all, need_chromium
from support.live_project import LiveProject
from support.recorded_edit import PROMPT, edit, edit_back

from resources.settings import PROJECT_ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1500)]

BENCHMARK = "epic_sounds"
NOTEBOOK = """
    import sys, time, duckdb
    while True:
        with duckdb.connect(sys.argv[1], read_only=True) as connection:
            rows = connection.execute(
                "SELECT count(*), count(DISTINCT variant), md5(string_agg(description, '|' "
                "ORDER BY text_id, variant)) FROM descriptions WHERE benchmark = 'epic_sounds'"
            ).fetchone()
            scored = connection.execute("SELECT count(*) FROM paper_table_3").fetchone()
        print(*rows, *scored, flush=True)
        time.sleep(0.05)
"""
"""What a user leaves open beside a run: a query, again and again, in a process of its own."""


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """One benchmark; the schedule looks every minute; files count as saved just now for a day."""
    need_chromium()
    project = LiveProject(tmp_path_factory.mktemp("uses") / "project")
    config = yaml.safe_load(project.config.read_text())
    config["benchmarks"] = {BENCHMARK: config["benchmarks"][BENCHMARK]}
    config["automation"] = {"nightly": "* * * * *", "settle_s": 86400}
    project.config.write_text(yaml.safe_dump(config))
    try:
        project.start()
        yield project
    finally:
        project.stop()


def change_settle(live, seconds):
    config = yaml.safe_load(live.config.read_text())
    config["automation"]["settle_s"] = seconds
    live.config.write_text(yaml.safe_dump(config))


def descriptions(live):
    rows = live.published("SELECT variant, text_id, description FROM descriptions")
    return {name: set(map(tuple, group.to_numpy())) for name, group in rows.groupby("variant")}


def test_first_use_materialize_from_the_ui(live):
    known = len(live.runs(BENCHMARK))
    with headless_chromium() as browser:
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(120_000)
        materialize_all(page, live.url, BENCHMARK)
        live.wait_for(lambda: len(live.runs(BENCHMARK)) > known, 120, "the run to be there")
        live.wait_for(live.up_to_date, 600, "the run")
        page.goto(f"{live.url}/runs/{live.runs(BENCHMARK)[0].dagster_run.run_id}")
        page.get_by_text("Success", exact=True).first.wait_for()
    assert set(descriptions(live)) == {"describe_few_shot", PROMPT}
    assert len(live.published("SELECT * FROM paper_table_3"))


def test_second_use_the_schedule_picks_up_an_edited_prompt(live):
    before, known = descriptions(live), len(live.runs(BENCHMARK))
    live.stop_sensor()
    edit(live.prompts)
    change_settle(live, 0)
    live.wait_for(lambda: len(live.runs(BENCHMARK)) > known, 300, "the schedule's next minute")
    live.wait_for(live.up_to_date, 600, "the schedule's run")
    run = live.runs(BENCHMARK)[0].dagster_run
    assert run.tags["dagster/schedule_name"] == "nightly"
    counts = live.counts(run.run_id)
    assert 0 < counts["text_embeddings"]["new"] <= len(before[PROMPT])
    assert counts["audio_embeddings"]["new"] == counts["informativeness"]["new"] == 0
    after = descriptions(live)
    assert after["describe_few_shot"] == before["describe_few_shot"]
    assert after[PROMPT] != before[PROMPT]


def test_third_use_query_the_results_during_a_run(live):
    """Each query sees the tables from before the run or those from after it, whole."""
    change_settle(live, 86400)
    edit_back(live.prompts)
    query = [sys.executable, "-c", textwrap.dedent(NOTEBOOK), str(live.settings.duckdb_file)]
    run = [sys.executable, "-m", "pipelines.cli", "run", "--config", str(live.config)]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as notebook:
        first = notebook.stdout.readline()
        subprocess.run(run, cwd=PROJECT_ROOT, check=True, capture_output=True)
        assert notebook.poll() is None, "no query failed"
        seen = [first]
        for _ in range(20_000):
            seen.append(notebook.stdout.readline())
            if len(set(seen)) == 2:
                break
        notebook.kill()
    assert len(seen) > 20
    assert list(dict.fromkeys(seen)) == [seen[0], seen[-1]]
    before, after = (line.split() for line in (seen[0], seen[-1]))
    assert before[2] != after[2]
    assert before[:2] + before[3:] == after[:2] + after[3:]
