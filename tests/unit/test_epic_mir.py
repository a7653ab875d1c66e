"""AudioEpicMIR's files (method section 2)."""

import pytest
from support.benchmark_files import clip_row, epic_mir, settings_for
from support.real_data import real_data

from assets.benchmarks.adapters import read_annotations, source_version
from assets.benchmarks.queries import build_captions, build_relevance


def read(base, *args, **given):
    return read_annotations(
        settings_for(base, {"epic_mir": epic_mir(base, *args)}, **given), "epic_mir"
    )


def test_times_come_from_the_time_columns_and_classes_are_sets(tmp_path):
    row = clip_row("P01_11_0", stop_timestamp="01:02:03.45", all_noun_classes="[7, 2, 7]")
    clip = read(tmp_path, [row]).clips.iloc[0]
    assert (clip.start_s, clip.stop_s) == (1.0, 3723.45)
    assert (clip.video_id, clip.participant_id, clip.verb_class) == ("P01_11", "P01", 3)
    assert clip.noun_classes == [2, 7]


def test_a_caption_says_what_its_clip_says(tmp_path):
    clips = [clip_row("P01_11_0", narration="take plate"), clip_row("P01_11_1", verb_class="9")]
    sentences = [{"narration_id": "P01_11_0", "narration": "wash plate"}]
    annotations = read(tmp_path, clips, sentences)
    (caption,) = build_captions(annotations).to_dict("records")
    assert (caption["text"], caption["verb_class"]) == ("take plate", 3)
    (altered,) = annotations.alterations
    assert (altered.item_kind, altered.item_id) == ("caption", "P01_11_0")
    assert "'wash plate'" in altered.detail
    assert "'take plate'" in altered.detail
    assert "line 2" in altered.detail
    assert annotations.warnings == ()


def test_a_shifted_tail_is_reported_as_one(tmp_path):
    texts = ["a", "b", "c", "d", "d"]
    clips = [clip_row(f"P01_11_{n}", narration=text) for n, text in enumerate(texts)]
    shifted = ["a", "b", "b", "c", "d"]
    sentences = [
        {"narration_id": clip["narration_id"], "narration": text}
        for clip, text in zip(clips, shifted, strict=True)
    ]
    annotations = read(tmp_path, clips, sentences)
    assert [a.item_id for a in annotations.alterations] == ["P01_11_2", "P01_11_3"]
    (warning,) = annotations.warnings
    assert "last 3 rows (line 4 on)" in warning
    assert "2 were corrected" in warning
    assert "P01_11_4" in warning


def test_limit_keeps_the_first_texts_and_all_their_clips(tmp_path):
    texts = ["a", "b", "a", "c", "b"]
    clips = [clip_row(f"P01_11_{n}", narration=text) for n, text in enumerate(texts)]
    sentences = [{"narration_id": f"P01_11_{n}", "narration": texts[n]} for n in (3, 0, 1, 2)]
    annotations = read(tmp_path, clips, sentences, limit=2)
    assert list(annotations.captions["text"]) == ["c", "a", "a"]
    assert list(annotations.clips["clip_id"]) == ["P01_11_0", "P01_11_2", "P01_11_3"]


def test_the_version_is_that_of_the_contents(tmp_path):
    given = epic_mir(tmp_path, [clip_row("P01_11_0")])
    settings = settings_for(tmp_path, {"epic_mir": given})
    version = source_version(settings, "epic_mir")
    moved = epic_mir(tmp_path / "elsewhere", [clip_row("P01_11_0")])
    assert source_version(settings_for(tmp_path, {"epic_mir": moved}), "epic_mir") == version
    epic_mir(tmp_path, [clip_row("P01_11_0", narration="other")])
    assert source_version(settings, "epic_mir") != version


@pytest.mark.real_data
def test_the_official_files(tmp_path):
    folder = real_data("epic_kitchens_100", "retrieval_annotations")
    given = {
        "clips": str(folder / "EPIC_100_retrieval_test.csv"),
        "sentences": str(folder / "EPIC_100_retrieval_test_sentence.csv"),
    }
    annotations = read_annotations(settings_for(tmp_path, {"epic_mir": given}), "epic_mir")
    captions = build_captions(annotations)
    assert len(annotations.clips) == 9_668
    assert annotations.clips["video_id"].nunique() == 138
    assert annotations.clips["participant_id"].nunique() == 32
    assert (len(captions), captions["text_id"].nunique()) == (3_842, 3_835)
    assert len(build_relevance(annotations)) == 0
    corrected = {
        "P22_04_144": ("cut slice", 7, [7]),
        "P08_16_88": ("throw away bits", 13, [105]),
        "P22_01_180": ("put down down slice", 1, [8]),
        "P01_14_59": ("looking for something", 48, [18]),
        "P12_03_60": ("count", 24, [44]),
        "P12_03_90": ("stir", 10, [12]),
    }
    assert {a.item_id for a in annotations.alterations} == set(corrected)
    rows = captions.set_index("caption_id")
    for caption_id, (text, verb, nouns) in corrected.items():
        row = rows.loc[caption_id]
        assert (row["text"], row["verb_class"], list(row["noun_classes"])) == (text, verb, nouns)
    (warning,) = annotations.warnings
    assert "last 7 rows" in warning
    assert "P08_15_47" in warning
