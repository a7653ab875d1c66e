import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.retrieval import intervals
from assets.retrieval.intervals import (
    cluster_sums,
    flipped_sums,
    holm,
    percentile_interval,
    randomisation_p,
    resample_weights,
    resampled_means,
    resampled_medians,
    weight_blocks,
)

CLUSTERS = 138
"""As many as EPIC has recordings."""


def clustered(seed, spread=1.0, clusters=CLUSTERS):
    """Queries of recordings of very different sizes, as EPIC's; the true mean is 0."""
    draw = np.random.default_rng(seed)
    sizes = np.clip(draw.lognormal(3.7, 1, clusters).astype(int), 1, 400)
    codes = np.repeat(np.arange(clusters), sizes)
    return draw.normal(0, spread, clusters)[codes] + draw.normal(0, 2, len(codes)), codes


# ------------------------------------------------------------------------------ bootstrap


def test_resamples_draw_as_many_clusters_as_there_are_and_repeat_with_the_seed():
    weights = resample_weights(10, 500, (1,))
    assert (weights.sum(axis=1) == 10).all()
    assert weights.std() > 0.5
    assert (weights == resample_weights.__wrapped__(10, 500, (1,))).all()
    assert (weights != resample_weights(10, 500, (2,))).any()


def test_resamples_are_the_same_however_many_are_drawn_at_a_time(monkeypatch):
    whole = resample_weights.__wrapped__(13, 50, (1,))
    monkeypatch.setattr(intervals, "_CHUNK", 40)
    blocks = list(weight_blocks(13, 50, (1,)))
    assert len(blocks) == 17
    assert (np.concatenate(blocks) == whole).all()


@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 10_000))
def test_resampled_means_and_medians_equal_the_repeated_queries(queries, clusters, seed):
    draw = np.random.default_rng(seed)
    values = draw.integers(1, 9, queries).astype(float)
    codes = draw.integers(0, clusters, queries)
    weights = resample_weights(clusters, 20, (seed,))
    sums = cluster_sums(values, codes, clusters)[:, None]
    sizes = cluster_sums(np.ones(queries), codes, clusters)[:, None]
    means = resampled_means(sums, sizes, weights)[:, 0]
    medians = resampled_medians(values, codes, weights)
    for row, weight in enumerate(weights.astype(int)):
        repeated = np.repeat(values, weight[codes])
        if len(repeated):
            assert means[row] == pytest.approx(repeated.mean())
            assert medians[row] == np.median(repeated)
        else:
            assert np.isnan(means[row])
            assert np.isnan(medians[row])


def cluster_interval(values, codes, resamples, seed):
    """The interval of a mean as scores have it, for one column of values."""
    weights = resample_weights(int(codes.max()) + 1, resamples, (seed,))
    sums = cluster_sums(values, codes, weights.shape[1])[:, None]
    sizes = cluster_sums(np.ones(len(values)), codes, weights.shape[1])[:, None]
    return [end[0] for end in percentile_interval(resampled_means(sums, sizes, weights))]


def test_clusters_that_agree_widen_the_interval():
    values, codes = clustered(0)
    low, high = cluster_interval(values, codes, 2000, 0)
    plain_low, plain_high = cluster_interval(values, np.arange(len(values)), 2000, 0)
    assert high - low > 1.5 * (plain_high - plain_low)
    assert low < values.mean() < high


def coverage(simulations, resamples):
    hits = 0
    for seed in range(simulations):
        values, codes = clustered(seed)
        low, high = cluster_interval(values, codes, resamples, seed)
        hits += low <= 0 <= high
    return hits / simulations


def test_interval_covers_the_truth_about_as_often_as_it_says():
    assert 0.88 <= coverage(100, 400) <= 1


@pytest.mark.slow
def test_interval_covers_the_truth_in_1000_simulations_of_138_recordings():
    assert 0.90 <= coverage(1000, 1000) <= 0.97


# ----------------------------------------------------------------------- paired differences


def p_value(differences, codes, clusters, draws=2000, seed=(0,)):
    sums = cluster_sums(differences, codes, clusters)[:, None]
    flipped = flipped_sums(sums, draws, seed)
    return randomisation_p(sums.sum(axis=0), flipped, np.square(sums).sum(axis=0))[0]


def test_p_value_equals_the_exact_one_of_all_sign_patterns():
    differences = np.array([0.9, -0.2, 0.4, 0.7, 0.1, 0.3, -0.1, 0.5])
    signs = np.array(list(itertools.product((-1, 1), repeat=8)))
    exact = (np.abs(signs @ differences) >= differences.sum() - 1e-12).mean()
    assert p_value(differences, np.arange(8), 8, draws=40_000) == pytest.approx(exact, abs=5e-3)


def test_no_difference_is_no_evidence_and_a_clear_one_is():
    codes = np.arange(200)
    assert p_value(np.zeros(200), codes, 200) == 1
    assert p_value(np.full(200, 0.01), codes, 200) < 1e-40
    assert p_value(-np.full(200, 0.01), codes, 200) < 1e-40


def test_where_no_draw_reaches_the_bound_is_no_smaller_than_the_exact_value():
    clusters = 16
    differences = np.full(clusters, 0.5)
    exact = 2 * 0.5**clusters
    p = p_value(differences, np.arange(clusters), clusters, draws=100)
    assert exact <= p <= 1 / 101


def false_positives(simulations, draws):
    hits = 0
    for seed in range(simulations):
        differences, codes = clustered(seed)
        hits += p_value(differences, codes, CLUSTERS, draws, (seed,)) <= 0.05
    return hits / simulations


def test_false_positive_rate_is_about_what_it_should_be():
    assert false_positives(200, 500) <= 0.1


@pytest.mark.slow
def test_false_positive_rate_is_at_most_6_percent_in_2000_simulations():
    assert false_positives(2000, 2000) <= 0.06


def test_treating_queries_as_independent_would_find_what_is_not_there():
    """Why signs are drawn by recording: the same data, flipped query by query."""
    hits = 0
    for seed in range(50):
        differences, _ = clustered(seed)
        hits += p_value(differences, np.arange(len(differences)), len(differences), 200) <= 0.05
    assert hits / 50 > 0.2


# -------------------------------------------------------------------------------- Holm


def test_holm_by_hand():
    p_values = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    np.testing.assert_allclose(holm(p_values), [0.03, 0.06, np.nan, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_never_lowers_keeps_the_order_and_stays_a_probability(p_values):
    given_values = np.array(p_values)
    corrected = holm(given_values)
    assert (corrected >= given_values).all()
    assert (corrected <= 1).all()
    order = np.argsort(given_values, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()
