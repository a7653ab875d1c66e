"""Readers and writers that hold the DuckDB file while it is published, and publishers at once."""

from __future__ import annotations

import subprocess
import sys
import threading

import duckdb
import pytest
from support.lake_fixture import build_lake

from resources.settings import PROJECT_ROOT
from resources.tables import CLIPS
from resources.warehouse import WarehouseError, publish, query

READER = """
import sys, duckdb
while True:
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        counts = connection.sql(
            "SELECT count(*), count(DISTINCT text), (SELECT count(*) FROM clip_texts) FROM clips"
        ).fetchall()[0]
    print(*counts, flush=True)
"""
HOLDING_READER = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    while True:
        print(*connection.sql("SELECT count(*), min(text), max(text) FROM clips").fetchall()[0],
              flush=True)
"""
HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
before = connection.sql("SELECT min(text) FROM clips").fetchall()[0][0]
print(before, flush=True)
sys.stdin.readline()
print(connection.sql("SELECT min(text) FROM clips").fetchall()[0][0], flush=True)
"""


@pytest.fixture
def lake(tmp_path):
    return build_lake(tmp_path / "lake", clips=12)


@pytest.fixture
def sql(tmp_path):
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "clip_texts.sql").write_text("-- Texts.\nSELECT DISTINCT text FROM clips")
    return folder


@pytest.fixture
def target(tmp_path):
    return tmp_path / "published.duckdb"


def give_all_clips_the_text(lake, text):
    """Every row of every benchmark says the same, so that a mixture would show two texts."""
    for benchmark in lake.benchmarks(CLIPS):
        lake.write(CLIPS, lake.read(CLIPS, benchmark).assign(text=text), benchmark)


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop(process):
    process.kill()
    return process.communicate()


@pytest.mark.slow
def test_readers_in_a_loop_see_ten_publications_whole(lake, sql, target):
    give_all_clips_the_text(lake, "text 0")
    publish(lake, sql, target)
    reader, holding = start(READER, target), start(HOLDING_READER, target)
    try:
        assert reader.stdout.readline()
        assert holding.stdout.readline()
        for number in range(1, 11):
            give_all_clips_the_text(lake, f"text {number}")
            assert publish(lake, sql, target).changed
            assert query(target, "SELECT text FROM clip_texts")["text"].tolist() == [
                f"text {number}"
            ]
    finally:
        seen, errors = stop(reader)
        held, errors_holding = stop(holding)
    assert not errors
    assert not errors_holding
    lines, lines_holding = seen.splitlines()[:-1], held.splitlines()[:-1]
    assert len(lines) > 3
    assert len(lines_holding) > 3
    assert set(lines) == {"36 1 1"}
    assert set(lines_holding) == {"36 text 0 text 0"}


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_program_that_holds_the_file_keeps_its_snapshot_and_stops_nobody(lake, sql, target, mode):
    give_all_clips_the_text(lake, "old")
    publish(lake, sql, target)
    holder = start(HOLDER, target, mode)
    try:
        assert holder.stdout.readline() == "old\n"
        give_all_clips_the_text(lake, "new")
        assert publish(lake, sql, target).changed
        assert query(target, "SELECT text FROM clip_texts")["text"].tolist() == ["new"]
        seen, errors = holder.communicate("go on\n", timeout=30)
    finally:
        stop(holder)
    assert (seen, errors) == ("old\n", "")


def test_reading_while_a_writer_holds_the_file_says_so(lake, sql, target):
    publish(lake, sql, target)
    holder = start(HOLDER, target, "write")
    try:
        assert holder.stdout.readline()
        with pytest.raises(WarehouseError, match=r"published\.duckdb.*open for writing.*readonly"):
            query(target, "SELECT 1")
    finally:
        stop(holder)


def test_a_connection_of_this_process_hides_nothing(lake, sql, target):
    """Opened directly, DuckDB would hand out the version that this connection holds."""
    give_all_clips_the_text(lake, "old")
    publish(lake, sql, target)
    with duckdb.connect(str(target), read_only=True) as held:
        give_all_clips_the_text(lake, "new")
        publish(lake, sql, target)
        assert query(target, "SELECT text FROM clip_texts")["text"].tolist() == ["new"]
        assert held.sql("SELECT text FROM clip_texts").fetchall() == [("old",)]
        give_all_clips_the_text(lake, "old")
        assert publish(lake, sql, target).changed
    assert query(target, "SELECT text FROM clip_texts")["text"].tolist() == ["old"]


def test_publishers_at_once_take_turns(lake, sql, target):
    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(publish(lake, sql, target).changed))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, False, False, True]


def test_a_full_disk_leaves_the_old_file(lake, sql, target, monkeypatch):
    give_all_clips_the_text(lake, "old")
    publish(lake, sql, target)
    give_all_clips_the_text(lake, "new")

    def full(connection, name, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("resources.warehouse._insert", full)
    with pytest.raises(OSError, match="No space left"):
        publish(lake, sql, target)
    assert query(target, "SELECT text FROM clip_texts")["text"].tolist() == ["old"]
    assert not list(target.parent.glob(".publishing-*"))


def test_the_project_models_publish_from_the_fixture(lake, target):
    assert publish(lake, PROJECT_ROOT / "dbt_like_sql", target).rows["headline_scores"] > 0
