"""Telling somebody outside that a run has failed: a command of theirs, a web address, or both."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from resources.settings import FailureHookSettings

TIMEOUT_S = 20.0
"""For each of them; a sensor's tick, in which they are told, may take a minute."""
_SHOWN = 300


class HookError(Exception):
    """Somebody could not be told; the message says who and why, and nothing secret."""


def tell(
    hook: FailureHookSettings,
    message: Mapping[str, Any],
    folder: Path,
    without: tuple[str, ...] = (),
    timeout_s: float = TIMEOUT_S,
) -> list[str]:
    """Hand a message over as JSON: on a command's standard input, and as the body of a POST.

    Args:
        hook: whom to tell.
        message: what to say.
        folder: where the command runs.
        without: environment variables that it does not get, since they hold secrets.
        timeout_s: how long each may take.

    Returns:
        Why somebody could not be told; empty if all went well. Nothing is tried twice.
    """
    body = json.dumps(message, ensure_ascii=False).encode()
    ways: list[Callable[[], None]] = []
    if hook.command is not None:
        command = hook.command
        ways.append(lambda: _run(command, body, folder, without, timeout_s))
    if hook.webhook is not None:
        address = hook.webhook
        ways.append(lambda: _post(address, body, timeout_s))
    problems = []
    for way in ways:
        try:
            way()
        except HookError as error:
            problems.append(str(error))
    return problems


def _run(
    command: tuple[str, ...], body: bytes, folder: Path, without: tuple[str, ...], timeout_s: float
) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in without}
    # Into a file, since a pipe would be waited for as long as a child of the command holds it.
    with tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(  # noqa: S603 (the user's own command, no shell)
                command,
                input=body,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise HookError(f"{command[0]} took more than {timeout_s:.0f} s: ended") from error
        except OSError as error:
            raise HookError(f"{command[0]} can't be started: {error.strerror}") from error
        if done.returncode:
            said.seek(0)
            last = said.read().decode(errors="replace").strip()[-_SHOWN:]
            raise HookError(f"{command[0]} ended with status {done.returncode}: {last}")


def _post(address: str, body: bytes, timeout_s: float) -> None:
    """Post JSON; only the address's host is ever named, since the rest may be a secret."""
    import httpx

    host = urlsplit(address).hostname
    try:
        answer = httpx.post(
            address, content=body, headers={"Content-Type": "application/json"}, timeout=timeout_s
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise HookError(f"the webhook at {host} can't be reached: {type(error).__name__}") from None
    if not answer.is_success:
        raise HookError(f"the webhook at {host} answers {answer.status_code}")
