"""Clips brought to an encoder's input length, by named rules (method section 5).

A shorter clip is repeated or padded with zeros; a longer one is cropped at its centre, or where
a number drawn from a hash of clip and seed says: reproducible, whatever the order and workers.
"""

from __future__ import annotations

import numpy as np

from resources.encoders.protocol import Waveform, Window


def fit(waveform: Waveform, rate: int, window: Window, draw: int) -> Waveform:
    """A clip at exactly the window's length.

    Args:
        waveform: at least one sample.
        rate: samples a second.
        window: the rules; its `crop` cuts.
        draw: decides a random crop.
    """
    length = round((window.seconds or 0) * rate)
    if not window.is_long(len(waveform) / rate):
        return pad(waveform[:length], length, window)
    overflow = len(waveform) - length
    if window.crop == "crop_centre":
        start = overflow // 2
    else:
        start = int(np.random.default_rng(draw).integers(overflow + 1))
    return waveform[start : start + length]


def pad(waveform: Waveform, length: int, window: Window) -> Waveform:
    """A clip filled up to `length` samples: whole repetitions where asked for, then zeros."""
    if window.pad == "repeat_pad":
        waveform = np.tile(waveform, length // len(waveform))
    return np.pad(waveform, (0, length - len(waveform)))
