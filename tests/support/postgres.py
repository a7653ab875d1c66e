"""A PostgreSQL server on loopback with a folder of its own, and a new database for each test.

The server refuses to run as root, so root starts it as another user. Passwords are asked for, as
anywhere else: `PGPASSWORD` holds the right one.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from support.ports import free_port

USER = "sound"
_numbers = count(1)


class PostgresServer:
    """A running server. It can be stopped and started again."""

    def __init__(self, programs: Path, folder: Path, password: str) -> None:
        self.programs = programs
        self.folder = folder
        self.password = password
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                *_as_other_user(),
                *(self.programs / "postgres", "-D", self.folder / "data"),
                *("-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-c", "fsync=off"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        ready = [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(600):
            if subprocess.run(ready, check=False).returncode == 0:
                return
            assert self._process.poll() is None, "the server ended"
            time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def stop(self) -> None:
        """End at once, as a crash would."""
        if self._process:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def new_database(self) -> str:
        """The URL of a new, empty database; the password stays in the environment."""
        name = f"test_{next(_numbers)}"
        subprocess.run(
            [self.programs / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, name],
            check=True,
            env={**os.environ, "PGPASSWORD": self.password},
        )
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"


def postgres_programs() -> Path:
    """The folder of the server's programs; skips the test where there are none."""
    on_path = shutil.which("postgres")
    found = [*filter(None, [on_path]), *sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))]
    folders = [Path(program).resolve().parent for program in found]
    whole = [folder for folder in folders if (folder / "initdb").exists()]
    if not whole:
        pytest.skip("no PostgreSQL server is installed: apt-get install postgresql")
    if os.getuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("PostgreSQL refuses to run as root, and there is no setpriv to change user")
    return whole[-1]


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server of its own, gone at the end with all that it held."""
    programs = postgres_programs()
    folder = Path(tempfile.mkdtemp(prefix="sound-approach-postgres-"))
    password = secrets.token_hex(8)
    try:
        (folder / "password").write_text(password)
        if os.getuid() == 0:
            owner = _other_user()
            for path in (folder, folder / "password"):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        subprocess.run(
            [
                *_as_other_user(),
                *(programs / "initdb", "-D", folder / "data", "-U", USER, "--no-sync"),
                *("--auth=scram-sha-256", "--pwfile", folder / "password", "--encoding=UTF8"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        server = PostgresServer(programs, folder, password)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _as_other_user() -> list[str]:
    """What starts a command as somebody else than root, to end with this process."""
    if os.getuid() != 0:
        return []
    owner = _other_user()
    change = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    return ["setpriv", *change, "--pdeathsig=QUIT"]


def _other_user() -> pwd.struct_passwd:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """One server for the tests of a module."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Where a ledger lies, new for each test; None: in the file of the cache's folder."""
    if request.param == "sqlite":
        return None
    server = request.getfixturevalue("postgres")
    monkeypatch.setenv("PGPASSWORD", server.password)
    return server.new_database()
