"""The table `media`: the recordings that a benchmark's clips are cut from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from assets.benchmarks.annotations import Annotations
from resources.media.inventory import UNREADABLE, Progress, Recording, scan
from resources.media.locating import find_recordings
from resources.parallel import WORKER_LOST
from resources.ray_cluster import chosen_spread
from resources.settings import Settings
from resources.tables import MEDIA


def media_inventory(
    settings: Settings, annotations: Annotations, progress: Progress | None = None
) -> pd.DataFrame:
    """Find and probe every recording that the annotations name.

    A recording that can't be used keeps its row, with the reason in a few fixed words, a colon and
    the detail; nothing is raised for it.

    Returns:
        A `MEDIA` frame, one row a recording.

    Raises:
        MediaPatternError: a media pattern of the config can't be used.
    """
    files = locate(settings, annotations)
    recordings = scan(files, settings.cache_dir, progress, chosen_spread(settings))
    return MEDIA.frame(
        [
            {"benchmark": annotations.benchmark, "video_id": video_id, **_columns(recording)}
            for video_id, recording in recordings.items()
        ]
    )


def given_up(found: pd.DataFrame) -> int:
    """How many recordings, or clips, were not listened to, through no fault of what they hold.

    Nobody survived working at them, or their file could not be read: another run tries them again.

    Args:
        found: a `MEDIA` or a `CLIPS` frame.
    """
    return int(found["reason"].str.startswith((WORKER_LOST, UNREADABLE)).sum())


def locate(settings: Settings, annotations: Annotations) -> dict[str, Path | None]:
    """Where each recording that the annotations name lies; None where no file fits.

    Raises:
        MediaPatternError: a media pattern of the config can't be used.
    """
    videos = annotations.clips.drop_duplicates("video_id")
    participants = dict(zip(videos["video_id"], videos["participant_id"], strict=True))
    return find_recordings(settings.media_patterns(annotations.benchmark), participants)


def _columns(recording: Recording) -> dict[str, object]:
    probe = recording.probe
    reason = probe.reason
    return {
        "path": str(recording.path) if recording.path else None,
        "duration_s": probe.duration_s,
        "sample_rate": probe.sample_rate,
        "channels": probe.channels,
        "content_hash": recording.content_hash,
        "usable": reason is None,
        "reason": f"{reason}: {probe.detail}" if reason and probe.detail else reason,
    }
