"""Which outputs rely on a cache folder: what is dear lies there for all of them.

Every run leaves the places of its output and its lake in `<cache_dir>/used_by`, so that nobody who
tidies up the cache has to guess whose vectors they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from resources.folders import Address
from resources.settings import Settings


class CacheUserError(RuntimeError):
    """An output that relies on the cache can't be looked at; the message says what to do."""


@dataclass(frozen=True, order=True)
class CacheUser:
    """One output, and where its tables lie."""

    output: Path
    lake: Address


def register(settings: Settings) -> None:
    """Remember that this config's output relies on its cache."""
    text = f"{settings.output}\n{settings.lake_dir}\n"
    entry = _folder(settings) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.txt"
    if not entry.exists():
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_text(text, encoding="utf-8")


def cache_users(settings: Settings) -> list[CacheUser]:
    """Every output that is known to rely on this cache: those that ran, and all beside this one.

    Raises:
        CacheUserError: one that ran lies in a folder that is not there, such as a disk that is not
            mounted. (One whose own folder alone is gone was deleted, and doesn't count.)
    """
    beside = (lake for lake in settings.output.parent.glob("*/lake") if lake.is_dir())
    found = {CacheUser(lake.parent, lake) for lake in beside}
    found.add(CacheUser(settings.output, settings.lake_dir))
    for entry in sorted(_folder(settings).glob("*.txt")):
        output, lake = entry.read_text(encoding="utf-8").splitlines()
        if not Path(output).parent.is_dir():
            raise CacheUserError(
                f"{output} relies on this cache, and its folder is not there: mount its disk, or, "
                f"if it is gone for good, delete {entry}"
            )
        found.add(CacheUser(Path(output), lake if "://" in lake else Path(lake)))
    return sorted((user for user in found if user.output.is_dir()), key=str)


def _folder(settings: Settings) -> Path:
    return settings.cache_dir / "used_by"
