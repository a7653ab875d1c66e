"""What commands say to somebody who uses them for the first time, or has no result yet."""

import os
import runpy
import socket
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
import yaml
from support.media_files import write_audio
from support.openai_server import Fault, OpenAIServer
from support.prompt_files import answer_plainly
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.failures import root_cause
from resources.settings import CONFIG_VARIABLE, LIMIT_VARIABLE

COLUMNS = "media,start_s,stop_s,visual_text,sound_caption,class\n"
BASELINE = {"kind": "mel_ridge", "train": "train.csv"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small benchmark of the user's own: three clips, and a training list."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("COLUMNS", "100")
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    write_audio(tmp_path / "media" / "a.wav", noise)
    rows = "".join(f"{n},a,0.{n},1.{n},{text}\n" for n, text in enumerate(("open", "cut", "wash")))
    (tmp_path / "clips.csv").write_text(f"clip_id,media,start_s,stop_s,text\n{rows}")
    (tmp_path / "train.csv").write_text(f"{COLUMNS}media/a.wav,0,1,open door,a creak,door\n")
    return tmp_path


def said(folder, *command, expect, **changes):
    raw = {
        "benchmarks": {"mine": {"adapter": "table", "clips": "clips.csv"}},
        "media": ["media/{video_id}.wav"],
        "prompts": ["describe_zero_shot"],
        "language_model": {"provider": "openai", "base_url": "http://127.0.0.1:9/v1"},
        "encoders": {"baseline": BASELINE},
        **changes,
    }
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(raw))
    done = CliRunner().invoke(app, [*command, "--config", str(file)])
    assert done.exit_code == expect, (done.output, done.exception)
    return done.output.replace(str(folder), "FOLDER")


@pytest.mark.parametrize(
    ("encoder", "why"),
    [
        ({"kind": "mel_ridge", "train": "no.csv"}, "training list missing; FOLDER/no.csv is not"),
        ({"kind": "wavcaps", "checkpoint": "no.pt"}, "warning encoders: other is left out: "),
    ],
)
def test_an_encoder_that_is_left_out_is_a_warning(folder, encoder, why):
    output = said(folder, "validate", expect=0, encoders={"other": encoder, "baseline": BASELINE})
    assert "other is left out" in output
    assert why in output
    assert "no problems" in output


def test_a_training_recording_that_is_not_there_is_a_warning(folder):
    (folder / "train.csv").write_text(f"{COLUMNS}media/gone.wav,0,1,open door,a creak,door\n")
    vectors = {"kind": "precomputed", "audio": "a.parquet", "text": "t.parquet"}
    for name, column in (("a", "clip_id"), ("t", "text")):
        frame = pd.DataFrame({column: ["x"], "vector": [[1.0, 0.0]]})
        frame.to_parquet(folder / f"{name}.parquet")
    output = said(folder, "validate", expect=0, encoders={"own": vectors, "baseline": BASELINE})
    assert "line 2: FOLDER/media/gone.wav is not there" in output


def test_prices_that_are_not_there_are_a_warning(folder):
    model = {"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "prices": "no.yaml"}
    output = said(folder, "validate", expect=0, language_model=model)
    assert "FOLDER/no.yaml: the price list can't be read" in output


def test_only_the_benchmarks_that_are_named_are_checked(folder):
    benchmarks = {
        "mine": {"adapter": "table", "clips": "clips.csv"},
        "other": {"adapter": "table", "clips": "no.csv"},
    }
    assert "no.csv" in said(folder, "validate", expect=2, benchmarks=benchmarks)
    said(folder, "validate", "--benchmark", "mine", expect=0, benchmarks=benchmarks)


@pytest.mark.slow
def test_a_run_says_what_it_lacks_and_fails_where_it_scored_nothing(folder):
    for name, column in (("a", "clip_id"), ("t", "text")):
        frame = pd.DataFrame({column: ["other"], "vector": [[1.0, 0.0]]})
        frame.to_parquet(folder / f"{name}.parquet")
    encoders = {
        "own": {"kind": "precomputed", "audio": "a.parquet", "text": "t.parquet"},
        "baseline": {"kind": "mel_ridge", "train": "no.csv"},
    }
    with OpenAIServer(answer_plainly) as server:
        server.fault = lambda number, body: (
            Fault("drop") if "cut" in body["messages"][-1]["content"] else None
        )
        model = {"provider": "openai", "base_url": server.url, "max_attempts": 1}
        output = said(folder, "run", expect=1, encoders=encoders, language_model=model)
    assert "mine: descriptions without an answer: connection 1\n" in output
    assert f"connection: {server.url}: " in output
    assert "1 are still to be asked: sound-approach run --config FOLDER/mine.yaml" in output
    assert "left out baseline: training list missing: FOLDER/no.csv is not there" in output
    assert "Nothing was scored." in output


@pytest.mark.parametrize("command", ["validate", "run"])
def test_without_any_encoder_that_can_run_nothing_starts(folder, command):
    encoders = {"baseline": {"kind": "mel_ridge", "train": "no.csv"}}
    output = said(folder, command, expect=2, encoders=encoders)
    assert "1 problem(s):\n  - encoders: no encoder can run here" in output
    assert "no.csv is not there" in output
    assert not (folder / "outputs").exists()


def test_a_limited_run_is_opened_by_the_same_limit(folder, monkeypatch):
    for name in ("DAGSTER_HOME", CONFIG_VARIABLE, LIMIT_VARIABLE):
        monkeypatch.setenv(name, "")
    monkeypatch.chdir(folder)
    started = []
    monkeypatch.setattr(os, "execv", lambda program, command: started.append(command))
    said(folder, "ui", "--limit", "2", "--port", str(free_port()), expect=0)
    assert started
    assert os.environ["DAGSTER_HOME"] == str(folder / "outputs" / "mine-limit-2" / "dagster_home")
    defs = runpy.run_module("pipelines.definitions")["defs"]
    assert defs.resources["project"].limit == 2
    said(folder, "ui", "--port", str(free_port()), expect=0)
    assert runpy.run_module("pipelines.definitions")["defs"].resources["project"].limit is None


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.mark.parametrize("command", ["search", "listen", "explain"])
def test_what_a_limited_run_made_is_looked_for_where_it_lies(folder, command):
    options = {
        "search": ("a cut", "-e", "baseline", "-b", "mine"),
        "listen": (),
        "explain": ("--table", "paper_table_1", "--column", "map_published"),
    }
    output = said(folder, command, *options[command], "--limit", "2", expect=2)
    assert "FOLDER/outputs/mine-limit-2" in output


def test_a_port_that_is_taken_is_told_before_anything_starts(folder):
    with socket.create_server(("127.0.0.1", 0)) as server:
        output = said(folder, "ui", "--port", str(server.getsockname()[1]), expect=2)
    assert "is taken: choose another with --port" in output
    assert not (folder / "outputs").exists()


@pytest.mark.parametrize(
    ("command", "expect", "words"),
    [
        (("--version",), 0, version("sound-approach")),
        (("run", "--limit", "-3"), 2, "greater than or equal to 1"),
        (("ui", "--port", "99999"), 2, "less than or equal to 65535"),
        (("bundle", "unpack", "no.zip", "new"), 2, "no.zip is not there"),
        (("explain", "--help"), 0, "[OPTIONS] [COLUMN=VALUE]..."),
    ],
)
def test_commands_say_what_they_want(tmp_path, monkeypatch, command, expect, words):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == expect
    assert words in done.output


def test_what_a_failed_run_prints_names_no_class():
    said = "resources.language_model.question.LanguageModelError: the server refuses: 404"
    assert root_cause(said) == "the server refuses: 404"
    assert root_cause("ValueError: assets: 3") == "ValueError: assets: 3"
