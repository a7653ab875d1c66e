import numpy as np
import pytest

from assets.retrieval.similarity import CosineSimilarity, dual_softmax

EVERYTHING = slice(None)


def unit(draw, *shape):
    vectors = draw.standard_normal(shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def cosine():
    draw = np.random.default_rng(0)
    return CosineSimilarity(unit(draw, 5, 8), np.array([0, 1, 2, 3, 0, 4, 1]), unit(draw, 7, 8))


def test_rows_from_either_side_agree_and_equal_texts_tie_exactly(cosine):
    rows = cosine.caption_rows(EVERYTHING)
    expected = cosine.texts[cosine.captions] @ cosine.clips.T
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    np.testing.assert_allclose(cosine.clip_rows(slice(2, 5)), expected.T[2:5], atol=1e-6)
    assert (rows[0] == rows[4]).all()
    columns = cosine.clip_rows(EVERYTHING)
    assert (columns[:, 1] == columns[:, 6]).all()


@pytest.mark.parametrize("temperature", [0.05, 1, 500])
def test_dual_softmax_ranks_as_the_formula_does(cosine, temperature):
    """Written out in float64: softmax over clips of S/T, times S, softmax over texts."""
    served = dual_softmax(cosine, cosine.captions, temperature)
    s = (cosine.texts[cosine.captions] @ cosine.clips.T).astype(np.float64)
    p = np.exp(s / temperature)
    weighted = p / p.sum(axis=1, keepdims=True) * s
    result = np.exp(weighted) / np.exp(weighted).sum(axis=0, keepdims=True)
    rows = served.caption_rows(EVERYTHING)
    np.testing.assert_allclose(served.clip_rows(EVERYTHING), rows.T, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(rows, np.log(result) + np.log(len(s)), rtol=1e-3, atol=1e-7)
    for row, expected in zip(rows, result, strict=True):
        assert (np.argsort(row) == np.argsort(expected)).all()


def test_dual_softmax_of_hubs_pulls_them_down(cosine):
    """A clip near every text loses rank to one that is near a single text."""
    texts = np.eye(3, dtype=np.float32)
    hub = np.full(3, 3**-0.5, dtype=np.float32)
    clips = np.stack([hub, np.float32([0.55, -0.6, -0.58])])
    plain = CosineSimilarity(texts, np.arange(3), clips)
    assert plain.caption_rows(EVERYTHING)[0].argmax() == 0
    balanced = dual_softmax(plain, np.arange(3), 500)
    assert balanced.caption_rows(EVERYTHING)[0].argmax() == 1
