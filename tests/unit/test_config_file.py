"""Config files: what is wrong with one is said all at once, in the words of who edits it."""

import pytest
import yaml
from dagster._utils.schedules import is_valid_cron_schedule
from pydantic import ValidationError

from assets.reports.portable import portable_config
from resources.config_file import SettingsError, load_settings
from resources.language_model.recorded import read_recorded
from resources.settings import AutomationSettings, FailureHookSettings, OpenAISettings

BASE = {
    "benchmarks": {"epic_sounds": {"segments": "segments.csv"}},
    "language_model": {"provider": "recorded", "answers": "answers.jsonl"},
    "encoders": {"baseline": {"kind": "mel_ridge", "train": "train.csv"}},
}


def problems(folder, text):
    """What is said of a config, a line a problem."""
    file = folder / "own.yaml"
    file.write_text(text if isinstance(text, str) else yaml.safe_dump({**BASE, **text}))
    with pytest.raises(SettingsError) as raised:
        load_settings(file)
    return str(raised.value).replace(str(file), "FILE").splitlines()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"benchmarks": {"own": {"clips": "x.csv"}}},
         "benchmarks.own: `adapter:` is missing; there are ego_mcq, epic_mir, epic_sounds, table"),
        ({"benchmarks": {"own": None}},
         "benchmarks.own: `adapter:` is missing; there are ego_mcq, epic_mir, epic_sounds, table"),
        ({"benchmarks": {"own": {"adapter": "tabel", "clips": "x.csv"}}},
         "benchmarks.own: no adapter `tabel`; there are 'epic_mir', 'ego_mcq', 'epic_sounds', "
         "'table'"),
        ({"benchmarks": {"own": {"adapter": "table", "clips": "x.csv", "texts": "text"}}},
         "benchmarks.own.texts: write a list: [text] (given: 'text')"),
        ({"benchmarks": {"own": {"adapter": "table", "clips": "x", "columns": {"class": "c"}}}},
         "benchmarks.own.columns.class: unknown key; remove it or mend its spelling"),
        ({"encoders": {"mel_ridge": {"kind": "mel_ridge", "tran": "x.csv", "train": "y.csv"}}},
         "encoders.mel_ridge.tran: unknown key; remove it or mend its spelling"),
        ({"encoders": {"baseline": {"kind": "mel_ridge"}}}, "encoders.baseline.train: missing"),
        ({"encoders": {"baseline": "mel_ridge"}},
         "encoders.baseline: write its keys below it, each as `key: value` (given: 'mel_ridge')"),
        ({"prompts": "describe_zero_shot"},
         "prompts: should be 'all' (given: 'describe_zero_shot') or "
         "write a list: [describe_zero_shot] (given: 'describe_zero_shot')"),
        ({"prompts": ["describe_zero_shot", 1]},
         "prompts.1: should be a valid string (given: 1)"),
        ({"media": "recordings/{video_id}.wav"},
         "media: write a list: [recordings/{video_id}.wav] (given: 'recordings/{video_id}.wav')"),
        ({"seeds": 0}, "seeds: write a list: [0] (given: 0)"),
        ({"automation": {"nightly": "daily"}},
         "automation.nightly: `daily` is no time table: write minute, hour, day, month and "
         'weekday, such as "0 3 * * *" for three at night, or "@daily"'),
        ({"language_model": {"provider": "openai", "base_url": "localhost:8080"}},
         "language_model.base_url: `localhost:8080` is no web address: it starts with http:// or "
         "https://"),
        ({"encoders": {"fused": {"kind": "late_fusion", "weights": {"a": 1, "b": 1}}}},
         "encoder fused fuses a, b: name others of `encoders:`"),
    ],
)  # fmt: skip
def test_a_problem_names_its_place_and_the_remedy(tmp_path, edit, said):
    assert problems(tmp_path, edit) == ["FILE: 1 problem(s) in this config:", f"  - {said}"]


def test_all_problems_are_said_at_once(tmp_path):
    edit = {"seeds": 0, "metrics": {"resample": 2}, "automation": {"nightly": "60 3 * * *"}}
    assert len(problems(tmp_path, edit)) == 4


def test_an_official_benchmark_needs_nothing_below_its_name(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump({**BASE, "benchmarks": {"epic_mir": None}}))
    given = load_settings(file).benchmarks["epic_mir"]
    assert given.clips.name == "EPIC_100_retrieval_test.csv"


def test_a_config_without_prompts_needs_no_language_model(tmp_path):
    file = tmp_path / "own.yaml"
    given = {name: BASE[name] for name in ("benchmarks", "encoders")}
    file.write_text(yaml.safe_dump({**given, "prompts": []}))
    assert read_recorded(load_settings(file).language_model.answers) == {}
    said = problems(tmp_path, yaml.safe_dump(given))
    assert said[1].startswith("  - `language_model:` is missing: say who answers the prompts, or")


def test_all_environment_variables_that_are_not_set_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HERE", "x")
    for name in ("FIRST", "SECOND"):
        monkeypatch.delenv(name, raising=False)
    lines = problems(tmp_path, "name: ${HERE}\nmedia: [${FIRST}/a, ${SECOND}/b, ${FIRST}/c]\n")
    assert lines[1:] == [
        "  - the environment variable FIRST is not set",
        "  - the environment variable SECOND is not set",
    ]


def test_a_key_that_is_there_twice_is_an_error(tmp_path):
    [line] = problems(tmp_path, "name: own\nseeds: [0]\nmetrics: {seed: 1, seed: 2}\n")
    assert "`seed:` is there twice, in lines 3 and 3; keep one" in line
    [line] = problems(tmp_path, "seeds: [0]\nname: own\nseeds: [1]\n")
    assert "`seeds:` is there twice, in lines 1 and 3; keep one" in line


def test_yaml_may_merge_a_mapping_and_replace_a_key_of_it(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(
        yaml.safe_dump({name: BASE[name] for name in ("benchmarks", "language_model")})
        + "encoders:\n  a: &a {kind: mel_ridge, train: a.csv, ridge: 1}\n"
        + "  b: {<<: *a, ridge: 2}\n"
    )
    encoders = load_settings(file).encoders
    assert (encoders["a"].ridge, encoders["b"].ridge) == (1, 2)
    assert encoders["a"].train == encoders["b"].train


@pytest.mark.parametrize(
    "cron",
    [
        "@daily", "daily", "0 3 * * *", "60 3 * * *", "0 24 * * *", "*/15 * * * *", "0 3 * *",
        "0 0 1-5,9 * MON-fri", "0 0 L * *", "0 0 * * 7", "0 0 * * 8", "? * * * *", "*/0 * * * *",
        "0 3 * jan *", "MON * * * *", "0 0 0 * *", "0 3 * * * *", "0 3 * * sunday", "05 03 01 01 1",
    ],
)  # fmt: skip
def test_a_time_table_is_taken_where_dagster_takes_it(cron):
    if is_valid_cron_schedule(cron):
        assert AutomationSettings(nightly=cron).nightly == cron
    else:
        with pytest.raises(ValidationError, match="no time table"):
            AutomationSettings(nightly=cron)


def test_web_addresses_may_have_no_path():
    assert OpenAISettings(provider="openai", base_url="http://h:1").base_url == "http://h:1"
    assert FailureHookSettings(webhook="https://h/x").webhook == "https://h/x"


def test_a_shared_config_asks_the_same_model_of_its_recorded_answers(tmp_path):
    file = tmp_path / "own.yaml"
    model = {"provider": "openai", "base_url": "http://127.0.0.1:8080/v1", "model": "mine"}
    file.write_text(yaml.safe_dump({**BASE, "language_model": model}))
    file.write_text(portable_config(load_settings(file), "answers.jsonl"))
    shared = load_settings(file).language_model
    assert (shared.provider, shared.model) == ("recorded", "mine")
