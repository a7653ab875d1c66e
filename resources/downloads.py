"""One file from an address to a folder: resumed where it was cut off, verified, kept once.

What is being fetched lies under `<name>.part`; only a file that is what it should be gets its name.
One without a published digest is never put together from two pieces, since nobody could tell
whether they fit. Two processes that want the same file wait for each other.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from filelock import FileLock

ATTEMPTS = 4
_TIMEOUT_S = 30.0
_GIVING = {200, 206}
_PASSING = {408, 425, 429, 500, 502, 503, 504}

Progress = Callable[[int, int], None]
"""Called with (bytes here, bytes of all; 0 where the server does not say)."""


class DownloadError(RuntimeError):
    """A file can't be fetched; the message names its address, and where to put it by hand."""


class _PassingError(Exception):
    """A fault that another attempt may not meet."""


class _FinalError(Exception):
    """A fault that every attempt would meet."""


class _WrongContentError(Exception):
    """All of the file came, and it is another one."""


def download(
    url: str,
    target: Path,
    digest: str | None,
    progress: Progress | None = None,
    timeout_s: float = _TIMEOUT_S,
    columns: Sequence[str] = (),
) -> Path:
    """Fetch a file, unless it is there.

    Args:
        url: its address.
        target: where it is to lie.
        digest: `sha256:<hex>` or `md5:<hex>`; None where nobody publishes one.
        progress: told how much is here.
        timeout_s: how long a server may be silent.
        columns: what the header of a CSV file names, at least; looked at where there is no digest.

    Raises:
        DownloadError: it can't be fetched, or is not what it should be.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.exists():
            check = partial(_verify, digest=digest, columns=columns)
            can_resume = digest is not None
            try:
                _fetch(url, target, check, can_resume, progress or _unseen, timeout_s)
            except OSError as error:
                raise DownloadError(f"{target}: can't be written: {error.strerror}.") from error
    return target


def _unseen(here: int, of: int) -> None:
    pass


def _fetch(
    url: str,
    target: Path,
    check: Callable[[Path], None],
    can_resume: bool,
    progress: Progress,
    timeout_s: float,
) -> None:
    part = Path(f"{target}.part")
    faults: list[str] = []
    for _ in range(ATTEMPTS):
        if not can_resume:
            part.unlink(missing_ok=True)
        resumed = part.exists()
        try:
            _receive(url, part, progress, timeout_s)
            check(part)
        except _PassingError as fault:
            faults.append(str(fault))
        except _FinalError as fault:
            raise DownloadError(_message(url, target, str(fault))) from fault
        except _WrongContentError as fault:
            part.unlink()
            if not resumed:
                raise DownloadError(_message(url, target, str(fault))) from fault
            faults.append(f"{fault}, after going on where it was cut off")
        else:
            part.replace(target)
            return
    raise DownloadError(_message(url, target, f"{len(faults)} attempts failed: {faults[-1]}"))


def _receive(url: str, part: Path, progress: Progress, timeout_s: float) -> None:
    """Append what is missing; a server that knows no ranges sends everything again."""
    import httpx

    here = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={here}-"} if here else {})}
    try:
        with httpx.stream(
            "GET", url, headers=headers, timeout=timeout_s, follow_redirects=True
        ) as response:
            if response.status_code == 416:
                return  # nothing is missing: the digest decides
            _check_status(response.status_code)
            here = here if response.status_code == 206 else 0
            of = here + int(response.headers.get("Content-Length", -here))
            with part.open("ab" if here else "wb") as file:
                for block in response.iter_raw():
                    file.write(block)
                    here += len(block)
                    progress(here, of)
    except httpx.HTTPError as error:
        raise _PassingError(f"{type(error).__name__}: {error}") from error


def _check_status(status: int) -> None:
    if status in _PASSING:
        raise _PassingError(f"the server answers {status}")
    if status not in _GIVING:
        raise _FinalError(f"the server answers {status}")


def _verify(part: Path, digest: str | None, columns: Sequence[str]) -> None:
    if digest is None:
        _verify_header(part, columns)
        return
    algorithm, _, expected = digest.partition(":")
    with part.open("rb") as file:
        found = hashlib.file_digest(
            file, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()
    if found != expected:
        raise _WrongContentError(f"its {algorithm} is {found}, not {expected}")


def _verify_header(part: Path, columns: Sequence[str]) -> None:
    with part.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        first = file.readline()
    header = next(csv.reader([first]), [])
    missing = [column for column in columns if column not in header]
    if missing:
        raise _WrongContentError(
            f"its first line, {first.strip()[:80]!r}, has no column {', '.join(missing)}"
        )


def _message(url: str, target: Path, fault: str) -> str:
    return (
        f"{url} can't be fetched: {fault}. Fetch it elsewhere and put it at {target}, or name your "
        f"own copy in the config."
    )
