"""Texts as sums of fixed word vectors: the text side of `mel_ridge`, without any weights.

Each word has a Gaussian vector drawn from a hash of the word alone, so that two texts are alike as
far as they share words, on every machine and without a vocabulary. Common endings are cut, so
that `opens` and `opening` are `open`; words that say nothing about sound or action are left out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from resources.encoders.protocol import Vectors, unit_rows

VERSION = 1
DIMENSIONS = 256
_WORD = re.compile(r"[a-z]+")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "a an and as at be by for from in into is it its of off on onto or out over some someone "
        "something the their then to up while with person man woman people c x o"
    )
)
_ENDINGS = ("ing", "ed", "es", "s")


def words(text: str) -> list[str]:
    """The stems of a text's words; of a text without any other word, those of its stop words."""
    found = _WORD.findall(text.lower())
    return [_stem(word) for word in found if word not in _STOP_WORDS] or found


def embed_words(texts: Sequence[str]) -> Vectors:
    """Texts as unit vectors: the normalised sum of their words' vectors.

    Returns:
        `(len(texts), DIMENSIONS)`. A text without a letter gets the vector of the empty word: it
        is like itself and like nothing else.
    """
    sums = [np.sum([_word_vector(word) for word in words(text) or [""]], axis=0) for text in texts]
    return unit_rows(np.array(sums, dtype=np.float64).reshape(-1, DIMENSIONS))


def _stem(word: str) -> str:
    """Cut one ending, a doubled consonant before it (`chopping`) and a last silent `e`."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and ending in {"ing", "ed"}:
                word = word[:-1]
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


@lru_cache(maxsize=65536)
def _word_vector(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
    vector: np.ndarray = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return vector
