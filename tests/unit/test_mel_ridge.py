"""`mel_ridge`: deterministic, independent of batches, and honest about what it was fitted on."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from resources.encoders import weights
from resources.encoders.hashed_words import embed_words, words
from resources.encoders.mel_ridge import COLUMNS, MelRidge, read_training_list
from resources.encoders.protocol import EncoderUnavailable
from resources.hashing import file_sha256
from resources.settings import MelRidgeSettings

RATE = 24_000


def tone(hertz: float, seconds: float, seed: int) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(time)) * 0.01
    return (0.3 * np.sin(2 * np.pi * hertz * time) + noise).astype(np.float32)


def hiss(seconds: float, seed: int) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * 0.1
    return samples.astype(np.float32)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """A list of ten tones, named beeps, and ten hisses, named water, in two recordings."""
    tones = np.concatenate([tone(800 + 50 * i, 1.0, i) for i in range(10)])
    soundfile.write(tmp_path / "tones.wav", tones, RATE)
    hisses = np.concatenate([hiss(1.0, i) for i in range(10)])
    soundfile.write(tmp_path / "hisses.flac", hisses, RATE)
    rows = [
        (media, i, i + 1, text, text, kind)
        for media, text, kind in [
            ("tones.wav", "a timer beeps", "beep"),
            ("hisses.flac", "water runs", "water"),
        ]
        for i in range(10)
    ]
    return write_list(tmp_path / "train.csv", rows)


def write_list(
    path: Path, rows: list[tuple[object, ...]], columns: tuple[str, ...] = COLUMNS
) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def encoder(train: Path, **settings: object) -> MelRidge:
    given = MelRidgeSettings(kind="mel_ridge", train=train, **settings)
    return MelRidge("ours", given, train.parent / "cache")


def similarities(encoder: MelRidge, waveforms: list[np.ndarray], texts: list[str]) -> np.ndarray:
    return encoder.embed_audio(waveforms, [0] * len(waveforms)) @ encoder.embed_texts(texts).T


def test_tells_what_it_was_fitted_on_apart_in_clips_it_never_saw(train: Path) -> None:
    got = similarities(
        encoder(train), [tone(930, 0.7, 99), hiss(2.3, 98)], ["beeping", "running water"]
    )
    assert got[0, 0] > got[0, 1] + 0.3
    assert got[1, 1] > got[1, 0] + 0.3


def test_vectors_are_unit_and_do_not_depend_on_their_batch(train: Path) -> None:
    clips = [tone(700 + 10 * i, 0.3 + 0.05 * i, i) for i in range(12)]
    fitted = encoder(train)
    together = fitted.embed_audio(clips, [0] * 12)
    alone = np.concatenate([fitted.embed_audio([clip], [7]) for clip in clips])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert together.dtype == np.float32


def test_clips_of_one_sample_and_of_silence_have_vectors(train: Path) -> None:
    clips = [np.ones(1, np.float32), np.zeros(RATE, np.float32)]
    assert np.isfinite(encoder(train).embed_audio(clips, [0, 0])).all()


def test_fingerprint_follows_list_recordings_and_parameters(train: Path) -> None:
    first = encoder(train).fingerprint
    assert encoder(train).fingerprint == first
    assert encoder(train, ridge=1.0).fingerprint != first
    assert encoder(train, fit_to="visual_text").fingerprint != first
    soundfile.write(train.parent / "hisses.flac", hiss(10.0, 5), RATE)
    assert encoder(train).fingerprint != first


def test_knows_the_recordings_it_was_fitted_on(train: Path) -> None:
    assert encoder(train).training_recordings == {
        file_sha256(train.parent / "tones.wav"),
        file_sha256(train.parent / "hisses.flac"),
    }


@pytest.mark.parametrize(
    ("rows", "columns", "reason", "says"),
    [
        ([("a.wav", 0, 1, "x", "x", "c")], COLUMNS, "training recording missing", "line 2"),
        ([("tones.wav", 2, 1, "x", "x", "c")], COLUMNS, "training list malformed", "line 2"),
        ([("tones.wav", "0:01", 2, "x", "x", "c")], COLUMNS, "training list malformed", "seconds"),
        ([("tones.wav", 0, "inf", "x", "x", "c")], COLUMNS, "training list malformed", "line 2"),
        ([("tones.wav", "nan", 1, "x", "x", "c")], COLUMNS, "training list malformed", "line 2"),
        ([("tones.wav", 0, 1, "x")], COLUMNS, "training list malformed", "line 2 has not as many"),
        ([("tones.wav", 0)], COLUMNS, "training list malformed", "line 2 has not as many"),
        ([("tones.wav", *"01xxcc")], COLUMNS, "training list malformed", "quote texts"),
        ([], COLUMNS, "training list malformed", "no rows"),
        ([], COLUMNS[:-1], "training list malformed", "class"),
    ],
)
def test_a_list_that_can_not_be_used_is_named_with_its_row(
    train: Path,
    rows: list[tuple[object, ...]],
    columns: tuple[str, ...],
    reason: str,
    says: str,
) -> None:
    write_list(train, rows, columns)
    with pytest.raises(EncoderUnavailable, match=says) as caught:
        read_training_list(train, "visual_text")
    assert caught.value.reason == reason
    assert str(train) in caught.value.remedy


@pytest.mark.parametrize(
    "content",
    [
        ",".join(COLUMNS).encode() + b"\ntones.wav,0,1,caf\xe9,x,c\n",
        ",".join(COLUMNS).encode("utf-16"),
        ",".join(COLUMNS).encode() + b'\ntones.wav,0,1,"' + b"x" * 200_000 + b'",x,c\n',
    ],
    ids=["Latin-1", "UTF-16", "a cell without end"],
)
def test_a_list_in_another_encoding_is_named_and_costs_the_encoder_alone(
    train: Path, content: bytes
) -> None:
    train.write_bytes(content)
    with pytest.raises(EncoderUnavailable, match=f"{train} is no CSV in UTF-8"):
        _ = encoder(train).fingerprint
    assert encoder(train).files() == [train]


def test_a_list_as_excel_saves_it_is_read(train: Path) -> None:
    before = read_training_list(train, "visual_text")
    train.write_bytes(b"\xef\xbb\xbf" + train.read_bytes())
    assert read_training_list(train, "visual_text") == before


def test_recordings_are_read_again_only_if_they_changed(
    train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        weights, "file_sha256", lambda path: (read.append(path.name), file_sha256(path))[1]
    )
    first = encoder(train).fingerprint
    assert sorted(read) == ["hisses.flac", "tones.wav", "train.csv"]
    assert encoder(train).fingerprint == first
    assert len(read) == 3
    soundfile.write(train.parent / "hisses.flac", hiss(10.0, 5), RATE)
    assert encoder(train).fingerprint != first
    assert read[3:] == ["hisses.flac"]


def test_a_segment_past_the_end_of_its_recording_is_refused(train: Path) -> None:
    write_list(train, [("tones.wav", 20, 21, "x", "x", "c")])
    with pytest.raises(EncoderUnavailable, match=r"tones\.wav"):
        encoder(train).embed_audio([hiss(1.0, 0)], [0])


def test_words_are_stems_without_stop_words() -> None:
    assert words("#C C opens the drawers") == words("Opening a drawer")
    assert words("chopping onions") == words("chop onion")
    assert words("take it off") == words("take")


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_any_text_has_a_finite_unit_vector(texts: list[str]) -> None:
    vectors = embed_words(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_texts_are_alike_as_far_as_they_share_words() -> None:
    pour, pour_milk, cut = embed_words(["pour water", "pour milk", "cut bread"])
    assert pour @ pour_milk > pour @ cut + 0.2
