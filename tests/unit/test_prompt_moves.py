"""What moved between two prompts that were both run, read from a published file."""

import pandas as pd
import pytest
from support.lake_fixture import GRADER, LEVELS, TEXTS, build_lake, level_of

from assets.reports.prompt_moves import read_moves
from resources.sql_models import SQL_FOLDER
from resources.tables import EXCLUSIONS, INFORMATIVENESS, QUERY_SCORES, QUESTIONS, text_id
from resources.warehouse import WarehouseError, publish


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """The made-up lake, with a second grader who takes cutting for low and skips the last text."""
    lake = build_lake(tmp_path_factory.mktemp("moves") / "lake")
    grades = lake.read(INFORMATIVENESS, "epic_mir").astype(object)
    other = grades[grades["text"] != TEXTS[-1]].assign(grader="other")
    other.loc[other["text"] == "cut onion", "level"] = "low"
    both = INFORMATIVENESS.frame(pd.concat([grades, other], ignore_index=True))
    lake.write(INFORMATIVENESS, both, "epic_mir")
    lake.write(EXCLUSIONS, _with_the_skipped(lake.read(EXCLUSIONS, "epic_mir")), "epic_mir")
    return lake


def _with_the_skipped(exclusions):
    row = {
        "benchmark": "epic_mir",
        "item_kind": "text",
        "item_id": text_id(TEXTS[-1]),
        "effect": "excluded",
        "encoder": None,
        "stage": "descriptions",
        "reason": "empty",
        "detail": f"other: {TEXTS[-1]!r}: no level",
    }
    return EXCLUSIONS.frame(pd.concat([exclusions.astype(object), pd.DataFrame([row])]))


@pytest.fixture(scope="module")
def file(lake, tmp_path_factory):
    target = tmp_path_factory.mktemp("published") / "moves.duckdb"
    publish(lake, SQL_FOLDER, target)
    return target


def test_texts_both_descriptions_and_the_change_in_score(lake, file):
    moves = read_moves(file, "ego_mcq", "plain", "with_examples")
    assert (moves.texts, moves.moved) == (len(TEXTS), len(TEXTS))
    assert moves.agreement is None
    scores = lake.read(QUERY_SCORES, "ego_mcq").astype({"variant": str, "metric": str})
    asked = lake.read(QUESTIONS, "ego_mcq").set_index("question_id")["text_id"]
    scores = scores[scores["subset"] == "all"].assign(text_id=scores["query_id"].map(asked))
    wanted = scores.groupby(["text_id", "encoder", "metric", "variant"], observed=True)["value"]
    wanted = wanted.mean().unstack("variant")
    assert len(moves.rows) > 0
    for row in moves.rows.itertuples():
        before, after = wanted.loc[text_id(row.text), row.encoder, row.metric][
            ["plain", "with_examples"]
        ]
        assert (row.value_a, row.value_b) == pytest.approx((100 * before, 100 * after))
        assert row.change == pytest.approx(100 * (after - before))
        assert row.description_b == f"{row.description_a}, clinking"
    largest = moves.rows.groupby("text", sort=False)["change"].agg(lambda c: c.abs().max())
    assert largest.is_monotonic_decreasing


def test_the_other_way_round_is_the_same_with_other_signs(file):
    one = read_moves(file, "epic_mir", "plain", "with_examples")
    other = read_moves(file, "epic_mir", "with_examples", "plain")
    assert list(one.rows["change"]) == list(-other.rows["change"])
    assert list(one.rows["value_a"]) == list(other.rows["value_b"])
    assert list(one.rows["description_a"]) == list(other.rows["description_b"])
    assert list(one.scores["value_b"]) == list(other.scores["value_a"])
    assert set(one.scores["direction"]) >= {"text_to_audio", "audio_to_text"}


def test_graders_that_differ_are_shown_with_both_levels(file):
    moves = read_moves(file, "epic_mir", GRADER, "other")
    assert (moves.texts, moves.moved) == (len(TEXTS) - 1, 1)
    (row,) = moves.rows.itertuples()
    assert (row.text, row.level_a, row.level_b) == ("cut onion", level_of("cut onion"), "low")
    assert level_of("cut onion") in LEVELS[1:]
    assert moves.agreement.exact == pytest.approx(1 - 1 / (len(TEXTS) - 1))


def test_what_never_met_has_not_moved_and_a_missing_file_is_said(file, tmp_path):
    moves = read_moves(file, "epic_mir", "plain", "never")
    assert (moves.texts, moves.moved, len(moves.scores)) == (0, 0, 0)
    with pytest.raises(WarehouseError, match="not there yet"):
        read_moves(tmp_path / "none.duckdb", "epic_mir", "plain", "never")
