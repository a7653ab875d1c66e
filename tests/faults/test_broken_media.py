"""Media files that are broken in any way are named, never a crash, never used beyond doubt."""

import random

import numpy as np
import pytest
from support.media_files import noise, truncate, write_audio, write_video

from resources.media.decoding import MediaError
from resources.media.inventory import probe
from resources.media.segments import read_segments

REASONS = {None, "damaged", "no audio stream", "no decoder", "digital silence"}
NAMES = ["a.wav", "a.flac", "a.ogg", "a.mp4", "a.mkv", "a.mov"]


def write(folder, name):
    samples = noise(2.0, 48_000, 2)
    if name.endswith(("wav", "flac", "ogg")):
        return write_audio(folder / name, samples, 48_000)
    return write_video(folder / name, samples, seconds=2)


def broken(content: bytes, draw: random.Random) -> bytes:
    data = bytearray(content)
    kind = draw.choice(["bytes", "header", "hole", "cut", "insert"])
    if kind in {"bytes", "header"}:
        for _ in range(draw.randint(1, 12)):
            data[draw.randrange(300 if kind == "header" else len(data))] = draw.randrange(256)
    elif kind == "hole":
        start = draw.randrange(len(data))
        stop = min(len(data), start + draw.randint(1, 5000))
        data[start:stop] = bytes(stop - start)
    elif kind == "cut":
        del data[draw.randrange(len(data)) :]
    else:
        place = draw.randrange(len(data))
        data[place:place] = draw.randbytes(draw.randint(1, 3000))
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_broken_has_a_reason_or_decodes(tmp_path, name):
    path = write(tmp_path, name)
    content = path.read_bytes()
    draw = random.Random(name)
    for _ in range(40):
        path.write_bytes(broken(content, draw))
        found = probe(path)
        assert found.reason in REASONS
        assert found.reason or found.duration_s > 0
        if found.reason is None:
            ((_, samples),) = read_segments(path, [(0.0, found.duration_s)])
            assert len(samples) == round(found.duration_s * found.sample_rate)


@pytest.mark.parametrize("name", NAMES)
def test_every_cut_is_seen(tmp_path, name):
    """Wherever a file is cut off by more than a blink, it is not taken for a whole one."""
    path = write(tmp_path, name)
    content = path.read_bytes()
    for share in np.linspace(0.02, 0.9, 12):
        path.write_bytes(content)
        assert probe(truncate(path, share)).reason in {"damaged", "no audio stream"}


def test_a_title_in_another_encoding_is_no_damage(tmp_path):
    path = write(tmp_path, "a.mp4")
    content = path.read_bytes()
    assert b"Lavf" in content
    path.write_bytes(content.replace(b"Lavf", b"L\xe8vf"))
    assert probe(path).reason is None


def test_reading_a_damaged_recording_says_where(tmp_path):
    path = truncate(write(tmp_path, "a.flac"))
    with pytest.raises(MediaError, match=r"damaged: .* does not decode at \d\.\d+ s"):
        list(read_segments(path, [(1.5, 2.0)]))


def test_a_folder_and_a_vanished_file_are_damage(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    assert probe(tmp_path / "folder.wav").reason == "damaged"
    assert probe(tmp_path / "gone.flac").reason == "damaged"
    assert probe(tmp_path / "gone.mp4").reason == "damaged"
