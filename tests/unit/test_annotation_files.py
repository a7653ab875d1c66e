"""Rows and cells of annotation files (assets/benchmarks/annotation_files)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.benchmark_files import write_csv

from assets.benchmarks.annotation_files import (
    parse_class_list,
    parse_media_id,
    parse_seconds,
    parse_timestamp,
    read_rows,
)

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)


@given(milliseconds=st.integers(0, 359_999_999))
def test_a_timestamp_is_read_to_the_last_digit(milliseconds):
    seconds, rest = divmod(milliseconds, 1000)
    written = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
    assert parse_timestamp(written) == milliseconds / 1000
    assert parse_seconds(written) == milliseconds / 1000


@given(classes=st.lists(st.integers(0, 299)))
def test_a_class_list_is_a_sorted_set(classes):
    assert parse_class_list(300)(repr(classes)) == sorted(set(classes))


@given(cell=TEXT)
def test_a_cell_that_is_no_list_of_classes_is_refused_not_run(cell):
    try:
        found = parse_class_list(300)(cell)
    except ValueError:
        return
    assert all(0 <= number < 300 for number in found)


@given(cell=TEXT)
def test_a_media_id_never_holds_a_step_out(cell):
    try:
        found = parse_media_id(cell)
    except ValueError:
        return
    assert found == cell
    assert not {"/", "\\", "\x00"} & set(found)
    assert found not in {"", ".", ".."}


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
def test_any_text_survives_a_table(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    # A row of empty cells alone is a blank line to the format, and the id is never empty.
    written = [{"id": f"i{one}", "text": other} for one, other in rows]
    write_csv(path, ["id", "text"], written)
    assert [dict(row.cells) for row in read_rows(path, ["id", "text"])] == written


def test_lines_are_those_of_an_editor(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text('id,text\na,one\nb,"two\nlines"\nc,three\n')
    assert [row.line for row in read_rows(path, ["id"])] == [2, 4, 5]


@pytest.mark.parametrize("cell", ["", "-1", "inf", "nan", "1:2", "00:00:60.0", "1e9999", "0x10"])
def test_what_is_no_time(cell):
    with pytest.raises(ValueError, match="is no time"):
        parse_seconds(cell)
