"""A small project whose texts are put to a loopback language model: a user's folder, and its doors.

It has one benchmark of its own, `own`: a table of texts beside one recording.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import yaml
from support.media_files import noise, write_audio
from support.openai_server import OpenAIServer
from support.prompt_files import DESCRIBE, GRADE, write_prompt
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.definitions import build_definitions
from pipelines.jobs import REFRESH
from resources.config_file import load_settings
from resources.lake import Lake
from resources.settings import Settings
from resources.table_model import TableModel

BENCHMARK = "own"
ASKED = (
    "media",
    "clips",
    "captions",
    "questions",
    "few_shot_examples",
    "prompts",
    "descriptions",
    "description_exclusions",
    "informativeness",
    "informativeness_exclusions",
    "requests",
)
"""What a run makes until all is asked."""


class AskedProject:
    """A folder with config, prompts `plain` (describes) and `grade`, and texts.

    Attributes:
        config: its file.
        server: the language model.
    """

    def __init__(self, folder: Path, server: OpenAIServer, texts: list[str]) -> None:
        self.folder = folder
        self.config = folder / "own.yaml"
        self.server = server
        (folder / "prompts").mkdir(parents=True)
        write_audio(folder / "a.wav", noise(2.0))
        (folder / "train.csv").write_text(
            "media,start_s,stop_s,visual_text,sound_caption,class\na.wav,0,1,cut,a cut,cut\n"
        )
        self.write_texts(texts)
        self.write_prompt()
        self.write_prompt(**GRADE)
        self.write_config()

    def write_config(self, automation: dict[str, Any] | None = None, **language_model: Any) -> None:
        """The config, with changes to the language model's settings."""
        patience = {"timeout_s": 300, "deadline_s": 900}  # the machine may be busy
        model = {"provider": "openai", "base_url": self.server.url, **patience, **language_model}
        given = {
            "benchmarks": {BENCHMARK: {"adapter": "table", "clips": "own.csv"}},
            "media": ["{video_id}"],
            "language_model": model,
            "encoders": {"baseline": {"kind": "mel_ridge", "train": "train.csv"}},
            "automation": {"settle_s": 0, **(automation or {})},
        }
        self.config.write_text(yaml.safe_dump(given))

    def write_texts(self, texts: list[str]) -> None:
        """The benchmark's table, a clip a text."""
        with (self.folder / "own.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["clip_id", "media", "start_s", "stop_s", "text"])
            writer.writerows([n, "a.wav", 0.1, 1.1, text] for n, text in enumerate(texts))

    def write_prompt(self, **changes: Any) -> Path:
        """A prompt file: `plain`, with changes."""
        return write_prompt(self.folder / "prompts", **{**DESCRIBE, **changes})

    @property
    def settings(self) -> Settings:
        return load_settings(self.config)

    def command(self, *arguments: str, expect: int = 0) -> str:
        """What `sound-approach` prints, 80 columns wide."""
        done = CliRunner().invoke(app, [*arguments, "--config", str(self.config)])
        assert done.exit_code == expect, (done.output, done.exception)
        return done.output

    def materialize(
        self,
        instance: dg.DagsterInstance | None = None,
        raise_on_error: bool = True,
        **tags: str,
    ) -> dg.ExecuteInProcessResult:
        """Make everything until all is asked, as a run of `refresh` with these tags does."""
        self.settings.dagster_home.mkdir(parents=True, exist_ok=True)
        job = build_definitions(self.settings).resolve_job_def(REFRESH)
        return job.execute_in_process(
            instance=instance,
            partition_key=BENCHMARK,
            asset_selection=[dg.AssetKey(name) for name in ASKED],
            tags=tags,
            raise_on_error=raise_on_error,
        )

    def table(self, model: TableModel) -> pd.DataFrame:
        """A table of the lake."""
        return Lake(self.settings.lake_dir).read(model, BENCHMARK)
