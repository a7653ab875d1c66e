"""Excerpts: what is cut is what is heard, and it is small."""

import base64
import io

import numpy as np
import pytest
import soundfile

from resources.media.decoding import MediaError
from resources.media.excerpts import RATE, as_mp3, cut_excerpts, data_url


def tone(frequency, seconds, rate=48_000):
    return 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def heard(mp3):
    samples, rate = soundfile.read(io.BytesIO(mp3))
    assert rate == RATE
    assert samples.ndim == 1
    return samples


def pitch(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.fft.rfftfreq(len(samples), 1 / RATE)[spectrum.argmax()]


def test_each_span_holds_its_own_part_of_the_recording(tmp_path):
    low, high = tone(400, 1.0), tone(1500, 1.0)
    soundfile.write(tmp_path / "two.flac", np.concatenate([low, high]), 48_000)
    found = dict(cut_excerpts(tmp_path / "two.flac", [(1.1, 1.9), (0.1, 0.9)]))
    assert pitch(heard(found[0])) == pytest.approx(1500, abs=5)
    assert pitch(heard(found[1])) == pytest.approx(400, abs=5)
    assert len(heard(found[0])) == pytest.approx(0.8 * RATE, abs=2400)


def test_a_second_of_noise_stays_small_and_loud_samples_are_clipped_not_wrapped():
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * RATE).astype(np.float32)
    assert len(as_mp3(noise)) < 10 * 14_000
    loud = heard(as_mp3(np.float32(3.0) * tone(440, 1.0, RATE).astype(np.float32)))
    assert pitch(loud) == pytest.approx(440, abs=5)


def test_a_very_short_clip_is_long_enough_to_be_played():
    assert len(heard(as_mp3(np.full(10, 0.1, np.float32)))) >= RATE // 4


def test_a_span_past_the_end_says_so(tmp_path):
    soundfile.write(tmp_path / "short.wav", tone(400, 1.0), 48_000)
    with pytest.raises(MediaError, match="starts at 5"):
        list(cut_excerpts(tmp_path / "short.wav", [(5.0, 6.0)]))


def test_a_data_url_carries_the_file():
    url = data_url(b"abc")
    assert url.startswith("data:audio/mpeg;base64,")
    assert base64.b64decode(url.partition(",")[2]) == b"abc"
