"""The sample with lake and vectors in an object store: runs, an edit, a cut line, two at once."""

import os
import subprocess
import sys

import pytest
import yaml
from support.command_line import CommandLineRun
from support.recorded_edit import edit
from support.s3 import s3_server
from support.sample_project import sample_project

from resources.config_file import load_settings
from resources.folders import open_folder
from resources.lake import Lake
from resources.settings import PROJECT_ROOT
from resources.tables import SCORES
from resources.warehouse import query

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BENCHMARK = "epic_sounds"
"""The one that is edited; all three are run at first."""
ONLY = ("--benchmark", BENCHMARK)


@pytest.fixture(scope="module")
def server():
    with s3_server() as running:
        yield running


def project_in(folder, server):
    """The sample's config, with lake and vectors in the store."""
    config = sample_project(folder)
    raw = yaml.safe_load(config.read_text())
    raw |= {"lake": server.url(f"{folder.name}/lake"), "vectors": server.url("vectors")}
    config.write_text(yaml.safe_dump(raw))
    return config


@pytest.fixture(scope="module")
def run(server, tmp_path_factory):
    return CommandLineRun(project_in(tmp_path_factory.mktemp("s3") / "project", server))


def scores(run):
    return Lake(run.settings.lake_dir).read(SCORES, BENCHMARK)


def test_a_full_run_leaves_tables_vectors_and_duckdb_file_there_only(run):
    settings = run.settings
    assert not (settings.output / "lake").exists()
    assert not (settings.cache_dir / "vectors").exists()
    assert len(scores(run)) > 100
    found = run.rows("SELECT DISTINCT benchmark FROM scores")["benchmark"]
    assert set(found) == set(settings.benchmarks) == {"epic_mir", "ego_mcq", "epic_sounds"}
    copy = open_folder(settings.lake_dir)
    assert copy.sizes()[settings.duckdb_file.name] == settings.duckdb_file.stat().st_size


def test_a_second_run_recomputes_nothing_and_uploads_nothing(run, server):
    server.requests.clear()
    assert "Nothing was recomputed." in run.again()
    assert not [line for line in server.requests if line.startswith(("PUT", "POST", "DELETE"))]


def test_an_edit_stopped_while_it_is_written_leaves_the_old_tables_and_ends_well_later(run, server):
    before = scores(run)
    edit(run.config.parent.parent / "prompts")
    server.cut_at = f"PUT /bucket/project/lake/scores/{BENCHMARK}.parquet ".encode()
    try:
        said = run.again(*ONLY, expect=1)
        assert server.is_cut
    finally:
        server.mend()
    assert "the store can't be used" in " ".join(said.split())
    assert scores(run).equals(before)
    run.again(*ONLY)
    assert not scores(run).equals(before)


def test_another_machine_finds_the_publication_and_two_runs_at_once_end_well(
    run, server, tmp_path_factory
):
    """It has the same config, prompts and sources, and neither outputs nor cache."""
    config = project_in(tmp_path_factory.mktemp("other") / "project", server)
    prompts = config.parent.parent / "prompts"
    for file in (run.config.parent.parent / "prompts").iterdir():
        (prompts / file.name).write_text(file.read_text())
    command = [sys.executable, "-W", "ignore", "-m", "pipelines.cli", "run", "--config"]
    both = [
        subprocess.Popen([*command, str(place), *ONLY], cwd=PROJECT_ROOT, env=os.environ)
        for place in (config, run.config)
    ]
    assert [process.wait() for process in both] == [0, 0]
    other = load_settings(config)
    count = "SELECT benchmark, count(*) AS rows, sum(value) FROM scores GROUP BY ALL ORDER BY ALL"
    published = run.rows(count)
    assert query(other.duckdb_file, count).equals(published)
    assert list(published["benchmark"]) == sorted(other.benchmarks)
    assert published.set_index("benchmark")["rows"][BENCHMARK] == len(scores(run))
