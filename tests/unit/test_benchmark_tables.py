"""The stage's tables, from files and media: what is used, what is not; sums add up."""

import errno

import numpy as np
import pytest
from support.benchmark_files import (
    clip_row,
    epic_mir,
    epic_sounds,
    settings_for,
    sound_row,
)
from support.media_files import RATE, noise, truncate, write_audio, write_video
from support.real_data import real_data

from assets.benchmarks import clips as clip_tables
from assets.benchmarks import recordings
from assets.benchmarks.adapters import (
    check_sources,
    read_annotations,
    source_stats,
    source_warnings,
)
from assets.benchmarks.clips import build_clips
from assets.benchmarks.exclusions import benchmark_exclusions
from assets.benchmarks.queries import build_captions
from assets.benchmarks.questions import build_questions
from assets.benchmarks.recordings import media_inventory
from resources.media import inventory
from resources.media.addresses import content_hash
from resources.parallel import WORKER_LOST, Lost, on_threads


def tables(settings, benchmark="epic_mir"):
    annotations = read_annotations(settings, benchmark)
    media = media_inventory(settings, annotations)
    clips = build_clips(settings, annotations, media)
    questions = build_questions(settings, annotations, clips)
    exclusions = benchmark_exclusions(annotations, media, clips, questions)
    assert_every_item_of_the_files_has_its_row(annotations, media, clips, questions)
    return media.set_index("video_id"), clips.set_index("clip_id"), exclusions


def assert_every_item_of_the_files_has_its_row(annotations, media, clips, questions):
    assert sorted(clips["clip_id"]) == sorted(annotations.clips["clip_id"])
    assert sorted(media["video_id"]) == sorted(annotations.clips["video_id"].unique())
    assert sorted(questions["question_id"]) == sorted(annotations.questions["question_id"])
    captions = build_captions(annotations)
    assert sorted(captions["caption_id"]) == sorted(annotations.captions["caption_id"])


def assert_sums_add_up(media, clips, exclusions):
    for kind, table in (("media", media), ("clip", clips)):
        left_out = exclusions[
            (exclusions["item_kind"] == kind) & (exclusions["effect"] == "excluded")
        ]
        assert set(left_out["item_id"]) == set(table.index[~table["usable"]])
        assert len(left_out) + table["usable"].sum() == len(table)
    assert exclusions["detail"].str.len().gt(0).all()


@pytest.fixture
def kitchen(tmp_path):
    """One good recording of 4 s, and one of every fault."""
    folder = tmp_path / "media"
    samples = noise(4.0)
    samples[3 * RATE :] = 0
    write_audio(folder / "P01_01.wav", samples)
    write_video(folder / "P01" / "P01_02.mp4", None)
    write_audio(folder / "P01_03.wav", np.zeros((RATE * 4, 1), np.float32))
    truncate(write_audio(folder / "P01_04.wav", noise(4.0, seed=4)))
    rows = [
        clip_row("P01_01_0"),
        clip_row("P01_01_1", stop_timestamp="00:00:05.00"),
        clip_row("P01_01_2", start_timestamp="00:00:04.00", stop_timestamp="00:00:04.50"),
        clip_row("P01_01_3", start_timestamp="00:00:03.00", stop_timestamp="00:00:03.50"),
        *(clip_row(f"P01_0{number}_0") for number in (2, 3, 4, 5)),
    ]
    return settings_for(tmp_path, {"epic_mir": epic_mir(tmp_path, rows)})


def test_every_clip_has_its_verdict(kitchen):
    media, clips, exclusions = tables(kitchen)
    assert clips["reason"].to_dict() == {
        "P01_01_0": None,
        "P01_01_1": None,
        "P01_01_2": "past the end",
        "P01_01_3": "digital silence",
        "P01_02_0": "no audio stream",
        "P01_03_0": "digital silence",
        "P01_04_0": "damaged",
        "P01_05_0": "missing media",
    }
    assert media["usable"].to_dict() == {f"P01_0{n}": n == 1 for n in range(1, 6)}
    assert media.loc["P01_04", "reason"].startswith("damaged: it decodes to 2.000 s of the 4.000 s")
    assert_sums_add_up(media, clips, exclusions)


def test_a_clip_is_cut_at_the_end_of_its_recording_and_listed(kitchen):
    _, clips, exclusions = tables(kitchen)
    assert clips["shortened"].to_dict()["P01_01_1"]
    assert clips["shortened"].sum() == 1
    assert clips.loc["P01_01_1", "stop_s"] == 4.0
    (row,) = exclusions[exclusions["effect"] == "altered"].to_dict("records")
    assert (row["item_id"], row["reason"]) == ("P01_01_1", "shortened")
    assert "annotated to 5 s" in row["detail"]


def test_loudness_is_that_of_the_cut_clip(kitchen):
    _, clips, _ = tables(kitchen)
    clip = clips.loc["P01_01_1"]
    assert clip["digital_silence"] == pytest.approx(1 / 3)
    assert 0.05 < clip["rms"] < clip["peak"] <= 0.2 + 1e-4
    assert clips.loc["P01_02_0", ["rms", "peak", "digital_silence"]].isna().all()


def test_a_second_run_gives_the_same_tables(kitchen):
    first, second = tables(kitchen), tables(kitchen)
    for one, other in zip(first, second, strict=True):
        assert one.equals(other)


def test_a_recording_that_cant_be_read_leaves_the_others_and_is_tried_again(kitchen, monkeypatch):
    def refused(path):
        if path.stem == "P01_01":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return content_hash(path)

    with monkeypatch.context() as patch:
        patch.setattr(inventory, "content_hash", refused)
        media, clips, exclusions = tables(kitchen)
    assert recordings.given_up(media) == 1
    assert set(clips.filter(like="P01_01", axis=0)["reason"]) == {"unreadable"}
    assert_sums_add_up(media, clips, exclusions)
    assert recordings.given_up(tables(kitchen)[0]) == 0


@pytest.mark.parametrize(("step", "module"), [("scan", recordings), ("loudness", clip_tables)])
def test_what_nobody_survived_working_at_is_named_and_tried_again(
    kitchen, monkeypatch, step, module
):
    def spread(work, tasks, check):
        for task, result in on_threads(work, tasks):
            yield task, Lost("the process ended") if task[0] == "P01_01" else result

    with monkeypatch.context() as patch:
        patch.setattr(module, "chosen_spread", lambda settings: spread)
        media, clips, exclusions = tables(kitchen)
    assert set(clips.filter(like="P01_01", axis=0)["reason"]) >= {WORKER_LOST}
    assert clips["usable"].sum() == 0
    assert recordings.given_up(media) == (step == "scan")
    assert recordings.given_up(clips) == (clips["reason"] == WORKER_LOST).sum()
    assert_sums_add_up(media, clips, exclusions)
    again = tables(kitchen)
    assert recordings.given_up(again[0]) == recordings.given_up(again[1]) == 0
    assert again[1]["usable"].sum() == 2


def test_without_any_media_everything_is_reported_missing(tmp_path):
    given = epic_sounds(tmp_path, [sound_row("P01_01_0"), sound_row("P01_02_0")])
    settings = settings_for(tmp_path, {"epic_sounds": given}, media=[])
    media, clips, exclusions = tables(settings, "epic_sounds")
    assert set(clips["reason"]) == {"missing media"}
    assert_sums_add_up(media, clips, exclusions)
    assert check_sources(settings) == []
    (warning,) = source_warnings(settings)
    assert "2 of 2 recordings" in warning


def test_sources_and_media_are_watched(kitchen, tmp_path):
    before = source_stats(kitchen, "epic_mir")
    assert len(before) == 6
    assert {size for _, size, _ in before} == {
        path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()
    }
    write_audio(tmp_path / "media" / "P01_05.wav", noise(1.0))
    after = source_stats(kitchen, "epic_mir")
    assert len(after) == 7
    assert set(before) < set(after)


@pytest.mark.real_data
def test_the_official_annotations_without_their_audio(tmp_path):
    folder = real_data("epic_kitchens_100", "retrieval_annotations")
    given = {
        "epic_mir": {
            "clips": str(folder / "EPIC_100_retrieval_test.csv"),
            "sentences": str(folder / "EPIC_100_retrieval_test_sentence.csv"),
        },
        "epic_sounds": {"segments": str(real_data("epic_sounds", "EPIC_Sounds_validation.csv"))},
    }
    settings = settings_for(tmp_path, given)
    assert check_sources(settings) == []
    for benchmark, videos, rows in (("epic_mir", 138, 9_668), ("epic_sounds", 137, 8_035)):
        media, clips, exclusions = tables(settings, benchmark)
        assert (len(media), len(clips)) == (videos, rows)
        assert set(clips["reason"]) == {"missing media"}
        assert_sums_add_up(media, clips, exclusions)


@pytest.mark.real_data
def test_the_kitchen_suite(tmp_path):
    suite = real_data("kitchen_suite")
    folder = suite / "epic_kitchens" / "retrieval_annotations"
    given = {
        "epic_mir": {
            "clips": str(folder / "EPIC_100_retrieval_test.csv"),
            "sentences": str(folder / "EPIC_100_retrieval_test_sentence.csv"),
        }
    }
    patterns = [
        f"{suite}/videos/{{participant_id}}/{{video_id}}.MP4",
        f"{suite}/audio/{{participant_id}}/{{video_id}}.flac",
    ]
    media, clips, exclusions = tables(settings_for(tmp_path, given, media=patterns))
    assert (len(clips), clips["usable"].sum()) == (493, 480)
    assert clips["reason"].value_counts().to_dict() == {
        "no audio stream": 3,
        "digital silence": 3,
        "damaged": 3,
        "missing media": 3,
        "past the end": 1,
    }
    assert media.loc[~media["usable"], "reason"].str.partition(":")[0].to_dict() == {
        "K99_01": "no audio stream",
        "K99_02": "digital silence",
        "K99_03": "damaged",
        "K99_04": "missing media",
    }
    assert_sums_add_up(media, clips, exclusions)
