"""What is wrong with a config's files is told at once, and before anything is asked or paid."""

import json

import pytest
import yaml
from support.benchmark_files import clip_row, ego_mcq, epic_mir, question, record, settings_for
from support.prompt_files import DESCRIBE, write_prompt
from typer.testing import CliRunner

from assets.benchmarks.annotation_files import AnnotationError
from assets.descriptions import assets as declared
from assets.descriptions.asking import AskedError, read_asked
from assets.descriptions.checking import check_files
from pipelines.cli import app
from resources.table_assets.stage import Stage
from resources.tables import CAPTIONS, QUESTIONS

OPTIONS = [record(f"v{n}", 1.0, 2.0, text) for n, text in enumerate("abcde")]


@pytest.fixture
def annotations(tmp_path):
    """Good files of two benchmarks, and what else a run reads."""
    (tmp_path / "answers.jsonl").write_text("")
    (tmp_path / "prompts").mkdir()
    write_prompt(tmp_path / "prompts")
    return {
        "epic_mir": epic_mir(tmp_path, [clip_row("P01_11_0"), clip_row("P01_11_1")]),
        "ego_mcq": ego_mcq(tmp_path, [question(OPTIONS, answer) for answer in (0, 1)]),
    }


def test_every_missing_file_is_listed_by_one_command(tmp_path, annotations):
    missing = {
        "epic_mir": {"descriptions_from": ["a_gpt.csv"], "levels_from": ["b_gptfiltered_low.csv"]},
        "ego_mcq": {"descriptions_from": ["c_gpt.json"], "levels_from": ["d_moderate_high.json"]},
    }
    config = {
        "benchmarks": {name: {**files, **missing[name]} for name, files in annotations.items()},
        "few_shot": {"audiocaps": ["e.csv"], "kinetics": ["f.csv"]},
        "styles": {"clotho": ["g.csv"]},
        "language_model": {"provider": "recorded", "answers": "h.jsonl"},
        "encoders": {"mel": {"kind": "mel_ridge", "train": "train.csv"}},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    done = CliRunner().invoke(app, ["validate", "--config", str(tmp_path / "mine.yaml")])
    assert done.exit_code == 2
    for name in (
        "a_gpt.csv: no such file",
        "b_gptfiltered_low.csv: no such file",
        "c_gpt.json: no such file",
        "d_moderate_high.json: no such file",
        "e.csv: no such file",
        "f.csv: no such file",
        "g.csv can't be read",
        "h.jsonl: recorded answers can't be read",
        "train.csv is not there",
    ):
        assert f"{tmp_path}/{name}" in done.output


def test_a_problem_that_several_readers_meet_is_told_once(tmp_path, annotations):
    annotations["epic_mir"]["descriptions_from"] = [str(tmp_path / "a_gpt.csv")]
    annotations["epic_mir"]["clips"] = str(tmp_path / "gone.csv")
    (problem,) = check_files(settings_for(tmp_path, annotations))
    assert problem.startswith(f"epic_mir: {tmp_path}/gone.csv: no such file")


def test_a_prompt_that_wants_more_examples_than_there_are_is_told(tmp_path, annotations):
    system, user = DESCRIBE["messages"]
    shown = {**user, "content": "{{ examples }} " + user["content"]}
    for name, count in (("two", 2), ("three", 3)):
        examples = {"messages": [system, shown], "examples": {"count": count}}
        write_prompt(tmp_path / "prompts", id=name, **examples)
    said = check_files(settings_for(tmp_path, annotations))
    assert [problem.split(": ")[0] for problem in said] == [
        "prompt three (three.yaml)",
        "prompt two (two.yaml)",
    ]


def test_good_files_have_no_problem(tmp_path, annotations):
    assert check_files(settings_for(tmp_path, annotations)) == []


@pytest.mark.parametrize(
    ("table", "kind"), [(declared.descriptions, "_gpt"), (declared.informativeness, "_low_high")]
)
def test_the_authors_files_are_read_before_anything_is_asked(
    tmp_path, annotations, monkeypatch, table, kind
):
    """What is none of the benchmark's stands last: all answers would be paid for by then."""
    given = annotations["ego_mcq"]
    twin = tmp_path / f"egomcq{kind}.json"
    questions = {str(n): question(OPTIONS, answer) for n, answer in enumerate((0, 1))}
    questions["9"] = question(OPTIONS, 2)
    twin.write_text(json.dumps(questions))
    key = "descriptions_from" if kind == "_gpt" else "levels_from"
    settings = settings_for(tmp_path, {"ego_mcq": {**given, key: [str(twin)]}})
    monkeypatch.setattr(declared, "open_language_model", lambda *_, **__: pytest.fail("asked"))
    stage = Stage(settings, "ego_mcq")
    for model in (CAPTIONS, QUESTIONS):
        stage.lake.write(model, model.frame([]), "ego_mcq")
    with pytest.raises(AnnotationError, match=str(twin)):
        table.make(stage)
    twin.unlink()
    with pytest.raises(AnnotationError, match=r"no such file; ego_mcq names it under"):
        table.version(stage)


def test_a_plan_names_an_authors_file_that_cant_be_used(tmp_path, annotations):
    annotations["ego_mcq"]["descriptions_from"] = [str(tmp_path / "a_gpt.json")]
    with pytest.raises(AskedError, match=r"a_gpt\.json: no such file"):
        read_asked(settings_for(tmp_path, annotations), "ego_mcq")
