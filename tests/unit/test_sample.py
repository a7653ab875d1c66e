"""The sample: reproducible, in the official formats, and silent about what is heard."""

import ast
import csv
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from resources.config_file import load_settings
from resources.sample import SampleError, write_sample, writer
from resources.sample import annotations as annotations_module
from resources.sample.annotations import Clip, caption_clips, texts_by_kind
from resources.sample.recordings import (
    SILENCE,
    Recording,
    scored_recordings,
    training_recordings,
    write_recording,
)
from resources.sample.sounds import RATE, SOUNDS, synthesise
from resources.settings import PROJECT_ROOT

# Words that would give a kind of sound away, by their first letters.
GIVEAWAYS = {
    "tap_water": "water tap run splash faucet",
    "chopping": "chop cut knock",
    "sizzling": "sizzl fry fri hiss crackl boil",
    "glass_clink": "clink glass ring",
    "metal_clang": "clang metal clatter bang",
    "beep": "beep alarm tone sound",
    "fan_hum": "fan hum extract whir",
    "rustle": "rustl crinkl paper plastic",
    "wood_thud": "thud wood thump knock bang",
    "cupboard_door": "cupboard door creak slam cabinet",
    "drawer_slide": "drawer slid rumbl",
    "pouring": "pour glug liquid",
    "whisking": "whisk stir beat mix",
    "scrubbing": "scrub scrap wip scour brush",
    "footsteps": "step walk foot pace",
    "zip": "zip",
    "spray": "spray squirt hiss",
    "grinder": "grind blend whir mill",
    "kettle_whistle": "kettle whistl boil steam",
    "crockery": "ceramic crockery clatter clink rattl",
    "silence": "silen quiet",
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "sources"
    write_sample(folder)
    return folder


def read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def seconds(timestamp: str) -> float:
    hours, minutes, rest = timestamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_a_seed_gives_the_same_sound_and_another_seed_another():
    first, again, other = (synthesise("zip", np.random.default_rng(n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("kind", SOUNDS)
def test_every_kind_is_audible_and_not_clipped(kind):
    for seed in range(3):
        sound = synthesise(kind, np.random.default_rng(seed))
        assert 3 * RATE <= len(sound) <= 5 * RATE
        assert sound.dtype == np.float32
        assert np.sqrt(np.mean(sound**2)) > 1e-3
        assert np.mean(np.abs(sound) > 0.98) < 0.01


def test_no_narration_names_its_sound():
    named = [
        (kind, text, start)
        for kind, rows in texts_by_kind("narrations.csv").items()
        for text in {row[column] for row in rows for column in ("narration", "question_text")}
        for start in GIVEAWAYS[kind].split()
        if re.search(rf"\b{start}", text.lower())
    ]
    assert named == []


def test_every_kind_has_its_texts():
    kinds = set(SOUNDS)
    assert set(texts_by_kind("narrations.csv")) == kinds | {SILENCE}
    assert set(texts_by_kind("sound_classes.csv")) == kinds
    assert set(texts_by_kind("training_texts.csv")) == kinds


def test_training_shares_no_recording_and_no_text_with_what_is_scored():
    scored, training = scored_recordings(), training_recordings()
    assert not {r.seed for r in scored} & {r.seed for r in training}
    narrated = {r["narration"] for rows in texts_by_kind("narrations.csv").values() for r in rows}
    trained = {
        row["visual_text"] for rows in texts_by_kind("training_texts.csv").values() for row in rows
    }
    assert not narrated & trained


def test_clips_have_the_official_columns_and_lie_in_their_recordings(sample):
    rows = read(sample / "annotations" / "EPIC_100_retrieval_test.csv")
    assert ",".join(rows[0]) == (
        "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,"
        "start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,"
        "all_noun_classes"
    )
    ids = [row["narration_id"] for row in rows]
    assert ids == sorted(ids)
    assert len(ids) == len(set(ids))
    lengths = {recording.video_id: recording.duration_s for recording in scored_recordings()}
    late = [
        r["narration_id"] for r in rows if seconds(r["start_timestamp"]) > lengths[r["video_id"]]
    ]
    cut = [
        r["narration_id"]
        for r in rows
        if seconds(r["start_timestamp"]) < lengths[r["video_id"]] < seconds(r["stop_timestamp"])
    ]
    assert (late, cut) == (["S03_03_20"], ["S02_03_19"])
    for row in rows:
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d", row["start_timestamp"])
        nouns = ast.literal_eval(row["all_noun_classes"])
        assert nouns[0] == int(row["noun_class"])
        assert len(nouns) == len(ast.literal_eval(row["all_nouns"]))


def test_captions_are_the_distinct_narrations_and_the_class_pairs_they_miss():
    def clip(index, narration, verb, noun):
        take = Recording("X_1", "flac", 1).takes[0]
        text = {"narration": narration, "verb_class": verb, "noun_classes": noun}
        return Clip(Recording("X_1", "flac", 1), index, take, text)

    clips = [
        clip(0, "stack plates", "1", "2"),
        clip(1, "stack plates", "40", "2|7"),
        clip(2, "move plates", "1", "2"),
        clip(3, "stack plates", "40", "2"),
    ]
    assert [c.index for c in caption_clips(clips)] == [0, 2, 1]


def test_sentences_are_texts_of_their_clips(sample):
    folder = sample / "annotations"
    clips = {r["narration_id"]: r for r in read(folder / "EPIC_100_retrieval_test.csv")}
    captions = read(folder / "EPIC_100_retrieval_test_sentence.csv")
    texts = [row["narration"] for row in captions]
    assert all(clips[row["narration_id"]]["narration"] == row["narration"] for row in captions)
    assert set(texts) == {row["narration"] for row in clips.values()}
    assert len(texts) > len(set(texts))


def test_sound_segments_agree_with_their_samples(sample):
    rows = read(sample / "annotations" / "EPIC_Sounds_validation.csv")
    assert len({row["class"] for row in rows}) == 19
    assert len({row["class_id"] for row in rows}) == 19
    for row in rows:
        assert int(row["start_sample"]) == round(seconds(row["start_timestamp"]) * 24_000)
        assert int(row["stop_sample"]) > int(row["start_sample"])


def test_questions_span_five_recordings_or_one(sample):
    questions = json.loads((sample / "annotations" / "egomcq.json").read_text())
    assert list(questions) == [str(number) for number in range(126)]
    doubled = []
    for name, question in questions.items():
        choices = [question["choices"][str(place)] for place in range(5)]
        assert choices[question["answer"]] == question["query"]
        videos = {choice["video_uid"] for choice in choices}
        assert len(videos) == (5 if question["types"] == 1 else 1)
        assert isinstance(ast.literal_eval(choices[0]["tag_noun"]), list)
        if len({choice["clip_text"] for choice in choices}) < 5:
            doubled.append(name)
    assert doubled == ["62"]


def test_one_clip_is_digital_silence(sample):
    rows = read(sample / "annotations" / "EPIC_100_retrieval_test.csv")
    samples, rate = soundfile.read(sample / "recordings" / "S01" / "S01_01.flac")
    silent = [
        row["narration_id"]
        for row in rows
        if row["video_id"] == "S01_01"
        and not samples[
            round(seconds(row["start_timestamp"]) * rate) : round(
                seconds(row["stop_timestamp"]) * rate
            )
        ].any()
    ]
    assert silent == ["S01_01_10"]


def test_three_formats_hold_what_was_made(tmp_path):
    import av

    for extension, rate, channels in (("flac", 24_000, 1), ("wav", 48_000, 2), ("mp4", 48_000, 2)):
        recording = Recording("X_1", extension, 7)
        file = write_recording(recording, tmp_path)
        with av.open(str(file)) as container:
            stream = container.streams.audio[0]
            decoded = sum(frame.samples for frame in container.decode(stream))
            assert (stream.rate, stream.channels) == (rate, channels)
            assert decoded / rate == pytest.approx(recording.duration_s, abs=0.05)


def test_annotations_are_the_same_bytes_every_time(sample, tmp_path):
    annotations_module.write_annotations(scored_recordings(), tmp_path)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (sample / "annotations" / file.name).read_bytes()


@pytest.mark.slow
def test_what_is_there_is_not_written_again_and_what_is_missing_is(sample):
    before = {file: file.stat().st_mtime_ns for file in sample.rglob("*")}
    write_sample(sample)
    assert {file: file.stat().st_mtime_ns for file in sample.rglob("*")} == before
    training_list = sample / "training" / "train.csv"
    digest = hashlib.sha256(training_list.read_bytes()).hexdigest()
    training_list.unlink()
    write_sample(sample)
    assert hashlib.sha256(training_list.read_bytes()).hexdigest() == digest
    assert [entry.name for entry in sample.parent.iterdir() if entry.is_dir()] == ["sources"]


def test_another_version_replaces_the_whole_folder(tmp_path, monkeypatch):
    def write_version(folder, version):
        folder.mkdir()
        (folder / f"of {version}.txt").write_text("a recording")
        (folder / "manifest.json").write_text(json.dumps({"version": version, "files": []}))

    monkeypatch.setattr(writer, "_write_all", write_version)
    for version in ("one", "two"):
        monkeypatch.setattr(writer, "_version", lambda version=version: version)
        write_sample(tmp_path / "sources")
        written = {entry.name for entry in (tmp_path / "sources").iterdir()}
        assert written == {f"of {version}.txt", "manifest.json"}


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SampleError, match="not written by the sample"):
        write_sample(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_training_list_names_recordings_beside_it(sample):
    rows = read(sample / "training" / "train.csv")
    assert list(rows[0]) == ["media", "start_s", "stop_s", "visual_text", "sound_caption", "class"]
    for row in rows:
        assert (sample / "training" / row["media"]).is_file()
        assert float(row["start_s"]) < float(row["stop_s"])
    kinds = texts_by_kind("training_texts.csv")
    assert {row["sound_caption"] for row in rows} == {
        text["sound_caption"] for texts in kinds.values() for text in texts
    }


def test_a_limited_run_reads_the_same_sample():
    full, limited = load_settings(), load_settings(limit=3)
    assert full.sample == limited.sample
    assert full.output != limited.output
    assert full.sample == PROJECT_ROOT / "outputs" / "sample" / "sources"


def _texts(sample: Path) -> set[str]:
    folder = sample / "annotations"
    questions = json.loads((folder / "egomcq.json").read_text())
    return (
        {row["narration"] for row in read(folder / "EPIC_100_retrieval_test.csv")}
        | {row["class"] for row in read(folder / "EPIC_Sounds_validation.csv")}
        | {c["clip_text"] for q in questions.values() for c in q["choices"].values()}
    )


@pytest.mark.parametrize("edited", [False, True], ids=["as they are", "after the README's edit"])
def test_every_text_has_recorded_answers(sample, tmp_path, edited):
    from assets.descriptions.few_shot import build_few_shot_examples, read_word_list
    from assets.descriptions.prompts import examples_of, load_prompts, render
    from resources.language_model.recorded import read_recorded

    settings = load_settings()
    folder = settings.prompts_folder
    if edited:
        anchor, line = _readme_edit()
        for name in settings.prompts:
            text = (folder / f"{name}.yaml").read_text()
            if name == "describe_zero_shot":
                assert text.count(anchor) == 1
                text = text.replace(anchor, f"{anchor}\n      {line}")
            (tmp_path / f"{name}.yaml").write_text(text)
        settings = settings.model_copy(update={"prompts_folder": tmp_path})
    pool = build_few_shot_examples(settings.few_shot, read_word_list(folder / "visual_words.txt"))
    recorded = read_recorded(settings.language_model.answers)
    for prompt in load_prompts(settings):
        examples = examples_of(prompt, pool)
        questions = [render(prompt, text, examples) for text in sorted(_texts(sample))]
        assert len(questions) == 110
        assert [q.text for q in questions if q.key not in recorded] == []


def _readme_edit() -> tuple[str, str]:
    """The line to add a line after, and that line, as the sample's README gives them."""
    readme = (PROJECT_ROOT / "resources" / "sample" / "README.md").read_text()
    anchor, line = re.findall(r"^    (- .*)$", readme, flags=re.MULTILINE)
    return anchor, line


def test_the_pool_keeps_enough_and_rejects_what_it_should():
    from assets.descriptions.few_shot import build_few_shot_examples, read_word_list

    settings = load_settings()
    words = read_word_list(settings.prompts_folder / "visual_words.txt")
    pool = build_few_shot_examples(settings.few_shot, words)
    assert pool["kept"].sum() == 32
    reasons = sorted(reason.split(":")[0] for reason in pool["reason"].dropna())
    assert reasons == [
        "caption contradicts the label's direction",
        "caption contradicts the label's direction",
        "caption speaks of what is seen",
        "caption speaks of what is seen",
        "no overlap in time",
        "no overlap in time",
    ]
