import pandas as pd
import pytest

from assets.reports.cell import CellError, find_cell, is_compared


def row(variant, direction, value, **others):
    return {
        "benchmark": "epic_mir", "encoder": "e", "variant": variant, "direction": direction,
        "grader": None, "subset": "all", "map_published": value, "map_published_delta": 0.5,
        "recall_at_10": 1.0, "recall_at_10_diagonal": 2.0, "recall_at_10_diagonal_ceiling": 3.0,
        "recall_at_1_ci_low": 4.0, "median_rank": 5.0, "queries": 7, "note": None,
        "crop_rule": "whole", **others,
    }  # fmt: skip


ROWS = pd.DataFrame(
    [
        row("visual", "text_to_audio", 1.25),
        row("visual", "mean", 2.5),
        row("few", "text_to_audio", 3.75),
        row("few", "mean", 5.0, grader="g"),
    ]
)


def find(column="map_published", **where):
    return find_cell(ROWS, "paper_table_1", where, column)


def test_conditions_name_a_row():
    cell = find(variant="few", direction="text_to_audio")
    assert cell.value == 3.75
    assert cell.key["variant"] == "few"
    assert cell.key["grader"] is None


def test_null_names_an_empty_value():
    assert find(direction="mean", grader="null").value == 2.5
    assert find(direction="mean", grader="g").value == 5.0


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({}, "no condition names 4 rows"),
        ({"variant": "few"}, "variant=few names 2 rows .* direction: mean, text_to_audio"),
        ({"variant": "fwe"}, "no row with variant=fwe. They differ in variant: few, visual"),
        ({"variant": "visual", "grader": "g"}, "no row .* direction: mean, text_to_audio"),
        ({"queries": "7"}, "can't name queries; there are benchmark, encoder, variant"),
    ],
)
def test_conditions_that_name_no_row_or_several_say_what_there_is(where, message):
    with pytest.raises(CellError, match=message):
        find(**where)


def test_an_unknown_column_is_refused():
    with pytest.raises(CellError, match=r"no column map; it has .*map_published"):
        find("map", variant="few", direction="mean")


def test_an_empty_cell_is_none():
    assert find("note", variant="few", direction="mean").value is None


@pytest.mark.parametrize(
    ("column", "metric", "rule"),
    [
        ("map_published", "map_published", None),
        ("map_published_delta", "map_published", None),
        ("recall_at_10", "recall_at_10", "duplicates"),
        ("recall_at_1_ci_low", "recall_at_1", "duplicates"),
        ("recall_at_10_diagonal", "recall_at_10", "diagonal"),
        ("recall_at_10_diagonal_ceiling", "recall_at_10", "diagonal"),
        ("median_rank", "median_rank", "duplicates"),
        ("queries", "map_published", None),
    ],
)
def test_a_columns_name_says_its_metric(column, metric, rule):
    cell = find(column, variant="few", direction="mean")
    assert (cell.metric, cell.recall_rule) == (metric, rule)


def test_only_gains_are_comparisons():
    assert is_compared("map_published_delta")
    assert is_compared("ndcg_p_holm")
    assert not is_compared("map_published_ci_low")
