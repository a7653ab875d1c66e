"""What bad annotation files get: an error that names the file, the row and the remedy."""

import json

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
    write_csv,
)

from assets.benchmarks.adapters import check_sources, read_annotations, source_version
from assets.benchmarks.annotation_files import AnnotationError

OPTIONS = [record(f"v{n}", 1.5, 2.5, f"text {n}") for n in range(5)]


def fails(settings, benchmark, *words):
    """Reading fails, and the message holds these words; `validate` says the same."""
    with pytest.raises(AnnotationError) as error:
        read_annotations(settings, benchmark)
    message = str(error.value)
    for word in words:
        assert word in message
    assert check_sources(settings) == [f"{benchmark}: {message}"]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"start_timestamp": "1.5"}, ["start_timestamp", "'1.5'", "HH:MM:SS.ss"]),
        ({"stop_timestamp": "00:61:00.0"}, ["stop_timestamp", "HH:MM:SS.ss"]),
        ({"stop_timestamp": "00:00:01.00"}, ["stops at 1 s", "start at 1 s"]),
        ({"verb_class": "97"}, ["verb_class", "'97' is no known class", "0 to 96"]),
        ({"verb_class": "-1"}, ["verb_class", "'-1' is no known class"]),
        ({"verb_class": "take"}, ["verb_class", "'take' is no known class"]),
        ({"all_noun_classes": "7"}, ["all_noun_classes", "no list of numbers", "[2, 7]"]),
        ({"all_noun_classes": "[7, 'pan']"}, ["all_noun_classes", "no list of numbers"]),
        ({"all_noun_classes": "[7, 300]"}, ["all_noun_classes", "300 is no known class"]),
        ({"all_noun_classes": "__import__('os').getcwd()"}, ["no list of numbers"]),
        ({"all_noun_classes": "[" * 400}, ["no list of numbers"]),
        ({"video_id": "../../etc/passwd"}, ["video_id", "lead out of its media folder"]),
        ({"video_id": "/etc/passwd"}, ["video_id", "lead out of its media folder"]),
        ({"video_id": ".."}, ["video_id", "lead out of its media folder"]),
        ({"video_id": "a\\b"}, ["video_id", "lead out of its media folder"]),
        ({"participant_id": "../P01"}, ["participant_id", "lead out of its media folder"]),
        ({"narration": " "}, ["narration", "nothing to search by"]),
        ({"narration_id": ""}, ["narration_id", "needs an id"]),
    ],
)
def test_a_bad_cell_is_named_with_its_line(tmp_path, cells, words):
    rows = [clip_row("P01_11_0"), clip_row("P01_11_1", **cells)]
    given = epic_mir(tmp_path, rows, [{"narration_id": "P01_11_0", "narration": "x"}])
    settings = settings_for(tmp_path, {"epic_mir": given})
    fails(settings, "epic_mir", str(tmp_path / "clips.csv"), "line 3", *words)


def test_all_bad_rows_are_counted_and_ten_shown(tmp_path):
    rows = [clip_row(f"P01_11_{n}", verb_class="x") for n in range(25)]
    given = epic_mir(tmp_path, rows)
    settings = settings_for(tmp_path, {"epic_mir": given})
    fails(settings, "epic_mir", "25 problem(s)", "line 2:", "line 11:", "and 15 more")
    with pytest.raises(AnnotationError) as error:
        read_annotations(settings, "epic_mir")
    assert "line 12:" not in str(error.value)


def test_an_id_that_comes_twice(tmp_path):
    rows = [clip_row("P01_11_0"), clip_row("P01_11_1"), clip_row("P01_11_0")]
    settings = settings_for(tmp_path, {"epic_mir": epic_mir(tmp_path, rows, [{}])})
    fails(settings, "epic_mir", "line 4", "'P01_11_0' occurs already in line 2")


def test_a_sentence_of_no_clip(tmp_path):
    given = epic_mir(
        tmp_path, [clip_row("P01_11_0")], [{"narration_id": "P09_01_7", "narration": "x"}]
    )
    settings = settings_for(tmp_path, {"epic_mir": given})
    fails(settings, "epic_mir", "sentences.csv", "line 2", "'P09_01_7' is no clip of clips.csv")


def test_missing_columns(tmp_path):
    given = epic_mir(tmp_path, [clip_row("P01_11_0")])
    write_csv(tmp_path / "clips.csv", ["narration_id", "video_id"], [{"video_id": "P01_11"}])
    settings = settings_for(tmp_path, {"epic_mir": given})
    fails(
        settings,
        "epic_mir",
        "clips.csv: line 1",
        "all_noun_classes missing",
        "Bring the file that has them",
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["line 1", "no header"]),
        (b"annotation_id,annotation_id\n", ["missing"]),
        ("annotation_id\ncaf\u00e9,\n".encode("latin-1"), ["line 2", "not UTF-8", "save the file"]),
        (b"\xff\xfea\x00", ["line 1", "not UTF-8"]),
    ],
)
def test_files_that_are_no_such_table(tmp_path, content, words):
    path = tmp_path / "sounds.csv"
    path.write_bytes(content)
    settings = settings_for(tmp_path, {"epic_sounds": {"segments": str(path)}})
    fails(settings, "epic_sounds", str(path), *words)


def test_a_table_without_rows_with_torn_rows_or_with_an_open_quote(tmp_path):
    given = epic_sounds(tmp_path, [])
    settings = settings_for(tmp_path, {"epic_sounds": given})
    fails(settings, "epic_sounds", "no row below the header")
    epic_sounds(tmp_path, [sound_row("P01_11_0")])
    path = tmp_path / "sounds.csv"
    whole = path.read_text()
    path.write_text(whole + "P01_11_1,P01\n")
    fails(settings, "epic_sounds", "line 3", "2 cells, where the header has 10")
    path.write_text(whole + 'P01_11_1,"P01\n')
    fails(settings, "epic_sounds", "not CSV from here on")


def test_a_byte_order_mark_and_quoted_line_breaks_are_read(tmp_path):
    given = epic_sounds(tmp_path, [sound_row("P01_11_0", **{"class": "two\nlines"})])
    path = tmp_path / "sounds.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    settings = settings_for(tmp_path, {"epic_sounds": given})
    assert read_annotations(settings, "epic_sounds").clips["text"][0] == "two\nlines"


def test_a_class_with_two_names_or_two_numbers(tmp_path):
    rows = [sound_row("P01_11_0"), sound_row("P01_11_1", **{"class": "beep"})]
    settings = settings_for(tmp_path, {"epic_sounds": epic_sounds(tmp_path, rows)})
    fails(settings, "epic_sounds", "line 3", "class_id 5 is 'water' above, here 'beep'")
    epic_sounds(tmp_path, [sound_row("P01_11_0"), sound_row("P01_11_1", class_id="6")])
    fails(settings, "epic_sounds", "line 3", "class 'water' is 5 above, here 6")
    epic_sounds(tmp_path, [sound_row("P01_11_0", class_id="44")])
    fails(settings, "epic_sounds", "line 2", "'44' is no known class; they run from 0 to 43")


def test_a_missing_file(tmp_path):
    settings = settings_for(tmp_path, {"epic_sounds": {"segments": str(tmp_path / "no.csv")}})
    fails(settings, "epic_sounds", "no.csv: no such file", "name the place")
    with pytest.raises(AnnotationError, match="no such file"):
        source_version(settings, "epic_sounds")


def test_every_problem_of_every_benchmark_is_listed_at_once(tmp_path):
    settings = settings_for(
        tmp_path,
        {
            "epic_sounds": {"segments": str(tmp_path / "no.csv")},
            "ego_mcq": ego_mcq(tmp_path, [{"answer": 7}]),
        },
        media=["/media/{uid}.wav"],
    )
    problems = check_sources(settings)
    assert [problem.partition(":")[0] for problem in problems] == [
        "epic_sounds",
        "epic_sounds",
        "ego_mcq",
        "ego_mcq",
    ]


def broken(**change):
    return [question(OPTIONS), {**question(OPTIONS), **change}]


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        (broken(answer=5), ["answer must be 0 to 4"]),
        (broken(answer=True), ["answer must be of type int"]),
        (broken(types=3), ["types must be 1 (inter) or 2 (intra)"]),
        (broken(choices={"0": OPTIONS[0]}), ["choices must be '0' to '4'"]),
        (broken(query=None), ["query must be of type dict"]),
        (broken(query={**OPTIONS[0], "clip_text": ""}), ["nothing to search by"]),
        (broken(query={**OPTIONS[0], "clip_start": "soon"}), ["clip_start must be a number"]),
        (broken(query={**OPTIONS[0], "clip_start": 9}), ["runs from 9 to 2.5 s"]),
        (broken(query={**OPTIONS[0], "clip_end": float("nan")}), ["clip_end must be a number"]),
        (broken(query={**OPTIONS[0], "video_uid": "../x"}), ["lead out of its media folder"]),
        ([question(OPTIONS), {}], ["types is missing"]),
        ([question(OPTIONS), "?"], ["types is missing"]),
    ],
)
def test_a_bad_question_is_named(tmp_path, questions, words):
    settings = settings_for(tmp_path, {"ego_mcq": ego_mcq(tmp_path, questions)})
    fails(settings, "ego_mcq", "egomcq.json", "question '1'", *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"0": {\n"answer": ', ["line 2", "not JSON"]),
        ("[]", ["must be an object of questions"]),
        ("{}", ["must be an object of questions"]),
        ('{"0": {}, "0": {}}', ["'0' occurs twice"]),
    ],
)
def test_a_file_that_holds_no_questions(tmp_path, content, words):
    path = tmp_path / "egomcq.json"
    path.write_text(content)
    settings = settings_for(tmp_path, {"ego_mcq": {"questions": str(path)}})
    fails(settings, "ego_mcq", str(path), *words)


def test_the_message_of_a_full_file_stays_short(tmp_path):
    given = {str(n): {"answer": 0} for n in range(5_000)}
    (tmp_path / "egomcq.json").write_text(json.dumps(given))
    settings = settings_for(tmp_path, {"ego_mcq": {"questions": str(tmp_path / "egomcq.json")}})
    (problem,) = check_sources(settings)
    assert "5000 problem(s)" in problem
    assert len(problem) < 3_000
