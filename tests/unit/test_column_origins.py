"""Column lineage: every name exists, and a figure leads back to the annotations."""

import pytest

from resources.column_origins import ANNOTATION_COLUMNS, ANNOTATIONS, column_origins, traced
from resources.sql_models import SQL_FOLDER, column_lineage, in_order, read_models
from resources.tables import TABLES


@pytest.mark.parametrize("table", TABLES)
def test_every_origin_exists_and_lies_upstream(table):
    for column, origins in column_origins(table).items():
        assert column in TABLES[table].names
        for name, origin in origins:
            if name == ANNOTATIONS:
                assert origin in ANNOTATION_COLUMNS
            else:
                assert origin in TABLES[name].names
                assert name != table


def test_nothing_is_said_of_a_column_that_is_not_there():
    from resources import column_origins as module

    for table, columns in module._ORIGINS.items():
        assert set(columns) <= set(TABLES[table].names), table


@pytest.fixture(scope="module")
def sql():
    return column_lineage(in_order(read_models(SQL_FOLDER), known=[*TABLES, "publication"]))


@pytest.mark.parametrize("column", ["map_published", "map_published_delta", "ndcg"])
def test_a_figure_of_the_first_table_leads_back_to_the_annotations(sql, column):
    rows = {name: rest for name, *rest in traced("paper_table_1", sql)}
    made_from, annotations = rows[column]
    assert all(origin.startswith("score_cells.") for origin in made_from)
    for origin in ("narration", "start_timestamp", "verb_class", "all_noun_classes"):
        assert f"EPIC_100_retrieval_test.{origin}" in annotations


def test_every_model_and_table_can_be_traced(sql):
    for name in [*TABLES, *sql]:
        for _, made_from, annotations in traced(name, sql):
            assert made_from
            assert set(annotations) <= set(ANNOTATION_COLUMNS)
    assert {column: ends for column, _, ends in traced("captions", sql)}["text"]


def test_every_annotation_column_is_used():
    used = {
        origin
        for table in TABLES
        for origins in column_origins(table).values()
        for name, origin in origins
        if name == ANNOTATIONS
    }
    assert used == set(ANNOTATION_COLUMNS)
