"""Each table's Great Expectations suite is fed the defects that it is there for."""

import pandas as pd
import pytest

from resources.expectations import judge
from resources.lake import Lake
from resources.table_model import TableError
from resources.tables import TABLES

SAMPLES = {
    "string": "a",
    "label": "a",
    "int": 1,
    "float": 0.5,
    "bool": True,
    "strings": ["a"],
    "ints": [1],
    "vector": [1.0, 0.0],
}


def good_value(column):
    if column.allowed:
        return column.allowed[0]
    if column.length:
        return SAMPLES[column.type] * column.length
    return column.minimum if column.minimum is not None else SAMPLES[column.type]


def good_row(model, number=0):
    """A row that keeps to its model; rows of different numbers differ in their key."""
    row = {column.name: good_value(column) for column in model.columns}
    if model.used:
        row[model.used.reason] = None
        row |= {late: row[early] + 1 for late, early in model.used.after}
    free = next(
        column
        for column in model.columns
        if column.name in model.key
        and not column.allowed
        and column.type in ("string", "label")
        and column.name != "benchmark"
    )
    return row | {free.name: f"row {number}"}


def defects(model):
    """(name, rows) for each rule of a model, broken."""
    yield "the same key twice", [good_row(model), good_row(model)]
    for column in model.columns:
        if column.allowed:
            yield f"{column.name} not allowed", [good_row(model) | {column.name: "something else"}]
        if column.minimum is not None:
            low = column.minimum - 1
            value = int(low) if column.type == "int" else low
            yield f"{column.name} too small", [good_row(model) | {column.name: value}]
        if column.maximum is not None:
            value = column.maximum + 1
            yield f"{column.name} too large", [good_row(model) | {column.name: value}]
        if column.length is not None:
            value = SAMPLES[column.type] * (column.length - 1)
            yield f"{column.name} too short", [good_row(model) | {column.name: value}]
    if model.used:
        yield from row_defects(model, model.used)


def row_defects(model, used):
    """Rows whose cells are sound one by one, and which can't be true together."""
    good = good_row(model)
    yield "used, with a reason against it", [good | {used.reason: "why"}]
    yield "not used, without a reason", [good | {used.flag: False}]
    for name in used.filled:
        yield f"used without {name}", [good | {name: None}]
    for late, early in used.after:
        yield f"{late} is {early}", [good | {late: good[early]}]


CASES = [
    pytest.param(model, rows, id=f"{model.name}: {name}")
    for model in TABLES.values()
    for name, rows in defects(model)
]


def verdict(tmp_path, model, rows):
    lake = Lake(tmp_path / "lake")
    benchmark = "b" if model.partitioned else None
    lake.write(model, model.frame(rows), benchmark)
    return judge(lake, model, benchmark, tmp_path / "verdicts")


@pytest.mark.parametrize("model", TABLES.values(), ids=list(TABLES))
def test_good_rows_and_no_rows_pass(tmp_path, model):
    assert verdict(tmp_path, model, [good_row(model, 1), good_row(model, 2)]).passed
    assert verdict(tmp_path / "empty", model, []).passed


@pytest.mark.parametrize(("model", "rows"), CASES)
def test_a_defect_fails_the_suite(tmp_path, model, rows):
    found = verdict(tmp_path, model, rows)
    assert not found.passed
    assert len(found.failures) <= 2  # an end before 0 also lies before its start


def test_a_row_that_contradicts_itself_is_told_in_words(tmp_path):
    clips = TABLES["clips"]
    rows = [good_row(clips, 1), good_row(clips, 2) | {"start_s": 9.0, "stop_s": 2.0}]
    assert verdict(tmp_path, clips, rows).failures == (
        "expect_column_pair_values_a_to_be_greater_than_b on ['stop_s', 'start_s'] where usable is "
        "True: 1 rows, such as [(2.0, 9.0)]",
    )


def test_an_empty_cell_that_must_not_be_is_seen(tmp_path, monkeypatch):
    """Such a row never reaches the lake, so it is put before the suite directly."""
    model = TABLES["media"]
    frame = model.frame([good_row(model)])
    frame["video_id"] = pd.Series([None], dtype=object)
    monkeypatch.setattr(Lake, "without_lists", lambda *_: frame)
    found = judge(Lake(tmp_path), model, "b", tmp_path / "verdicts")
    assert not found.passed
    assert "not_be_null" in found.failures[0]


def test_a_version_judged_once_keeps_its_verdict_without_reading(tmp_path, monkeypatch):
    model = TABLES["prompts"]
    first = verdict(tmp_path, model, [good_row(model)])
    monkeypatch.setattr(Lake, "without_lists", lambda *_: pytest.fail("read again"))
    again = judge(Lake(tmp_path / "lake"), model, None, tmp_path / "verdicts")
    assert again == first


def test_a_judge_sees_all_of_a_table_but_what_its_lists_hold(tmp_path):
    """Some rows a piece, with labels that differ from piece to piece."""
    model = TABLES["clips"]
    rows = [
        good_row(model, n) | {"noun_classes": [n] if n % 2 else None, "video_id": f"v{n // 70_000}"}
        for n in range(70_002)
    ]
    lake = Lake(tmp_path)
    lake.write(model, model.frame(rows), "b")
    whole, judged = lake.read(model, "b"), lake.without_lists(model, "b")
    assert set(judged["noun_classes"].dropna()) == {1}
    assert judged["noun_classes"].isna().equals(whole["noun_classes"].isna())
    others = [name for name in model.names if name != "noun_classes"]
    pd.testing.assert_frame_equal(judged[others], whole[others])


def test_a_table_of_another_release_is_not_judged(tmp_path):
    stored, model = TABLES["media"], TABLES["clips"]
    lake = Lake(tmp_path)
    lake.write(stored, stored.frame([good_row(stored)]), "b")
    (tmp_path / "media").rename(tmp_path / "clips")
    with pytest.raises(TableError, match="in another form"):
        lake.without_lists(model, "b")
