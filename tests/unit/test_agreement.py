"""Agreement between graders against hand-worked values, and signs of failed rewriting."""

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.descriptions.agreement import grader_agreement
from assets.descriptions.failure_signs import before_and_after, failure_signs
from resources.sql_models import SQL_FOLDER
from resources.tables import DESCRIPTIONS, INFORMATIVENESS, LEVELS, text_id


def grades(**levels):
    """`grades(a="lmh", b="lmm")`: a grader each, a letter a text (`.`: not graded)."""
    named = {level[0]: level for level in LEVELS}
    return INFORMATIVENESS.frame(
        {
            "benchmark": "b",
            "text_id": text_id(str(number)),
            "grader": grader,
            "text": str(number),
            "level": named[letter],
            "model": "m",
            "key": "k",
        }
        for grader, letters in levels.items()
        for number, letter in enumerate(letters)
        if letter != "."
    )


def test_agreement_by_hand():
    """Eight common texts: counts l/l 2, l/m 1, m/m 2, m/h 1, h/l 1, h/h 1."""
    (found,) = grader_agreement(grades(a="lllmmmhh.", b="llmmmhlhh"))
    assert found.texts == 8
    assert found.confusion == ((2, 1, 0), (0, 2, 1), (1, 0, 1))
    assert found.exact == pytest.approx(5 / 8)
    expected = (3 * 3 + 3 * 3 + 2 * 2) / 64
    assert found.kappa == pytest.approx((5 / 8 - expected) / (1 - expected))
    observed = (1 + 1 + 4) / 8
    by_chance = (3 * 3 + 3 * 2 * 4 + 3 * 3 + 3 * 2 + 2 * 3 * 4 + 2 * 3) / 64
    assert found.quadratic_kappa == pytest.approx(1 - observed / by_chance)


def test_graders_of_one_mind_without_spread_have_no_kappa():
    (found,) = grader_agreement(grades(a="lll", b="lll"))
    assert (found.exact, found.kappa, found.quadratic_kappa) == (1.0, None, None)


@settings(deadline=None)
@given(st.text("lmh", min_size=2, max_size=30), st.randoms())
def test_kappa_is_symmetric_and_at_most_one(letters, shuffler):
    others = list(letters)
    shuffler.shuffle(others)
    (one,) = grader_agreement(grades(a=letters, b="".join(others)))
    (other,) = grader_agreement(grades(a="".join(others), b=letters))
    assert np.array(one.confusion).T.tolist() == [list(row) for row in other.confusion]
    if one.kappa is not None:
        assert one.kappa == pytest.approx(other.kappa)
        assert one.quadratic_kappa == pytest.approx(other.quadratic_kappa)
        assert one.kappa <= 1 + 1e-12 and one.quadratic_kappa <= 1 + 1e-12


def test_three_graders_are_three_pairs_and_strangers_none():
    assert len(grader_agreement(grades(a="lm", b="lm", c="hh"))) == 3
    assert grader_agreement(grades(a="l.", b=".l")) == []


def described(rows):
    return DESCRIPTIONS.frame(
        {
            "benchmark": "b",
            "text_id": text_id(text),
            "variant": "v",
            "text": text,
            "description": description,
            "model": "m",
            "key": "k",
        }
        for text, description in rows
    )


def test_each_sign_is_counted():
    table = described(
        [
            ("cut onion", "A knife taps on wood"),
            ("cut leek", "a knife taps, on wood"),
            ("open red door", "A red door creaks"),
            ("put down the plate", "Put the plate down"),
        ]
    )
    (signs,) = failure_signs(table, ("red",))
    assert (signs.visual, signs.repeated, signs.unchanged) == (0.25, 0.5, 0.25)
    assert "visual: open red door -> A red door creaks" in signs.examples
    assert "unchanged: put down the plate -> Put the plate down" in signs.examples


def test_before_and_after_shows_each_variant():
    shown = before_and_after(described([(f"text {n}", f"sound {n}") for n in range(9)]))
    assert list(shown.columns) == ["text", "v"] and len(shown) == 5


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from("lmh")] * 2), min_size=1, max_size=30))
def test_the_published_agreement_is_the_same(pairs):
    first, second = ("".join(letters) for letters in zip(*pairs, strict=True))
    informativeness = grades(a=first, b=second)
    (found,) = grader_agreement(informativeness)
    model = SQL_FOLDER / "grader_agreement.sql"
    with duckdb.connect() as connection:
        connection.register("informativeness", informativeness)
        (row,) = connection.execute(model.read_text(encoding="utf-8")).fetchall()
    assert row[:4] == ("b", "a", "b", len(pairs))
    for published, value in zip(
        row[4:], (found.exact, found.kappa, found.quadratic_kappa), strict=True
    ):
        assert published == (None if value is None else pytest.approx(value))
