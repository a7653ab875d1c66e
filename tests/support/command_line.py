"""`sound-approach run` as a user starts it: a process of its own, and what it left behind."""

import os
import subprocess
import sys

from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT
from resources.warehouse import query


class CommandLineRun:
    """One config, run once at first and then as often as `again` says.

    Attributes:
        server: the loopback language model, if the config names one.
        done: the last finished process, with its output.
    """

    def __init__(self, config, server=None, api_key="sk-test", environment=None, expect=0):
        self.config = config
        self.server = server
        more = {"OPENAI_API_KEY": api_key, "COLUMNS": "100", **(environment or {})}
        self.environment = {**os.environ, **more}
        self.settings = load_settings(config)
        self.again(expect=expect)

    def again(self, *options, expect=0):
        command = [sys.executable, "-m", "pipelines.cli", "run", "--config", str(self.config)]
        self.done = subprocess.run(
            [*command, *options],
            cwd=PROJECT_ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert self.done.returncode == expect, self.done.stdout + self.done.stderr
        return self.done.stdout + self.done.stderr

    def rows(self, sql):
        return query(self.settings.duckdb_file, sql)

    def value(self, sql):
        return self.rows(sql).iloc[0, 0]
