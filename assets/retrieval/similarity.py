"""How alike texts and clips are: cosine of unit vectors, and the field's dual softmax over it.

Both are served in blocks (`BlockMatrix`). A distinct text is multiplied once a block, and every
caption that carries it takes the same numbers, so that equal texts tie exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.retrieval.metrics import in_blocks


@dataclass(frozen=True)
class CosineSimilarity:
    """Inner products of unit vectors (method section 6.3; its (s + 1) / 2 changes no rank).

    Attributes:
        texts: (distinct texts, dimensions), float32.
        captions: which text each caption carries, by position in `texts`.
        clips: (clips, dimensions), float32.
    """

    texts: np.ndarray
    captions: np.ndarray
    clips: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of captions and clips."""
        return len(self.captions), len(self.clips)

    def caption_rows(self, rows: slice) -> np.ndarray:
        """Similarity of all clips to some captions."""
        distinct, inverse = np.unique(self.captions[rows], return_inverse=True)
        return (self.texts[distinct] @ self.clips.T)[inverse]

    def clip_rows(self, rows: slice) -> np.ndarray:
        """Similarity of all captions to some clips."""
        distinct, inverse = np.unique(self.captions, return_inverse=True)
        return (self.clips[rows] @ self.texts[distinct].T).take(inverse, axis=1)

    def subset(self, captions: np.ndarray, clips: np.ndarray) -> CosineSimilarity:
        """The same between some captions and clips, given by position."""
        return CosineSimilarity(self.texts, self.captions[captions], self.clips[clips])


@dataclass(frozen=True)
class DualSoftmax:
    """The field's dual softmax, up to a change that keeps every rank (method section 6.3).

    With S the cosine and T the temperature: P = softmax of S/T over the clips, S' = P * S, and
    the result is the softmax of S' over the texts. Served is its logarithm plus a constant: the
    values differ by 1e-4 of themselves, which float32 would blur.

    Attributes:
        cosine: S of the captions asked about.
        text_logarithms: log sum over the clips of exp(S/T), of each distinct text.
        clip_logarithms: log mean over the texts of exp(S'), of each clip.
        temperature: T.
    """

    cosine: CosineSimilarity
    text_logarithms: np.ndarray
    clip_logarithms: np.ndarray
    temperature: float

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of captions and clips."""
        return self.cosine.shape

    def caption_rows(self, rows: slice) -> np.ndarray:
        """Dual softmax of all clips for some captions."""
        s = self.cosine.caption_rows(rows).astype(np.float64)
        logarithms = self.text_logarithms[self.cosine.captions[rows]]
        s *= np.exp(s / self.temperature - logarithms[:, None])
        return (s - self.clip_logarithms).astype(np.float32)

    def clip_rows(self, rows: slice) -> np.ndarray:
        """Dual softmax of all captions for some clips."""
        s = self.cosine.clip_rows(rows).astype(np.float64)
        s *= np.exp(s / self.temperature - self.text_logarithms[self.cosine.captions])
        return (s - self.clip_logarithms[rows, None]).astype(np.float32)


def dual_softmax(
    cosine: CosineSimilarity, clip_texts: np.ndarray, temperature: float
) -> DualSoftmax:
    """Dual softmax of a similarity.

    Args:
        cosine: captions x clips.
        clip_texts: the texts over which the second softmax goes, with repetitions, by position
            in `cosine.texts`: as published, the own text of every clip.
        temperature: what S is divided by in the first softmax; the field's code says 500.
    """
    every_text = CosineSimilarity(cosine.texts, np.arange(len(cosine.texts)), cosine.clips)

    def log_sum(rows: slice) -> np.ndarray:
        s = every_text.caption_rows(rows).astype(np.float64) / temperature
        return np.log(np.exp(s).sum(axis=1))

    text_logarithms = np.concatenate(list(in_blocks(log_sum, *every_text.shape)))
    weights = np.bincount(clip_texts, minlength=len(cosine.texts)) / max(len(clip_texts), 1)

    def weighted_sum(rows: slice) -> np.ndarray:
        s = every_text.caption_rows(rows).astype(np.float64)
        s *= np.exp(s / temperature - text_logarithms[rows, None])
        return weights[rows] @ np.exp(s)

    clip_logarithms = np.log(sum(in_blocks(weighted_sum, *every_text.shape)))
    return DualSoftmax(cosine, text_logarithms, clip_logarithms, temperature)
