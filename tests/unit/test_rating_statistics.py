"""Alpha and kappa equal what the reference libraries say; intervals hold what they should."""

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from assets.reports.ratings.statistics import alpha, mean, quadratic_kappa


def simulated(items, raters, values, care, gaps, seed):
    """Raters who say what is true with probability `care`, else anything; some skip items."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, values, items)
    random = rng.integers(0, values, (items, raters))
    said = np.where(rng.random((items, raters)) < care, truth[:, None], random)
    return np.where(rng.random((items, raters)) < gaps, -1, said)


@pytest.mark.parametrize("scale", ["nominal", "ordinal"])
@pytest.mark.parametrize("care", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("raters", [2, 3, 7])
def test_alpha_is_the_reference_librarys(scale, care, raters):
    said = simulated(200, raters, 5, care, gaps=0.1, seed=raters)
    given = np.where(said < 0, np.nan, said).T
    reference = krippendorff.alpha(given, level_of_measurement=scale, value_domain=range(5))
    found = alpha(said, scale, resamples=200, seed=0)
    assert found.value == pytest.approx(reference, abs=1e-6)
    assert found.low <= found.value <= found.high


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(2, 6), st.floats(0, 1))
def test_alpha_is_the_reference_librarys_for_any_raters(seed, raters, values, care):
    said = simulated(30, raters, values, care, gaps=0.2, seed=seed)
    paired = said[(said >= 0).sum(axis=1) > 1]
    if len(np.unique(paired[paired >= 0])) < 2:
        return
    given = np.where(said < 0, np.nan, said).T
    for scale in ("nominal", "ordinal"):
        reference = krippendorff.alpha(given, level_of_measurement=scale, value_domain=range(6))
        assert alpha(said, scale, 10, 0).value == pytest.approx(reference, abs=1e-6)


@pytest.mark.parametrize("care", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("values", [3, 5])
def test_quadratic_kappa_is_the_reference_librarys(care, values):
    said = simulated(300, 2, values, care, gaps=0, seed=values)
    first, second = said.T
    reference = cohen_kappa_score(first, second, weights="quadratic")
    found = quadratic_kappa(first, second, np.arange(300), resamples=200, seed=0)
    assert found.value == pytest.approx(reference, abs=1e-6)
    assert found.low <= found.value <= found.high


def test_raters_who_agree_as_often_as_not_have_the_alpha_that_theory_says():
    said = simulated(4000, 2, 4, care=0.7, gaps=0, seed=1)
    assert alpha(said, "nominal", 100, 0).value == pytest.approx(0.7**2, abs=0.03)


def test_nothing_is_said_where_all_say_the_same():
    assert alpha(np.ones((10, 3), int), "ordinal", 10, 0).value is None
    same = np.zeros(10, int)
    assert quadratic_kappa(same, same, np.arange(10), 10, 0).value is None


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth, held = 0.49, 0
    for seed in range(100):
        said = simulated(120, 2, 4, care=0.7, gaps=0, seed=seed)
        found = alpha(said, "nominal", 200, seed)
        held += found.low <= truth <= found.high
    assert 86 <= held <= 100


def test_judgements_of_one_item_are_drawn_together():
    items = np.repeat(np.arange(25), 8)
    said = simulated(25, 1, 3, care=1, gaps=0, seed=3)[items, 0]
    other = simulated(25, 1, 3, care=1, gaps=0, seed=4)[items, 0]
    together = quadratic_kappa(said, other, items, 500, 0)
    apart = quadratic_kappa(said, other, np.arange(len(items)), 500, 0)
    assert together.value == apart.value
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_a_mean_is_resampled_over_items_and_raters():
    rng = np.random.default_rng(0)
    taste = np.array([0.2, 0.5, 0.8])
    values = (rng.random((300, 3)) < taste).astype(float)
    found = mean(values, 1000, 0)
    assert found.value == pytest.approx(values.mean())
    by_item_only = 4 * np.sqrt(0.25 / values.size)
    assert found.high - found.low > 3 * by_item_only


def test_a_mean_leaves_out_what_is_not_there():
    values = np.array([[1.0, np.nan], [0.0, 1.0], [np.nan, 1.0]])
    assert mean(values, 200, 0).value == pytest.approx(0.75)
