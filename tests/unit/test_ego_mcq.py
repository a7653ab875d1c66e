"""AudioEgoMCQ's file and filters (method section 3)."""

import json

import numpy as np
import pytest
from support.benchmark_files import ego_mcq, question, record, settings_for
from support.media_files import RATE, noise, write_audio
from support.real_data import real_data

from assets.benchmarks.adapters import read_annotations
from assets.benchmarks.clips import build_clips
from assets.benchmarks.ego_mcq import clean_speaker_tags
from assets.benchmarks.exclusions import benchmark_exclusions
from assets.benchmarks.questions import (
    FILTERS,
    NO_AUDIO,
    SILENT,
    TEXTS_ALIKE,
    build_questions,
    failed_filters,
    normalised,
)
from assets.benchmarks.recordings import media_inventory

VIDEOS = ("va", "vb", "vc", "vd", "ve")


def options(*texts, videos=VIDEOS):
    return [record(video, 0.5, 1.25, text) for video, text in zip(videos, texts, strict=True)]


def tables(base, questions, **given):
    settings = settings_for(base, {"ego_mcq": ego_mcq(base, questions, **given)})
    annotations = read_annotations(settings, "ego_mcq")
    media = media_inventory(settings, annotations)
    clips = build_clips(settings, annotations, media)
    asked = build_questions(settings, annotations, clips)
    counts = failed_filters(settings, annotations, clips).sum()
    exclusions = benchmark_exclusions(annotations, media, clips, asked)
    return annotations, clips, asked, counts, exclusions


@pytest.fixture
def recordings(tmp_path):
    for seed, video in enumerate(VIDEOS):
        write_audio(tmp_path / "media" / f"{video}.wav", noise(2.0, seed=seed))
    return tmp_path


def test_a_clip_is_named_as_the_file_writes_its_times(tmp_path):
    path = tmp_path / "egomcq.json"
    given = json.dumps({"0": question(options("a", "b", "c", "d", "e"))})
    path.write_text(given.replace("0.5", "0.50000").replace("1.25", "1.2500000000000000001"))
    settings = settings_for(tmp_path, {"ego_mcq": {"questions": str(path)}})
    annotations = read_annotations(settings, "ego_mcq")
    assert annotations.clips["clip_id"][0] == "va:0.50000:1.2500000000000000001"
    assert annotations.clips["start_s"][0] == 0.5
    assert annotations.questions["options"][0][0] == annotations.clips["clip_id"][0]


def test_a_clip_in_many_questions_is_one_clip(recordings):
    given = [question(options("a", "b", "c", "d", "e"), answer) for answer in (0, 3)]
    _, clips, asked, _, _ = tables(recordings, given)
    assert len(clips) == 5
    assert list(asked["answer"]) == [0, 3]
    assert asked["usable"].all()
    assert list(asked["text"]) == ["a", "d"]


def test_each_filter_is_counted_and_the_first_is_the_reason(recordings):
    write_audio(recordings / "media" / "quiet.wav", np.full((2 * RATE, 1), 1 / 2**15, np.float32))
    write_audio(recordings / "media" / "zero.wav", np.zeros((2 * RATE, 1), np.float32))
    with_quiet = options("a", "b", "c", "d", "e", videos=("quiet", *VIDEOS[:4]))
    with_zero = options("a", "b", "c", "d", "e", videos=("zero", *VIDEOS[:4]))
    missing = options("a", "B.", "c", "b", "e", videos=("gone", *VIDEOS[:4]))
    given = [
        question(options("a", "b", "c", "d", "e")),
        question(options("a", "B ", "c", "b.", "e")),
        question(options("a", "b", "c", "d", "e"), clip_text="b"),
        question(with_quiet),
        question(with_zero),
        question(missing),
    ]
    _, _, asked, counts, exclusions = tables(recordings, given)
    assert list(asked["reason"]) == [None, TEXTS_ALIKE, TEXTS_ALIKE, SILENT, SILENT, NO_AUDIO]
    assert counts.to_dict() == {NO_AUDIO: 1, TEXTS_ALIKE: 3, SILENT: 2}
    assert list(FILTERS) == list(counts.index)
    left_out = exclusions[exclusions["item_kind"] == "question"]
    assert len(asked) == asked["usable"].sum() + len(left_out)
    assert "gone:0.5:1.25 (missing media)" in left_out.set_index("item_id").loc["5", "detail"]


def test_the_filters_are_settings(recordings):
    write_audio(recordings / "media" / "quiet.wav", np.full((2 * RATE, 1), 1 / 2**15, np.float32))
    quiet = options("a", "a", "c", "d", "e", videos=("quiet", *VIDEOS[:4]))
    _, _, asked, _, _ = tables(recordings, [question(quiet)], distinct_texts=False, silence_rms=0)
    assert asked["usable"].all()


def test_questions_that_span_other_videos_than_they_should_are_warned_of(recordings):
    alike = ("va", "va", "vb", "vc", "vd")
    given = [
        question(options("a", "b", "c", "d", "e", videos=alike)),
        question(options("a", "b", "c", "d", "e"), types=2),
        question(options("a", "b", "c", "d", "e", videos=("va",) * 5), types=2),
    ]
    annotations, _, asked, _, _ = tables(recordings, given)
    assert len(annotations.warnings) == 2
    assert "question '0'" in annotations.warnings[0]
    assert "4 recordings" in annotations.warnings[0]
    assert list(asked["kind"]) == ["inter", "intra", "intra"]
    assert asked["usable"].all()


def test_limit_keeps_whole_questions(recordings):
    given = [question(options("a", "b", "c", "d", "e"), answer) for answer in (2, 2, 1)]
    settings = settings_for(recordings, {"ego_mcq": ego_mcq(recordings, given)}, limit=1)
    annotations = read_annotations(settings, "ego_mcq")
    assert list(annotations.questions["question_id"]) == ["0", "1"]
    assert len(annotations.clips) == 5


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("#C C opens the drawer", "opens the drawer"),
        ("# C C opens", "opens"),
        ("#C opens", "opens"),
        ("#O a man X waves", "a man waves"),
        ("The Woman B sits with person C", "The Woman sits with person"),
        ("a man Walks", "a man Walks"),
        ("#Person laughs", "laughs"),
        ("C Cuts bread", "C Cuts bread"),
        ("looks at #0", "looks at"),
    ],
)
def test_speaker_tags(text, cleaned):
    assert clean_speaker_tags(text) == cleaned


def test_cleaning_is_an_option(tmp_path):
    given = [question(options("#C C opens", "#C C b", "#C C c", "#C C d", "#C C e"))]
    plain = settings_for(tmp_path, {"ego_mcq": ego_mcq(tmp_path, given)})
    assert read_annotations(plain, "ego_mcq").questions["text"][0] == "#C C opens"
    cleaned = settings_for(tmp_path, {"ego_mcq": ego_mcq(tmp_path, given, clean_speaker_tags=True)})
    annotations = read_annotations(cleaned, "ego_mcq")
    assert annotations.questions["text"][0] == "opens"
    assert annotations.clips["text"][0] == "opens"


def test_normalised_texts():
    assert normalised("  #C  C Opens the drawer. ") == normalised("#c c opens the drawer")
    assert normalised("opens the drawer") != normalised("opens a drawer")


@pytest.mark.real_data
def test_the_kitchen_suite(tmp_path):
    suite = real_data("kitchen_suite")
    given = {
        "questions": str(suite / "ego_mcq" / "egomcq.json"),
        "media": [f"{suite}/videos/*/{{video_id}}.MP4", f"{suite}/audio/*/{{video_id}}.flac"],
    }
    settings = settings_for(tmp_path, {"ego_mcq": given})
    annotations = read_annotations(settings, "ego_mcq")
    media = media_inventory(settings, annotations)
    clips = build_clips(settings, annotations, media)
    asked = build_questions(settings, annotations, clips)
    assert (len(asked), asked["usable"].sum()) == (320, 296)
    assert set(asked["reason"].dropna()) == {TEXTS_ALIKE}
    assert len(annotations.warnings) == 49
    assert (asked["kind"] == "inter").sum() == 160
