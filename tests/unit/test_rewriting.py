"""Texts become descriptions and grades; what is missing is counted and named."""

import json

import pytest
from support.prompt_files import GRADE, NO_POOL, answer_plainly, make_prompt, texts_of

from assets.descriptions.causes import Before, made_with
from assets.descriptions.prompts import render
from assets.descriptions.rewriting import (
    build_descriptions,
    build_informativeness,
    build_subset_members,
    check_description,
    reasons_lacking,
    wanted_texts,
)
from resources.language_model.question import Answer, Answers, Failure
from resources.language_model.recorded import (
    NoRecordedAnswerError,
    RecordedAnswers,
    read_recorded,
    write_recorded,
)
from resources.tables import CAPTIONS, CLIPS, EXCLUSIONS, INFORMATIVENESS, QUESTIONS, text_id

TEXTS = texts_of("cut onion", "open door", "wash pan")


class Answering:
    """A language model whose answers are given by a function of the text."""

    def __init__(self, answer, known=()):
        self.answer = answer
        self.known = known

    def ask(self, questions, check):
        answers = Answers()
        for question in questions:
            given = self.answer(question)
            if isinstance(given, dict):
                problem = check(question, given)
                if problem:
                    answers.quarantined[question.key] = Failure(problem, str(given), 3)
                else:
                    answers.answered[question.key] = Answer(given, "model-x")
                    if question.text in self.known:
                        answers.known.add(question.key)
            else:
                answers.not_asked[question.key] = given
        return answers


def record(path, prompts, texts, answers):
    rows = []
    for prompt in prompts:
        for text in texts["text"]:
            question = render(prompt, text, ())
            rows.append(
                {
                    "key": question.key,
                    "model": "somebody",
                    "variant": question.variant,
                    "text": text,
                    "answer": json.loads(answers([dict(m) for m in question.messages])),
                }
            )
    write_recorded(path, rows)
    return RecordedAnswers(path)


def test_recorded_answers_become_tables_without_a_request(tmp_path):
    prompts = [make_prompt(tmp_path), make_prompt(tmp_path, **GRADE)]
    model = record(tmp_path / "answers.jsonl", prompts, TEXTS, answer_plainly)
    made = build_descriptions("b", TEXTS, prompts, NO_POOL, model, ())
    assert made.table["description"].tolist() == [
        f"Something sounds while they {text}" for text in made.table["text"]
    ]
    assert set(made.table["model"]) == {"somebody"}
    assert made.counts.as_metadata() == {
        "wanted": 3, "reused": 3, "new": 0, "stale": 0, "orphaned": 0, "failed": 0,
    }  # fmt: skip
    assert made.exclusions == []
    graded = build_informativeness("b", TEXTS, prompts, NO_POOL, model).table
    assert dict(zip(graded["text"], graded["level"], strict=True)) == {
        "cut onion": "high",
        "open door": "low",
        "wash pan": "low",
    }


def test_a_text_without_recorded_answer_stops_everything_and_says_how_to_go_on(tmp_path):
    prompt = make_prompt(tmp_path)
    model = record(tmp_path / "answers.jsonl", [prompt], TEXTS[:1], answer_plainly)
    with pytest.raises(NoRecordedAnswerError) as raised:
        build_descriptions("b", TEXTS, [prompt], NO_POOL, model, ())
    for said in ("2 answer(s) (plain: 2)", "open door", "provider: openai", "base_url"):
        assert said in str(raised.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not JSON"),
        ('{"key": "k"}', "line 2: a recorded answer has"),
        (
            '{"key": "k", "model": "m", "variant": "v", "text": "t", "answer": {"a": "2"}}',
            "line 2: another answer for the same key",
        ),
    ],
)
def test_a_bad_recorded_file_names_its_line(tmp_path, line, said):
    good = '{"key": "k", "model": "m", "variant": "v", "text": "t", "answer": {"a": "1"}}'
    (tmp_path / "answers.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(Exception, match=said):
        read_recorded(tmp_path / "answers.jsonl")


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("A knife taps on wood", None),
        ("   ", "empty"),
        ("...", "empty"),
        ("x" * 301, "too_long"),
        ("Cut, Onion!", "unchanged"),
        ("I'm sorry, I can't help with that", "refusal"),
        ("A person wearing gloves cuts", "visual"),
    ],
)
def test_a_description_is_checked(description, kind):
    problem = check_description("cut onion", description, ("wearing", "red"))
    assert (problem.kind if problem else None) == kind


def test_counts_and_exclusions_add_up(tmp_path):
    prompt = make_prompt(tmp_path)
    given = {
        "cut onion": {"description": "A knife taps"},
        "open door": {"description": "open door"},
        "wash pan": "over budget",
        "old": {"description": "Old sounds"},
        "changed": {"description": "New sounds"},
    }
    texts = texts_of(*given)
    model = Answering(lambda question: given[question.text], known={"old"})
    parts = made_with(prompt, ())
    before = Before(
        {(text_id(text), "plain"): ("1", parts) for text in ("old", "changed", "gone")},
        frozenset(text_id(text) for text in ("old", "changed", "gone", "open door")),
    )
    made = build_descriptions("b", texts, [prompt], NO_POOL, model, (), before)
    assert made.counts.as_metadata() == {
        "wanted": 5, "reused": 1, "new": 1, "stale": 1, "orphaned": 1, "failed": 2,
    }  # fmt: skip
    assert (made.quarantined, made.not_asked) == (1, 1)
    assert made.lacking == {"unchanged": 1, "over budget": 1}
    assert made.causes == {"source": 1, "code": 1}
    rows = EXCLUSIONS.frame(made.exclusions).set_index("item_id")
    assert rows.loc[text_id("open door"), "reason"] == "unchanged"
    assert rows.loc[text_id("wash pan"), "detail"] == "plain: 'wash pan': over budget"
    lacking = {text_id("open door"): "unchanged", text_id("wash pan"): "not asked"}
    assert reasons_lacking(rows.reset_index(), "plain") == lacking
    assert reasons_lacking(rows.reset_index(), "plai") == {}
    assert len(made.table) + len(rows) == 5


def test_a_prompt_is_asked_for_its_benchmarks_only(tmp_path):
    prompt = make_prompt(tmp_path, benchmarks=["epic_sounds"])
    model = Answering(lambda question: {"description": "Sounds"})
    assert build_descriptions("epic_mir", TEXTS, [prompt], NO_POOL, model, ()).table.empty
    assert len(build_descriptions("epic_sounds", TEXTS, [prompt], NO_POOL, model, ()).table) == 3


def caption(number, text):
    return {"benchmark": "b", "caption_id": f"c{number}", "text": text, "text_id": text_id(text)}


def question_row(number, text, usable=True):
    return {
        "benchmark": "b",
        "question_id": f"q{number}",
        "kind": "inter",
        "text": text,
        "text_id": text_id(text),
        "options": ["a", "b"],
        "answer": 0,
        "usable": usable,
    }


def test_wanted_texts_are_distinct_and_of_usable_questions():
    captions = CAPTIONS.frame([caption(1, "cut"), caption(2, "cut"), caption(3, "open")])
    questions = QUESTIONS.frame([question_row(1, "open"), question_row(2, "silent", usable=False)])
    assert set(wanted_texts(captions, questions)["text"]) == {"cut", "open"}
    assert wanted_texts(captions, QUESTIONS.frame([]))["text_id"].is_unique


def test_a_missing_grade_is_in_no_subset():
    grades = INFORMATIVENESS.frame(
        {
            "benchmark": "b",
            "text_id": text_id(text),
            "grader": "g",
            "text": text,
            "level": level,
            "model": "m",
            "key": "k",
        }
        for text, level in (("cut", "high"), ("open", "low"))
    )
    clips = CLIPS.frame(
        {
            "benchmark": "b",
            "clip_id": f"clip{number}",
            "video_id": "v",
            "start_s": 0,
            "stop_s": 1,
            "text": text,
            "text_id": text_id(text),
            "shortened": False,
            "usable": True,
        }
        for number, text in enumerate(["cut", "cut", "ungraded"])
    )
    captions = CAPTIONS.frame([caption(1, "cut"), caption(2, "open"), caption(3, "ungraded")])
    questions = QUESTIONS.frame([question_row(1, "open")])
    members = build_subset_members("b", grades, clips, captions, questions)
    found = set(
        members[["subset", "item_kind", "item_id"]].astype(str).itertuples(index=False, name=None)
    )
    assert found == {
        ("high", "clip", "clip0"),
        ("high", "clip", "clip1"),
        ("high", "caption", "c1"),
        ("low", "caption", "c2"),
        ("low", "question", "q1"),
    }
