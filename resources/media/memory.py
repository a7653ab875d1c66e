"""What was measured of media before, in one SQLite file of the cache folder.

A file whose path, size and modification time are unchanged keeps its content hash; content that
was probed or measured before is never decoded again, wherever it lies. Only the thread that opened
a memory uses it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from resources.media.addresses import stat_of

MEASURED_BY = 1
"""Raise it when the meaning of a probe or of a loudness changes: older rows are then ignored."""

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, content_hash TEXT);
CREATE TABLE IF NOT EXISTS probes (
    content_hash TEXT, measured_by INTEGER, sample_rate INTEGER, channels INTEGER,
    duration_s REAL, reason TEXT, detail TEXT,
    PRIMARY KEY (content_hash, measured_by));
CREATE TABLE IF NOT EXISTS loudness (
    content_hash TEXT, start_s REAL, stop_s REAL, measured_by INTEGER,
    rms REAL, peak REAL, digital_silence REAL,
    PRIMARY KEY (content_hash, start_s, stop_s, measured_by)) WITHOUT ROWID;
"""


class MediaMemory:
    """Files, probes and loudness by content (a context manager)."""

    def __init__(self, cache_dir: Path) -> None:
        cache_dir.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(cache_dir / "media.sqlite", timeout=60)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.executescript(_TABLES)

    def content_hash(self, path: Path) -> str | None:
        """The hash of a file that has not changed since it was last read."""
        row = self._database.execute(
            "SELECT content_hash FROM files WHERE path = ? AND size = ? AND mtime_ns = ?",
            (str(path), *stat_of(path)),
        ).fetchone()
        return row[0] if row else None

    def remember_file(self, path: Path, stat: tuple[int, int], content_hash: str) -> None:
        """Keep a file's hash, under the size and time (`stat_of`) that it had before reading."""
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                (str(path), *stat, content_hash),
            )

    def probe(self, content_hash: str) -> tuple[Any, ...] | None:
        """(sample_rate, channels, duration_s, reason, detail) of this content."""
        row = self._database.execute(
            "SELECT sample_rate, channels, duration_s, reason, detail FROM probes "
            "WHERE content_hash = ? AND measured_by = ?",
            (content_hash, MEASURED_BY),
        ).fetchone()
        return tuple(row) if row else None

    def remember_probe(self, content_hash: str, probe: tuple[Any, ...]) -> None:
        """Keep what `probe` gives back."""
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO probes VALUES (?, ?, ?, ?, ?, ?, ?)",
                (content_hash, MEASURED_BY, *probe),
            )

    def loudness(self, content_hash: str) -> dict[tuple[float, float], tuple[float, float, float]]:
        """By (start_s, stop_s), what was measured of this content."""
        rows = self._database.execute(
            "SELECT start_s, stop_s, rms, peak, digital_silence FROM loudness "
            "WHERE content_hash = ? AND measured_by = ?",
            (content_hash, MEASURED_BY),
        )
        return {(start, stop): (rms, peak, silence) for start, stop, rms, peak, silence in rows}

    def remember_loudness(
        self,
        content_hash: str,
        measured: Iterable[tuple[tuple[float, float], tuple[float, float, float]]],
    ) -> None:
        """Keep what `loudness` gives back."""
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO loudness VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((content_hash, *span, MEASURED_BY, *values) for span, values in measured),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()
