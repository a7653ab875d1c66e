"""The published formulas of method section 8 in plain numpy: a slow oracle, and the baseline.

Whole matrices, no blocks, one function a formula, as a reader of the formulas would write them.
Sorts are stable where the field's are not, so that ties have one answer.
"""

import numpy as np


def map_published(similarity, relevance):
    order = np.argsort(-similarity, axis=1, kind="stable")
    gains = np.take_along_axis(relevance, order, axis=1)
    precision = np.cumsum(gains, axis=1) / np.arange(1, gains.shape[1] + 1)
    right = gains == 1
    return (precision * right).sum(axis=1) / np.maximum(right.sum(axis=1), 1)


def map_binary(similarity, relevance):
    return map_published(similarity, (relevance == 1).astype(float))


def ndcg(similarity, relevance):
    order = np.argsort(similarity, axis=1, kind="stable")[:, ::-1]
    gains = np.take_along_axis(relevance, order, axis=1)
    cut = (relevance > 0).sum(axis=1, keepdims=True)
    discount = (np.arange(gains.shape[1]) < cut) / np.log2(np.arange(2, gains.shape[1] + 2))
    ideal = np.sort(relevance, axis=1)[:, ::-1]
    return (gains * discount).sum(axis=1) / (ideal * discount).sum(axis=1)


def recall_at(k, similarity, relevance):
    order = np.argsort(-similarity, axis=1, kind="stable")
    return (np.take_along_axis(relevance, order, axis=1)[:, :k] == 1).any(axis=1)


def hits_at(k, similarity, relevance):
    order = np.argsort(-similarity, axis=1, kind="stable")
    return (np.take_along_axis(relevance, order, axis=1)[:, :k] == 1).sum(axis=1)


def first_rank(similarity, relevance):
    order = np.argsort(-similarity, axis=1, kind="stable")
    return (np.take_along_axis(relevance, order, axis=1) == 1).argmax(axis=1) + 1


def diagonal_rank(similarity, direction):
    """Rows are queries; the right candidate of query i is i. Positions in the sorted row."""
    distances = np.sort(-similarity, axis=1)
    own = -np.diag(similarity)
    ranks = []
    for row, value in zip(distances, own, strict=True):
        places = np.flatnonzero(row == value)
        ranks.append(1 + (places[0] if direction == "text_to_audio" else places.mean()))
    return np.array(ranks)
