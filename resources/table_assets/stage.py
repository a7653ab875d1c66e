"""What a stage's function gets and gives back: the config, tables made before, a table as made."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from resources.config_file import load_settings
from resources.lake import Lake
from resources.settings import Settings
from resources.table_model import TableModel

PROGRESS_EVERY_S = 2.0


class ProjectConfig(dg.ConfigurableResource):
    """The config file a run works on, read anew by every step, so that an edit needs no reload."""

    config_file: str
    limit: int | None = None
    budget_usd: float | None = None

    def settings(self) -> Settings:
        """The config as it is now (see `config_file.load_settings`)."""
        settings = load_settings(Path(self.config_file), limit=self.limit)
        return settings.with_budget(self.budget_usd)


@dataclass(frozen=True)
class Stage:
    """What a stage's function gets: the config, the partition, and tables made before."""

    settings: Settings
    benchmark: str
    """The partition; empty for tables that have none."""
    log: Callable[[str], None] = print

    @cached_property
    def lake(self) -> Lake:
        """Where tables lie."""
        return Lake(self.settings.lake_dir)

    @property
    def verdicts(self) -> Path:
        """Where it is remembered what checks said of tables."""
        return self.settings.output / "verdicts"

    def table(self, model: TableModel) -> pd.DataFrame:
        """A table made earlier; of a partitioned one this benchmark's rows."""
        return self.lake.read(model, self.benchmark)

    def previous(
        self, model: TableModel, columns: Sequence[str] | None = None
    ) -> pd.DataFrame | None:
        """The table as the last run left it, if there is one in this release's form.

        Of a large one only some `columns` may be wanted: the others are then not read.
        """
        if self.lake.stamp(model, self.benchmark) is None:
            return None
        if columns:
            return self.lake.columns(model, self.benchmark, columns)
        return self.lake.read(model, self.benchmark)

    def progress(self, what: str) -> Callable[..., None]:
        """A callback `(done, total, note="")` that logs them, with rate and time left, at times."""
        start = last = time.monotonic()

        def report(done: int, total: int, note: str = "") -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PROGRESS_EVERY_S and done:
                last = now
                rate = done / (now - start)
                left = (total - done) / rate
                self.log(f"{what}: {done:,} of {total:,}, {rate:.1f}/s, {left:.0f} s left {note}")

        return report


@dataclass(frozen=True)
class Made:
    """A table as a stage's function made it."""

    frame: pd.DataFrame
    counts: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = True
    """False where rows are missing that another run may find: it is then made again."""

    @classmethod
    def whole(
        cls, frame: pd.DataFrame, metadata: Mapping[str, Any] | None = None, failed: int = 0
    ) -> "Made":
        """A table that is made whole or not at all: all its rows are new.

        So many of them may have `failed`: they say why, and another run may do better.
        """
        counts = {"wanted": len(frame), "reused": 0, "new": len(frame) - failed, "failed": failed}
        return cls(frame, counts, metadata or {}, complete=failed == 0)


@dataclass(frozen=True)
class Kept:
    """Stands for a stored table that is what would be made now: nobody need read its rows."""
