"""One file from an address to a folder: resumed where it was cut off, verified, kept once.

What is being fetched lies under `<name>.part`; only a file whose digest is right gets its name. Two
processes that want the same file wait for each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
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
) -> Path:
    """Fetch a file, unless it is there.

    Args:
        url: its address.
        target: where it is to lie.
        digest: `sha256:<hex>` or `md5:<hex>`; None where nobody publishes one.
        progress: told how much is here.
        timeout_s: how long a server may be silent.

    Raises:
        DownloadError: it can't be fetched, or is not what it should be.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.exists():
            try:
                _fetch(url, target, digest, progress or (lambda here, of: None), timeout_s)
            except OSError as error:
                raise DownloadError(f"{target}: can't be written: {error.strerror}.") from error
    return target


def _fetch(
    url: str, target: Path, digest: str | None, progress: Progress, timeout_s: float
) -> None:
    part = Path(f"{target}.part")
    faults: list[str] = []
    for _ in range(ATTEMPTS):
        resumed = part.exists()
        try:
            _receive(url, part, progress, timeout_s)
            _verify(part, digest)
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


def _verify(part: Path, digest: str | None) -> None:
    if digest is None:
        return
    algorithm, _, expected = digest.partition(":")
    with part.open("rb") as file:
        found = hashlib.file_digest(
            file, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()
    if found != expected:
        raise _WrongContentError(f"its {algorithm} is {found}, not {expected}")


def _message(url: str, target: Path, fault: str) -> str:
    return (
        f"{url} can't be fetched: {fault}. Fetch it elsewhere and put it at {target}, or name your "
        f"own copy in the config."
    )
