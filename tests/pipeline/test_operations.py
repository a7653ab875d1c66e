"""Every command of docs/operations.md, run in a user's folder in the order of the page."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.asked_project import AskedProject
from support.documentation import shell_commands
from support.media_files import noise, write_audio
from support.openai_server import OpenAIServer
from support.prompt_files import answer_plainly
from typer.testing import CliRunner

from pipelines.cli import app
from resources.config_file import load_settings
from resources.lake import Lake
from resources.settings import CONFIG_VARIABLE, PROJECT_ROOT
from resources.tables import TEXT_EMBEDDINGS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PAGE = "operations.md"
CONFIG = Path("configs", "mine.yaml")
THERE = "tar -xf moving.tar"
"""From this command on the page is on the other machine, until the next section."""
BROUGHT = ("own.csv", "train.csv", "recordings")
"""What the page says is there already: annotations and recordings."""


@pytest.fixture(scope="module")
def server():
    with OpenAIServer(answer_plainly) as server:
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory, server):
    """A user's folder: a benchmark of twelve texts, a baseline, a language model on loopback."""
    folder = tmp_path_factory.mktemp("operations") / "here"
    made = AskedProject(folder, server, [f"cut onion {number}" for number in range(12)])
    config = yaml.safe_load(made.config.read_text())
    config["encoders"] = {"baseline": {"kind": "mel_ridge", "train": "train.csv"}}
    config["media"] = ["recordings/{video_id}"]
    (folder / "recordings").mkdir()
    (folder / "a.wav").rename(folder / "recordings" / "a.wav")
    write_audio(folder / "recordings" / "b.wav", np.concatenate([noise(1.0), 0.1 * noise(1.0)]))
    rows = ["open door,a loud hiss,loud", "close door,a quiet hiss,quiet"]
    times = ["recordings/b.wav,0,1", "recordings/b.wav,1,2"]
    header = "media,start_s,stop_s,visual_text,sound_caption,class"
    (folder / "train.csv").write_text(
        "\n".join([header, *map(",".join, zip(times, rows, strict=True))]) + "\n"
    )
    (folder / "configs").mkdir()
    (folder / CONFIG).write_text(yaml.safe_dump(config))
    made.config.unlink()
    return folder


def run(command, folder, monkeypatch):
    """A command as the page has it; its output. A run has its process to itself, as for a user."""
    program, *arguments = shlex.split(command)
    monkeypatch.chdir(folder)
    if program == "sound-approach" and arguments[0] != "run":
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, (command, done.output, done.exception)
        return done.output
    words = [sys.executable, "-W", "ignore", "-m", "pipelines.cli"]
    done = subprocess.run(
        [*(words if program == "sound-approach" else [program]), *arguments],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout + done.stderr)
    return done.stdout


def test_every_command_does_what_the_page_says(project, server, tmp_path, monkeypatch):
    for name in ("DAGSTER_HOME", CONFIG_VARIABLE):
        monkeypatch.setenv(name, "")  # commands set them; put back afterwards
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    commands = [said.text.strip() for said in shell_commands() if said.page.name == PAGE]
    assert len(commands) >= 14
    run(f"sound-approach run --config {CONFIG}", project, monkeypatch)
    asked = sum(server.answered.values())
    assert asked == 24
    elsewhere, said = tmp_path / "there", {}
    folder = project
    for command in commands:
        if command == THERE:
            folder = elsewhere
            folder.mkdir()
            run(f"cp -r moving.tar {' '.join(BROUGHT)} {folder}", project, monkeypatch)
        elif " bundle make " in command:
            folder = project
        said[command] = run(command, folder, monkeypatch)
    assert "0 would stop a run" in said["sound-approach doctor --config configs/mine.yaml"]
    assert "nothing is asked or paid" in said["sound-approach plan --config configs/mine.yaml"]
    assert "Every cell comes out" in said["sound-approach bundle verify elsewhere"]
    assert sum(server.answered.values()) == asked, "the other machine asked again"
    assert same_vectors(project, elsewhere)
    stores = [
        sorted(folder.rglob("outputs/cache/vectors/*/*.parquet")) for folder in (project, elsewhere)
    ]
    assert [file.name for file in stores[0]] == [file.name for file in stores[1]]


def same_vectors(*folders):
    lakes = [Lake(load_settings(folder / CONFIG).lake_dir) for folder in folders]
    one, other = (lake.stamp(TEXT_EMBEDDINGS, "own").data_version for lake in lakes)
    return one == other
