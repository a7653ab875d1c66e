"""Pages that lie on disk: rendered from templates, written in one step, and only when they change.

A page carries in its head a hash of everything that decides it, this package included.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    import jinja2

_ICON = "data:image/svg+xml," + quote(
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>"
    "<rect width='16' height='16' rx='3' fill='#0b5c63'/>"
    "<path d='M3 8h1M5.5 5v6M8 3v10M10.5 6v4M13 7.5v1' stroke='#fff' stroke-width='1.5' "
    "stroke-linecap='round'/></svg>"
)
"""A sound wave. A page that names its icon makes no browser ask for another."""
TEMPLATES = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """The templates: what they are given is escaped, and a name they are not given is an error."""
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["icon"] = _ICON
    return found


def hash_of(shown: object) -> str:
    """A hash of what a page shows (its `repr` says all of it), and of what draws it."""
    digest = hashlib.sha256(repr(shown).encode())
    for file in sorted([*Path(__file__).parent.rglob("*.py"), *TEMPLATES.iterdir()]):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def write_page(target: Path, made_from: str, render: Callable[[], str]) -> bool:
    """Write a page in one step, unless it is there already.

    Args:
        target: the HTML file.
        made_from: its `hash_of`; the page names it in the first lines of its head.
        render: makes the page.

    Returns:
        Whether it was written: False where the page was made from exactly this.
    """
    if _is_made_from(target, made_from):
        return False
    page = render()
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(page)
        Path(temporary).chmod(0o644)  # mkstemp's files are private; a page is to be shared
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


def _is_made_from(target: Path, made_from: str) -> bool:
    if not target.is_file():
        return False
    with target.open(encoding="utf-8", errors="replace") as file:
        return f'content="{made_from}"' in file.read(2000)
