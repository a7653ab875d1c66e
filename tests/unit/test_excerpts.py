"""Excerpts: what is cut is what is heard, and it is small."""

import base64
import io

import numpy as np
import pytest
import soundfile
from support.media_files import noise, write_audio, write_video

from resources.media.container import ContainerAudio
from resources.media.decoding import MediaError
from resources.media.excerpts import (
    RATE,
    as_flac,
    as_mp3,
    cut_excerpts,
    data_url,
    read_excerpt,
)


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


def with_click(seconds: float, at: float, rate: int) -> np.ndarray:
    samples = np.zeros((round(seconds * rate), 1), np.float32)
    samples[round(at * rate) : round(at * rate) + 40] = 0.9
    return samples


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_an_excerpt_of_a_sound_file_is_its_samples(tmp_path, name):
    path = write_audio(tmp_path / name, noise(5.0))
    stored, rate = soundfile.read(path, dtype="float32")
    excerpt = read_excerpt(path, 2.5, 3.25)
    assert excerpt.rate == rate
    assert np.array_equal(excerpt.samples, stored[round(2.5 * rate) : round(3.25 * rate)])


def test_a_jump_into_a_long_video_lands_where_the_sound_is(tmp_path):
    path = write_video(tmp_path / "a.mp4", with_click(90.0, 80.5, 48_000), seconds=90.0)
    excerpt = read_excerpt(path, 80.0, 81.0)
    heard = np.abs(excerpt.samples).argmax() / excerpt.rate
    assert heard == pytest.approx(0.5, abs=0.03)
    assert len(excerpt.samples) == pytest.approx(48_000, abs=1)


def test_what_lies_before_a_jump_is_not_decoded(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", with_click(90.0, 80.5, 48_000), seconds=90.0)
    decoded = []
    placed = ContainerAudio._placed
    monkeypatch.setattr(
        ContainerAudio, "_placed", lambda self, frame: decoded.append(1) or placed(self, frame)
    )
    read_excerpt(path, 80.0, 81.0)
    assert len(decoded) * 1024 / 48_000 < 5


def test_a_missing_recording_is_named(tmp_path):
    with pytest.raises(MediaError, match=r"gone\.wav"):
        read_excerpt(tmp_path / "gone.wav", 0, 1)
    with pytest.raises(MediaError, match=r"gone\.mp4"):
        read_excerpt(tmp_path / "gone.mp4", 0, 1)


def test_flac_keeps_every_sample(tmp_path):
    path = write_audio(tmp_path / "a.wav", noise(2.0))
    excerpt = read_excerpt(path, 0.5, 1.5)
    lossless, rate = soundfile.read(io.BytesIO(as_flac(excerpt)), dtype="float32")
    assert rate == excerpt.rate
    assert np.abs(lossless - excerpt.samples).max() < 1e-4
