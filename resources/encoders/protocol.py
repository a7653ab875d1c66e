"""What an encoder is: the one interface of everything that turns audio and text into vectors.

Nothing here imports torch, and neither does asking an encoder for its fingerprint, so that a run
in which no vector is missing stays light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Waveform = npt.NDArray[np.float32]
"""Mono samples, full scale 1, one-dimensional."""

Vectors = npt.NDArray[np.float32]
"""One row an item."""


class EncoderUnavailable(Exception):  # noqa: N818 - it says a state, not a mistake
    """An encoder can't run here; the run goes on without it and says so.

    Attributes:
        reason: a few fixed words, for the table of exclusions.
        remedy: what to do about it, with the particulars.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)  # as given, so that it travels between processes
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.reason}: {self.remedy}"


_ROUNDING_S = 0.0005
"""Clips are cut at whole samples: one that is longer by less than this fills the window exactly."""


@dataclass(frozen=True)
class Window:
    """How a clip becomes an encoder's input (method section 5; `lengths.py` does it).

    Attributes:
        seconds: the input's length; None where clips of any length are taken whole.
        pad: what fills a shorter clip.
        crop: what is taken of a longer clip.
    """

    seconds: float | None = None
    pad: Literal["repeat_pad", "zero_pad"] | None = None
    crop: Literal["crop_random", "crop_centre", "fusion"] | None = None

    @property
    def rule(self) -> str:
        """Both rules by name, as the table shows them."""
        return "whole" if self.seconds is None else f"{self.pad}+{self.crop}"

    def is_long(self, duration_s: float) -> bool:
        """Whether a clip of this length is cropped."""
        return self.seconds is not None and duration_s > self.seconds + _ROUNDING_S

    def applied(self, duration_s: float) -> str:
        """The rule that decides a clip's vector: part of its key."""
        return str(self.crop if self.is_long(duration_s) else self.pad or "whole")

    def depends_on_seed(self, duration_s: float) -> bool:
        """Whether a clip of this length has another vector under another seed."""
        return self.is_long(duration_s) and self.crop != "crop_centre"


class Encoder(Protocol):
    """Turns clips and texts into unit vectors of one space; a vector never depends on its batch."""

    @property
    def name(self) -> str:
        """The encoder's name in the config."""

    @property
    def fingerprint(self) -> str:
        """sha256 of all that decides a vector beside the clip: weights, preprocessing, precision.

        Raises:
            EncoderUnavailable: what it is made of is not here.
        """

    @property
    def sample_rate(self) -> int:
        """Samples a second that `embed_audio` takes."""

    @property
    def window(self) -> Window:
        """How clips of other lengths than the input's are treated."""

    @property
    def batch_size(self) -> int:
        """Clips that it likes to be handed at once."""

    @property
    def training_recordings(self) -> frozenset[str]:
        """Content hashes of recordings that it was fitted on, which it must not be scored with."""

    def files(self) -> list[Path]:
        """Every file that decides its vectors, wherever it lies; some may not be there yet."""

    def embed_audio(self, waveforms: Sequence[Waveform], draws: Sequence[int]) -> Vectors:
        """Embed clips.

        Args:
            waveforms: whole clips at `sample_rate`, of any length above 0.
            draws: one number a clip, hashed from clip and seed, which decides random crops.

        Returns:
            `(len(waveforms), d)` float32, rows of unit length.

        Raises:
            EncoderUnavailable: weights turn out not to be usable.
        """

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: `(len(texts), d)` float32, rows of unit length (see `embed_audio`)."""


def unit_rows(vectors: npt.NDArray[np.floating]) -> Vectors:
    """Rows scaled to unit length, norm floor 1e-8 (method section 6.3); NaN stays NaN."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.maximum(norms, 1e-8)).astype(np.float32)
