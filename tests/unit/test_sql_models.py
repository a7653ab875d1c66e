"""SQL files: headers, dependencies, order, lineage of columns, and what bad files get."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.settings import PROJECT_ROOT
from resources.sql_models import (
    SqlModelError,
    column_lineage,
    in_order,
    read_checks,
    read_model,
    read_models,
)
from resources.tables import TABLES

SQL_FOLDER = PROJECT_ROOT / "dbt_like_sql"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


def test_header_holds_description_columns_and_materialization(tmp_path):
    write(
        tmp_path,
        m="-- One row\n-- a clip.\n-- column n: how\n-- many\n-- materialized: table\n"
        "SELECT count(*) AS n FROM clips;",
    )
    (model,) = read_models(tmp_path)
    assert model.description == "One row a clip."
    assert model.columns == {"n": "how many"}
    assert model.materialized
    assert model.sql == "SELECT count(*) AS n FROM clips"


def test_a_pattern_describes_columns_and_the_last_line_that_fits_wins(tmp_path):
    write(
        tmp_path,
        m="-- m\n-- column at_*: Found.\n-- column *_low: Low end.\n"
        "SELECT 1 AS at_5, 2 AS at_5_low",
        bad="-- bad\n-- column *_high: High end.\nSELECT 1 AS at_5",
    )
    bad, model = read_models(tmp_path)
    assert model.said_of("at_5") == "Found."
    assert model.said_of("at_5_low") == "Low end."
    assert model.said_of("other") is None
    with pytest.raises(SqlModelError, match=r"bad\.sql: .*lacks: \['\*_high'\]"):
        column_lineage([bad])


def test_reads_names_tables_and_no_common_table_expressions(tmp_path):
    write(
        tmp_path,
        m="-- m\nWITH a AS (SELECT * FROM clips) SELECT a.clip_id FROM a "
        "WHERE a.clip_id IN (SELECT item_id FROM exclusions)",
    )
    assert read_model(tmp_path / "m.sql").reads == ("clips", "exclusions")


def test_order_follows_dependencies_not_names(tmp_path):
    write(
        tmp_path,
        a="-- a\nSELECT n FROM b",
        b="-- b\nSELECT n FROM c",
        c="-- c\nSELECT 1 AS n",
    )
    assert [model.name for model in in_order(read_models(tmp_path))] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"m": "SELECT 1 AS n"}, r"m\.sql: its first lines must say"),
        ({"m": "-- m\nSELECT FROM WHERE"}, r"m\.sql: "),
        ({"m": "-- m\nDROP TABLE clips"}, r"m\.sql: one SELECT"),
        ({"m": "-- m\nSELECT 1; SELECT 2"}, r"m\.sql: one SELECT"),
        ({"m": "-- m\nSELECT n FROM nowhere"}, r"m\.sql: no such table or model: nowhere"),
        ({"clips": "-- m\nSELECT 1 AS n"}, r"clips\.sql: clips is a table already"),
        ({"a": "-- a\nSELECT n FROM b", "b": "-- b\nSELECT n FROM a"}, "circle: . reads . reads ."),
    ],
)
def test_bad_files_are_named(tmp_path, files, message):
    write(tmp_path, **files)
    with pytest.raises(SqlModelError, match=message):
        in_order(read_models(tmp_path))


def test_lineage_goes_one_step_through_renaming_and_common_table_expressions(tmp_path):
    write(
        tmp_path,
        a="-- a\nWITH s AS (SELECT scores.*, value * 100 AS percent FROM scores) "
        "SELECT encoder AS who, percent, 1 AS one FROM s",
        b="-- b\nSELECT a.who, max(a.percent) AS best FROM a GROUP BY a.who",
    )
    assert column_lineage(in_order(read_models(tmp_path))) == {
        "a": {"who": [("scores", "encoder")], "percent": [("scores", "value")], "one": []},
        "b": {"who": [("a", "who")], "best": [("a", "percent")]},
    }


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("-- m\nSELECT no_such FROM clips", r"m\.sql: .*no_such"),
        ("-- m\n-- column wrong: x\nSELECT clip_id FROM clips", r"m\.sql: .*lacks: \['wrong'\]"),
    ],
)
def test_columns_that_do_not_exist_are_named(tmp_path, sql, message):
    with pytest.raises(SqlModelError, match=message):
        column_lineage(read_models(write(tmp_path, m=sql)))


def test_every_model_of_the_project_is_traced_to_columns_that_exist():
    lineage = column_lineage(in_order(read_models(SQL_FOLDER)))
    known = {name: set(table.names) for name, table in TABLES.items()}
    known |= {name: set(columns) for name, columns in lineage.items()}
    for model, columns in lineage.items():
        for origins in columns.values():
            for table, column in origins:
                assert column in known[table], (model, table, column)


@pytest.mark.parametrize("number", range(1, 6))
def test_paper_tables_come_from_scores(number):
    lineage = column_lineage(in_order(read_models(SQL_FOLDER)))
    metric = {2: "accuracy_inter", 5: "accuracy_inter"}.get(number, "map_published")
    assert ("score_cells", "value") in lineage[f"paper_table_{number}"][metric]
    assert ("scores", "value") in lineage["score_cells"]["value"]


def test_checks_read_known_tables_and_say_what_must_hold():
    names = {*TABLES, *(model.name for model in read_models(SQL_FOLDER))}
    checks = read_checks(SQL_FOLDER)
    assert checks
    assert all(set(check.reads) <= names and check.description for check in checks)
