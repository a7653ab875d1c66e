"""A picture of a sound: mel power over time, as a small PNG."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np

from resources.media.segments import resample

_RATE = 24_000
_WIDTH, _HEIGHT = 192, 56
_WINDOW = 1024
_HOP = 256
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 11_000.0
_RANGE_DB = 60.0
"""What lies this far under the loudest moment is drawn as silence."""
_SHADES = 24
"""As many as the eye tells apart at this size; more would only make the file larger."""
_COLOURS = ((13, 22, 32), (18, 66, 84), (25, 125, 122), (150, 186, 101), (253, 240, 190))
"""From silence to the loudest, as red, green and blue."""


def spectrogram(samples: np.ndarray, rate: int) -> bytes:
    """A picture of mono samples, as PNG: time to the right, mel frequency up, power as light.

    Every sound is scaled to its own loudest moment, so that quiet ones can be seen as well.
    """
    samples = resample(samples, rate, _RATE)
    samples = np.pad(samples, (_WINDOW // 2, _WINDOW // 2))
    bands = np.concatenate(list(_bands(samples)))
    columns = np.linspace(0, len(bands) - 1, _WIDTH + 1).astype(int)
    power = np.add.reduceat(bands, np.minimum(columns[:-1], len(bands) - 1))
    decibels = 10 * np.log10(np.maximum(power / max(power.max(), 1e-9), 1e-12))
    light = np.clip(1 + decibels / _RANGE_DB, 0, 1)
    return _png(np.rint(light.T[::-1] * (_SHADES - 1)).astype(np.uint8))


def _bands(samples: np.ndarray) -> Iterator[np.ndarray]:
    """(frames, bands) mel power of every `_HOP` samples, some seconds at a time."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    for start in range(0, len(frames), 512):
        block = frames[start : start + 512] * np.hanning(_WINDOW).astype(np.float32)
        yield np.abs(np.fft.rfft(block, axis=1)) ** 2 @ _filters().T


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """(bands, bins) triangles, evenly spaced by mel, each at least a bin wide."""
    lowest, highest = (2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges = 700 * (10 ** (np.linspace(lowest, highest, _HEIGHT + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_WINDOW, 1 / _RATE)
    width = np.maximum(np.gradient(edges)[1:-1], bins[1])[:, None]
    triangles = np.maximum(0, 1 - np.abs(bins[None] - edges[1:-1, None]) / width)
    return triangles / triangles.sum(axis=1, keepdims=True)


def _png(levels: np.ndarray) -> bytes:
    """One byte a pixel, in the colours of `_COLOURS`, as PNG."""
    import av

    height, width = levels.shape
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "pal8"
    encoder.time_base = Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray((levels, _palette()), format="pal8")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


@lru_cache(maxsize=1)
def _palette() -> np.ndarray:
    """(256, 4): opacity, red, green, blue of every shade; unused rows are black."""
    steps = np.linspace(0, len(_COLOURS) - 1, _SHADES)
    anchors = np.array(_COLOURS).T
    mixed = [np.interp(steps, range(len(_COLOURS)), channel) for channel in anchors]
    palette = np.zeros((256, 4), np.uint8)
    palette[:_SHADES] = np.stack([np.full(_SHADES, 255), *mixed], axis=1)
    return palette
