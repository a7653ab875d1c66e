"""A small published result with sounds: a retrieval benchmark and questions over two recordings.

Vectors are made up from a seed and scored by the pipeline's own code, so that what is shown of a
query can be compared with what was published of it.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from support import retrieval_tables
from support.benchmark_files import settings_for
from support.media_files import noise, write_audio
from support.retrieval_tables import NAME, audio_rows, clip_rows, description_rows, text_rows

from assets.retrieval.scoring import score_queries
from assets.retrieval.summaries import aggregate_scores, compare_variants
from resources.hashing import file_sha256
from resources.lake import Lake
from resources.settings import PROJECT_ROOT, Settings
from resources.tables import (
    COMPARISONS,
    EXCLUSIONS,
    INFORMATIVENESS,
    LEVELS,
    MEDIA,
    QUERY_SCORES,
    SCORES,
    TABLES,
    text_id,
)
from resources.warehouse import publish

HOSTILE = "<script>alert('a text')</script>"
TEXTS = ("open drawer", "pour water", "cut onion", "close fridge", "stir <soup> & salt", HOSTILE)
VARIANTS = ("plain", "vivid")
ENCODERS = {"one": (0,), "two": (0, 1)}
"""By name, with their seeds."""
CLIPS_A_TEXT = 4
VIDEOS = 2


def published_project(folder: Path) -> Settings:
    """Write recordings, lake and DuckDB file; returns the settings that name them."""
    settings = settings_for(folder, {NAME: {"adapter": "table", "clips": str(folder / "c.csv")}})
    settings.config_file.write_text("{}")
    made = _tables()
    scored = score_queries(made, settings.metrics).query_scores
    lake = Lake(settings.lake_dir)
    for name, frame in vars(made).items():
        lake.write(TABLES[name], frame, NAME)
    lake.write(MEDIA, MEDIA.frame(_recordings(folder)), NAME)
    lake.write(EXCLUSIONS, EXCLUSIONS.frame(_left_out(made.clips)), NAME)
    lake.write(INFORMATIVENESS, INFORMATIVENESS.frame(_levels()), NAME)
    lake.write(QUERY_SCORES, scored, NAME)
    lake.write(SCORES, aggregate_scores(made, scored, settings.metrics), NAME)
    lake.write(COMPARISONS, compare_variants(made, scored, settings.metrics), NAME)
    publish(lake, PROJECT_ROOT / "dbt_like_sql", settings.duckdb_file)
    return settings


def _recordings(folder: Path) -> list[dict]:
    rows = []
    for number in range(VIDEOS):
        path = write_audio(folder / "media" / f"v{number}.wav", noise(20.0, seed=number))
        rows.append(
            {"benchmark": NAME, "video_id": f"v{number}", "path": str(path), "duration_s": 20.0,
             "sample_rate": 24_000, "channels": 1, "content_hash": file_sha256(path),
             "usable": True}
        )  # fmt: skip
    return rows


def _left_out(clips: pd.DataFrame) -> list[dict]:
    return [
        {"benchmark": NAME, "item_kind": "clip", "item_id": clip, "effect": "excluded",
         "stage": "benchmarks", "reason": "for the test"}
        for clip in clips["clip_id"][~clips["usable"]]
    ]  # fmt: skip


def _tables():
    rng = np.random.default_rng(5)
    clips = clip_rows(TEXTS, CLIPS_A_TEXT, VIDEOS)
    for number, clip in enumerate(clips):
        text = TEXTS.index(clip["text"])
        start = 0.75 * number
        clip |= {
            "start_s": start,
            "stop_s": start + 0.7,
            "verb_class": text,
            "noun_classes": [text],
        }
    clips[-1] |= {"usable": False, "reason": "for the test"}
    used = clips[:-1]
    descriptions = {
        variant: {text: f"{variant} sound of {text}" for text in TEXTS} for variant in VARIANTS
    }
    texts = [*TEXTS, *(d for found in descriptions.values() for d in found.values())]
    questions = [
        {"benchmark": NAME, "question_id": f"q{n}", "kind": ("inter", "intra")[n % 2],
         "text": used[n]["text"], "text_id": used[n]["text_id"], "usable": True, "answer": n % 5,
         "options": [used[(n + k - n % 5) % len(used)]["clip_id"] for k in range(5)]}
        for n in range(len(used))
    ]  # fmt: skip
    return retrieval_tables.tables(
        clips,
        questions=questions,
        descriptions=[
            row for name, found in descriptions.items() for row in description_rows(name, found)
        ],
        audio_embeddings=[
            row
            for encoder, seeds in ENCODERS.items()
            for row in audio_rows(used, lambda clip, seed: _unit(rng), encoder, seeds)
        ],
        text_embeddings=[
            row
            for encoder in ENCODERS
            for row in text_rows({text: _unit(rng) for text in texts}, encoder)
        ],
    )


def _unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=8)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _levels() -> pd.DataFrame:
    return pd.DataFrame(
        {"benchmark": NAME, "text_id": text_id(text), "grader": "g", "text": text,
         "level": LEVELS[number % 3], "model": "m", "key": "k"}
        for number, text in enumerate(TEXTS)
    )  # fmt: skip
