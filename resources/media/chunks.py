"""A recording kept as a row of files of 600 seconds each, as Ego4D's audio often is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from resources.media.decoding import BLOCK, DAMAGED, MediaError, open_audio

CHUNK_S = 600
_TOLERANCE_S = 1.0
"""A chunk that is cut at a key frame may be short by so much; more is damage."""


class ChunkedAudio:
    """Files of `CHUNK_S` seconds each, one after the other: chunk k starts at k * `CHUNK_S`.

    A chunk that is some milliseconds short is followed by zeros, one that is long is cut, so that
    times stay true across borders.
    """

    def __init__(self, chunks: Mapping[int, Path]) -> None:
        self._paths = list(chunks.values())
        missing = sorted(set(range(max(chunks, default=0) + 1)) - set(chunks))
        if missing:
            raise MediaError(DAMAGED, f"chunk {missing[0]} is not there")
        with open_audio(self._paths[-1]) as last:
            self._last_s = last.declared_s()
        self._chunk = open_audio(self._paths[0])
        self._index = 0
        self.sample_rate = self._chunk.sample_rate
        self.channels = self._chunk.channels
        self.position = 0

    def declared_s(self) -> float | None:
        """Whole chunks, and what the last one declares (see `Audio`)."""
        return None if self._last_s is None else CHUNK_S * (len(self._paths) - 1) + self._last_s

    def skip_to(self, sample: int) -> None:
        """Leave out whole chunks, then skip within one as its own file allows."""
        index = min(sample // self._length, len(self._paths) - 1)
        if index > self._index:
            self._open(index)
        self._chunk.skip_to(sample - self._start)
        self.position = self._start + self._chunk.position

    def read_block(self, wanted: int = BLOCK) -> np.ndarray:
        """The next samples (see `Audio`)."""
        block = self._chunk.read_block(wanted)
        is_last = self._index == len(self._paths) - 1
        left = self._start + self._length - self.position
        if not is_last:
            block = block[:left]
            if not len(block):
                if left > _TOLERANCE_S * self.sample_rate:
                    seconds = CHUNK_S - left / self.sample_rate
                    raise MediaError(DAMAGED, f"chunk {self._index} ends after {seconds:.3f} s")
                self._open(self._index + 1)
                return np.zeros(left, np.float32) if left else self.read_block(wanted)
        self.position += len(block)
        return block

    @property
    def _length(self) -> int:
        return CHUNK_S * self.sample_rate

    @property
    def _start(self) -> int:
        return self._index * self._length

    def _open(self, index: int) -> None:
        self._chunk.__exit__(None, None, None)
        self._chunk = open_audio(self._paths[index])
        self._index = index
        self.position = self._start
        if self._chunk.sample_rate != self.sample_rate:
            raise MediaError(
                DAMAGED,
                f"chunk {index} has {self._chunk.sample_rate} samples a second, "
                f"chunk 0 {self.sample_rate}",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._chunk.__exit__(None, None, None)
