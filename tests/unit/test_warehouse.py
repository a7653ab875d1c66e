"""The published DuckDB file: what is in it, when it is written again, what stops it."""

from __future__ import annotations

import shutil
import sqlite3

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from support.lake_fixture import build_lake

from resources.lake import Lake
from resources.settings import PROJECT_ROOT
from resources.table_model import TableError
from resources.tables import AUDIO_EMBEDDINGS, CLIPS, PROMPTS, SCORES, TABLES
from resources.warehouse import WarehouseError, publish, query

SQL_FOLDER = PROJECT_ROOT / "dbt_like_sql"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return build_lake(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def lake(stored, tmp_path):
    shutil.copytree(stored.root, tmp_path / "lake")
    return Lake(tmp_path / "lake")


@pytest.fixture
def sql(tmp_path):
    """A small folder of SQL, so that a test sees its own model only."""
    folder = tmp_path / "sql"
    (folder / "checks").mkdir(parents=True)
    (folder / "clip_counts.sql").write_text(
        "-- Clips by benchmark.\n-- column clips: How many.\n"
        "SELECT benchmark, count(*) AS clips FROM clips GROUP BY benchmark ORDER BY benchmark"
    )
    return folder


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out" / "published.duckdb"


def test_all_tables_are_there_with_rows_and_comments(lake, target):
    published = publish(lake, SQL_FOLDER, target)
    assert published.changed
    assert set(TABLES) <= set(published.rows)
    assert published.rows["clips"] == sum(
        len(lake.read(CLIPS, benchmark)) for benchmark in lake.benchmarks(CLIPS)
    )
    assert published.rows["relevance"] == 0
    silent = query(
        target,
        "SELECT table_name, column_name FROM duckdb_columns() "
        "WHERE comment IS NULL AND database_name = 'warehouse'",
    )
    assert silent.empty, silent
    views = query(
        target,
        "SELECT view_name FROM duckdb_views() "
        "WHERE comment IS NULL AND NOT internal AND database_name = 'warehouse'",
    )
    assert views.empty, views


def test_tables_note_a_small_gallery_and_levels_are_no_reason(lake, target):
    publish(lake, SQL_FOLDER, target)
    clips = int(lake.read(CLIPS, "epic_mir")["usable"].sum())
    for table in ("paper_table_1", "paper_table_4"):
        notes = query(target, f"SELECT DISTINCT note FROM {table}")["note"]  # noqa: S608
        assert notes.tolist() == [f"{clips} of the benchmark's 9,668 clips"]


def test_a_model_inherits_the_comment_of_a_column_that_it_carries_on(lake, sql, target):
    publish(lake, sql, target)
    comments = query(
        target, "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'clip_counts'"
    )
    assert dict(comments.itertuples(index=False)) == {
        "benchmark": CLIPS.column("benchmark").description,
        "clips": "How many.",
    }


def test_types_are_plain_and_labels_are_strings(lake, sql, target):
    lake.write(
        AUDIO_EMBEDDINGS,
        AUDIO_EMBEDDINGS.frame(
            [
                {
                    "benchmark": "epic_mir",
                    "clip_id": "clip_000",
                    "encoder": "e",
                    "seed": 0,
                    "crop_rule": "none",
                    "key": "k",
                    "vector": np.array([0.6, 0.8], np.float32),
                }
            ]
        ),
        "epic_mir",
    )
    publish(lake, sql, target)
    types = query(target, "DESCRIBE audio_embeddings").set_index("column_name")["column_type"]
    assert types["encoder"] == "VARCHAR"
    assert types["vector"] == "FLOAT[]"
    assert query(target, "SELECT list_sum(vector) AS s FROM audio_embeddings")["s"][0] == (
        pytest.approx(1.4)
    )


def test_an_empty_lake_gives_every_table_and_model_empty(tmp_path, target):
    published = publish(Lake(tmp_path / "nothing"), SQL_FOLDER, target)
    assert {name: published.rows[name] for name in TABLES} == dict.fromkeys(TABLES, 0)
    assert published.rows["paper_table_1"] == 0


def test_unchanged_contents_leave_the_file_alone(lake, sql, target):
    first = publish(lake, sql, target)
    before = target.stat()
    again = publish(lake, sql, target)
    assert not again.changed
    assert (again.version, again.rows) == (first.version, first.rows)
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("edit", ["row", "model", "check", "new table", "partition gone"])
def test_any_change_publishes_again(lake, sql, target, edit):
    first = publish(lake, sql, target)
    if edit == "row":
        clips = lake.read(CLIPS, "epic_mir")
        clips.loc[0, "text"] = "edited"
        lake.write(CLIPS, clips, "epic_mir")
    elif edit == "model":
        (sql / "clip_counts.sql").write_text("-- Other.\nSELECT benchmark FROM clips")
    elif edit == "check":
        (sql / "checks" / "none.sql").write_text("-- Holds.\nSELECT 1 AS n FROM clips WHERE false")
    elif edit == "new table":
        lake.path(PROMPTS).unlink()
    else:
        lake.path(CLIPS, "epic_mir").unlink()
    second = publish(lake, sql, target)
    assert second.changed
    assert second.version != first.version


def test_a_model_keeps_its_version_where_nothing_that_it_reads_changed(lake, sql, target):
    (sql / "largest.sql").write_text("-- Through another.\nSELECT max(clips) AS n FROM clip_counts")
    (sql / "asked.sql").write_text("-- Of another table.\nSELECT count(*) AS n FROM prompts")
    first = publish(lake, sql, target)
    clips = lake.read(CLIPS, "epic_mir")
    clips.loc[0, "text"] = "edited"
    lake.write(CLIPS, clips, "epic_mir")
    second = publish(lake, sql, target)
    changed = {name for name in first.versions if first.versions[name] != second.versions[name]}
    assert changed == {"clip_counts", "largest"}
    (sql / "asked.sql").write_text("-- Edited.\nSELECT count(*) AS n FROM prompts")
    third = publish(lake, sql, target)
    assert third.versions["clip_counts"] == second.versions["clip_counts"]
    assert third.versions["asked"] != second.versions["asked"]


def test_equal_contents_have_equal_versions_wherever_they_lie(lake, sql, target, tmp_path):
    first = publish(lake, sql, target)
    elsewhere = publish(build_lake(tmp_path / "other"), sql, tmp_path / "other.duckdb")
    assert first.version == elsewhere.version


def test_only_the_named_benchmarks_are_published(lake, sql, target):
    publish(lake, sql, target, benchmarks=["epic_mir"])
    assert query(target, "SELECT DISTINCT benchmark FROM clips")["benchmark"].tolist() == [
        "epic_mir"
    ]
    assert publish(lake, sql, target).changed


def test_a_failing_check_names_rows_and_leaves_the_old_file(lake, sql, target):
    first = publish(lake, sql, target)
    (sql / "checks" / "no_knives.sql").write_text(
        "-- No clip may be about onions.\nSELECT clip_id, text FROM clips "
        "WHERE text = 'cut onion' ORDER BY clip_id"
    )
    with pytest.raises(WarehouseError, match=r"(?s)no_knives failed.*onions.*clip_002.*cut onion"):
        publish(lake, sql, target)
    assert not len(query(target, "FROM publication WHERE kind = 'check'"))
    assert query(target, "FROM clip_counts")["clips"].sum() == first.rows["clips"]
    assert sorted(path.name for path in target.parent.iterdir()) == [
        ".published.duckdb.lock",
        "published.duckdb",
    ]


def test_a_model_that_duckdb_refuses_names_its_file(lake, sql, target):
    (sql / "wrong.sql").write_text("-- Wrong.\nSELECT nonsense(clip_id) AS x FROM clips")
    with pytest.raises(WarehouseError, match=r"wrong\.sql.*nonsense"):
        publish(lake, sql, target)
    assert not target.exists()


def test_a_model_may_not_reach_outside_the_file(lake, sql, target, tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (sql / "wrong.sql").write_text(
        f"-- Wrong.\nSELECT a FROM read_csv('{tmp_path / 'secret.csv'}')"
    )
    with pytest.raises(WarehouseError, match=r"wrong\.sql"):
        publish(lake, sql, target)


def test_a_materialized_model_is_a_table(lake, sql, target):
    file = sql / "clip_counts.sql"
    file.write_text(file.read_text().replace("-- column", "-- materialized: table\n-- column"))
    publish(lake, sql, target)
    assert (
        query(target, "SELECT count(*) AS n FROM duckdb_tables() WHERE table_name = 'clip_counts'")[
            "n"
        ][0]
        == 1
    )


def test_the_file_can_be_copied_anywhere(lake, target, tmp_path):
    publish(lake, SQL_FOLDER, target)
    copy = tmp_path / "elsewhere" / "renamed.duckdb"
    copy.parent.mkdir()
    shutil.copy(target, copy)
    shutil.rmtree(lake.root)
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM paper_table_1").fetchall()[0][0] > 0


def test_what_is_left_of_a_killed_publication_is_removed(lake, sql, target):
    left = target.parent / ".publishing-abc"
    left.mkdir(parents=True)
    (left / "published.duckdb").write_bytes(b"half")
    publish(lake, sql, target)
    assert not left.exists()


def test_a_file_that_is_no_database_is_replaced(lake, sql, target):
    target.parent.mkdir(parents=True)
    with sqlite3.connect(target) as connection:
        connection.execute("CREATE TABLE other (n)")
    assert publish(lake, sql, target).changed
    assert len(query(target, "SELECT * FROM clip_counts")) == 3


def test_reading_a_missing_file_says_what_to_do(target):
    with pytest.raises(WarehouseError, match="materialize `warehouse` first"):
        query(target, "SELECT 1")


def test_a_query_that_is_wrong_names_the_file(lake, sql, target):
    publish(lake, sql, target)
    with pytest.raises(WarehouseError, match=r"published\.duckdb.*no_such"):
        query(target, "SELECT * FROM no_such")


def test_no_query_can_write(lake, sql, target):
    publish(lake, sql, target)
    with pytest.raises(WarehouseError, match="read-only"):
        query(target, "DELETE FROM clips")


class TestBenchmarksApart:
    """One benchmark's run publishes that one: the others may be in the middle of theirs."""

    def edit(self, lake, benchmark, text):
        lake.write(CLIPS, lake.read(CLIPS, benchmark).assign(text=text), benchmark)

    def texts(self, target):
        rows = query(target, "SELECT DISTINCT benchmark, text FROM clips WHERE text LIKE 'edit%'")
        return dict(rows.itertuples(index=False))

    def test_others_keep_their_published_rows(self, lake, sql, target):
        before = publish(lake, sql, target)
        for benchmark in ("epic_mir", "ego_mcq"):
            self.edit(lake, benchmark, "edited")
        after = publish(lake, sql, target, refreshed=["epic_mir"])
        assert self.texts(target) == {"epic_mir": "edited"}
        assert after.rows == before.rows
        assert publish(lake, sql, target, refreshed=["ego_mcq"]).changed
        assert self.texts(target) == {"epic_mir": "edited", "ego_mcq": "edited"}
        assert not publish(lake, sql, target).changed

    def test_what_is_kept_equals_what_was_published_from_the_lake(self, lake, target, tmp_path):
        publish(lake, SQL_FOLDER, target)
        self.edit(lake, "epic_mir", "edited")
        kept = publish(lake, SQL_FOLDER, target, refreshed=["epic_mir"])
        anew = publish(lake, SQL_FOLDER, tmp_path / "anew.duckdb")
        assert (kept.version, kept.rows) == (anew.version, anew.rows)
        for table in ("query_scores", "captions", "descriptions", "subset_members"):
            rows = [query(file, f"FROM {table} ORDER BY ALL") for file in (target, anew.file)]
            assert rows[0].equals(rows[1])

    def test_a_half_made_benchmark_does_not_stop_another(self, lake, target):
        from resources.tables import EXCLUSIONS

        publish(lake, SQL_FOLDER, target)
        lake.write(EXCLUSIONS, lake.read(EXCLUSIONS, "ego_mcq").iloc[1:], "ego_mcq")
        self.edit(lake, "epic_mir", "edited")
        assert publish(lake, SQL_FOLDER, target, refreshed=["epic_mir"]).changed
        with pytest.raises(WarehouseError, match="items_add_up"):
            publish(lake, SQL_FOLDER, target, refreshed=["ego_mcq"])

    def test_a_benchmark_that_was_never_published_waits_for_its_own_run(self, lake, sql, target):
        publish(lake, sql, target, refreshed=["epic_mir"])
        assert query(target, "FROM clip_counts")["benchmark"].tolist() == ["epic_mir"]
        publish(lake, sql, target, refreshed=["ego_mcq"])
        assert query(target, "FROM clip_counts")["benchmark"].tolist() == ["ego_mcq", "epic_mir"]

    def test_a_benchmark_no_longer_wanted_is_not_kept(self, lake, sql, target):
        publish(lake, sql, target)
        publish(lake, sql, target, benchmarks=["epic_mir", "ego_mcq"], refreshed=["epic_mir"])
        assert query(target, "FROM clip_counts")["benchmark"].tolist() == ["ego_mcq", "epic_mir"]

    def test_another_release_s_form_waits_for_its_own_run(self, lake, sql, target):
        publish(lake, sql, target)
        path = lake.path(CLIPS, "ego_mcq")
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["peak"]), path)
        published = publish(lake, sql, target)
        assert published.waiting == ("ego_mcq",)
        assert query(target, "FROM clip_counts")["benchmark"].tolist() == [
            "epic_mir",
            "epic_sounds",
        ]

    def test_an_unpartitioned_table_in_another_form_says_what_to_do(self, lake, sql, target):
        path = lake.path(PROMPTS)
        pq.write_table(pq.read_table(path).drop_columns(["file"]), path)
        with pytest.raises(TableError, match=r"prompts.*materialize it again"):
            publish(lake, sql, target)


class TestChecks:
    """Each check of the project fails for the fault that it is there for."""

    def spoil(self, lake, target, model, change, benchmark="epic_mir"):
        frame = lake.read(model, benchmark)
        lake.write(model, change(frame), benchmark)
        publish(lake, SQL_FOLDER, target)

    def test_a_sound_lake_passes(self, lake, target):
        assert publish(lake, SQL_FOLDER, target).changed

    def test_an_unusable_clip_without_its_reason(self, lake, target):
        from resources.tables import EXCLUSIONS

        with pytest.raises(WarehouseError, match="items_add_up failed"):
            self.spoil(lake, target, EXCLUSIONS, lambda frame: frame.iloc[1:])

    def test_a_score_of_other_queries(self, lake, target):
        from resources.tables import QUERY_SCORES

        with pytest.raises(WarehouseError, match="scores_match_query_scores failed"):
            self.spoil(lake, target, QUERY_SCORES, lambda frame: frame.iloc[1:])

    def test_a_text_that_was_neither_described_nor_listed(self, lake, target):
        from resources.tables import DESCRIPTIONS

        with pytest.raises(WarehouseError, match="texts_add_up failed"):
            self.spoil(lake, target, DESCRIPTIONS, lambda frame: frame.iloc[1:])

    def test_a_text_that_was_neither_graded_nor_listed(self, lake, target):
        from resources.tables import INFORMATIVENESS

        with pytest.raises(WarehouseError, match="texts_add_up failed"):
            self.spoil(lake, target, INFORMATIVENESS, lambda frame: frame.iloc[1:])

    def test_a_caption_that_was_neither_scored_nor_listed(self, lake, target):
        import pandas as pd

        from resources.tables import CAPTIONS

        def change(frame):
            another = frame.iloc[:1].astype(object).assign(caption_id="another")
            return CAPTIONS.frame(pd.concat([frame.astype(object), another]))

        with pytest.raises(WarehouseError, match=r"(?s)queries_add_up failed.*another"):
            self.spoil(lake, target, CAPTIONS, change)

    def test_a_question_that_was_neither_scored_nor_listed(self, lake, target):
        import pandas as pd

        from resources.tables import QUESTIONS

        def change(frame):
            another = frame[frame["usable"]].iloc[:1].astype(object).assign(question_id="another")
            return QUESTIONS.frame(pd.concat([frame.astype(object), another]))

        with pytest.raises(WarehouseError, match=r"(?s)queries_add_up failed.*another"):
            self.spoil(lake, target, QUESTIONS, change, "ego_mcq")

    def test_a_clip_of_the_training_split_is_scored(self, lake, target):
        import pandas as pd

        from resources.tables import EXCLUSIONS

        row = {
            "benchmark": "epic_mir",
            "item_kind": "clip",
            "item_id": "clip_000",
            "effect": "excluded",
            "encoder": "mel_ridge",
            "stage": "embeddings",
            "reason": "training split",
            "detail": None,
        }
        with pytest.raises(WarehouseError, match=r"(?s)no_excluded_item_is_scored.*training split"):
            self.spoil(
                lake,
                target,
                EXCLUSIONS,
                lambda frame: EXCLUSIONS.frame(
                    pd.concat([frame.astype(object), pd.DataFrame([row])], ignore_index=True)
                ),
            )

    def test_two_rows_for_one_cell(self, lake, target):
        import pandas as pd

        from resources.tables import COMPARISONS, QUERY_SCORES

        def doubled(model):
            def change(frame):
                other = frame.astype({"crop_rule": object}).assign(crop_rule="another")
                return model.frame(pd.concat([frame.astype({"crop_rule": object}), other]))

            return change

        for model in (QUERY_SCORES, COMPARISONS):
            lake.write(model, doubled(model)(lake.read(model, "epic_mir")), "epic_mir")
        with pytest.raises(WarehouseError, match="one_row_per_cell failed"):
            self.spoil(lake, target, SCORES, doubled(SCORES))

    def test_an_item_in_two_levels(self, lake, target):
        from resources.tables import SUBSET_MEMBERS

        def change(frame):
            frame = frame.astype({"item_id": object})
            frame["item_id"] = "caption_00"
            return frame

        with pytest.raises(WarehouseError, match="one_level_per_item failed"):
            self.spoil(lake, target, SUBSET_MEMBERS, change)

    def test_a_percentage_where_a_fraction_belongs(self, lake, target):
        with pytest.raises(WarehouseError, match="values_are_fractions failed"):
            self.spoil(lake, target, SCORES, lambda f: f.assign(value=f["value"] * 100))
