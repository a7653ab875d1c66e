"""Recordings found, probed, decoded and cut (resources/media)."""

import errno
import os
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import soundfile as sf
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.media_files import RATE, noise, truncate, write_audio, write_video

from resources.media import chunks, inventory
from resources.media.addresses import content_hash, stat_of
from resources.media.decoding import MediaError, open_audio
from resources.media.inventory import probe, scan
from resources.media.locating import MediaPattern, MediaPatternError, find_recordings
from resources.media.loudness import SpansOf, measure, measure_all
from resources.media.segments import read_segments
from resources.parallel import NodeLacksError


def whole(path: Path) -> np.ndarray:
    with open_audio(path) as audio:
        blocks = []
        while len(block := audio.read_block()):
            blocks.append(block)
    return np.concatenate(blocks)


# ---------------------------------------------------------------------------------- probing


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_probe_of_a_good_file(tmp_path, suffix):
    path = write_audio(tmp_path / f"a{suffix}", noise(2.5, channels=2))
    found = probe(path)
    assert (found.reason, found.sample_rate, found.channels) == (None, RATE, 2)
    assert found.duration_s == pytest.approx(2.5, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "aac"), ("a.mp4", "libopus"), ("a.mkv", "libopus"), ("a.mov", "pcm_s16le")],
)
def test_probe_of_a_good_container(tmp_path, name, codec):
    path = write_video(tmp_path / name, noise(3.0, 48_000, 2), audio_codec=codec)
    found = probe(path)
    assert (found.reason, found.sample_rate, found.channels) == (None, 48_000, 2)
    assert found.duration_s == pytest.approx(3.0, abs=0.03)


def test_probe_names_what_is_wrong(tmp_path):
    mute = write_video(tmp_path / "mute.mp4", None)
    silent = write_audio(tmp_path / "silent.flac", np.zeros((RATE, 1), np.float32))
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    empty = write_audio(tmp_path / "empty.wav", np.zeros((0, 1), np.float32))
    assert probe(mute).reason == "no audio stream"
    assert probe(silent).reason == "digital silence"
    assert probe(text).reason == "damaged"
    assert probe(empty).reason == "damaged"


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_truncated_audio_file_is_damaged(tmp_path, suffix):
    path = truncate(write_audio(tmp_path / f"a{suffix}", noise(8.0)))
    assert probe(path).reason == "damaged"
    assert probe(path).detail


@pytest.mark.parametrize(
    ("name", "options"),
    [("end.mp4", {}), ("front.mp4", {"movflags": "faststart"}), ("a.mkv", {}), ("a.mov", {})],
)
def test_a_truncated_container_is_damaged(tmp_path, name, options):
    path = write_video(tmp_path / name, noise(6.0, 48_000), seconds=6, options=options)
    assert probe(path).reason is None
    assert probe(truncate(path, 0.6)).reason == "damaged"


def test_samples_that_are_no_numbers_are_damage(tmp_path):
    samples = noise(1.0)
    samples[500] = np.nan
    sf.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    assert probe(tmp_path / "a.wav").reason == "damaged"


def test_a_wav_whose_writer_left_the_length_open_is_usable(tmp_path):
    path = write_audio(tmp_path / "a.wav", noise(1.0))
    data = bytearray(path.read_bytes())
    position = data.index(b"data") + 4
    data[position : position + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert probe(path).reason is None


def test_a_playlist_in_disguise_opens_no_address(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/x.ts\n")
    assert probe(path).reason == "damaged"


# ---------------------------------------------------------------------------------- cutting


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp4", "a.mkv"])
def test_segments_are_the_samples_of_their_time(tmp_path, name):
    if name.endswith(("mp4", "mkv")):
        path = write_video(tmp_path / name, noise(6.0, 48_000, 2), seconds=6)
    else:
        path = write_audio(tmp_path / name, noise(6.0, channels=2))
    samples, rate = whole(path), probe(path).sample_rate
    spans = [(4.9, 5.9), (0.0, 6.0), (2.0, 2.5), (2.0, 2.5), (2.25, 5.0), (0.5, 0.50001)]
    found = dict(read_segments(path, spans))
    assert sorted(found) == list(range(len(spans)))
    for index, (start, stop) in enumerate(spans):
        first = round(start * rate)
        expected = samples[first : max(round(stop * rate), first + 1)]
        np.testing.assert_array_equal(found[index], expected)


def test_mono_is_the_mean_of_the_channels(tmp_path):
    samples = noise(0.5, channels=2)
    path = tmp_path / "a.wav"
    sf.write(path, samples, RATE, subtype="FLOAT")
    np.testing.assert_allclose(whole(path), samples.mean(axis=1), atol=1e-7)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    spans=st.lists(
        st.tuples(st.floats(0, 29.9), st.floats(0.001, 20)).map(lambda x: (x[0], x[0] + x[1])),
        min_size=1,
        max_size=12,
    )
)
def test_any_set_of_segments_equals_slices(tmp_path_factory, spans):
    path = tmp_path_factory.getbasetemp() / "property.flac"
    if not path.exists():
        write_audio(path, noise(30.0))
    samples = sf.read(path, dtype="float32")[0]
    for index, found in read_segments(path, spans):
        first, last = round(spans[index][0] * RATE), round(spans[index][1] * RATE)
        np.testing.assert_array_equal(found, samples[first : max(last, first + 1)])


def test_resampled_segments_equal_the_reference(tmp_path):
    path = write_audio(tmp_path / "a.flac", noise(4.0))
    samples = sf.read(path, dtype="float32")[0]
    ((_, found),) = read_segments(path, [(1.0, 2.5)], rate=48_000)
    reference = soxr.resample(samples[RATE : round(2.5 * RATE)], RATE, 48_000, quality="HQ")
    assert len(found) == 72_000
    np.testing.assert_allclose(found, reference, atol=1e-4)


def test_a_click_in_an_mp4_is_heard_at_its_time(tmp_path):
    """The encoder's priming samples are no part of the time line."""
    samples = np.zeros((5 * 48_000, 1), np.float32)
    samples[100_000:100_200] = 0.8
    path = write_video(tmp_path / "a.mp4", samples, seconds=5)
    ((_, found),) = read_segments(path, [(2.0, 3.0)])
    heard = np.flatnonzero(np.abs(found) > 0.4)
    assert abs(heard[0] + 96_000 - 100_000) < 50
    assert abs(heard[-1] + 96_000 - 100_199) < 50


def test_mp4_decodes_as_ffmpeg_does(tmp_path):
    path = write_video(tmp_path / "a.mp4", noise(3.0, 48_000, 2))
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    np.testing.assert_allclose(whole(path), np.concatenate(frames, axis=1).mean(axis=0), atol=1e-7)


def test_a_late_audio_stream_keeps_its_time(tmp_path):
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for start in range(0, RATE, 1000):
            frame = av.AudioFrame.from_ndarray(
                np.full((1, 1000), 8000, np.int16), format="s16", layout="mono"
            )
            frame.rate, frame.pts = RATE, start + RATE // 2
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    samples = whole(path)
    assert len(samples) == RATE + RATE // 2
    assert not samples[: RATE // 2].any()
    assert samples[RATE // 2 :].all()


def test_a_segment_past_the_end_is_an_error_and_one_across_it_is_shorter(tmp_path):
    path = write_audio(tmp_path / "a.flac", noise(2.0))
    ((_, found),) = read_segments(path, [(1.5, 3.0)])
    assert len(found) == RATE // 2
    with pytest.raises(MediaError, match=r"starts at 2\.500 s, the recording ends at 2\.000 s"):
        list(read_segments(path, [(2.5, 3.0)]))
    with pytest.raises(MediaError, match=r"starts at 3540\.000 s"):
        list(read_segments(path, [(3540.0, 3541.0)]))


# --------------------------------------------------------------------------------- scanning


def test_scan_reads_only_what_changed(tmp_path, monkeypatch):
    files = {
        "a": write_audio(tmp_path / "a.wav", noise(1.0)),
        "b": write_audio(tmp_path / "b.flac", noise(2.0, seed=1)),
        "gone": None,
    }
    calls = []
    first = scan(files, tmp_path / "cache", lambda done, of: calls.append((done, of)))
    assert first["gone"].probe.reason == "missing media"
    assert calls[0] == (1, 3)
    assert calls[-1] == (3, 3)
    read = []
    monkeypatch.setattr(inventory, "probe", lambda path: read.append(path) or probe(path))
    assert scan(files, tmp_path / "cache") == first
    assert read == []
    write_audio(tmp_path / "a.wav", noise(3.0, seed=2))
    changed = scan(files, tmp_path / "cache")
    assert read == [files["a"]]
    assert changed["a"].probe.duration_s == 3.0
    assert changed["a"].content_hash != first["a"].content_hash


def test_a_recording_that_cant_be_read_is_named_and_tried_again(tmp_path, monkeypatch):
    files = {name: write_audio(tmp_path / f"{name}.wav", noise(1.0)) for name in ("a", "b", "c")}
    files["c"].unlink()

    def refused(path):
        if path == files["b"]:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return content_hash(path)

    with monkeypatch.context() as patch:
        patch.setattr(inventory, "content_hash", refused)
        found = scan(files, tmp_path / "cache")
    assert found["a"].probe.reason is None
    assert {name: (found[name].content_hash, found[name].probe.reason) for name in "bc"} == {
        "b": (None, "unreadable"),
        "c": (None, "unreadable"),
    }
    assert found["b"].probe.detail == f"{files['b']}: Permission denied"
    assert found["c"].probe.detail == f"{files['c']}: No such file or directory"
    write_audio(files["c"], noise(1.0))
    again = scan(files, tmp_path / "cache")
    assert {name: again[name].probe.reason for name in files} == {"a": None, "b": None, "c": None}


def test_loudness_is_measured_once_a_content_and_span(tmp_path, monkeypatch):
    samples = noise(2.0)
    samples[RATE : RATE + RATE // 2] = 0
    path = write_audio(tmp_path / "a.wav", samples)
    spans = [(0.5, 1.5), (0.0, 0.5), (0.5, 1.5)]
    wanted = {"a": SpansOf(path, content_hash(path), spans)}
    found = measure_all(wanted, tmp_path)["a"]
    assert found[0.5, 1.5].digital_silence == 0.5
    assert found[0.0, 0.5].digital_silence == 0.0
    assert found[0.0, 0.5] == measure(sf.read(path, dtype="float32")[0][: RATE // 2])
    path.unlink()
    assert measure_all(wanted, tmp_path)["a"] == found


def test_a_recording_that_changed_since_its_scan_is_not_measured(tmp_path):
    path = write_audio(tmp_path / "a.wav", noise(2.0))
    recording = scan({"a": path}, tmp_path)["a"]
    wanted = {"a": SpansOf(path, recording.content_hash, [(0.5, 1.5)])}
    write_audio(path, noise(2.5, seed=1))
    with pytest.raises(MediaError, match="materialize `media` again"):
        measure_all(wanted, tmp_path)
    path.unlink()
    with pytest.raises(MediaError, match="materialize `media` again"):
        measure_all(wanted, tmp_path)


# --------------------------------------------------------------------------------- locating


# ---------------------------------------------------------------------------- on other machines


def on_a_node(path, other):
    """A spread over a node that has other files (name: bytes, or None) in place of a folder's."""
    own = {file.name: (file.read_bytes(), file.stat()) for file in path.iterdir()}

    def spread(work, tasks, check):
        for task in tasks:
            for name, content in other.items():
                (path / name).unlink() if content is None else (path / name).write_bytes(content)
            try:
                check(task)
                made = work(task)
            finally:
                for name, (content, stat) in own.items():
                    (path / name).write_bytes(content)
                    os.utime(path / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            yield task, made

    return spread


@pytest.fixture(params=["file", "chunks"])
def there(request, tmp_path):
    """A recording in a folder of its own, as a file or as chunks: its address and its files."""
    folder = tmp_path / "there"
    folder.mkdir()
    if request.param == "file":
        path = write_audio(folder / "a.wav", noise(2.0))
        return path, {path.name: path.read_bytes()}
    names = [write_audio(folder / f"{number}.wav", noise(1.0)).name for number in range(2)]
    return folder / "{chunk}.wav", {name: (folder / name).read_bytes() for name in names}


def test_a_recording_that_a_node_lacks_or_has_half_is_no_verdict(there, tmp_path):
    path, files = there
    *_, last = files
    spans = {"a": SpansOf(path, content_hash(path), [(0.0, 0.5)])}
    for other, said in (
        (dict.fromkeys(files), "is not there"),
        ({last: files[last][:100]}, "half a copy"),
    ):
        spread = on_a_node(path.parent, other)
        with pytest.raises(NodeLacksError, match=said):
            scan({"a": path}, tmp_path / "cache", spread=spread)
        with pytest.raises(NodeLacksError, match=said):
            measure_all(spans, tmp_path / "cache", spread=spread)


def test_a_node_s_copy_of_another_time_is_remembered_as_this_machine_s(there, tmp_path):
    path, files = there
    asked = []

    def spread(work, tasks, check):
        asked.extend(task.video_id for task in tasks)
        yield from on_a_node(path.parent, files)(work, tasks, check)

    first = scan({"a": path}, tmp_path / "cache", spread=spread)
    assert first["a"].content_hash == content_hash(path)
    assert scan({"a": path}, tmp_path / "cache", spread=spread) == first
    assert asked == ["a"]


def test_chunks_of_which_none_is_there_are_not_there(tmp_path):
    path = tmp_path / "uid" / "{chunk}.flac"
    with pytest.raises(FileNotFoundError, match="uid"):
        stat_of(path)
    assert scan({"a": path}, tmp_path)["a"].probe.reason == inventory.UNREADABLE


def test_patterns_find_files_in_order_of_preference(tmp_path):
    for name in ("v/P01/P01_11.MP4", "v/P02/P02_01.MP4", "f/P01/P01_11.flac", "f/x/P03_01.flac"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    patterns = [
        f"{tmp_path}/v/{{participant_id}}/{{video_id}}.MP4",
        f"{tmp_path}/f/*/{{video_id}}.flac",
    ]
    found = find_recordings(
        patterns, {"P01_11": "P01", "P02_01": "P09", "P03_01": None, "P04_01": "P04"}
    )
    assert found == {
        "P01_11": tmp_path / "v/P01/P01_11.MP4",
        "P02_01": None,
        "P03_01": tmp_path / "f/x/P03_01.flac",
        "P04_01": None,
    }


def test_no_id_leads_out_of_the_folder(tmp_path):
    (tmp_path / "secret.flac").touch()
    (tmp_path / "in").mkdir()
    found = find_recordings([f"{tmp_path}/in/{{video_id}}.flac"], {"../secret": None})
    assert found == {"../secret": None}


def test_special_characters_in_a_folder_are_only_characters(tmp_path):
    odd = tmp_path / "a[1]+(x)"
    odd.mkdir()
    (odd / "v.wav").touch()
    assert find_recordings([f"{odd}/{{video_id}}.wav"], {"v": None})["v"] == odd / "v.wav"


@pytest.mark.parametrize("pattern", ["/media/*.MP4", "/media/{uid}.MP4", "/media/{}.MP4"])
def test_a_pattern_that_cannot_work_is_refused(pattern):
    with pytest.raises(MediaPatternError, match="media pattern"):
        MediaPattern.parse(pattern)


# ------------------------------------------------------------------------ HDF5 and chunks


def write_hdf5(path: Path, **members: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, samples in members.items():
            file.create_dataset(name, data=samples)
    return path


def test_an_hdf5_file_holds_a_recording_a_data_set(tmp_path):
    samples = noise(5.0)[:, 0]
    integers = (samples * 2**15).astype(np.int16)
    path = write_hdf5(
        tmp_path / "audio.hdf5", P01_01=samples, P01_02=integers, P01_03=np.zeros(RATE, np.float32)
    )
    found = find_recordings([str(path)], dict.fromkeys(["P01_01", "P01_02", "P01_03", "P09_01"]))
    assert found["P01_01"] == Path(f"{path}::P01_01")
    assert found["P09_01"] is None
    recordings = scan(found, tmp_path)
    assert recordings["P01_01"].probe.duration_s == 5.0
    assert recordings["P01_01"].probe.sample_rate == 24_000
    assert recordings["P01_03"].probe.reason == "digital silence"
    assert len({recording.content_hash for recording in recordings.values()}) == 4
    ((_, cut),) = read_segments(found["P01_01"], [(4.0, 4.5)])
    np.testing.assert_array_equal(cut, samples[4 * RATE : 4 * RATE + RATE // 2])
    ((_, cut),) = read_segments(found["P01_02"], [(4.0, 4.5)])
    np.testing.assert_allclose(cut, samples[4 * RATE : 4 * RATE + RATE // 2], atol=2**-15)


def test_the_hash_of_a_data_set_is_that_of_its_samples(tmp_path):
    one = write_hdf5(tmp_path / "one.hdf5", a=noise(1.0), b=noise(1.0, seed=1))
    other = write_hdf5(tmp_path / "other.hdf5", a=noise(1.0))
    assert content_hash(Path(f"{one}::a")) == content_hash(Path(f"{other}::a"))
    assert content_hash(Path(f"{one}::a")) != content_hash(Path(f"{one}::b"))


def test_a_data_set_that_is_given_a_sample_rate_is_another_recording(tmp_path):
    path = write_hdf5(tmp_path / "audio.hdf5", P01_01=noise(2.0), P01_02=noise(2.0, seed=1))
    found = find_recordings([str(path)], dict.fromkeys(["P01_01", "P01_02"]))
    before = scan(found, tmp_path)
    with h5py.File(path, "a") as file:
        file["P01_01"].attrs["sample_rate"] = 48_000
    after = scan(found, tmp_path)
    assert after["P01_01"].probe.sample_rate == 48_000
    assert after["P01_01"].content_hash != before["P01_01"].content_hash
    assert after["P01_02"] == before["P01_02"]


@pytest.mark.parametrize(
    ("content", "rate", "words"),
    [
        ("a text", None, "no audio"),
        (np.zeros(8, np.complex64), None, "holds complex64 in 1 dimensions, no audio"),
        (np.zeros(8, np.uint8), None, "holds uint8"),
        (np.zeros((2, 2, 2), np.float32), None, "in 3 dimensions"),
        (np.ones(8, np.float32), "fast", "its attribute sample_rate is 'fast'; write it in Hz"),
        (np.ones(8, np.float32), -1, "write it in Hz"),
    ],
)
def test_a_data_set_that_is_no_recording_is_named(tmp_path, content, rate, words):
    with h5py.File(tmp_path / "audio.hdf5", "w") as file:
        file["P01_01"] = content
        if rate is not None:
            file["P01_01"].attrs["sample_rate"] = rate
    address = Path(f"{tmp_path}/audio.hdf5::P01_01")
    for found in (probe(address), scan({"P01_01": address}, tmp_path)["P01_01"].probe):
        assert found.reason == "damaged"
        assert words in found.detail
    gone = probe(Path(f"{tmp_path}/audio.hdf5::P09_09"))
    assert gone.detail == "there is no data set P09_09"


def test_an_hdf5_file_that_is_none_is_named(tmp_path):
    path = tmp_path / "audio.hdf5"
    path.write_bytes(b"no such thing")
    with pytest.raises(MediaPatternError, match="no HDF5 file that can be read"):
        find_recordings([str(path)], {"P01_01": None})


@pytest.fixture
def chunked(tmp_path, monkeypatch):
    """A recording of 7 s in chunks of 3: one some samples short, one long, and the rest."""
    monkeypatch.setattr(chunks, "CHUNK_S", 3)
    samples = noise(7.0)[:, 0]
    folder = tmp_path / "video"
    write_audio(folder / "0.flac", samples[: 3 * RATE - 5])
    write_audio(folder / "1.flac", np.concatenate([samples[3 * RATE : 6 * RATE], samples[:9]]))
    write_audio(folder / "2.flac", samples[6 * RATE :])
    expected = samples.copy()
    expected[3 * RATE - 5 : 3 * RATE] = 0
    return folder, (expected * 2**15).round() / 2**15


def test_chunks_are_one_recording(chunked, tmp_path):
    folder, samples = chunked
    found = find_recordings([f"{tmp_path}/{{video_id}}/{{chunk}}.flac"], {"video": None})
    assert found == {"video": folder / "{chunk}.flac"}
    recording = scan(found, tmp_path / "cache")["video"]
    assert (recording.probe.reason, recording.probe.duration_s) == (None, 7.0)
    np.testing.assert_allclose(whole(found["video"]), samples, atol=2**-15)
    spans = [(2.5, 3.5), (0.0, 7.0), (6.5, 7.0), (1.0, 6.25), (5.9, 6.0)]
    for index, cut in read_segments(found["video"], spans):
        start, stop = (round(time * RATE) for time in spans[index])
        np.testing.assert_allclose(cut, samples[start:stop], atol=2**-15)


def test_only_the_chunks_that_are_needed_are_decoded(chunked, monkeypatch):
    folder, _ = chunked
    opened = []
    monkeypatch.setattr(
        chunks, "open_audio", lambda path: opened.append(path.name) or open_audio(path)
    )
    ((_, cut),) = read_segments(folder / "{chunk}.flac", [(6.2, 6.4)])
    assert len(cut) == round(0.2 * RATE)
    assert "1.flac" not in opened


def test_a_chunk_that_cant_be_read_is_named(chunked, tmp_path):
    folder, _ = chunked
    (folder / "1.flac").unlink()
    (folder / "1.flac").symlink_to("1.flac")
    found = scan({"video": folder / "{chunk}.flac"}, tmp_path / "cache")["video"].probe
    assert found.reason == "unreadable"
    assert found.detail.startswith(f"{folder}/1.flac: ")


def test_a_missing_and_a_short_chunk_are_damage(chunked):
    folder, _ = chunked
    address = folder / "{chunk}.flac"
    whole_chunk = (folder / "1.flac").read_bytes()
    (folder / "1.flac").unlink()
    assert probe(address).detail == "chunk 1 is not there"
    (folder / "1.flac").write_bytes(whole_chunk)
    write_audio(folder / "0.flac", noise(1.5))
    assert probe(address).detail == "chunk 0 ends after 1.500 s"
