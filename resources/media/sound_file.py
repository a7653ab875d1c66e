"""WAV, FLAC and OGG, through libsndfile."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Self

import numpy as np
import soundfile as sf

from resources.media.decoding import BLOCK, DAMAGED, MediaError, mono

_SEEK_WORTH = 1 << 13
"""Decoding so many samples of FLAC costs as much as a seek; in WAV both cost next to nothing."""
_UNKNOWN_LENGTH = 1 << 62
"""libsndfile's length of a file whose header leaves it open is near 2**63."""


class SoundFileAudio:
    """WAV, FLAC and OGG through libsndfile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = sf.SoundFile(path)
        except sf.LibsndfileError as error:
            raise MediaError(DAMAGED, f"it can't be opened: {error.error_string}") from error
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        # libsndfile turns 16-bit samples into floats one by one, numpy many at a time.
        self._stored_as = "int16" if self._file.subtype == "PCM_16" else "float32"
        self.position = 0

    def declared_s(self) -> float | None:
        """Seconds by the header (see `Audio`); libsndfile hides it where a WAV is shorter."""
        if self._file.format == "WAV":
            return _declared_by_wav(self._path)
        frames = self._file.frames
        return frames / self.sample_rate if frames < _UNKNOWN_LENGTH else None

    def skip_to(self, sample: int) -> None:
        """Seek, where decoding what lies between would cost more."""
        sample = min(sample, self._file.frames)
        if sample - self.position > _SEEK_WORTH:
            try:
                self.position = self._file.seek(sample)
            except sf.LibsndfileError as error:
                raise self._damaged_at(sample, error) from error

    def read_block(self, wanted: int = BLOCK) -> np.ndarray:
        """The next samples (see `Audio`)."""
        try:
            samples = self._file.read(min(wanted, BLOCK), dtype=self._stored_as, always_2d=True)
        except sf.LibsndfileError as error:
            raise self._damaged_at(self.position, error) from error
        self.position += len(samples)
        if not len(samples) and self._file.format == "OGG" and not _ends_as_ogg(self._path):
            raise MediaError(DAMAGED, "it stops before the last page of its stream")
        return mono(samples.T)

    def _damaged_at(self, sample: int, error: sf.LibsndfileError) -> MediaError:
        seconds = sample / self.sample_rate
        return MediaError(DAMAGED, f"it does not decode at {seconds:.3f} s: {error.error_string}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _declared_by_wav(path: Path) -> float | None:
    """The length that a WAV file's `data` chunk claims; None where a stream's writer left it open.

    Raises:
        MediaError: the chunks make no sense.
    """
    with path.open("rb") as file:
        file.seek(12)
        bytes_per_second = 0
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            if name == b"data":
                is_open = size in {0, 0xFFFFFFFF} or not bytes_per_second
                return None if is_open else size / bytes_per_second
            if name == b"fmt ":
                bytes_per_second = struct.unpack_from("<8xI", file.read(size))[0]
                size = 0
            file.seek(size + size % 2, os.SEEK_CUR)
    raise MediaError(DAMAGED, "it holds no `data` chunk")


def _ends_as_ogg(path: Path) -> bool:
    """Whether the last Ogg page is there in full, marked as the stream's last."""
    longest_page = 27 + 255 + 255 * 255
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - longest_page))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 0x04:
        return False
    lacing = page[27 : 27 + page[26]]
    return len(page) >= 27 + len(lacing) + sum(lacing)
