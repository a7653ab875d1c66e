import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support import published_formulas as published
from support.epic import epic_clips_and_captions

from assets.benchmarks.relevance import DenseMatrix, class_relevance
from assets.retrieval import metrics
from assets.retrieval.metrics import (
    RECALL_AT,
    MetricError,
    block_metrics,
    choice_accuracy,
    choice_rank,
    diagonal_ranks,
    published_recall,
    query_metrics,
)

LEVELS = [0, 0, 0, 0.25, 0.5, 1]
FIELDS = ("map_published", "map_binary", "ndcg", "recall", "rank")
TEXTBOOK = ("map_binary", "recall", "rank", "right", "hits")


def similarities(shape, distinct=None):
    values = st.floats(-1, 1, width=32) if distinct is None else st.sampled_from(distinct)
    return hnp.arrays(np.float32, shape, elements=values)


@st.composite
def problems(draw, tied=True):
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 12)))
    relevance = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from(LEVELS)))
    if tied:
        return draw(similarities(shape, [-0.5, 0.0, -0.0, 0.25, 1])), relevance
    order = draw(st.permutations(range(shape[0] * shape[1])))
    return np.array(order, dtype=np.float32).reshape(shape), relevance


def as_rows(result):
    return {name: getattr(result, name) for name in FIELDS}


def assert_same(one, other, names=FIELDS):
    for name in names:
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=0, atol=1e-9, err_msg=name
        )


# ----------------------------------------------------------------- against the formulas


@given(problems())
def test_published_metrics_equal_the_formulas_ties_included(problem):
    similarity, relevance = problem
    result = block_metrics(similarity, relevance)
    right, relevant = (relevance == 1).any(axis=1), (relevance > 0).any(axis=1)
    exact = relevance.astype(float)
    np.testing.assert_allclose(
        result.map_published[right], published.map_published(similarity, exact)[right], atol=1e-9
    )
    np.testing.assert_allclose(
        result.ndcg[relevant], published.ndcg(similarity[relevant], exact[relevant]), atol=1e-9
    )
    assert np.isnan(result.map_published[~right]).all()
    assert np.isnan(result.ndcg[~relevant]).all()


@given(problems(tied=False))
def test_textbook_metrics_equal_the_formulas_without_ties(problem):
    similarity, relevance = problem
    right = (relevance == 1).any(axis=1)
    similarity, relevance = similarity[right], relevance[right]
    if not right.any():
        return
    result = block_metrics(similarity, relevance)
    np.testing.assert_allclose(result.map_binary, published.map_binary(similarity, relevance))
    np.testing.assert_allclose(result.rank, published.first_rank(similarity, relevance))
    for column, k in enumerate(RECALL_AT):
        expected = published.recall_at(k, similarity, relevance)
        np.testing.assert_allclose(result.recall[:, column], expected)
        hits = published.hits_at(k, similarity, relevance)
        np.testing.assert_allclose(result.hits[:, column], hits)
    np.testing.assert_allclose(result.right, (relevance == 1).sum(axis=1))


@given(
    similarities((1, 5), [0.0, 0.5]),
    hnp.arrays(np.float32, (1, 5), elements=st.sampled_from([0, 1])),
)
@settings(max_examples=60)
def test_textbook_metrics_are_expectations_over_all_orders_of_the_tied(similarity, relevance):
    if not relevance.any():
        return
    orders = []
    for order in itertools.permutations(range(5)):
        ordered = list(order)
        orders.append(
            block_metrics(
                # A little noise, the same for all, breaks ties in this order.
                similarity[:, ordered] - np.arange(5, dtype=np.float32)[None] * np.float32(1e-3),
                relevance[:, ordered],
            )
        )
    result = block_metrics(similarity, relevance)
    for name in TEXTBOOK:
        expected = np.mean([getattr(each, name) for each in orders], axis=0)
        np.testing.assert_allclose(getattr(result, name), expected, atol=1e-9, err_msg=name)


# ------------------------------------------------------------------------- invariants


@given(problems(), st.randoms(use_true_random=False))
def test_textbook_metrics_do_not_depend_on_the_order_of_candidates(problem, random):
    similarity, relevance = problem
    order = list(range(similarity.shape[1]))
    random.shuffle(order)
    one = block_metrics(similarity, relevance)
    other = block_metrics(similarity[:, order], relevance[:, order])
    assert_same(one, other, TEXTBOOK)


@given(problems(tied=False), st.randoms(use_true_random=False))
def test_without_ties_nothing_depends_on_the_order_of_candidates(problem, random):
    similarity, relevance = problem
    order = list(range(similarity.shape[1]))
    random.shuffle(order)
    assert_same(
        block_metrics(similarity, relevance),
        block_metrics(similarity[:, order], relevance[:, order]),
    )


@given(problems(), st.sampled_from([lambda s: 3 * s + 2, np.exp, lambda s: s**3]))
def test_monotone_transformations_change_nothing(problem, transformation):
    similarity, relevance = problem
    changed = transformation(similarity).astype(np.float32)
    assert_same(block_metrics(similarity, relevance), block_metrics(changed, relevance))


@given(problems(), st.data())
def test_queries_do_not_affect_each_other(problem, data):
    similarity, relevance = problem
    row = data.draw(st.integers(0, len(similarity) - 1))
    alone = block_metrics(similarity[row : row + 1], relevance[row : row + 1])
    assert_same(alone, block_metrics(similarity, relevance).take(np.array([row])))


@given(problems(tied=False))
def test_a_doubled_gallery_keeps_recall_of_the_best(problem):
    """Each candidate twice: the first right one ties with its double, at about twice the rank."""
    similarity, relevance = problem
    doubled = block_metrics(np.tile(similarity, 2), np.tile(relevance, 2))
    single = block_metrics(similarity, relevance)
    np.testing.assert_allclose(doubled.rank, 2 * single.rank - 1)
    np.testing.assert_allclose(doubled.recall[:, 0], single.recall[:, 0])


def test_blocks_and_threads_change_nothing(monkeypatch):
    draw = np.random.default_rng(0)
    similarity = DenseMatrix(draw.random((40, 30), dtype=np.float32).round(1))
    relevance = DenseMatrix(draw.choice(LEVELS, (40, 30)).astype(np.float32))
    for direction in ("text_to_audio", "audio_to_text"):
        whole = query_metrics(similarity, relevance, direction)
        with monkeypatch.context() as context:
            context.setattr(metrics, "BLOCK_ELEMENTS", 70)
            assert_same(whole, query_metrics(similarity, relevance, direction))


# ------------------------------------------------------------------------------- edges


def test_a_query_without_right_candidates_has_no_value_and_leaves_others_alone():
    result = block_metrics(np.float32([[1, 2], [2, 1]]), np.float32([[0, 0], [1, 0.5]]))
    assert all(np.isnan(values[0]).all() for values in as_rows(result).values())
    assert result.map_published[1] == result.ndcg[1] == result.rank[1] == 1


def test_partly_relevant_candidates_alone_give_ndcg_only():
    result = block_metrics(np.float32([[1, 2]]), np.float32([[0, 0.5]]))
    assert result.ndcg == [1]
    assert np.isnan(result.map_published).all()
    assert np.isnan(result.recall).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_score(shape):
    empty = DenseMatrix(np.empty(shape, dtype=np.float32))
    for direction, queries in zip(("text_to_audio", "audio_to_text"), shape, strict=True):
        result = query_metrics(empty, empty, direction)
        assert len(result.rank) == queries
        assert np.isnan(result.ndcg).all()


def test_a_single_candidate():
    result = block_metrics(np.float32([[0.3]]), np.float32([[1]]))
    assert all((values == 1).all() for values in as_rows(result).values())


@pytest.mark.parametrize("direction", ["text_to_audio", "audio_to_text"])
def test_nan_is_refused_with_its_row(direction, monkeypatch):
    monkeypatch.setattr(metrics, "BLOCK_ELEMENTS", 6)
    values = np.zeros((7, 7), dtype=np.float32)
    values[5, 5] = np.nan
    good = DenseMatrix(np.zeros((7, 7), dtype=np.float32))
    with pytest.raises(MetricError, match="similarity is NaN in row 5"):
        query_metrics(DenseMatrix(values), good, direction)
    with pytest.raises(MetricError, match="relevance is NaN in row 5"):
        query_metrics(good, DenseMatrix(values), direction)
    with pytest.raises(MetricError, match="row 5"):
        diagonal_ranks(DenseMatrix(values), direction)


def test_other_wrong_matrices_are_refused():
    two, three = (DenseMatrix(np.zeros((2, n), dtype=np.float32)) for n in (2, 3))
    with pytest.raises(MetricError, match="captions x clips"):
        query_metrics(two, three, "text_to_audio")
    with pytest.raises(MetricError, match="negative in row 1"):
        block_metrics(np.zeros((2, 2), np.float32), np.float32([[0, 1], [-1, 1]]))
    with pytest.raises(MetricError, match="square"):
        diagonal_ranks(three, "text_to_audio")


# ----------------------------------------------------------------- diagonal and choices


@given(similarities((6, 6), [0.0, 0.25, 0.5]))
def test_diagonal_ranks_follow_the_published_tie_rules(similarity):
    for direction, rows in (("text_to_audio", similarity), ("audio_to_text", similarity.T)):
        ranks = diagonal_ranks(DenseMatrix(similarity), direction)
        np.testing.assert_allclose(ranks, published.diagonal_rank(rows, direction))


def test_published_recall_counts_half_ranks_as_the_field_does():
    ranks = np.array([1, 1.5, 5.5, 6, np.nan])
    expected = [[1, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [np.nan] * 4]
    np.testing.assert_array_equal(published_recall(ranks), expected)


def test_choices_share_ties_or_take_the_first():
    similarity = np.float32([[0.1, 0.9, 0.9, 0, 0], [0.5] * 5, [0.1, 0.2, 0.3, 0.4, 0.5]])
    answers = np.array([2, 0, 4])
    assert choice_accuracy(similarity, answers).tolist() == [0.5, 0.2, 1]
    assert choice_accuracy(similarity, answers, "first").tolist() == [0, 1, 1]
    assert choice_rank(similarity, answers).tolist() == [1.5, 3, 1]
    with pytest.raises(MetricError, match="row 1"):
        choice_accuracy(np.float32([[0, 1], [np.nan, 1]]), np.array([0, 0]))


# ------------------------------------------------------------------- against pytrec_eval


def test_agreement_with_pytrec_eval_on_whole_number_relevance():
    draw = np.random.default_rng(3)
    levels = np.array([0, 0, 0, 0, 1 / 12, 0.25, 0.5, 0.625, 1])
    relevance = draw.choice(levels, (30, 200)).astype(np.float32)
    assert_agreement_with_pytrec_eval(relevance, draw)


def assert_agreement_with_pytrec_eval(relevance, draw):
    """Ties apart, what trec_eval defines too: map, success, P, recall and, by its own cut, nDCG."""
    pytrec_eval = pytest.importorskip("pytrec_eval")
    similarity = draw.permuted(np.tile(np.arange(relevance.shape[1]), (len(relevance), 1)), axis=1)
    result = block_metrics(similarity.astype(np.float32), relevance)

    run, right, grades = (
        by_id(similarity, float), by_id(relevance == 1, int), by_id(np.rint(relevance * 120), int)
    )  # fmt: skip
    measures = {"map", "success.1,5,10,50", "P.1,5,10,50", "recall.1,5,10,50"}
    full = pytrec_eval.RelevanceEvaluator(right, measures).evaluate(run)
    for query, theirs in enumerate(full[f"q{query}"] for query in range(len(relevance))):
        assert result.map_binary[query] == pytest.approx(theirs["map"], abs=1e-9)
        for column, k in enumerate(RECALL_AT):
            assert result.recall[query, column] == theirs[f"success_{k}"]
            hits = result.hits[query, column]
            assert hits / k == pytest.approx(theirs[f"P_{k}"])
            assert hits / result.right[query] == pytest.approx(theirs[f"recall_{k}"])
    cuts = (relevance > 0).sum(axis=1)
    for cut in np.unique(cuts):
        same_cut = [f"q{query}" for query in np.flatnonzero(cuts == cut)]
        graded = pytrec_eval.RelevanceEvaluator(
            {query: grades[query] for query in same_cut}, {f"ndcg_cut.{cut}"}
        ).evaluate({query: run[query] for query in same_cut})
        for query in same_cut:
            expected = graded[query][f"ndcg_cut_{cut}"]
            assert result.ndcg[int(query[1:])] == pytest.approx(expected, abs=1e-6)


def by_id(matrix, kind):
    names = [f"d{candidate:04}" for candidate in range(matrix.shape[1])]
    return {
        f"q{query}": dict(zip(names, map(kind, row.tolist()), strict=True))
        for query, row in enumerate(matrix)
    }


# --------------------------------------------------------------- golden values, real files


@pytest.fixture(scope="module")
def epic():
    clips, captions = epic_clips_and_captions()
    return clips, captions, class_relevance(captions, clips, "caption")


def both_directions(similarity, relevance):
    """Means by direction, audio to text first, as the published figures are given."""
    return [
        query_metrics(DenseMatrix(similarity), relevance, direction)
        for direction in ("audio_to_text", "text_to_audio")
    ]


@pytest.mark.real_data
@pytest.mark.slow
def test_epic_oracle(epic):
    relevance = epic[2]
    for result in both_directions(relevance.caption_rows(slice(None)), relevance):
        for values in as_rows(result).values():
            np.testing.assert_allclose(values, 1)


@pytest.mark.real_data
@pytest.mark.slow
def test_epic_random_similarity(epic):
    relevance = epic[2]
    similarity = np.random.default_rng(0).random((9668, 3842)).astype(np.float32).T
    to_text, to_audio = both_directions(similarity, relevance)
    assert to_text.map_published.mean() == pytest.approx(0.0569, abs=2e-4)
    assert to_audio.map_published.mean() == pytest.approx(0.0559, abs=2e-4)
    assert to_text.ndcg.mean() == pytest.approx(0.1081, abs=2e-4)
    assert to_audio.ndcg.mean() == pytest.approx(0.1096, abs=2e-4)
    assert to_text.map_binary.mean() == pytest.approx(0.0037, abs=2e-4)
    assert to_audio.map_binary.mean() == pytest.approx(0.0028, abs=2e-4)


@pytest.mark.real_data
@pytest.mark.slow
def test_epic_constant_similarity_shows_the_tie_order(epic):
    relevance = epic[2]
    to_text, to_audio = both_directions(np.zeros(relevance.shape, np.float32), relevance)
    assert to_text.map_published.mean() == pytest.approx(0.06145, abs=5e-6)
    assert to_audio.map_published.mean() == pytest.approx(0.05676, abs=5e-6)


@pytest.mark.real_data
@pytest.mark.slow
def test_epic_bag_of_words(epic):
    """Cosine of sets of words: a stand-in for a model that needs no audio, full of ties.

    The known figures were made with a sort that leaves the order of the tied to chance (plain numpy
    gives them so, their nDCG to the last digit): ours, by position, lie beside them.
    """
    clips, captions, relevance = epic
    texts = [set(text.split()) for text in [*captions["text"], *clips["text"]]]
    words = {word: i for i, word in enumerate(sorted(set().union(*texts)))}
    held = np.zeros((len(texts), len(words)), dtype=np.float32)
    for row, text in enumerate(texts):
        held[row, [words[word] for word in text]] = 1
    sizes = held.sum(axis=1)
    queries, items = slice(len(captions)), slice(len(captions), None)
    # Whole numbers until the last step, so that equal cosines are equal on any machine.
    cosine = held[queries] @ held[items].T / np.sqrt(np.outer(sizes[queries], sizes[items]))
    results = both_directions(cosine.astype(np.float32), relevance)
    ours = {"map_published": (73.285, 80.745), "ndcg": (63.666, 63.714),
            "map_binary": (55.674, 67.524)}  # fmt: skip
    known = {"map_published": (73.32, 80.69), "ndcg": (63.72, 63.35), "map_binary": (55.80, 67.55)}
    chance = {"map_published": 0.06, "ndcg": 0.37, "map_binary": 0.13}
    for metric, expected in ours.items():
        found = [100 * getattr(result, metric).mean() for result in results]
        assert found == pytest.approx(expected, abs=2e-3), metric
        assert found == pytest.approx(known[metric], abs=chance[metric]), metric


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize("direction", ["text_to_audio", "audio_to_text"])
def test_epic_equals_the_plain_formulas(epic, direction):
    relevance = epic[2]
    similarity = np.random.default_rng(1).standard_normal(relevance.shape).astype(np.float32)
    result = query_metrics(DenseMatrix(similarity), relevance, direction)
    whole = relevance.caption_rows(slice(None))
    if direction == "audio_to_text":
        similarity, whole = similarity.T, whole.T
    rows = np.random.default_rng(2).choice(len(whole), 1500, replace=False)
    rows.sort()
    some, exact = similarity[rows], whole[rows].astype(float)
    for name in ("map_published", "map_binary", "ndcg"):
        expected = getattr(published, name)(some, exact)
        np.testing.assert_allclose(getattr(result, name)[rows], expected, rtol=0, atol=1e-6)
    assert (result.rank[rows] == published.first_rank(some, exact)).all()
    for column, k in enumerate(RECALL_AT):
        assert (result.recall[rows, column] == published.recall_at(k, some, exact)).all()
        assert (result.hits[rows, column] == published.hits_at(k, some, exact)).all()


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.parametrize("direction", ["text_to_audio", "audio_to_text"])
def test_epic_agrees_with_pytrec_eval(epic, direction):
    draw = np.random.default_rng(4)
    whole = epic[2].caption_rows(slice(None))
    whole = whole if direction == "text_to_audio" else whole.T
    assert_agreement_with_pytrec_eval(whole[draw.choice(len(whole), 40, replace=False)], draw)


@pytest.mark.real_data
@pytest.mark.slow
def test_epic_diagonal_ranks_equal_the_plain_formula(epic):
    """The published rule on every third clip, with the ties that shared texts make."""
    clips = epic[0].iloc[::3]
    codes = np.unique(clips["text"], return_inverse=True)[1]
    draw = np.random.default_rng(5)
    texts = draw.standard_normal((codes.max() + 1, 16)).astype(np.float32)
    audio = draw.standard_normal((len(clips), 16)).astype(np.float32)
    similarity = (texts @ audio.T)[codes]
    for direction, rows in (("text_to_audio", similarity), ("audio_to_text", similarity.T)):
        ranks = diagonal_ranks(DenseMatrix(similarity), direction)
        assert (ranks == published.diagonal_rank(rows, direction)).all()
