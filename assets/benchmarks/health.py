"""Whether a benchmark's files and recordings are there; nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from assets.benchmarks.adapters import read_annotations, source_files
from assets.benchmarks.annotation_files import AnnotationError
from assets.benchmarks.recordings import locate
from resources.health import Finding
from resources.media.locating import MediaPatternError
from resources.settings import Settings
from resources.sources import source_at


def examine_benchmarks(settings: Settings) -> tuple[list[Finding], int]:
    """What is there of each benchmark, and how many clips all of them have."""
    findings: list[Finding] = []
    clips = 0
    for benchmark in settings.benchmarks:
        absent = list(absent_files(settings, source_files(settings, benchmark), benchmark))
        findings += absent
        if not absent:
            found, count = _recordings(settings, benchmark)
            findings.append(found)
            clips += count
    return findings, clips


def absent_files(settings: Settings, files: Iterable[Path], area: str) -> Iterator[Finding]:
    """Files that are not there: public ones are fetched by the first run."""
    fetched = []
    for file in (path for path in files if not path.exists()):
        source = source_at(file, settings.cache_dir)
        if source and source.url:
            fetched.append(source.path)
        else:
            remedy = source.how if source else "bring it, or name another in the config"
            yield Finding(area, "stops", f"{file} is not there", remedy)
    if fetched:
        text = f"not there yet: {', '.join(fetched)}"
        yield Finding(area, "note", text, "the first run fetches them")


def _recordings(settings: Settings, benchmark: str) -> tuple[Finding, int]:
    try:
        annotations = read_annotations(settings, benchmark)
        found = locate(settings, annotations)
    except (AnnotationError, MediaPatternError) as error:
        return Finding(benchmark, "stops", str(error), settings.command("validate")), 0
    missing = sorted(video_id for video_id, path in found.items() if path is None)
    count = len(annotations.clips)
    text = f"{count:,} clips, {len(found) - len(missing):,} of {len(found):,} recordings found"
    if not missing:
        return Finding(benchmark, "ok", text), count
    first = f"first missing: {missing[0]}"
    if len(missing) == len(found):
        return Finding(benchmark, "stops", text, f"{first}; mend `media:`"), count
    return Finding(benchmark, "note", text, f"{first}; clips without one are left out"), count
