import numpy as np
import pandas as pd
import pytest
from support.epic import epic_clips_and_captions

from assets.benchmarks.relevance import DenseMatrix, class_relevance, pair_relevance

EVERYTHING = slice(None)


def items(*classes, ids="caption_id"):
    return pd.DataFrame(
        {
            ids: [f"item{position}" for position in range(len(classes))],
            "verb_class": pd.array([verb for verb, _ in classes], dtype="Int64"),
            "noun_classes": [nouns for _, nouns in classes],
        }
    )


CAPTIONS = items((0, [2]), (1, [2, 3]), (0, []), (None, None))
CLIPS = items((0, [2, 3]), (1, [2, 3]), (5, [4]), (0, [2]), (None, None), ids="clip_id")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("verb", [[1, 0, 0, 1, 0], [0, 1, 0, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 0]]),
        ("noun", [[0.5, 0.5, 0, 1, 0], [1, 1, 0, 0.5, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]),
        ("caption", [[0.75, 0.25, 0, 1, 0], [0.5, 1, 0, 0.25, 0], [0.5, 0, 0, 0.5, 0], [0] * 5]),
    ],
)
def test_class_relevance_by_hand(kind, expected):
    relevance = class_relevance(CAPTIONS, CLIPS, kind)
    assert relevance.shape == (4, 5)
    assert relevance.caption_rows(EVERYTHING).tolist() == expected
    assert relevance.clip_rows(EVERYTHING).tolist() == np.transpose(expected).tolist()


def test_order_and_repetition_of_noun_classes_do_not_matter():
    one, other = items((0, [3, 2, 2])), items((0, [2, 3]), ids="clip_id")
    assert class_relevance(one, other, "caption").caption_rows(EVERYTHING) == 1


def test_class_identity_for_sound_classes():
    captions, clips = items((3, None), (4, None)), items((4, None), (3, None), ids="clip_id")
    relevance = class_relevance(captions, clips, "class")
    assert relevance.caption_rows(EVERYTHING).tolist() == [[0, 1], [1, 0]]


def test_pairs_follow_the_given_order_and_ignore_what_is_not_there():
    pairs = pd.DataFrame(
        {
            "caption_id": ["item1", "item0", "gone", "item0"],
            "clip_id": ["item4", "item2", "item0", "gone"],
            "relevance": [1.0, 0.25, 1.0, 1.0],
        }
    )
    relevance = pair_relevance(CAPTIONS, CLIPS, pairs)
    dense = np.zeros((4, 5))
    dense[1, 4], dense[0, 2] = 1, 0.25
    assert relevance.caption_rows(EVERYTHING).tolist() == dense.tolist()
    assert relevance.clip_rows(slice(2, 5)).tolist() == dense[:, 2:5].T.tolist()


@pytest.mark.parametrize("build", ["class", "pairs", "dense"])
def test_subset_is_the_submatrix(build):
    pairs = pd.DataFrame({"caption_id": ["item1"], "clip_id": ["item4"], "relevance": [1.0]})
    relevance = {
        "class": lambda: class_relevance(CAPTIONS, CLIPS, "caption"),
        "pairs": lambda: pair_relevance(CAPTIONS, CLIPS, pairs),
        "dense": lambda: DenseMatrix(np.random.default_rng(0).random((4, 5), dtype=np.float32)),
    }[build]()
    captions, clips = np.array([2, 1]), np.array([4, 0, 3])
    expected = relevance.caption_rows(EVERYTHING)[np.ix_(captions, clips)]
    subset = relevance.subset(captions, clips)
    assert subset.shape == (2, 3)
    assert (subset.caption_rows(EVERYTHING) == expected).all()
    assert (subset.clip_rows(EVERYTHING) == expected.T).all()
    assert subset.caption_rows(slice(0, 1)).dtype == np.float32


def test_nothing_at_all():
    relevance = class_relevance(CAPTIONS.iloc[:0], CLIPS, "caption")
    assert relevance.caption_rows(EVERYTHING).shape == (0, 5)
    assert relevance.clip_rows(EVERYTHING).shape == (5, 0)


@pytest.mark.real_data
def test_epic_relevance_has_the_known_shape_and_values():
    clips, captions = epic_clips_and_captions()
    relevance = class_relevance(captions, clips, "caption")
    assert relevance.shape == (3842, 9668)
    whole = relevance.caption_rows(EVERYTHING)
    assert (whole == 1).sum() == 62_535
    levels = [0, 1/12, 0.1, 0.125, 1/6, 0.2, 0.25, 0.3, 1/3, 0.375, 0.5, 0.6, 0.625, 2/3, 0.75,
              5/6, 0.875, 1]  # fmt: skip
    assert np.unique(whole) == pytest.approx(levels, rel=1e-6)
    assert whole.mean(dtype=float) == pytest.approx(0.0549, abs=5e-5)
    assert (whole > 0).mean() == pytest.approx(0.11374, abs=5e-6)
    assert (whole == 1).any(axis=0).all()
    assert (whole == 1).any(axis=1).all()
    own = clips.set_index("clip_id").index.get_indexer(captions["caption_id"])
    assert (whole[np.arange(len(captions)), own] == 1).all()
