"""Which outputs rely on a cache folder: what is dear lies there for all of them.

Every run leaves its output's path in `<cache_dir>/used_by`, so that nobody who tidies up the cache
has to guess whose vectors they are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from resources.settings import Settings


class CacheUserError(RuntimeError):
    """An output that relies on the cache can't be looked at; the message says what to do."""


def register(settings: Settings) -> None:
    """Remember that this config's output relies on its cache."""
    name = hashlib.sha256(str(settings.output).encode()).hexdigest()[:16]
    entry = _folder(settings) / f"{name}.txt"
    if not entry.exists():
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_text(f"{settings.output}\n", encoding="utf-8")


def outputs(settings: Settings) -> list[Path]:
    """Every output that is known to rely on this cache: those that ran, and all beside this one.

    Raises:
        CacheUserError: one that ran lies in a folder that is not there, such as a disk that is not
            mounted. (One whose own folder alone is gone was deleted, and doesn't count.)
    """
    found = {settings.output, *(lake.parent for lake in settings.output.parent.glob("*/lake"))}
    for entry in sorted(_folder(settings).glob("*.txt")):
        output = Path(entry.read_text(encoding="utf-8").strip())
        if not output.parent.is_dir():
            raise CacheUserError(
                f"{output} relies on this cache, and its folder is not there: mount its disk, or, "
                f"if it is gone for good, delete {entry}"
            )
        found.add(output)
    return sorted(output for output in found if output.is_dir())


def _folder(settings: Settings) -> Path:
    return settings.cache_dir / "used_by"
