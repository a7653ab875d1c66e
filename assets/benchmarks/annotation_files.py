"""Annotation files as rows: read with their line numbers, cells parsed, every bad row named.

What a column means belongs to the adapters.
"""

from __future__ import annotations

import ast
import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

_SHOWN = 10
_TIMESTAMP = re.compile(r"(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?)")
_PLAIN_NAME = re.compile(r"[^/\\\x00]+")
_T = TypeVar("_T")


class AnnotationError(ValueError):
    """An annotation file can't be used; the message names file, rows and remedy."""


@dataclass(frozen=True)
class Row:
    """One row of a CSV file and the line that it ends on, counted from 1 (Parquet: its number)."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


class Problems:
    """Collects what is wrong in one file, so that one error can name every bad row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: list[str] = []

    def add(self, place: str | int, message: str) -> None:
        """Note a problem at a line (an int) or at a named place."""
        where = f"line {place}" if isinstance(place, int) else place
        self._found.append(f"{where}: {message}")

    def cell(self, row: Row, column: str, parse: Callable[[str], _T]) -> _T | None:
        """Parse one cell; what does not parse is noted, and None."""
        try:
            return parse(row[column])
        except ValueError as error:
            self.add(row.line, f"{column}: {error}")
            return None

    def raise_any(self) -> None:
        """Raise what was noted, if anything.

        Raises:
            AnnotationError: naming the first ten problems and the number of all.
        """
        if not self._found:
            return
        shown = "\n".join(f"  - {problem}" for problem in self._found[:_SHOWN])
        more = len(self._found) - _SHOWN
        tail = f"\n  - and {more} more" if more > 0 else ""
        raise AnnotationError(
            f"{self.path}: {len(self._found)} problem(s) in this file; mend them, or bring the "
            f"file again:\n{shown}{tail}"
        )


def read_text(path: Path) -> str:
    """A whole file as UTF-8, a byte order mark removed.

    Raises:
        AnnotationError: it is missing, can't be read, or is not UTF-8; names the line.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise AnnotationError(
            f"{path}: no such file. Put it there, or name the place where it lies in the config."
        ) from error
    except OSError as error:
        raise AnnotationError(f"{path}: can't be read: {error.strerror}.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise AnnotationError(
            f"{path}: line {line} is not UTF-8 text (byte {error.start}); save the file as UTF-8."
        ) from error


def read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV or Parquet file that must have these columns; others may be there too.

    Raises:
        AnnotationError: see `read_text`; or columns are missing, or rows have another number of
            cells than the header, or there is no row.
    """
    if path.suffix.lower() in {".parquet", ".pq"}:
        rows = _read_parquet(path, columns)
    else:
        rows = _read_csv(path, columns)
    if not rows:
        raise AnnotationError(f"{path}: no row below the header; bring the whole file.")
    return rows


def _read_parquet(path: Path, columns: Sequence[str]) -> list[Row]:
    """Cells as text, empty where null; a row's line is its number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise AnnotationError(
            f"{path}: no Parquet file that can be read: {error}. Write it again."
        ) from error
    _check_header(path, table.column_names, columns)
    return [
        Row(number, {name: "" if cell is None else str(cell) for name, cell in row.items()})
        for number, row in enumerate(table.to_pylist(), start=1)
    ]


def _read_csv(path: Path, columns: Sequence[str]) -> list[Row]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    problems = Problems(path)
    rows: list[Row] = []
    try:
        header = next(reader, [])
        _check_header(path, header, columns)
        for cells in reader:
            if len(cells) == len(header):
                rows.append(Row(reader.line_num, dict(zip(header, cells, strict=True))))
            elif cells:
                problems.add(
                    reader.line_num, f"{len(cells)} cells, where the header has {len(header)}"
                )
    except csv.Error as error:
        problems.add(reader.line_num, f"not CSV from here on: {error}")
    problems.raise_any()
    return rows


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        raise AnnotationError(
            f"{path}: line 1: column(s) {', '.join(missing)} missing; the file has "
            f"{', '.join(header) or 'no header'}. Bring the file that has them, or name the "
            f"right one in the config."
        )
    doubled = sorted({column for column in header if header.count(column) > 1})
    if doubled:
        raise AnnotationError(f"{path}: line 1: column(s) {', '.join(doubled)} occur twice.")


def check_unique(problems: Problems, ids: Iterable[tuple[int, str]], column: str) -> None:
    """Note every id that an earlier row has already."""
    first: dict[str, int] = {}
    for line, item_id in ids:
        if item_id in first:
            problems.add(line, f"{column} {item_id!r} occurs already in line {first[item_id]}")
        else:
            first[item_id] = line


def parse_id(cell: str) -> str:
    """An id of an item: any text that is not empty."""
    if not cell.strip():
        raise ValueError("empty; every row needs an id of its own")
    return cell


def parse_media_id(cell: str) -> str:
    """An id of a recording or participant, which files are named after: no part of a path."""
    if not _PLAIN_NAME.fullmatch(cell) or cell in {".", ".."}:
        raise ValueError(
            f"{cell!r} can't name a recording: it would lead out of its media folder, or to none; "
            f"use a plain name without '/' and '\\'"
        )
    return cell


def parse_text(cell: str) -> str:
    """A text to search by: not empty."""
    if not cell.strip():
        raise ValueError("empty; there is nothing to search by")
    return cell


def parse_timestamp(cell: str) -> float:
    """Seconds from `HH:MM:SS.ss`."""
    match = _TIMESTAMP.fullmatch(cell.strip())
    if not match:
        raise ValueError(f"{cell!r} is no time; write it as HH:MM:SS.ss")
    hours, minutes, seconds = match.groups()
    return float(3600 * int(hours) + 60 * int(minutes) + Decimal(seconds))


def parse_seconds(cell: str) -> float:
    """Seconds, as a number or as `HH:MM:SS.ss`."""
    if ":" in cell:
        return parse_timestamp(cell)
    try:
        seconds = float(cell)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{cell!r} is no time; write seconds, or HH:MM:SS.ss")
    return seconds


def parse_class(classes: int) -> Callable[[str], int]:
    """A parser of class numbers from 0 up to, not including, `classes`."""

    def parse(cell: str) -> int:
        if not cell.strip().isdecimal() or int(cell) >= classes:
            raise ValueError(f"{cell!r} is no known class; they run from 0 to {classes - 1}")
        return int(cell)

    return parse


def parse_class_list(classes: int) -> Callable[[str], list[int]]:
    """A parser of Python list literals of class numbers, into a sorted list without repeats."""

    def parse(cell: str) -> list[int]:
        try:
            values = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            values = None
        if not isinstance(values, list) or not all(type(value) is int for value in values):
            raise ValueError(f"{cell!r:.80} is no list of numbers; write it as [2, 7]")
        unknown = [value for value in values if not 0 <= value < classes]
        if unknown:
            raise ValueError(f"{unknown[0]} is no known class; they run from 0 to {classes - 1}")
        return sorted(set(values))

    return parse


def check_span(problems: Problems, row: Row, start: float | None, stop: float | None) -> None:
    """Note a clip that ends before it starts, or has no length."""
    if start is not None and stop is not None and stop <= start:
        problems.add(row.line, f"the clip stops at {stop:g} s, not after its start at {start:g} s")
