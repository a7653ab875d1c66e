"""Spectrograms: low tones low, high tones high, and silence is no error."""

import io

import av
import numpy as np
import pytest

from resources.media.spectrograms import spectrogram

RATE = 24_000


def tone(hertz: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)).astype(np.float32)


def pixels(png: bytes) -> np.ndarray:
    with av.open(io.BytesIO(png), format="png_pipe") as file:
        return next(file.decode(video=0)).to_ndarray(format="gray")


def test_low_tones_are_low_and_high_tones_are_high():
    low, high = pixels(spectrogram(tone(200.0), RATE)), pixels(spectrogram(tone(6000.0), RATE))
    assert low.shape == high.shape
    assert low.mean(axis=1).argmax() > low.shape[0] * 0.75
    assert high.mean(axis=1).argmax() < high.shape[0] * 0.4


def test_time_goes_to_the_right():
    late = np.concatenate([np.zeros(RATE, np.float32), tone(800.0)])
    columns = pixels(spectrogram(late, RATE)).mean(axis=0)
    half = len(columns) // 2
    assert columns[half + 5 :].min() > columns[: half - 5].max()


@pytest.mark.parametrize("length", [1, 100])
def test_silence_and_single_samples_can_be_drawn(length):
    assert spectrogram(np.zeros(length, np.float32), 48_000).startswith(b"\x89PNG")
