"""One recording as a stream of mono float32 blocks, whatever it is kept in.

Sound files can jump to a sample; containers are decoded from the start, because a jump there lands
on a frame, not on a sample. Positions count samples from the recording's time zero. Each way of
keeping audio has a module of its own, imported when it is met.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from resources.media.addresses import chunks_of, member_of

BLOCK = 1 << 19
"""Samples decoded at a time, at most (2 MiB as floats): most segments then lie in one block."""

SOUND_FILE_SUFFIXES = {".wav", ".flac", ".ogg", ".oga"}
NO_AUDIO_STREAM = "no audio stream"
NO_DECODER = "no decoder"
DAMAGED = "damaged"


class MediaError(ValueError):
    """A recording can't be used: `reason` in a few fixed words, `detail` in full."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class Audio(Protocol):
    """An open recording."""

    sample_rate: int
    channels: int
    position: int
    """The sample that the next block starts at."""

    def declared_s(self) -> float | None:
        """Seconds of audio that the file says it holds, if it says so."""

    def skip_to(self, sample: int) -> None:
        """Move `position` forward, not past `sample`, where that is cheaper than decoding."""

    def read_block(self, wanted: int = BLOCK) -> np.ndarray:
        """The next samples, mono float32; empty at the end.

        Args:
            wanted: so many samples, or some more where they come in frames; at most about `BLOCK`.

        Raises:
            MediaError: the file is damaged here.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_audio(path: Path) -> Audio:
    """Open a recording, by its address (see `addresses`), for reading from its start.

    Raises:
        MediaError: it has no audio stream, or is nothing that can be read.
    """
    member, chunks = member_of(path), chunks_of(path)
    if member:
        from resources.media.hdf5 import HDF5Audio

        return HDF5Audio(*member)
    if chunks is not None:
        from resources.media.chunks import ChunkedAudio

        return ChunkedAudio(chunks)
    if path.suffix.lower() in SOUND_FILE_SUFFIXES:
        from resources.media.sound_file import SoundFileAudio

        return SoundFileAudio(path)
    from resources.media.container import ContainerAudio

    return ContainerAudio(path)


def mono(channels: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of channels, each `(samples,)` of floats or integers, as float32 of full scale 1."""
    total = channels[0].astype(np.float32, copy=len(channels) > 1)
    for channel in channels[1:]:
        total += channel
    is_integer = channels[0].dtype.kind == "i"
    full_scale = np.iinfo(channels[0].dtype).max + 1 if is_integer else 1
    if full_scale * len(channels) > 1:
        total /= full_scale * len(channels)
    return total
