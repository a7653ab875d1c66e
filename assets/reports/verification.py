"""Whether a bundle holds: its files as they were packed, and every published figure again.

Scores and DuckDB file are never read: result tables are made anew from texts, levels, vectors and
relevance, and compared cell by cell with those that were published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from assets.reports.bundle import BundleError, as_text, bundled_settings
from assets.reports.recompute import recomputed, result_tables
from resources.archive import Manifest
from resources.lake import Lake
from resources.tables import COMPARISONS, QUERY_SCORES, SCORES
from resources.warehouse import query

DERIVED = (QUERY_SCORES.name, SCORES.name, COMPARISONS.name)
"""Tables that are made anew: they need not be there."""
TOLERANCE = 1e-9
"""Between machines; on the machine that made it, a figure comes out the same bit for bit."""


@dataclass(frozen=True)
class TableVerdict:
    """How the cells of one result table come out: `cells = same + close + len(different)`.

    `close` agree within `TOLERANCE`. `different` names cells, with both values.
    """

    table: str
    rows: int
    cells: int
    same: int
    close: int
    different: tuple[str, ...]


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes:
        files: how many files the manifest lists.
        absent: derived files that are not there, which is no fault: they are made anew.
        faults: files that are missing or were changed.
        tables: how each result table comes out.
    """

    files: int
    absent: tuple[str, ...]
    faults: tuple[str, ...]
    tables: tuple[TableVerdict, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was changed, and every cell comes out."""
        return not self.faults and not any(table.different for table in self.tables)


def verify_bundle(folder: Path) -> Verification:
    """Check a bundle's files, and derive every cell of its result tables from texts and vectors.

    Neither the scores nor the DuckDB file are read, and they need not be there.

    Raises:
        ArchiveError: the folder is no unpacked bundle.
        BundleError: another release of the project made it.
        TableError: a table upstream of the scores is missing.
    """
    manifest = Manifest.read(folder)
    settings = bundled_settings(folder, manifest)
    missing, altered = manifest.differences(folder)
    absent = [name for name in missing if Path(name).parent.name in DERIVED]
    faults = [f"{name} is missing" for name in missing if name not in absent]
    faults += [f"{name} was changed" for name in altered]
    tables = []
    names = result_tables()
    lake = Lake(settings.lake_dir)
    with recomputed(lake, settings.metrics, manifest.about["benchmarks"], names) as anew:
        for name in names:
            rows = as_text(query(anew, f'SELECT * FROM "{name}"'))  # noqa: S608 (our own names)
            tables.append(_compare(name, folder / "tables" / f"{name}.csv", rows))
    return Verification(len(manifest.files), tuple(absent), tuple(faults), tuple(tables))


def _compare(table: str, published: Path, rows: pd.DataFrame) -> TableVerdict:
    """Every cell of a published table against the one derived anew, in the same row and column."""
    try:
        expected = pd.read_csv(published, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise BundleError(f"{published} can't be read: {error}") from error
    if list(expected.columns) != list(rows.columns) or len(expected) != len(rows):
        shapes = f"{expected.shape} published, {rows.shape} derived anew"
        return TableVerdict(table, len(expected), 0, 0, 0, (f"other rows or columns: {shapes}",))
    same = close = 0
    different = []
    for column in rows.columns:
        pairs = zip(map(str, expected[column]), map(str, rows[column]), strict=True)
        for number, (one, other) in enumerate(pairs, start=1):
            if one == other:
                same += 1
            elif _is_close(one, other):
                close += 1
            else:
                different.append(f"row {number}, {column}: {one or '-'}, now {other or '-'}")
    return TableVerdict(table, len(rows), rows.size, same, close, tuple(different))


def _is_close(one: str, other: str) -> bool:
    try:
        return math.isclose(float(one), float(other), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    except ValueError:
        return False
