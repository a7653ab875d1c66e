"""Rating sheets: a stratified, blind draw, and a page that gives nothing away."""

import json
import re

import pandas as pd
import pytest

from assets.reports.ratings.drawing import (
    LONGEST_S,
    DrawingError,
    draw_items,
    read_candidates,
    shown_texts,
)
from assets.reports.ratings.sheet import SheetError, render_sheet, write_sheet
from assets.reports.ratings.storage import RatingsFolder
from resources.tables import LEVELS


def candidates(clips=60, variants=("plain", "with_examples"), rare=2):
    """Clips of two benchmarks with a dozen texts; in the second one `low` is rare."""
    rows = []
    for benchmark in ("ego_mcq", "epic_mir"):
        for clip in range(clips):
            text = clip % 12
            level = LEVELS[text % 3]
            if benchmark == "epic_mir" and level == "low" and clip >= 12 * rare:
                continue
            for variant in variants:
                rows.append(
                    {
                        "benchmark": benchmark,
                        "clip_id": f"clip{clip}",
                        "path": f"{benchmark}{clip % 5}.wav",
                        "start_s": float(clip),
                        "stop_s": clip + (100.0 if clip == 0 else 2.0),
                        "text_id": f"text{text}",
                        "text": f"#C C cuts thing {text}",
                        "variant": variant,
                        "description": f"a knife taps {text}, {variant}.",
                        "grader": "grade",
                        "level": level,
                    }
                )
    return pd.DataFrame(rows)


@pytest.fixture
def items():
    return draw_items(candidates(), 40, seed=1)


def first(items):
    return items[items["repeat_of"] == ""]


def test_strata_are_as_even_as_they_can_be(items):
    counts = first(items).groupby(["benchmark", "level"]).size()
    assert len(first(items)) == 40
    assert counts.max() - counts.min() <= 1


def test_a_rare_level_is_used_up_and_the_others_fill_the_sheet():
    items = draw_items(candidates(rare=1), 60, seed=1)
    counts = first(items).groupby(["benchmark", "level"]).size()
    assert counts["epic_mir", "low"] == 4
    assert counts.drop(("epic_mir", "low")).min() >= 11


def test_no_text_comes_again_before_all_others_have_come(items):
    for _, stratum in first(items).groupby(["benchmark", "level"]):
        times = stratum["text_id"].value_counts()
        assert times.max() - times.min() <= 1 or len(times) == 4


def test_variants_and_sides_are_balanced(items):
    assert abs(first(items)["description_side"].value_counts()["a"] - 20) <= 0
    for _, stratum in first(items).groupby(["benchmark", "level"]):
        assert abs(stratum["variant"].value_counts().diff().iloc[-1]) <= 1


def test_the_seed_decides_everything(items):
    assert draw_items(candidates(), 40, seed=1).equals(items)
    assert not draw_items(candidates(), 40, seed=2).equals(items)


def test_repeats_come_late_with_their_sides_swapped(items):
    again = items[items["repeat_of"] != ""]
    assert len(again) == 2
    place = {item: number for number, item in enumerate(items["item"])}
    for row in again.to_dict("records"):
        original = items.iloc[place[row["repeat_of"]]]
        assert place[row["item"]] - place[row["repeat_of"]] >= len(items) // 4
        assert row["description_side"] != original["description_side"]
        assert row["clip_id"] == original["clip_id"]
        assert original["repeat_of"] == ""


def test_a_long_clip_is_cut(items):
    assert (items["stop_s"] - items["start_s"]).max() <= LONGEST_S
    assert draw_items(candidates(clips=1), 5, 0)["stop_s"].iloc[0] == LONGEST_S


def test_more_than_there_is_gives_what_there_is():
    assert len(first(draw_items(candidates(clips=12), 1000, 0))) == 24


def test_both_texts_have_one_style(items):
    for pair in shown_texts(items):
        assert {text.split()[0] for text in pair} == {"A", "Cuts"}
        assert not any(text.endswith(".") for text in pair)


def test_each_text_stands_on_the_side_that_the_key_says(items):
    for side, (a, b) in zip(items["description_side"], shown_texts(items), strict=True):
        description = a if side == "a" else b
        assert description.startswith("A knife taps")


def test_the_page_gives_nothing_away(items):
    page = render_sheet("abc", items, ["data:audio/mpeg;base64,"] * len(items))
    content = json.loads(re.search(r'id="content">(.*?)</script>', page, re.DOTALL)[1])
    assert [set(item) for item in content["items"]] == [{"item", "a", "b", "sound"}] * len(items)
    shown = re.sub(r"<script.*", "", page, flags=re.DOTALL)
    for secret in ("clip1", "plain,", "text_id", "grade_", "epic_mir", "with_examples."):
        assert secret not in shown
    assert [item["item"] for item in content["items"]] == list(items["item"])
    other = draw_items(candidates(), 40, seed=9)
    assert list(other["item"]) == list(items["item"])


def test_a_text_can_not_break_out_of_the_page(items):
    evil = items.assign(description="</script><script>alert(1)</script><b>x")
    page = render_sheet("abc", evil, [""] * len(items))
    assert page.count("<script") == 2
    assert "<b>x" not in page


def test_a_recording_that_is_gone_is_named(items, tmp_path):
    items = items.assign(path=str(tmp_path / "gone.wav"))
    with pytest.raises(SheetError, match=r"gone\.wav"):
        write_sheet(items, RatingsFolder(tmp_path))
    assert not list(tmp_path.iterdir())


class Tables:
    """A lake of frames."""

    def __init__(self, **frames):
        self.frames = frames

    def read(self, model, benchmark):
        return self.frames[model.name]


@pytest.fixture
def lake():
    clip = {"benchmark": "b", "start_s": 0.0, "stop_s": 1.0, "video_id": "v"}
    rows = [(f"c{n}", f"t{n % 2}", n != 3) for n in range(4)]
    return Tables(
        media=pd.DataFrame([{"video_id": "v", "path": "v.wav"}]),
        clips=pd.DataFrame(
            [
                {**clip, "clip_id": c, "text_id": t, "text": f"cut {t}", "usable": u}
                for c, t, u in rows
            ]
        ),
        descriptions=pd.DataFrame(
            [
                {"text_id": t, "variant": v, "description": d}
                for t, v, d in (("t0", "p", "A tap"), ("t1", "p", "cut t1"), ("t1", "q", "Taps"))
            ]
        ),
        informativeness=pd.DataFrame(
            [{"text_id": t, "grader": g, "level": "low"} for t in ("t0", "t1") for g in ("g", "h")]
        ),
    )


def test_candidates_are_usable_described_graded_and_not_unchanged(lake):
    found = read_candidates(lake, ["b"], (), "g")
    assert list(zip(found["clip_id"], found["variant"], strict=True)) == [
        ("c0", "p"),
        ("c1", "q"),
        ("c2", "p"),
    ]


@pytest.mark.parametrize(
    ("variants", "grader", "told"),
    [
        ((), None, "several graders, name one: g, h"),
        ((), "x", "no levels of x; there are g, h"),
        (("x",), "g", "no descriptions of x; there are p, q"),
    ],
)
def test_what_can_not_be_drawn_is_told(lake, variants, grader, told):
    with pytest.raises(DrawingError, match=told):
        read_candidates(lake, ["b"], variants, grader)
