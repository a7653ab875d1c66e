"""The table `clips`: which segments can be listened to, where they end, and how loud they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from assets.benchmarks.annotations import Annotations
from resources.media.inventory import DIGITAL_SILENCE, Progress
from resources.media.loudness import Loudness, SpansOf, measure_all
from resources.media.segments import PAST_THE_END
from resources.parallel import WORKER_LOST
from resources.ray_cluster import chosen_spread
from resources.settings import Settings
from resources.tables import CLIPS, text_id


def build_clips(
    settings: Settings,
    annotations: Annotations,
    media: pd.DataFrame,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Place every clip in its recording and measure it.

    A clip without a stop ends where its recording does. A clip of an unusable recording, one that
    starts past the end, one that is digital silence and one that nobody survived measuring are kept
    as rows that are not `usable`; one that ends past the end is cut there and `shortened`.

    Args:
        settings: the config.
        annotations: the benchmark's files.
        media: the `MEDIA` frame of the same benchmark.
        progress: told how many recordings are listened to, of how many.

    Returns:
        A `CLIPS` frame, one row a clip of the annotations.
    """
    clips = annotations.clips.merge(
        media[["video_id", "path", "duration_s", "sample_rate", "content_hash", "reason"]],
        on="video_id",
        how="left",
        validate="many_to_one",
    )
    clips = clips.astype({"start_s": "float64", "stop_s": "float64"})
    clips["reason"] = clips["reason"].str.partition(":")[0].astype(object)
    listened = clips["reason"].isna()
    clips.loc[listened & _past_the_end(clips), "reason"] = PAST_THE_END
    listened = clips["reason"].isna()
    clips["stop_s"] = clips["stop_s"].fillna(clips["duration_s"].where(listened))
    clips["shortened"] = listened & (clips["stop_s"] > clips["duration_s"])
    clips["stop_s"] = clips["stop_s"].mask(clips["shortened"], clips["duration_s"])
    loudness = _loudness(settings, clips[listened], progress)
    clips[list(Loudness._fields)] = np.nan
    clips.loc[listened, list(Loudness._fields)] = loudness
    clips.loc[listened & clips["peak"].isna(), "reason"] = WORKER_LOST
    clips.loc[listened & (clips["peak"] == 0), "reason"] = DIGITAL_SILENCE
    clips["usable"] = clips["reason"].isna()
    clips["benchmark"] = annotations.benchmark
    ids = {text: text_id(text) for text in clips["text"].unique()}
    clips["text_id"] = clips["text"].map(ids)
    return CLIPS.frame(clips[CLIPS.names])


def _past_the_end(clips: pd.DataFrame) -> pd.Series:
    """Whether a clip's first sample is none of its recording's samples."""
    rate = clips["sample_rate"].astype("float64")
    return (clips["start_s"] * rate).round() >= (clips["duration_s"] * rate).round()


def _loudness(settings: Settings, clips: pd.DataFrame, progress: Progress | None) -> np.ndarray:
    """One row a clip: rms, peak, digital_silence; NaN where nobody survived measuring it."""
    spans = list(zip(clips["start_s"], clips["stop_s"], strict=True))
    wanted = {
        str(video_id): SpansOf(
            Path(group["path"].iloc[0]),
            group["content_hash"].iloc[0],
            list(zip(group["start_s"], group["stop_s"], strict=True)),
        )
        for video_id, group in clips.groupby("video_id")
    }
    measured = measure_all(wanted, settings.cache_dir, progress, chosen_spread(settings))
    unknown = Loudness(np.nan, np.nan, np.nan)
    rows = [
        measured[video_id].get(span, unknown)
        for video_id, span in zip(clips["video_id"], spans, strict=True)
    ]
    return np.array(rows, dtype=float).reshape(len(clips), len(Loudness._fields))
