"""A result packed on one machine, and every figure of it again on another."""

import filecmp
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile

import duckdb
import pytest

from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT
from resources.warehouse import query

pytestmark = pytest.mark.slow

DERIVED = ("query_scores", "scores", "comparisons")
ISOLATED = textwrap.dedent(
    """
    import socket, sys
    def refuse(*_, **__):
        raise OSError("no network in this test")
    socket.socket.connect = refuse
    from pipelines.cli import app
    app(sys.argv[1:])
    """
)


def command(*arguments, folder=None, expect=0):
    """`sound-approach`, without key, home or network."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ISOLATED, *map(str, arguments)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT_ROOT), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def archive(finished_run, tmp_path_factory):
    file = tmp_path_factory.mktemp("packed") / "sample.zip"
    command("bundle", "make", file, "--config", finished_run.config)
    return file


@pytest.fixture(scope="module")
def elsewhere(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere") / "sample"
    command("bundle", "unpack", archive, folder)
    return folder


@pytest.fixture
def unpacked(elsewhere, tmp_path):
    return shutil.copytree(elsewhere, tmp_path / "sample")


def test_every_cell_is_derived_again_without_scores_duckdb_file_key_or_network(
    finished_run, unpacked
):
    settings = load_settings(unpacked / "configs" / "sample.yaml")
    for name in DERIVED:
        shutil.rmtree(settings.lake_dir / name)
    settings.duckdb_file.unlink()
    said = command("bundle", "verify", unpacked)
    cells = 0
    for number in range(1, 6):
        rows = query(finished_run.settings.duckdb_file, f"FROM paper_table_{number}")
        assert f"paper_table_{number} {len(rows):>5}" in said
        cells += rows.size
    counted = [line.replace(",", "").split() for line in said.splitlines() if "paper_" in line]
    assert sum(int(line[2]) for line in counted) == cells
    assert sum(int(line[3]) for line in counted) == cells
    assert "9 files of scores are not there; none was needed" in said
    assert "Every cell comes out" in said


def test_the_same_result_gives_the_same_bytes(finished_run, archive, tmp_path):
    again = tmp_path / "again.zip"
    command("bundle", "make", again, "--config", finished_run.config)
    assert filecmp.cmp(archive, again, shallow=False)
    assert "overwrites nothing" in command(
        "bundle", "make", again, "--config", finished_run.config, expect=2
    )


def test_no_folder_of_the_machine_is_in_it(finished_run, archive, elsewhere):
    """Nor in any column of the tables, which are compressed where they lie."""
    machine = str(finished_run.settings.base.parent)
    with zipfile.ZipFile(archive) as members:
        for name in members.namelist():
            assert machine.encode() not in members.read(name), name
    con = duckdb.connect(str(elsewhere / "outputs/sample/sound_approach.duckdb"), read_only=True)
    columns = con.sql(
        "SELECT table_name, column_name FROM duckdb_columns() "
        "WHERE NOT internal AND data_type IN ('VARCHAR', 'VARCHAR[]')"
    ).fetchall()
    assert len(columns) > 100
    for table, column in columns:
        cells = con.sql(f'SELECT DISTINCT "{column}"::VARCHAR FROM "{table}"')  # noqa: S608
        assert not any(machine in (cell or "") for (cell,) in cells.fetchall()), (table, column)
    paths = con.sql("SELECT DISTINCT path FROM media").fetchall()
    assert all(path.startswith("outputs/sample/sources/recordings/") for (path,) in paths)


def test_a_cell_can_be_explained_there(unpacked):
    where = ["encoder=mel_ridge", "variant=describe_few_shot", "direction=mean"]
    said = command(
        "explain", "--config", unpacked / "configs/sample.yaml", "--table", "paper_table_1",
        "--column", "map_published", "--recompute", "--where", *where,
        "benchmark=epic_mir",
    )  # fmt: skip
    assert "the same, bit for bit" in said
    assert "(these messages)" in said


def test_what_was_changed_is_named(unpacked):
    table = unpacked / "tables" / "paper_table_3.csv"
    line = table.read_text().splitlines()[1]
    figure = next(cell for cell in line.split(",") if cell.replace(".", "").isdigit())
    table.write_text(table.read_text().replace(figure, "99.9", 1))
    (unpacked / "prompts" / "describe_few_shot.yaml").unlink()
    said = command("bundle", "verify", unpacked, expect=1)
    assert "tables/paper_table_3.csv was changed" in said
    assert "prompts/describe_few_shot.yaml is missing" in said
    assert f"99.9, now {figure}" in said


def test_a_bundle_of_one_benchmark(finished_run, tmp_path):
    command("bundle", "make", tmp_path / "one.zip", "-c", finished_run.config, "-b", "epic_sounds")
    command("bundle", "unpack", tmp_path / "one.zip", tmp_path / "one")
    assert "Every cell comes out" in command("bundle", "verify", tmp_path / "one")
    published = query(tmp_path / "one/outputs/sample/sound_approach.duckdb", "FROM paper_table_3")
    assert set(published["benchmark"]) == {"epic_sounds"}


def test_only_what_is_published_of_what_is_there_now_is_packed(finished_run, tmp_path):
    prompt = finished_run.settings.prompts_folder / "describe_few_shot.yaml"
    text = prompt.read_text()
    try:
        prompt.write_text(text.replace("One short sentence", "One long sentence"))
        said = command("bundle", "make", tmp_path / "a.zip", "-c", finished_run.config, expect=2)
    finally:
        prompt.write_text(text)
    assert "inputs have changed" in said
    assert "sound-approach run --config" in said
    lake = finished_run.settings.lake_dir / "scores" / "epic_mir.parquet"
    content = lake.read_bytes()
    try:
        shutil.copy(finished_run.settings.lake_dir / "scores" / "ego_mcq.parquet", lake)
        said = command("bundle", "make", tmp_path / "a.zip", "-c", finished_run.config, expect=2)
    finally:
        lake.write_bytes(content)
    assert "scores of epic_mir is not what is published" in said
    assert list(tmp_path.iterdir()) == []
