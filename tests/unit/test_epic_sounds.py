"""EpicSoundsRet's file (method section 4)."""

from collections import Counter

import pytest
from support.benchmark_files import epic_sounds, settings_for, sound_row
from support.real_data import real_data

from assets.benchmarks.adapters import read_annotations
from assets.benchmarks.queries import build_captions


def captions_of(base, rows, **given):
    settings = settings_for(base, {"epic_sounds": epic_sounds(base, rows, **given)})
    return build_captions(read_annotations(settings, "epic_sounds"))


ROWS = [
    sound_row("P01_11_0", description="clang", **{"class": "metal", "class_id": "3"}),
    sound_row("P01_11_1", description="clang", **{"class": "wood", "class_id": "4"}),
    sound_row("P01_11_2", description="bang", **{"class": "wood", "class_id": "4"}),
]


def test_a_class_is_one_caption(tmp_path):
    captions = captions_of(tmp_path, ROWS)
    assert list(captions["caption_id"]) == list(captions["text"]) == ["metal", "wood"]
    assert list(captions["verb_class"]) == [3, 4]
    assert captions["clip_id"].isna().all()
    assert captions["noun_classes"].isna().all()


def test_a_description_of_two_classes_is_two_captions(tmp_path):
    captions = captions_of(tmp_path, ROWS, text="description")
    assert list(captions["caption_id"]) == ["bang|wood", "clang|metal", "clang|wood"]
    assert list(captions["verb_class"]) == [4, 3, 4]
    assert captions["text_id"].nunique() == 2


OFFICIAL_COUNTS = {
    "metal-only collision": 1381,
    "rustle": 734,
    "scrub / scrape / scour / wipe": 727,
    "cut / chop": 718,
    "water": 584,
    "open / close": 526,
    "metal / ceramic collision": 432,
    "stir / mix / whisk": 385,
    "footstep": 375,
    "plastic-only collision": 343,
    "slide object": 310,
    "metal / plastic collision": 265,
    "metal / wood collision": 220,
    "beep": 118,
    "pour": 105,
    "ceramic-only collision": 100,
    "metal / glass collision": 83,
    "click": 71,
    "glass-only collision": 44,
    "metal / paper collision": 44,
    "background": 33,
    "human": 33,
    "kneading": 32,
    "plastic / paper collision": 31,
    "metal / marble collision": 31,
    "paper-only collision": 30,
    "sizzling / boiling": 30,
    "plastic / ceramic collision": 29,
    "ceramic / glass collision": 29,
    "plastic / marble collision": 28,
    "plastic / wood collision": 22,
    "metal / cloth collision": 20,
    "ceramic / wood collision": 20,
    "ceramic / marble collision": 20,
    "wood-only collision": 17,
    "wood / glass collision": 12,
    "plastic / glass collision": 11,
    "glass / marble collision": 8,
    "hoover / fan": 8,
    "kettle / mixer / appliance": 7,
    "cloth-only collision": 7,
    "spray": 6,
    "zip": 3,
    "drink / eat": 3,
}


@pytest.mark.real_data
def test_the_official_file(tmp_path):
    path = real_data("epic_sounds", "EPIC_Sounds_validation.csv")
    settings = settings_for(tmp_path, {"epic_sounds": {"segments": str(path)}})
    annotations = read_annotations(settings, "epic_sounds")
    captions = build_captions(annotations)
    assert (len(annotations.clips), len(captions)) == (8_035, 44)
    counts = Counter(annotations.clips["text"])
    assert counts == OFFICIAL_COUNTS
    described = settings_for(
        tmp_path, {"epic_sounds": {"segments": str(path), "text": "description"}}
    )
    captions = build_captions(read_annotations(described, "epic_sounds"))
    assert (len(captions), captions["text_id"].nunique()) == (335, 68)
