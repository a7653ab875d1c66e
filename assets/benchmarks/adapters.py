"""The adapters by name, and what is asked of a benchmark's files as files: versions and checks.

An adapter is a module with `source_files(settings)` and `read(settings, benchmark)`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType

from assets.benchmarks import ego_mcq, epic_mir, epic_sounds, own_table
from assets.benchmarks.annotation_files import AnnotationError
from assets.benchmarks.annotations import Annotations
from assets.benchmarks.recordings import locate
from resources.downloads import DownloadError
from resources.hashing import file_sha256
from resources.media.locating import MediaPattern, MediaPatternError
from resources.settings import Settings
from resources.sources import SourceError, ensure

_ADAPTERS: dict[str, ModuleType] = {
    "epic_mir": epic_mir,
    "ego_mcq": ego_mcq,
    "epic_sounds": epic_sounds,
    "table": own_table,
}


def read_annotations(settings: Settings, benchmark: str) -> Annotations:
    """Read and check a benchmark's files, and cut them down to the config's `limit`.

    Official files that the config does not name are fetched first, if they are not there yet.

    Raises:
        AnnotationError: a file can't be had or used; the message names file, rows and remedy.
    """
    fetch_sources(settings, benchmark)
    given = settings.benchmarks[benchmark]
    annotations: Annotations = _ADAPTERS[given.adapter].read(given, benchmark)
    return annotations if settings.limit is None else annotations.limited(settings.limit)


def fetch_sources(settings: Settings, benchmark: str) -> None:
    """See to it that the official files among a benchmark's files are there: some megabytes.

    Raises:
        AnnotationError: one can't be fetched, or has to be asked for by hand.
    """
    for path in source_files(settings, benchmark):
        try:
            ensure(path, settings.cache_dir)
        except (DownloadError, SourceError) as error:
            raise AnnotationError(str(error)) from error


def source_files(settings: Settings, benchmark: str) -> tuple[Path, ...]:
    """A benchmark's annotation files."""
    given = settings.benchmarks[benchmark]
    files: tuple[Path, ...] = _ADAPTERS[given.adapter].source_files(given)
    return files


def source_version(settings: Settings, benchmark: str) -> str:
    """A hash of the contents of the annotation files, wherever they lie.

    Raises:
        AnnotationError: a file is missing.
    """
    digest = hashlib.sha256()
    fetch_sources(settings, benchmark)
    for path in source_files(settings, benchmark):
        if not path.is_file():
            raise AnnotationError(f"{path}: no such file; `sound-approach validate` says more.")
        digest.update(file_sha256(path).encode())
    return digest.hexdigest()


def source_stats(settings: Settings, benchmark: str) -> list[tuple[str, int, int]]:
    """(path, size, mtime_ns) of the benchmark's files, and of every file that a media pattern fits.

    The authors' own files are among them where the config names some. Cheap enough to be asked
    every few seconds: nothing is opened. A missing file has size -1; a pattern that can't be used
    adds nothing.
    """
    given = settings.benchmarks[benchmark]
    files = {*source_files(settings, benchmark), *given.descriptions_from, *given.levels_from}
    for pattern in settings.media_patterns(benchmark):
        try:
            files |= set(MediaPattern.parse(pattern).files())
        except MediaPatternError:
            continue
    return sorted(_stat(path) for path in files)


def check_sources(settings: Settings) -> list[str]:
    """Every problem of every benchmark's files at once; empty if a run can start."""
    problems: list[str] = []
    for benchmark in settings.benchmarks:
        try:
            read_annotations(settings, benchmark)
        except AnnotationError as error:
            problems.append(f"{benchmark}: {error}")
        for pattern in settings.media_patterns(benchmark):
            try:
                MediaPattern.parse(pattern).recordings()
            except MediaPatternError as error:
                problems.append(f"{benchmark}: {error}")
    return problems


def source_warnings(settings: Settings) -> list[str]:
    """What deserves a look and stops nothing: oddities of files, recordings that were not found."""
    warnings: list[str] = []
    for benchmark in settings.benchmarks:
        try:
            annotations = read_annotations(settings, benchmark)
            found = locate(settings, annotations)
        except (AnnotationError, MediaPatternError):
            continue
        warnings += [f"{benchmark}: {warning}" for warning in annotations.warnings]
        missing = sorted(video_id for video_id, path in found.items() if path is None)
        if missing:
            warnings.append(
                f"{benchmark}: {len(missing)} of {len(found)} recordings fit no media pattern, "
                f"first {missing[0]}; their clips will be excluded"
            )
    return warnings


def _stat(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), -1, 0
    return str(path), stat.st_size, stat.st_mtime_ns
