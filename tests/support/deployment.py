"""What `deploy/compose.yaml` starts in containers, started by the same commands as processes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from support.live_project import LiveProject
from support.ports import free_port
from support.processes import end_service, start_service

from resources.settings import PROJECT_ROOT

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}")


class Deployment(LiveProject):
    """A user's folder with `deploy/`, and its services, each a process on loopback.

    Args:
        folder: the user's.
        postgres: `host:port` of a running server.
        password: of its user.
        changes: replace top-level keys of `deploy/cluster.yaml`.
    """

    def __init__(self, folder: Path, postgres: str, password: str, **changes: Any) -> None:
        super().__init__(folder)
        shutil.copytree(PROJECT_ROOT / "deploy", folder / "deploy")
        self.config = folder / "deploy" / "cluster.yaml"
        raw = yaml.safe_load(self.config.read_text())
        self.config.write_text(yaml.safe_dump({**raw, **changes}))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._variables = {
            "SOUND_APPROACH_CONFIG": str(self.config),
            "DAGSTER_HOME": str(folder / "outputs" / "cluster" / "dagster_home"),
            "POSTGRES_AT": postgres,
            "PGPASSWORD": password,
            "CODE_HOST": "127.0.0.1",
            "CODE_PORT": str(free_port()),
            "LISTEN": "127.0.0.1",
            "WEB_PORT": str(self.port),
        }

    def start(self) -> None:
        """Start every service in the order of the file; one that ends by itself is waited for."""
        compose = yaml.safe_load((self.folder / "deploy" / "compose.yaml").read_text())
        for name, service in compose["services"].items():
            if service["image"] == "sound-approach":
                self._start(name, service)
        self.wait_for(self._answers, 120, "the web server to answer")

    def stop(self) -> None:
        """End every service, as `docker compose kill` would."""
        for process in self._processes.values():
            end_service(process)
        super().stop()

    def _start(self, name: str, service: dict[str, Any]) -> None:
        program, *arguments = [self._filled(part) for part in service["command"]]
        environment = {key: self._filled(value) for key, value in service["environment"].items()}
        process = start_service(
            [Path(sys.executable).parent / program, *arguments],
            self.folder,
            self.folder / "ui.log",
            {**environment, "PYTHONWARNINGS": "ignore"},
        )
        if service["restart"] == "no":
            assert process.wait() == 0, (self.folder / "ui.log").read_text()[-4000:]
        else:
            self._processes[name] = process

    def _filled(self, text: str) -> str:
        """A text with its variables replaced, as compose does it."""
        return _VARIABLE.sub(lambda found: self._variables.get(found[1], found[2] or ""), text)
