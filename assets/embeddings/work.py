"""What one encoder is to embed, sounds or texts, and what became of it.

The one place that says what a failure costs. A batch that fails is tried item by item; an item that
fails alone costs itself. An encoder that says so, or that fails again and again before anything
succeeds, can't run here now. Another run may do what this one could not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from resources.encoders.protocol import Encoder, EncoderUnavailable, Vectors

Save = Callable[[Sequence[str], Vectors], None]
Progress = Callable[[int, int], None]
"""Called with items done and items in all."""

_SAVE_EVERY_S = 30.0
"""Half of the minute that a killed process may lose, since a batch may take as long again."""

_IN_VAIN = 10
"""So many items fail and none has succeeded: then it is the encoder, not they."""

_Wanted = TypeVar("_Wanted")
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Fault:
    """Why a vector could not be made."""

    reason: str
    detail: str


@dataclass
class Work(Generic[_Wanted]):
    """What one encoder is to embed, and what became of it.

    Attributes:
        encoder: what embeds.
        wanted: what is to be embedded, one item a key.
        save: called with keys and their finite vectors, at least every minute.
        faults: by key. Every other key was saved, unless the encoder is unavailable.
        unavailable: set where the encoder turned out not to run here.
    """

    encoder: Encoder
    wanted: _Wanted
    save: Save
    faults: dict[str, Fault] = field(default_factory=dict, init=False)
    unavailable: EncoderUnavailable | None = field(default=None, init=False)
    _finished: dict[str, Vectors] = field(default_factory=dict, init=False)
    _saved_at: float = field(default_factory=time.monotonic, init=False)
    _has_succeeded: bool = field(default=False, init=False)
    _in_vain: int = field(default=0, init=False)

    def embed(
        self, embed: Callable[[Sequence[_Item]], Vectors], batch: Mapping[str, _Item]
    ) -> None:
        """Embed a batch, if the encoder can run, and save where it is time.

        Args:
            embed: the encoder's method: `(n, d)` of n items.
            batch: items by key.
        """
        self._embed(embed, batch)
        if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
            self.save_finished()

    def save_finished(self) -> None:
        """Hand the finished vectors over."""
        if self._finished:
            self.save(list(self._finished), np.stack(list(self._finished.values())))
        self._finished, self._saved_at = {}, time.monotonic()

    def _embed(
        self, embed: Callable[[Sequence[_Item]], Vectors], batch: Mapping[str, _Item]
    ) -> None:
        if self.unavailable or not batch:
            return
        try:
            vectors = embed(list(batch.values()))
        except EncoderUnavailable as error:
            self.unavailable = error
            return
        except Exception as error:  # not kept: it holds on to all that the batch had in memory
            problem = repr(error)
        else:
            self._take(list(batch), vectors)
            return
        if len(batch) == 1:
            self._fail(next(iter(batch)), Fault("encoder failed", problem))
            return
        for key, item in batch.items():
            self._embed(embed, {key: item})

    def _take(self, keys: Sequence[str], vectors: Vectors) -> None:
        finite = np.isfinite(vectors).all(axis=1)
        self._has_succeeded |= bool(finite.any())
        for key, vector, is_finite in zip(keys, vectors, finite, strict=True):
            if is_finite:
                self._finished[key] = vector
            else:
                self._fail(key, Fault("vector not finite", self.encoder.name))

    def _fail(self, key: str, fault: Fault) -> None:
        self.faults[key] = fault
        self._in_vain += 1
        if self._in_vain >= _IN_VAIN and not self._has_succeeded:
            self.unavailable = EncoderUnavailable(fault.reason, fault.detail)
