"""Services of a test: each in a group of its own, and none outlives the test's own process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def start_service(
    command: Sequence[str | Path], folder: Path, log: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a service; it is ended by `end_service`, or where this process is killed.

    Args:
        command: program and arguments.
        folder: where it works.
        log: to which all that it says is added.
        environment: beside this process's own.
    """
    setpriv = shutil.which("setpriv")  # of Linux: has the system end it when its parent is gone
    dying = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
    with log.open("ab") as file:
        return subprocess.Popen(
            [*dying, *command],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end_service(process: subprocess.Popen[bytes]) -> None:
    """End a service and its children, as a crash would: nobody gets to say goodbye."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
