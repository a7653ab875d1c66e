"""The few-shot pool: join, filters, and a selection that is always the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.prompt_files import pool_of
from support.real_data import real_data

from assets.descriptions.few_shot import (
    FewShotError,
    build_few_shot_examples,
    find_visual_words,
    join_annotations,
    read_word_list,
    select_examples,
)
from resources.settings import PROJECT_ROOT, FewShotSettings

WORDS = read_word_list(PROJECT_ROOT / "prompts" / "visual_words.txt")

AUDIOCAPS = """audiocap_id,youtube_id,start_time,caption
1,aa,30,Water runs into a sink
2,bb,10,"A door slides open, then steps"
3,cc,0,A man wearing a red shirt speaks
4,dd,100,Sawing
5,ee,5,A door opens and closes
6,ff,0,Nobody else has this video
"""
KINETICS = """label,youtube_id,time_start,time_end,split
washing hands,aa,25,35,validate
closing door,bb,12,22,validate
talking,cc,0,10,validate
sawing wood,dd,0,10,validate
opening door,ee,5,15,validate
opening door,ee,6,16,test
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "audiocaps.csv").write_text(AUDIOCAPS)
    (tmp_path / "kinetics.csv").write_text(KINETICS)
    return FewShotSettings(
        audiocaps=(tmp_path / "audiocaps.csv",), kinetics=(tmp_path / "kinetics.csv",)
    )


def test_every_pair_is_kept_or_has_its_reason(files):
    table = build_few_shot_examples(files, WORDS).set_index("youtube_id")
    assert table["overlap_s"].to_dict() == {"aa": 5, "bb": 8, "cc": 10, "dd": 0, "ee": 10}
    assert table["reason"].to_dict() == {
        "aa": None,
        "bb": "caption contradicts the label's direction",
        "cc": "caption speaks of what is seen: red, wearing, shirt",
        "dd": "no overlap in time",
        "ee": None,
    }
    assert (table["kept"] == table["reason"].isna()).all()


def test_too_little_overlap_is_a_setting(files):
    stricter = files.model_copy(update={"min_overlap_s": 6.0})
    table = build_few_shot_examples(stricter, WORDS).set_index("youtube_id")
    assert table.loc["aa", "reason"] == "too little overlap in time"


def test_without_files_the_pool_is_empty():
    assert build_few_shot_examples(FewShotSettings(), WORDS).empty


def test_a_bad_file_is_named(files, tmp_path):
    missing = files.model_copy(update={"kinetics": (tmp_path / "absent.csv",)})
    with pytest.raises(FewShotError, match=r"absent.csv: no such file.*few_shot.kinetics"):
        join_annotations(missing)
    (tmp_path / "kinetics.csv").write_text("label,youtube_id,time_start\nx,aa,1\n")
    with pytest.raises(FewShotError, match=r"kinetics.csv: not a CSV with the columns.*time_end"):
        join_annotations(files)
    (tmp_path / "kinetics.csv").write_text(KINETICS + "bad,aa,soon,later,test\n")
    with pytest.raises(FewShotError, match=r"(?s)kinetics.csv.*Line: 8.*soon"):
        join_annotations(files)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("audiocaps", '7,dd,100,\n8,ee,,"A door opens, and closes"\n'),
        ("kinetics", ",dd,0,10,validate\nopening door,ee,5,,test\n"),
    ],
)
def test_an_empty_cell_is_named(files, tmp_path, name, rows):
    given = {"audiocaps": AUDIOCAPS, "kinetics": KINETICS}[name]
    (tmp_path / f"{name}.csv").write_text(given + rows)
    with pytest.raises(FewShotError, match=rf"{name}\.csv: 2 row\(s\) with an empty .*row 7 below"):
        join_annotations(files)


def test_what_is_close_by_is_not_closed(files, tmp_path):
    said = {"ee": "A man speaks close by", "ff": "A door closes"}
    lists = ["audiocap_id,youtube_id,start_time,caption", "label,youtube_id,time_start,time_end"]
    for name, caption in said.items():
        lists[0] += f"\n1,{name},0,{caption}"
        lists[1] += f"\nopening door,{name},0,10"
    for name, content in zip(("audiocaps", "kinetics"), lists, strict=True):
        (tmp_path / f"{name}.csv").write_text(content + "\n")
    table = build_few_shot_examples(files, WORDS).set_index("youtube_id")
    assert table["kept"].to_dict() == {"ee": True, "ff": False}


def test_a_folder_without_a_list_of_visual_words_uses_the_project_s(tmp_path):
    assert read_word_list(tmp_path / "visual_words.txt") == WORDS
    (tmp_path / "visual_words.txt").write_text("Blue  # a colour\n\n# nothing else\n")
    assert read_word_list(tmp_path / "visual_words.txt") == ("blue",)


def test_visual_words_are_whole_words():
    assert find_visual_words("The first person's camera zooms in", ("camera zooms", "zoom")) == [
        "camera zooms"
    ]
    assert find_visual_words("Bored wearily", ("red", "wear")) == []


pairs = st.lists(
    st.tuples(st.text("abc ", min_size=1, max_size=6), st.text("xyz ", min_size=1, max_size=6)),
    min_size=4,
    max_size=12,
    unique=True,
)


@given(pairs, st.integers(0, 5), st.randoms())
def test_a_selection_depends_on_pool_and_seed_only(given_pairs, seed, shuffler):
    chosen = select_examples(pool_of(*given_pairs), 3, seed)
    shuffled = list(given_pairs)
    shuffler.shuffle(shuffled)
    assert select_examples(pool_of(*shuffled), 3, seed) == chosen
    assert len(set(chosen)) == 3
    assert {(e.visual_text, e.audio_caption) for e in chosen} <= set(given_pairs)
    randomly = select_examples(pool_of(*given_pairs), 3, seed, "random")
    assert set(randomly) == set(chosen)


def test_a_selection_is_diverse():
    doors = [(f"opening door {n}", f"A door {n} creaks") for n in "abcdefgh"]
    pool = pool_of(*doors, ("washing dishes", "Plates clink"), ("sawing wood", "Rasping"))
    for seed in range(5):
        chosen = {example.visual_text for example in select_examples(pool, 3, seed)}
        assert {"washing dishes", "sawing wood"} <= chosen


def test_asking_for_more_than_there_is_says_what_to_do():
    with pytest.raises(FewShotError, match=r"5 few-shot.*keeps 1 of 1.*Kinetics-700-2020"):
        select_examples(pool_of(("a", "b")), 5, 0)


@pytest.mark.real_data
def test_the_real_overlap():
    """84 joined rows over 64 videos and 72 captions; 12 videos share time with their caption.

    The table has one row a distinct pair, 72: twelve pairs stand in two Kinetics lists.
    """
    settings = FewShotSettings(
        audiocaps=tuple(sorted(real_data("audiocaps").glob("*.csv"))),
        kinetics=tuple(sorted(real_data("kinetics").glob("*.csv"))),
    )
    joined = join_annotations(settings)
    assert joined["joined_rows"].sum() == 84
    assert joined["youtube_id"].nunique() == 64
    assert joined["audio_caption"].nunique() == len(joined) == 72
    table = build_few_shot_examples(settings, WORDS)
    assert table.loc[table["overlap_s"] > 0, "youtube_id"].nunique() == 12
    verdicts = table["reason"].fillna("kept").value_counts().to_dict()
    assert verdicts == {
        "no overlap in time": 60,
        "kept": 11,
        "caption contradicts the label's direction": 1,
    }
    wrong_way = table[table["reason"] == "caption contradicts the label's direction"].iloc[0]
    assert (wrong_way["visual_text"], wrong_way["audio_caption"]) == (
        "closing door",
        "A door is sliding open",
    )
