"""Where recordings lie: patterns from the config, matched against the files that exist.

A pattern is a path with `{video_id}`, `{participant_id}` or `*` in it. Ids from annotation files
are only ever compared with the names of files found under the pattern's fixed folder, never made
into paths, so no id can lead anywhere else.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PARTS = re.compile(r"(\{[^{}]*\}|\*)")
_PLACEHOLDERS = ("video_id", "participant_id")


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
            MediaPatternError: it has an unknown placeholder, or no `{video_id}`.
        """
        listing, names = "", ""
        seen: set[str] = set()
        for part in _PARTS.split(pattern):
            name = part[1:-1] if part.startswith("{") else None
            if name is not None and name not in _PLACEHOLDERS:
                raise MediaPatternError(
                    f"media pattern {pattern!r}: unknown placeholder {part}; "
                    f"use {{video_id}}, {{participant_id}} or *"
                )
            if name is not None:
                names += f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+)"
                seen.add(name)
                listing += "*"
            elif part == "*":
                names += "[^/]*"
                listing += "*"
            else:
                names += re.escape(part)
                listing += glob.escape(part)
        if "video_id" not in seen:
            raise MediaPatternError(
                f"media pattern {pattern!r}: no {{video_id}} in it, so it can't tell recordings "
                f"apart; write for instance videos/*/{{video_id}}.MP4"
            )
        return cls(listing, re.compile(names))

    def files(self) -> dict[str, list[tuple[str | None, Path]]]:
        """Every file that fits: by video id, (participant id where the pattern has one, path)."""
        found: dict[str, list[tuple[str | None, Path]]] = {}
        for name in sorted(glob.iglob(self.listing)):  # noqa: PTH207 (Path.glob wants it relative)
            match = self.names.fullmatch(name)
            if match and Path(name).is_file():
                parts = match.groupdict()
                entry = (parts.get("participant_id"), Path(name))
                found.setdefault(parts["video_id"], []).append(entry)
        return found


def find_recordings(
    patterns: Sequence[str], recordings: Mapping[str, str | None]
) -> dict[str, Path | None]:
    """Find each recording by the first pattern that names an existing file.

    Args:
        patterns: the config's patterns, in order of preference.
        recordings: video ids, each with its participant's id; where that is None, a pattern's
            `{participant_id}` may be anything.

    Returns:
        A path for each video id, None where no file fits.

    Raises:
        MediaPatternError: see `MediaPattern.parse`.
    """
    found: dict[str, Path | None] = dict.fromkeys(recordings)
    for pattern in patterns:
        files = MediaPattern.parse(pattern).files()
        for video_id, participant_id in recordings.items():
            if found[video_id] is None:
                found[video_id] = _fitting(files.get(video_id, []), participant_id)
    return found


def _fitting(files: Sequence[tuple[str | None, Path]], participant_id: str | None) -> Path | None:
    for participant, path in files:
        if participant is None or participant_id is None or participant == participant_id:
            return path
    return None
