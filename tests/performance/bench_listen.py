"""`sound-approach listen` over a benchmark of 10,000 queries: how soon it opens and answers.

`python tests/performance/bench_listen.py` prints seconds: from the command to the first page, in a
process of its own, and then of each kind of request, the median and the slowest of twenty. Scores
and vectors are made up from a seed; two encoders, three texts, three kinds of relevance.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import yaml
from support.media_files import noise, write_audio
from support.ports import free_port

from resources.config_file import load_settings
from resources.lake import Lake
from resources.settings import PROJECT_ROOT
from resources.tables import (
    AUDIO_EMBEDDINGS,
    CAPTIONS,
    CLIPS,
    DESCRIPTIONS,
    INFORMATIVENESS,
    LEVELS,
    MEDIA,
    QUERY_SCORES,
    SCORES,
    TEXT_EMBEDDINGS,
    text_id,
)
from resources.warehouse import publish, query

NAME, QUERIES, DIMENSIONS, VIDEOS = "kitchen", 10_000, 512, 20
ENCODERS, VARIANTS = ("one", "two"), ("visual", "plain", "vivid")
KINDS = ("caption", "verb", "noun")
METRICS = ("map_published", "map_binary", "ndcg", "recall_at_1", "recall_at_10", "mean_rank")
VERBS = ("open", "close", "cut", "wash", "stir", "pour", "take", "put", "peel", "dry")


def write_project(folder: Path) -> Path:
    """Everything that `listen` reads; returns the config."""
    config = folder / "big.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "media": [str(folder / "media/{video_id}.wav")],
                "benchmarks": {NAME: {"adapter": "table", "clips": "clips.csv"}},
                "prompts": [],
                "language_model": {"provider": "recorded", "answers": "answers.jsonl"},
                "encoders": {name: {"kind": "mel_ridge", "train": "t.csv"} for name in ENCODERS},
            }
        )
    )
    settings = load_settings(config)
    lake = Lake(settings.lake_dir)
    rng = np.random.default_rng(0)
    clips = _clips(lake, folder)
    _texts(lake, clips, rng)
    _scores(lake, clips, rng)
    publish(lake, PROJECT_ROOT / "dbt_like_sql", settings.duckdb_file)
    return config


def _clips(lake: Lake, folder: Path) -> pd.DataFrame:
    numbers = np.arange(QUERIES)
    text = [f"{VERBS[n % len(VERBS)]} thing {n}" for n in numbers]
    clips = pd.DataFrame(
        {
            "benchmark": NAME,
            "clip_id": [f"c{n:05d}" for n in numbers],
            "video_id": [f"v{n % VIDEOS}" for n in numbers],
            "start_s": (numbers // VIDEOS) * 0.5,
            "stop_s": (numbers // VIDEOS) * 0.5 + 3,
            "text": text,
            "text_id": [text_id(one) for one in text],
            "shortened": False,
            "verb_class": numbers % 97,
            "noun_classes": [[n % 300, n % 7 + 300] for n in numbers],
            "usable": True,
        }
    )
    lake.write(CLIPS, CLIPS.frame(clips), NAME)
    captions = clips.assign(caption_id=clips["clip_id"])
    lake.write(CAPTIONS, CAPTIONS.frame(captions[CAPTIONS.names]), NAME)
    media = []
    for number in range(VIDEOS):
        path = write_audio(folder / "media" / f"v{number}.wav", noise(260.0, seed=number))
        media.append(
            {"benchmark": NAME, "video_id": f"v{number}", "path": str(path), "duration_s": 260.0,
             "content_hash": str(number), "usable": True}
        )  # fmt: skip
    lake.write(MEDIA, MEDIA.frame(media), NAME)
    return clips


def _texts(lake: Lake, clips: pd.DataFrame, rng: np.random.Generator) -> None:
    texts = clips[["benchmark", "text_id", "text"]].assign(model="m", key="k")
    descriptions = pd.concat(
        texts.assign(variant=name, description=f"{name}: the sound of " + texts["text"])
        for name in VARIANTS[1:]
    )
    lake.write(DESCRIPTIONS, DESCRIPTIONS.frame(descriptions), NAME)
    levels = texts.assign(grader="g", level=np.array(LEVELS)[np.arange(len(texts)) % 3])
    lake.write(INFORMATIVENESS, INFORMATIVENESS.frame(levels), NAME)
    every = [*clips["text_id"], *map(text_id, descriptions["description"])]
    shared = {"benchmark": NAME, "key": "k"}
    lake.write(
        TEXT_EMBEDDINGS,
        TEXT_EMBEDDINGS.frame(
            pd.concat(
                pd.DataFrame({"text_id": every, "encoder": name, "vector": _units(len(every), rng)})
                for name in ENCODERS
            ).assign(**shared)
        ),
        NAME,
    )
    lake.write(
        AUDIO_EMBEDDINGS,
        AUDIO_EMBEDDINGS.frame(
            pd.concat(
                pd.DataFrame(
                    {"clip_id": clips["clip_id"], "encoder": name, "vector": _units(QUERIES, rng)}
                )
                for name in ENCODERS
            ).assign(seed=0, crop_rule="whole", **shared)
        ),
        NAME,
    )


def _units(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    vectors = rng.normal(size=(count, DIMENSIONS)).astype(np.float32)
    return list(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _scores(lake: Lake, clips: pd.DataFrame, rng: np.random.Generator) -> None:
    setting = {"benchmark": NAME, "subset": "all", "protocol": "subset_gallery",
               "crop_rule": "whole", "similarity": "cosine"}  # fmt: skip
    directions = ("text_to_audio", "audio_to_text")
    cells = list(itertools.product(ENCODERS, VARIANTS, directions, KINDS, METRICS))
    names = ("encoder", "variant", "direction", "relevance_kind", "metric")
    labels = pd.DataFrame(cells, columns=list(names)).astype("category")
    rows = labels.loc[np.repeat(np.arange(len(cells)), QUERIES)].reset_index(drop=True)
    rows["query_id"] = np.tile(clips["clip_id"].to_numpy(), len(cells))
    rows["value"] = rng.random(len(rows))
    rows["rank"] = rng.integers(1, QUERIES, len(rows)).astype(float)
    lake.write(QUERY_SCORES, QUERY_SCORES.frame(rows.assign(**setting)), NAME)
    means = rows.groupby(list(names), observed=True)["value"].mean().reset_index()
    counted = {"queries": QUERIES, "candidates": QUERIES, "seeds": 1}
    lake.write(SCORES, SCORES.frame(means.assign(**setting, **counted)), NAME)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        config = write_project(Path(folder))
        rows = query(load_settings(config).duckdb_file, "SELECT count(*) AS n FROM query_scores")
        print(f"{QUERIES:,} queries, {rows['n'].iloc[0]:,} rows of query_scores")
        port = free_port()
        begun = time.perf_counter()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pipelines.cli",
                "listen",
                "--config",
                str(config),
                "--port",
                str(port),
            ],
            cwd=PROJECT_ROOT,
            stdout=subprocess.DEVNULL,
        )
        try:
            _measure(f"http://127.0.0.1:{port}", begun)
        finally:
            process.terminate()
            process.wait()


def _measure(address: str, begun: float) -> None:
    def get(path: str, **given: object) -> bytes:
        with urllib.request.urlopen(f"{address}/{path}?{urlencode(given)}") as answer:
            return answer.read()

    for _ in range(3000):
        try:
            get("")
            break
        except OSError:
            time.sleep(0.02)
    task = {"task": f"{NAME}/text_to_audio", "encoder": "one", "variant": "plain"}
    first = json.loads(get("queries", **task))["queries"][0]["query_id"]
    get("found", **task, query=first)
    print(f"{'command to first page, list and findings':<44}{time.perf_counter() - begun:6.2f} s")
    begun = time.perf_counter()
    get("")
    get("queries", **task)
    get("found", **task, query=first)
    print(f"{'page, list and findings, server running':<44}{time.perf_counter() - begun:6.2f} s")
    clip = {"benchmark": NAME}
    requests = {
        "page": lambda n: get(""),
        "list": lambda n: get("queries", **task, page=n),
        "list by gain": lambda n: get("queries", **task, tab="gains", page=n),
        "list by words": lambda n: get("queries", **task, words=f"thing {n}"),
        "disagreements": lambda n: get("queries", **task, tab="disagreements", page=n),
        "findings of a text": lambda n: get("found", **task, query=f"c{n:05d}"),
        "findings of a sound": lambda n: get(
            "found", **{**task, "task": f"{NAME}/audio_to_text"}, query=f"c{n:05d}"
        ),
        "spectrogram": lambda n: get("spectrogram", **clip, clip=f"c{n:05d}"),
        "sound": lambda n: get("sound", **clip, clip=f"c{n:05d}"),
    }
    print(f"{'request':<24}{'median':>10}{'slowest':>10}")
    for name, ask in requests.items():
        taken = []
        for number in range(20):
            start = time.perf_counter()
            ask(number)
            taken.append(time.perf_counter() - start)
        print(f"{name:<24}{np.median(taken):>8.3f} s{max(taken):>8.3f} s")


if __name__ == "__main__":
    main()
