"""Where rating sheets, their keys and raters' answers lie: `<output>/ratings`.

The key says which side of an item is the description. It never leaves this folder; what raters get
is the page beside it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from assets.reports.ratings.drawing import KEY_COLUMNS


class KeyMissingError(LookupError):
    """A sheet's key is gone, so that nobody can tell whose text is whose; the message says more."""


@dataclass(frozen=True)
class RatingsFolder:
    """The folder of all sheets of one output."""

    root: Path

    @property
    def keys(self) -> dict[str, Path]:
        """The key of every sheet that was drawn, by the sheet's id."""
        return {path.stem: path for path in sorted((self.root / "keys").glob("*.csv"))}

    def page(self, sheet: str) -> Path:
        """The page of a sheet."""
        return self.root / f"sheet-{sheet}.html"

    def key(self, sheet: str) -> pd.DataFrame:
        """A sheet's items, `KEY_COLUMNS`, in the order in which raters meet them.

        Raises:
            KeyMissingError: it is not there.
        """
        file = self.root / "keys" / f"{sheet}.csv"
        if not file.is_file():
            raise KeyMissingError(
                f"{file} is not there: put the sheet's key back, draw the same sheet again (same "
                f"tables, --n and --seed), or remove its ratings, {self.root / 'answers' / sheet}"
            )
        return pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")

    def write_key(self, items: pd.DataFrame) -> str:
        """Store the key of newly drawn items; returns the sheet's id, which follows from it."""
        text = items[list(KEY_COLUMNS)].to_csv(index=False, lineterminator="\n")
        sheet = hashlib.sha256(text.encode()).hexdigest()[:12]
        file = self.root / "keys" / f"{sheet}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return sheet

    def answers(self) -> list[Path]:
        """Every rater's file that was imported, in order of sheet and rater."""
        return sorted((self.root / "answers").glob("*/*.csv"))

    def answer(self, sheet: str, rater: str) -> Path:
        """Where a rater's file is kept. The name serves as a file's name in any file system."""
        plain = re.sub(r"[^a-z0-9]+", "-", rater.lower()).strip("-")[:40]
        mark = hashlib.sha256(rater.encode()).hexdigest()[:6]
        return self.root / "answers" / sheet / f"{plain}-{mark}.csv"

    def files(self) -> dict[str, Path]:
        """What decides the tables of ratings: every key and imported file, by its place here."""
        files = [*self.keys.values(), *self.answers()]
        return {file.relative_to(self.root).as_posix(): file for file in files}

    def version(self) -> list[tuple[str, str]]:
        """The content of `files`."""
        return [
            (name, hashlib.sha256(file.read_bytes()).hexdigest())
            for name, file in self.files().items()
        ]
