"""Log-mel statistics of a clip: the audio side of `mel_ridge`. numpy and scipy only."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from resources.encoders.protocol import Waveform

VERSION = 1
SAMPLE_RATE = 24_000
_N_FFT = 1024
_HOP = 480
_MELS = 64
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 11_500.0
_FLOOR = 1e-6
"""Added to mel power: 60 dB under a full-scale tone's power in one band, about a quiet room."""


def mel_statistics(waveform: Waveform) -> npt.NDArray[np.float64]:
    """Describe a clip of any length by fixed numbers.

    Args:
        waveform: mono samples at `SAMPLE_RATE`.

    Returns:
        Over time, of each of 64 bands: mean, standard deviation, mean absolute change, 10th and
        90th percentile of the log power less the clip's mean level; then that level.
    """
    log_mel = _log_mel(np.asarray(waveform, dtype=np.float64))
    level = log_mel.mean()
    shape = log_mel - level
    change = np.abs(np.diff(shape, axis=0)).mean(axis=0) if len(shape) > 1 else np.zeros(_MELS)
    low, high = np.percentile(shape, [10, 90], axis=0)
    return np.concatenate([shape.mean(axis=0), shape.std(axis=0), change, low, high, [level]])


def _log_mel(waveform: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(frames, mels) natural logarithms of mel power, frames centred on every 20 ms."""
    import scipy.fft

    half = _N_FFT // 2
    padded = np.pad(waveform, half)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_HOP]
    power = np.abs(scipy.fft.rfft(frames * np.hanning(_N_FFT), axis=1)) ** 2
    return np.log(power @ _filters().T + _FLOOR)


@lru_cache(maxsize=1)
def _filters() -> npt.NDArray[np.float64]:
    """(mels, bins) triangles, evenly spaced on the HTK mel scale."""
    mel_edges = np.linspace(_mel(_LOWEST_HZ), _mel(_HIGHEST_HZ), _MELS + 2)
    edges = 700 * (10 ** (mel_edges / 2595) - 1)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE)[None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.maximum(0, np.minimum(rising, falling))


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))
