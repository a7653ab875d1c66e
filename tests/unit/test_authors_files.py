"""The authors' own files, and ours in their formats."""

import json
from pathlib import Path

import pandas as pd
import pytest
from support.benchmark_files import (
    clip_row,
    ego_mcq,
    epic_mir,
    epic_sounds,
    question,
    record,
    settings_for,
    sound_row,
)
from support.real_data import real_data

from assets.benchmarks.adapters import read_annotations
from assets.benchmarks.annotation_files import AnnotationError
from assets.benchmarks.authors_files import (
    export_descriptions,
    export_levels,
    paper_descriptions,
    paper_levels,
)
from resources.tables import text_id

TEXTS = ("open, drawer", "cut onion", "wash pan", "cut onion")


def benchmark_files(base, name):
    if name == "epic_mir":
        clips = [clip_row(f"P01_11_{n}", narration=text) for n, text in enumerate(TEXTS)]
        sentences = [{"narration_id": f"P01_11_{n}", "narration": TEXTS[n]} for n in (0, 1, 2)]
        return epic_mir(base, clips, sentences)
    if name == "epic_sounds":
        rows = [
            sound_row(f"P01_11_{n}", **{"class": text, "class_id": str(TEXTS.index(text))})
            for n, text in enumerate(TEXTS)
        ]
        return epic_sounds(base, rows)
    options = [record(f"v{n}", 1.5, 2.5, text) for n, text in enumerate([*TEXTS[:3], "d", "e"])]
    path = ego_mcq(base, [question(options, answer) for answer in (0, 1, 2, 1)])["questions"]
    Path(path).write_text(Path(path).read_text().replace("1.5", "1.5000"))
    return {"questions": path}


def frame(column, values):
    return pd.DataFrame({"text_id": [text_id(text) for text in values], column: values.values()})


DESCRIPTIONS = {"open, drawer": 'A "drawer", slides', "cut onion": "Chops", "wash pan": "Splash é"}
GRADES = dict(zip(DESCRIPTIONS, ("low", "high", "moderate"), strict=True))


def with_files(base, name, files=(), levels=(), **given):
    benchmark = {
        **benchmark_files(base, name),
        "descriptions_from": [str(path) for path in files],
        "levels_from": [str(path) for path in levels],
    }
    return settings_for(base, {name: benchmark}, **given)


@pytest.mark.parametrize("name", ["epic_mir", "epic_sounds", "ego_mcq"])
def test_what_is_exported_comes_back(tmp_path, name):
    plain = with_files(tmp_path, name)
    written = export_descriptions(plain, name, frame("description", DESCRIPTIONS), tmp_path / "a")
    levels = export_levels(plain, name, frame("level", GRADES), tmp_path / "a")
    settings = with_files(tmp_path, name, written, levels)
    found = paper_descriptions(settings, name)
    assert dict(zip(found["text"], found["description"], strict=True)) == DESCRIPTIONS
    assert list(found["text_id"]) == [text_id(text) for text in found["text"]]
    graded = paper_levels(settings, name)
    assert dict(zip(graded["text"], graded["level"], strict=True)) == GRADES
    again = export_descriptions(settings, name, found[["text_id", "description"]], tmp_path / "b")
    for first, second in zip(written, again, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_the_names_and_columns_are_the_authors(tmp_path):
    settings = with_files(tmp_path, "epic_mir")
    clips, sentences = export_descriptions(
        settings, "epic_mir", frame("description", DESCRIPTIONS), tmp_path / "a"
    )
    assert (clips.name, sentences.name) == ("clips_gpt.csv", "sentences_gpt.csv")
    table = pd.read_csv(clips)
    assert table.columns[8] == "narration"
    assert table["narration"].tolist() == [DESCRIPTIONS[text] for text in TEXTS]
    original = pd.read_csv(tmp_path / "clips.csv")
    assert table.drop(columns="narration").equals(original.drop(columns="narration"))
    names = [
        path.name for path in export_levels(settings, "epic_mir", frame("level", GRADES), tmp_path)
    ]
    assert names[:2] == ["clips_gptfiltered_low.csv", "sentences_gptfiltered_low.csv"]
    assert (
        pd.read_csv(tmp_path / "clips_gptfiltered_high.csv")["narration"].tolist()
        == ["cut onion"] * 2
    )


def test_a_question_file_names_what_was_removed_and_keeps_its_digits(tmp_path):
    settings = with_files(tmp_path, "ego_mcq")
    paths = export_levels(settings, "ego_mcq", frame("level", GRADES), tmp_path / "a")
    assert [path.stem.removeprefix("egomcq_") for path in paths] == [
        "moderate_high",
        "low_high",
        "low_moderate",
    ]
    high = json.loads(paths[2].read_text())
    assert list(high) == ["0", "1"]  # the authors' loader counts from 0
    assert '"clip_start": 1.5000' in paths[2].read_text()
    moved = settings_for(tmp_path, {"ego_mcq": {"questions": str(paths[2])}})
    options = read_annotations(moved, "ego_mcq").questions["options"][0]
    assert options == read_annotations(settings, "ego_mcq").questions["options"][1]


def test_questions_that_failed_a_filter_are_in_no_exported_file(tmp_path):
    settings = with_files(tmp_path, "ego_mcq")
    some = {text: DESCRIPTIONS[text] for text in ("open, drawer", "wash pan")}
    described = frame("description", some)
    files = export_descriptions(settings, "ego_mcq", described, tmp_path / "a", {"1", "3"})
    assert [path.name for path in files] == ["egomcq_filtered.json", "egomcq_filtered_gpt.json"]
    originals, twins = (json.loads(path.read_text()) for path in files)
    official = json.loads((tmp_path / "egomcq.json").read_text())
    assert originals == {"0": official["0"], "1": official["2"]}
    assert [question["query"]["clip_text"] for question in twins.values()] == list(some.values())
    pair = {"questions": str(files[0]), "descriptions_from": [str(files[1])]}
    found = paper_descriptions(settings_for(tmp_path, {"ego_mcq": pair}), "ego_mcq")
    assert dict(zip(found["text"], found["description"], strict=True)) == some
    levels = export_levels(settings, "ego_mcq", frame("level", GRADES), tmp_path / "a", {"1"})
    high = next(path for path in levels if path.stem == "egomcq_filtered_low_moderate")
    assert list(json.loads(high.read_text()).values()) == [official["3"]]


def test_the_speaker_tags_of_a_question_that_is_kept_stay(tmp_path):
    options = [record(f"v{n}", 1.5, 2.5, f"#C C {text}") for n, text in enumerate("abcde")]
    path = ego_mcq(tmp_path, [question(options, answer) for answer in (0, 1)])["questions"]
    given = {"questions": path, "clean_speaker_tags": True}
    settings = settings_for(tmp_path, {"ego_mcq": given})
    described = frame("description", {"b": "A clap"})
    files = export_descriptions(settings, "ego_mcq", described, tmp_path / "a", {"0"})
    original, twin = (json.loads(path.read_text())["0"] for path in files)
    assert original["query"]["clip_text"] == "#C C b"
    assert twin["query"]["clip_text"] == "A clap"


def test_a_moved_row_another_count_and_an_empty_description_are_refused(tmp_path):
    plain = with_files(tmp_path, "epic_mir")
    clips, _ = export_descriptions(plain, "epic_mir", frame("description", DESCRIPTIONS), tmp_path)
    header, *rows = clips.read_text().splitlines(keepends=True)
    settings = with_files(tmp_path, "epic_mir", [clips])

    def refused(content, *words):
        clips.write_text("".join([header, *content]))
        with pytest.raises(AnnotationError) as error:
            paper_descriptions(settings, "epic_mir")
        for word in (str(clips), *words):
            assert word in str(error.value)

    refused([rows[1], rows[0], *rows[2:]], "line 2", "'P01_11_1'", "'P01_11_0'")
    refused(rows[:3], "3 rows, where the official one has 4")
    refused([*rows[:3], rows[3].replace("Chops", " ")], "line 5", "description is empty")


def test_an_export_of_an_unfinished_run_is_refused(tmp_path):
    settings = with_files(tmp_path, "epic_mir")
    some = frame("description", {"cut onion": "Chops"})
    reasons = {text_id("wash pan"): "too_long", text_id("something else"): "refusal"}
    with pytest.raises(AnnotationError) as error:
        export_descriptions(settings, "epic_mir", some, tmp_path / "a", reasons=reasons)
    for words in (
        "2 of 3 texts have no description (not asked 1, too_long 1), first 'open, drawer'",
        "run without a limit",
        "sound-approach retry",
    ):
        assert words in str(error.value)


def test_of_several_descriptions_the_first_counts_and_the_others_are_told(
    tmp_path,
):
    plain = with_files(tmp_path, "epic_mir")
    described = frame("description", DESCRIPTIONS)
    files = export_descriptions(plain, "epic_mir", described, tmp_path / "a")
    clips, sentences = files
    *rows, last = clips.read_text().splitlines(keepends=True)
    clips.write_text("".join([*rows, last.replace("Chops", "Crunches")]))
    for given, others in (
        ([clips, sentences], {"cut onion": ("Crunches",)}),
        ([clips], {"cut onion": ("Crunches",)}),
        ([sentences], {}),
    ):
        found = paper_descriptions(with_files(tmp_path, "epic_mir", given), "epic_mir")
        assert dict(zip(found["text"], found["description"], strict=True)) == DESCRIPTIONS
        told = zip(found["text"], found["others"], strict=True)
        assert {text: rest for text, rest in told if rest} == others


def test_only_the_texts_of_a_limited_run_are_taken(tmp_path):
    plain = with_files(tmp_path, "epic_mir")
    files = export_descriptions(plain, "epic_mir", frame("description", DESCRIPTIONS), tmp_path)
    settings = with_files(tmp_path, "epic_mir", files, limit=1)
    assert list(paper_descriptions(settings, "epic_mir")["text"]) == ["open, drawer"]


def test_a_subset_file_must_tell_its_level_and_hold_items_of_the_benchmark(tmp_path):
    plain = with_files(tmp_path, "epic_mir")
    low, *_ = export_levels(plain, "epic_mir", frame("level", GRADES), tmp_path / "a")
    unnamed = low.rename(low.with_name("clips_gptfiltered.csv"))
    with pytest.raises(AnnotationError, match="its name tells no level"):
        paper_levels(with_files(tmp_path, "epic_mir", levels=[unnamed]), "epic_mir")
    high = unnamed.rename(low.with_name("clips_gptfiltered_high.csv"))
    again = low.with_name("clips_gptfiltered_low.csv")
    again.write_bytes(high.read_bytes())
    with pytest.raises(AnnotationError, match="is in another level's file too"):
        paper_levels(with_files(tmp_path, "epic_mir", levels=[high, again]), "epic_mir")
    high.write_text(high.read_text().replace("P01_11_0", "P09_99_0"))
    with pytest.raises(AnnotationError, match="'P09_99_0' is no item of this benchmark"):
        paper_levels(with_files(tmp_path, "epic_mir", levels=[high]), "epic_mir")


@pytest.mark.parametrize("cleans", [True, False])
def test_the_authors_own_subsets_are_read_whether_or_not_speaker_tags_are_cleaned(tmp_path, cleans):
    options = [record(f"v{n}", 1.5, 2.5, f"#C C {text}") for n, text in enumerate("abcde")]
    path = ego_mcq(tmp_path, [question(options, answer) for answer in (0, 1)])["questions"]
    low = tmp_path / "egomcq_moderate_high.json"
    low.write_text(json.dumps({"0": json.loads(Path(path).read_text())["1"]}))
    given = {"questions": path, "clean_speaker_tags": cleans, "levels_from": [str(low)]}
    settings = settings_for(tmp_path, {"ego_mcq": given})
    assert list(paper_levels(settings, "ego_mcq")["text"]) == ["b" if cleans else "#C C b"]
    low.write_text(low.read_text().replace("#C C b", "#C C z"))
    with pytest.raises(AnnotationError, match="'#C C z' is no item of this benchmark"):
        paper_levels(settings, "ego_mcq")


def test_without_files_there_is_nothing(tmp_path):
    settings = with_files(tmp_path, "ego_mcq")
    assert paper_descriptions(settings, "ego_mcq").empty
    assert paper_levels(settings, "ego_mcq").empty


@pytest.mark.real_data
def test_the_official_rows_come_back_whole(tmp_path):
    folder = real_data("epic_kitchens_100", "retrieval_annotations")
    files = {
        "clips": str(folder / "EPIC_100_retrieval_test.csv"),
        "sentences": str(folder / "EPIC_100_retrieval_test_sentence.csv"),
    }
    settings = settings_for(tmp_path, {"epic_mir": files})
    texts = read_annotations(settings, "epic_mir").captions["text"].unique()
    described = frame("description", {text: f"The sound of: {text}" for text in texts})
    written = export_descriptions(settings, "epic_mir", described, tmp_path)
    assert written[0].name == "EPIC_100_retrieval_test_gpt.csv"
    given = {**files, "descriptions_from": [str(path) for path in written]}
    found = paper_descriptions(settings_for(tmp_path, {"epic_mir": given}), "epic_mir")
    assert len(found) == 3_835
    assert (found["description"] == "The sound of: " + found["text"]).all()
