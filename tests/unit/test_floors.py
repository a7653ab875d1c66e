import numpy as np
import pytest

from assets.benchmarks.relevance import DenseMatrix, class_relevance
from assets.retrieval.floors import diagonal_ceiling, diagonal_floor, random_floor, rank_metrics
from assets.retrieval.metrics import (
    BOTH_DIRECTIONS,
    RECALL_AT,
    block_metrics,
    diagonal_ranks,
    relevance_profiles,
)

TEXTS = np.repeat(np.arange(6), [1, 1, 2, 3, 5, 9])


def test_random_floor_is_the_mean_over_many_random_similarities():
    draw = np.random.default_rng(0)
    relevance = draw.choice(np.float32([0, 0, 0, 0, 0.25, 0.5, 1]), (20, 60))
    relevance[:, 0] = 1
    floor = random_floor(relevance_profiles(DenseMatrix(relevance), "text_to_audio"))
    draws = [block_metrics(draw.random(relevance.shape, dtype="f4"), relevance) for _ in range(600)]
    for name in ("map_published", "map_binary", "ndcg"):
        drawn = np.mean([getattr(each, name).mean() for each in draws])
        assert floor[name] == pytest.approx(drawn, rel=0.01)
    recall = np.mean([each.recall.mean(axis=0) for each in draws], axis=0)
    for column, k in enumerate(RECALL_AT):
        assert floor[f"recall_at_{k}"] == pytest.approx(recall[column], rel=0.03)
    ranks = np.concatenate([each.rank for each in draws])
    assert floor["mean_rank"] == pytest.approx(ranks.mean(), rel=0.02)
    assert abs(floor["median_rank"] - np.median(ranks)) <= 1


def test_floor_of_queries_with_nothing_right_is_unknown():
    profile = relevance_profiles(DenseMatrix(np.zeros((2, 3), np.float32)), "text_to_audio")
    assert all(np.isnan(value) for value in random_floor(profile).values())


@pytest.mark.parametrize("direction", BOTH_DIRECTIONS)
def test_diagonal_floor_is_the_mean_over_random_texts(direction):
    draw = np.random.default_rng(1)
    queries = np.arange(5, len(TEXTS))
    floor = diagonal_floor(TEXTS, queries, direction, seed=0)
    drawn = []
    for _ in range(3000):
        similarity = DenseMatrix(draw.random((6, len(TEXTS)), dtype=np.float32)[TEXTS])
        drawn.append(rank_metrics(diagonal_ranks(similarity, direction)[queries]))
    for metric in ("recall_at_5", "recall_at_10", "mean_rank"):
        expected = np.mean([each[metric] for each in drawn])
        # Few texts and 50 draws: the floor itself is uncertain by some percent here.
        assert floor[metric] == pytest.approx(expected, rel=0.15)


def test_diagonal_ceilings_by_hand():
    queries = np.arange(len(TEXTS))
    to_audio = diagonal_ceiling(TEXTS, queries, "text_to_audio")
    assert to_audio["recall_at_1"] == pytest.approx(6 / 21)
    assert to_audio["recall_at_5"] == pytest.approx((1 + 1 + 2 + 3 + 5 + 5) / 21)
    to_text = diagonal_ceiling(TEXTS, queries, "audio_to_text")
    assert to_text["recall_at_1"] == pytest.approx(2 / 21)
    assert to_text["recall_at_5"] == 1
    assert diagonal_ceiling(TEXTS, np.array([4]), "audio_to_text")["mean_rank"] == 2


@pytest.mark.real_data
def test_epic_ceilings_of_the_diagonal_rule():
    from support.epic import epic_clips_and_captions

    texts = epic_clips_and_captions()[0]["text"].to_numpy()
    queries = np.arange(len(texts))
    to_audio = diagonal_ceiling(texts, queries, "text_to_audio")
    to_text = diagonal_ceiling(texts, queries, "audio_to_text")
    assert to_audio["recall_at_1"] == pytest.approx(0.3967, abs=5e-5)
    assert to_text["recall_at_1"] == pytest.approx(0.2645, abs=5e-5)
    assert to_text["recall_at_5"] == pytest.approx(0.668, abs=5e-4)


@pytest.mark.real_data
@pytest.mark.slow
def test_floors_of_the_real_benchmarks():
    """Known from one draw of random similarities; here in closed form. Clips' queries first."""
    from support.epic import epic_clips_and_captions, sound_clips_and_classes

    known = {
        "caption": (epic_clips_and_captions, (0.0569, 0.0559), (0.1081, 0.1096)),
        "class": (sound_clips_and_classes, (0.100, 0.024), (0.0235, 0.022)),
    }
    for kind, (read, maps, ndcgs) in known.items():
        clips, captions = read()
        relevance = class_relevance(captions, clips, kind)
        for direction, mean_ap, ndcg in zip(reversed(BOTH_DIRECTIONS), maps, ndcgs, strict=True):
            floor = random_floor(relevance_profiles(relevance, direction))
            assert floor["map_published"] == pytest.approx(mean_ap, abs=1e-3), (kind, direction)
            assert floor["ndcg"] == pytest.approx(ndcg, abs=1e-3), (kind, direction)
