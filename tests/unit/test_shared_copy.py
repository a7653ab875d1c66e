"""The DuckDB file's copy beside a lake in an object store, by which machines publish together."""

import pytest
from support.lake_fixture import build_lake
from support.s3 import s3_server

from resources.lake import Lake
from resources.shared_copy import SharedCopy
from resources.tables import CLIPS
from resources.warehouse import publish, query

PUBLISHED = "SELECT benchmark, count(*) AS clips FROM clips GROUP BY 1 ORDER BY 1"
BENCHMARKS = ["ego_mcq", "epic_mir"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """One in a store, with clips of two benchmarks."""
    with s3_server() as server:
        made, stored = build_lake(tmp_path_factory.mktemp("made")), Lake(server.url("lake"))
        for benchmark in BENCHMARKS:
            assert made.copy(CLIPS, benchmark, stored)
        yield stored


@pytest.fixture
def sql(tmp_path):
    (tmp_path / "sql" / "checks").mkdir(parents=True)
    return tmp_path / "sql"


@pytest.fixture
def machine(lake, sql, tmp_path):
    """Publishes one benchmark on a machine of this number; says what its file then holds."""
    lake.folder.remove("published.duckdb")

    def run(number, benchmark):
        target = tmp_path / str(number) / "published.duckdb"
        publish(lake, sql, target, BENCHMARKS, [benchmark])
        return list(query(target, PUBLISHED)["benchmark"])

    return run


def test_of_two_machines_none_loses_what_the_other_publishes_meanwhile(machine, monkeypatch):
    put = SharedCopy.put

    def late(self):
        monkeypatch.setattr(SharedCopy, "put", put)
        assert machine(1, "epic_mir") == ["epic_mir"]
        return put(self)

    monkeypatch.setattr(SharedCopy, "put", late)
    assert machine(2, "ego_mcq") == BENCHMARKS
    assert machine(1, "epic_mir") == BENCHMARKS


def test_a_copy_that_was_removed_is_uploaded_again(machine, lake):
    machine(1, "epic_mir")
    lake.folder.remove("published.duckdb")
    assert machine(1, "epic_mir") == ["epic_mir"]
    assert lake.folder.state("published.duckdb")
