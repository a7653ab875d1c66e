"""Audio kept as data sets of an HDF5 file, as EPIC-SOUNDS ships it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from resources.media.decoding import BLOCK, DAMAGED, MediaError, mono

if TYPE_CHECKING:
    import h5py

HDF5_RATE = 24_000
"""Of EPIC-SOUNDS' audio, whose file does not say it; a data set's attribute `sample_rate` does."""
_RATE = "sample_rate"


def recording_in(file: h5py.File, member: str) -> h5py.Dataset:
    """One recording's data set.

    Raises:
        MediaError: it is not there, or holds no samples.
    """
    import h5py

    found = file.get(member)
    if not isinstance(found, h5py.Dataset):
        raise MediaError(DAMAGED, f"there is no data set {member}")
    if found.dtype.kind not in "fi" or found.ndim not in (1, 2):
        raise MediaError(
            DAMAGED,
            f"data set {member} holds {found.dtype} in {found.ndim} dimensions, no audio: write "
            f"(samples,) or (samples, channels) of floats or signed integers",
        )
    return found


def own_rate(samples: h5py.Dataset) -> int | None:
    """What a data set says of its sample rate, in Hz; None if nothing.

    Raises:
        MediaError: it is no rate.
    """
    given = samples.attrs.get(_RATE)
    if given is None:
        return None
    try:
        rate = int(given)
    except (TypeError, ValueError):
        rate = 0
    if rate <= 0:
        raise MediaError(DAMAGED, f"its attribute {_RATE} is {given!r}; write it in Hz")
    return rate


class HDF5Audio:
    """One data set of an HDF5 file: mono, or (samples, channels), float or 16-bit."""

    def __init__(self, path: Path, member: str) -> None:
        import h5py

        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise MediaError(DAMAGED, f"it can't be read: {error}") from error
        try:
            self._samples = recording_in(self._file, member)
            self.sample_rate = own_rate(self._samples) or HDF5_RATE
        except MediaError:
            self._file.close()
            raise
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
