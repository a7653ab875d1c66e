"""Where recordings lie: patterns from the config, matched against the files that exist.

A pattern is a path with `{video_id}`, `{participant_id}` or `*` in it. With `{chunk}` it names the
600-second chunks of a recording; a plain path to an `.hdf5` file names its data sets, one a
recording. Ids from annotation files are only ever compared with names that exist, never made into
paths, so no id can lead anywhere else.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resources.media.addresses import CHUNK, MEMBER

_PARTS = re.compile(r"(\{[^{}]*\}|\*)")
_PLACEHOLDERS = {"video_id": "[^/]+", "participant_id": "[^/]+", "chunk": r"\d+"}
_HDF5_SUFFIXES = {".hdf5", ".h5"}

Found = dict[str, list[tuple[str | None, Path]]]
"""By video id: (participant id where the pattern has one, address), in order of their names."""


class MediaPatternError(ValueError):
    """A media pattern of the config can't be used; the message names it and the remedy."""


@dataclass(frozen=True)
class MediaPattern:
    """One pattern, taken apart: what to list, and how names are read."""

    listing: str
    names: re.Pattern[str]

    @classmethod
    def parse(cls, pattern: str) -> MediaPattern:
        """Take a pattern apart.

        Raises:
            MediaPatternError: a placeholder is unknown, or nothing tells recordings apart.
        """
        listing, names = "", ""
        seen: set[str] = set()
        for part in _PARTS.split(pattern):
            name = part[1:-1] if part.startswith("{") else None
            if name is not None and name not in _PLACEHOLDERS:
                raise MediaPatternError(
                    f"media pattern {pattern!r}: unknown placeholder {part}; "
                    f"use {{video_id}}, {{participant_id}}, {{chunk}} or *"
                )
            if name is not None:
                names += f"(?P={name})" if name in seen else f"(?P<{name}>{_PLACEHOLDERS[name]})"
                seen.add(name)
            else:
                names += "[^/]*" if part == "*" else re.escape(part)
            listing += glob.escape(part) if name is None and part != "*" else "*"
        if "video_id" not in seen and Path(pattern).suffix not in _HDF5_SUFFIXES:
            raise MediaPatternError(
                f"media pattern {pattern!r}: no {{video_id}} in it, so it can't tell recordings "
                f"apart; write for instance videos/*/{{video_id}}.MP4"
            )
        return cls(listing, re.compile(names))

    def files(self) -> list[Path]:
        """Every file that fits, in order of their names."""
        return [path for path, _ in self._matches()]

    def recordings(self) -> Found:
        """The recordings that those files hold."""
        found: Found = {}
        for path, match in self._matches():
            for video_id, address in _recordings(path, match):
                entry = (match.groupdict().get("participant_id"), address)
                if entry not in found.setdefault(video_id, []):
                    found[video_id].append(entry)
        return found

    def _matches(self) -> Iterator[tuple[Path, re.Match[str]]]:
        for name in sorted(glob.iglob(self.listing)):  # noqa: PTH207 (Path.glob wants it relative)
            match = self.names.fullmatch(name)
            if match and Path(name).is_file():
                yield Path(name), match


def find_recordings(
    patterns: Sequence[str], recordings: Mapping[str, str | None]
) -> dict[str, Path | None]:
    """Find each recording by the first pattern that names an existing file.

    Args:
        patterns: the config's patterns, in order of preference.
        recordings: video ids, each with its participant's id; where that is None, a pattern's
            `{participant_id}` may be anything.

    Returns:
        An address (see `addresses`) for each video id, None where no file fits.

    Raises:
        MediaPatternError: see `MediaPattern.parse`; or an HDF5 file can't be opened.
    """
    found: dict[str, Path | None] = dict.fromkeys(recordings)
    for pattern in patterns:
        existing = MediaPattern.parse(pattern).recordings()
        for video_id, participant_id in recordings.items():
            if found[video_id] is None:
                found[video_id] = _fitting(existing.get(video_id, []), participant_id)
    return found


def _recordings(path: Path, match: re.Match[str]) -> Iterator[tuple[str, Path]]:
    parts = match.groupdict()
    if "video_id" not in parts:
        for member in _members(path):
            yield member, Path(f"{path}{MEMBER}{member}")
    elif "chunk" in parts:
        name = str(path)
        yield (
            parts["video_id"],
            Path(name[: match.start("chunk")] + CHUNK + name[match.end("chunk") :]),
        )
    else:
        yield parts["video_id"], path


def _members(path: Path) -> list[str]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
    except OSError as error:
        raise MediaPatternError(
            f"{path}: no HDF5 file that can be read ({error}); download it again, or take its "
            f"pattern out of the config"
        ) from error


def _fitting(
    existing: Sequence[tuple[str | None, Path]], participant_id: str | None
) -> Path | None:
    for participant, address in existing:
        if participant is None or participant_id is None or participant == participant_id:
            return address
    return None
