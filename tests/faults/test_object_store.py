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


def test_two_machines_publish_two_benchmarks_at_once_and_none_is_lost(
    run, server, tmp_path, tmp_path_factory
):
    """The other has the same config, prompts and sources, and neither outputs nor cache.

    The edit above changed the other benchmarks too, so that each machine has one to run.
    """
    config = project_in(tmp_path_factory.mktemp("other") / "project", server)
    prompts = config.parent.parent / "prompts"
    for file in (run.config.parent.parent / "prompts").iterdir():
        (prompts / file.name).write_text(file.read_text())
    command = [sys.executable, "-W", "ignore", "-m", "pipelines.cli", "run", "--config"]
    both = [
        subprocess.Popen(
            [*command, str(place), "--benchmark", name], cwd=PROJECT_ROOT, env=os.environ
        )
        for place, name in ((config, "epic_mir"), (run.config, "ego_mcq"))
    ]
    assert [process.wait() for process in both] == [0, 0]
    copy = tmp_path / "copy.duckdb"
    name = run.settings.duckdb_file.name
    open_folder(run.settings.lake_dir).read(name, lambda file: copy.write_bytes(file.read()))
    sums = "SELECT benchmark, count(*) AS rows, sum(value) AS sum FROM scores GROUP BY 1"
    shared = query(copy, sums).set_index("benchmark")
    lake = Lake(run.settings.lake_dir)
    for benchmark in load_settings(config).benchmarks:
        stored = lake.read(SCORES, benchmark)["value"]
        assert shared["rows"][benchmark] == len(stored)
        assert shared["sum"][benchmark] == pytest.approx(stored.sum())
