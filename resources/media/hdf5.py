"""Audio kept as data sets of an HDF5 file, as EPIC-SOUNDS ships it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from resources.media.decoding import BLOCK, DAMAGED, MediaError, mono

HDF5_RATE = 24_000
"""Of EPIC-SOUNDS' audio, whose file does not say it; a data set's attribute `sample_rate` does."""


class HDF5Audio:
    """One data set of an HDF5 file: mono, or (samples, channels), float or 16-bit."""

    def __init__(self, path: Path, member: str) -> None:
        import h5py

        try:
            self._file = h5py.File(path, "r")
            self._samples = self._file[member]
        except (OSError, KeyError) as error:
            raise MediaError(DAMAGED, f"data set {member} can't be read: {error}") from error
        self.sample_rate = int(self._samples.attrs.get("sample_rate", HDF5_RATE))
        self.channels = 1 if self._samples.ndim == 1 else self._samples.shape[1]
        self.position = 0

    def declared_s(self) -> float | None:
        """Seconds by the data set's shape (see `Audio`)."""
        return len(self._samples) / self.sample_rate

    def skip_to(self, sample: int) -> None:
        """Go there: a data set is read at any place."""
        self.position = min(sample, len(self._samples))

    def read_block(self, wanted: int = BLOCK) -> np.ndarray:
        """The next samples (see `Audio`)."""
        try:
            samples = self._samples[self.position : self.position + min(wanted, BLOCK)]
        except OSError as error:
            raise MediaError(
                DAMAGED, f"it can't be read beyond {self.position / self.sample_rate:.3f} s"
            ) from error
        self.position += len(samples)
        return mono(samples.T if samples.ndim == 2 else [samples])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
