"""A lake with plausible tables of all three benchmarks, made up from a seed, for tests of reports.

It is consistent as the real one is: every score rests on its query scores, every unusable clip is
among the exclusions. Its figures mean nothing.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from assets.descriptions.styles import CaptionStyle, build_text_styles
from resources.lake import Lake
from resources.tables import (
    CAPTIONS,
    CLIPS,
    COMPARISONS,
    DESCRIPTIONS,
    EXCLUSIONS,
    FEW_SHOT_EXAMPLES,
    INFORMATIVENESS,
    LEVELS,
    MEDIA,
    PROMPTS,
    QUERY_HITS,
    QUERY_SCORES,
    QUESTIONS,
    REQUESTS,
    SCORES,
    SUBSET_MEMBERS,
    TEXT_STYLES,
    text_id,
)

ENCODERS = ("mel_ridge", "laion_clap")
VARIANTS = ("visual", "plain", "with_examples")
GRADER = "grade"
TEXTS = (
    "open drawer",
    "pour water",
    "cut onion",
    "put down plate",
    "take spoon",
    "close fridge",
    "wash pan",
    "stir soup",
    "peel carrot",
    "turn on tap",
    "move box",
    "look for <salt> & pepper",
)
RETRIEVAL = {"epic_mir": "caption", "epic_sounds": "class"}
RETRIEVAL_METRICS = (
    "map_published",
    "map_binary",
    "ndcg",
    "recall_at_1",
    "recall_at_5",
    "recall_at_10",
    "recall_at_50",
    "median_rank",
    "mean_rank",
)


def level_of(text: str) -> str:
    """Each text's level, in turn."""
    return LEVELS[TEXTS.index(text) % 3]


def build_lake(root: Path, clips: int = 36, seed: int = 0) -> Lake:
    """Write every table of the fixture and return the lake."""
    lake = Lake(root)
    rng = np.random.default_rng(seed)
    _write_prompts(lake)
    for benchmark in (*RETRIEVAL, "ego_mcq"):
        rows = _clip_rows(benchmark, clips, rng)
        _write_benchmark(lake, benchmark, rows)
        _write_texts(lake, benchmark)
        _write_scores(lake, benchmark, [row for row in rows if row["usable"]], rng)
    return lake


def _write_prompts(lake: Lake) -> None:
    lake.write(
        PROMPTS,
        PROMPTS.frame(
            {
                "variant": name,
                "purpose": "grade" if name == GRADER else "describe",
                "model": "a-model",
                "parameters": "{}",
                "template": "{{ text }}",
                "template_hash": f"hash-{name}",
                "examples": ["washing dishes -> Metal clinking"] if "examples" in name else [],
                "file": f"{name}.yaml",
            }
            for name in (*VARIANTS[1:], GRADER)
        ),
    )
    lake.write(
        FEW_SHOT_EXAMPLES,
        FEW_SHOT_EXAMPLES.frame(
            [
                {
                    "youtube_id": "abc",
                    "visual_text": "washing dishes",
                    "audio_caption": "Metal clinking",
                    "overlap_s": 9.0,
                    "kept": True,
                }
            ]
        ),
    )


def _clip_rows(benchmark: str, clips: int, rng: np.random.Generator) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number in range(clips):
        text = TEXTS[number % len(TEXTS)]
        usable = number % 12 != 11
        rows.append(
            {
                "benchmark": benchmark,
                "clip_id": f"clip_{number:03d}",
                "video_id": f"P{number % 6:02d}_01",
                "participant_id": f"P{number % 6:02d}",
                "start_s": float(number),
                "stop_s": float(number) + 0.8,
                "text": text,
                "text_id": text_id(text),
                "shortened": False,
                "verb_class": number % 5,
                "noun_classes": [number % 4],
                "rms": float(rng.uniform(0.01, 0.2)) if usable else 0.0,
                "peak": 0.5,
                "digital_silence": 0.0 if usable else 1.0,
                "usable": usable,
                "reason": None if usable else "digital silence",
            }
        )
    return rows


def _write_benchmark(lake: Lake, benchmark: str, rows: list[dict[str, object]]) -> None:
    lake.write(CLIPS, CLIPS.frame(rows), benchmark)
    videos = sorted({str(row["video_id"]) for row in rows})
    lake.write(
        MEDIA,
        MEDIA.frame(
            {
                "benchmark": benchmark,
                "video_id": video,
                "path": f"{video}.flac",
                "duration_s": 60.0,
                "sample_rate": 48000,
                "channels": 1,
                "content_hash": "0" * 64,
                "usable": True,
            }
            for video in videos
        ),
        benchmark,
    )
    asked = benchmark == "ego_mcq"
    lake.write(CAPTIONS, CAPTIONS.frame([] if asked else _captions(benchmark)), benchmark)
    lake.write(QUESTIONS, QUESTIONS.frame(_questions(benchmark) if asked else []), benchmark)
    lake.write(
        EXCLUSIONS,
        EXCLUSIONS.frame(
            {
                "benchmark": benchmark,
                "item_kind": "clip",
                "item_id": row["clip_id"],
                "effect": "excluded",
                "stage": "benchmarks",
                "reason": "digital silence",
                "detail": "every sample is 0",
            }
            for row in rows
            if not row["usable"]
        ),
        benchmark,
    )


def _captions(benchmark: str) -> list[dict[str, object]]:
    return [
        {
            "benchmark": benchmark,
            "caption_id": f"caption_{i:02d}",
            "clip_id": f"clip_{i:03d}",
            "text": text,
            "text_id": text_id(text),
            "verb_class": i % 5,
            "noun_classes": [i % 4],
        }
        for i, text in enumerate(TEXTS)
    ]


def _questions(benchmark: str) -> list[dict[str, object]]:
    return [
        {
            "benchmark": benchmark,
            "question_id": str(i),
            "kind": ("inter", "intra")[i % 2],
            "text": text,
            "text_id": text_id(text),
            "options": [f"clip_{i + j:03d}" for j in range(5)],
            "answer": 0,
            "usable": True,
        }
        for i, text in enumerate(TEXTS)
    ]


def _write_texts(lake: Lake, benchmark: str) -> None:
    lake.write(
        DESCRIPTIONS,
        DESCRIPTIONS.frame(
            {
                "benchmark": benchmark,
                "text_id": text_id(text),
                "variant": variant,
                "text": text,
                "description": f"The sound of someone who does this: {text}"
                + (", clinking" if variant == "with_examples" else ""),
                "model": "a-model",
                "key": f"{variant}-{text_id(text)}",
            }
            for text, variant in itertools.product(TEXTS, VARIANTS[1:])
        ),
        benchmark,
    )
    lake.write(TEXT_STYLES, _styles(lake, benchmark), benchmark)
    lake.write(
        INFORMATIVENESS,
        INFORMATIVENESS.frame(
            {
                "benchmark": benchmark,
                "text_id": text_id(text),
                "grader": GRADER,
                "text": text,
                "level": level_of(text),
                "model": "a-model",
                "key": f"grade-{text_id(text)}",
            }
            for text in TEXTS
        ),
        benchmark,
    )
    lake.write(
        REQUESTS,
        REQUESTS.frame(
            {
                "benchmark": benchmark,
                "request_id": f"{variant}-{i}",
                "variant": variant,
                "text_ids": [text_id(text)],
                "model": "a-model",
                "state": "answered",
                "attempts": 1,
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "cost_usd": 0.001,
                "raw_answer": "{}",
            }
            for variant in VARIANTS[1:]
            for i, text in enumerate(TEXTS)
        ),
        benchmark,
    )
    kind = "question" if benchmark == "ego_mcq" else "caption"
    lake.write(
        SUBSET_MEMBERS,
        SUBSET_MEMBERS.frame(
            {
                "benchmark": benchmark,
                "grader": GRADER,
                "subset": level_of(text),
                "item_kind": kind,
                "item_id": str(i) if kind == "question" else f"caption_{i:02d}",
            }
            for i, text in enumerate(TEXTS)
        ),
        benchmark,
    )


def _styles(lake: Lake, benchmark: str) -> pd.DataFrame:
    texts = pd.DataFrame({"text": TEXTS, "text_id": [text_id(text) for text in TEXTS]})
    return build_text_styles(
        benchmark,
        texts,
        lake.read(DESCRIPTIONS, benchmark),
        {"sound_words": ["clink", "sound"], "visual_words": ["look"]},
        {"audiocaps_similarity": CaptionStyle.of(["Metal clinks"]), "clotho_similarity": None},
    )


def _write_scores(
    lake: Lake, benchmark: str, clips: list[dict[str, object]], rng: np.random.Generator
) -> None:
    """Query scores, and from them scores and comparisons, over all settings."""
    queries = pd.DataFrame(_settings(benchmark, clips, rng))
    lake.write(QUERY_SCORES, QUERY_SCORES.frame(queries[QUERY_SCORES.names]), benchmark)
    lake.write(QUERY_HITS, _hits(queries, rng), benchmark)
    setting = [name for name in SCORES.key if name != "metric"] + ["metric"]
    scores = (
        queries.groupby(setting, dropna=False, observed=True)
        .agg(value=("value", "mean"), queries=("value", "size"), candidates=("candidates", "max"))
        .reset_index()
    )
    scores = pd.concat([scores, _mean_direction(scores, setting)], ignore_index=True)
    ranks = scores["metric"].isin(["median_rank", "mean_rank"])
    width = np.where(ranks, 2.0, 0.04)
    scores["ci_low"] = (scores["value"] - width).where(ranks, (scores["value"] - width).clip(0))
    scores["ci_high"] = (scores["value"] + width).where(ranks, (scores["value"] + width).clip(0, 1))
    scores["plain_ci_low"], scores["plain_ci_high"] = scores["ci_low"], scores["ci_high"]
    scores["cluster"] = "video (approximate)"
    floor = 0.2 if benchmark == "ego_mcq" else 0.08
    scores["random_floor"] = (
        scores["subset"]
        .map({"all": floor, "low": floor * 1.3, "moderate": floor * 1.2, "high": floor * 1.25})
        .where(~ranks, 12.0)
    )
    scores["ceiling"] = np.where(ranks, 1.0, np.where(scores["recall_rule"] == "diagonal", 0.4, 1))
    scores["seeds"] = 1
    lake.write(SCORES, SCORES.frame(scores[SCORES.names]), benchmark)
    _write_comparisons(lake, benchmark, scores, setting)


def _hits(queries: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Right candidates of every query of the whole gallery, found more often the further down."""
    chosen = (queries["subset"] == "all") & (queries["metric"] == "map_published")
    rows = queries.loc[chosen, QUERY_HITS.names[:6]]
    if rows.empty:
        return QUERY_HITS.frame([])
    right = rng.integers(1, 8, len(rows))
    found = {
        f"hits_at_{k}": np.minimum(right, rng.integers(0, 1 + k, len(rows))).astype(float)
        for k in (1, 5, 10, 50)
    }
    return QUERY_HITS.frame(rows.assign(right_candidates=right, **found))


def _mean_direction(scores: pd.DataFrame, setting: list[str]) -> pd.DataFrame:
    both = scores[scores["direction"].notna()].assign(direction="mean")
    if both.empty:
        return both
    return (
        both.groupby(setting, dropna=False, observed=True)
        .agg(value=("value", "mean"), queries=("queries", "sum"), candidates=("candidates", "max"))
        .reset_index()
    )


def _write_comparisons(
    lake: Lake, benchmark: str, scores: pd.DataFrame, setting: list[str]
) -> None:
    others = [name for name in setting if name != "variant"]
    base = scores[scores["variant"] == "visual"]
    paired = scores[scores["variant"] != "visual"].merge(
        base[[*others, "value"]].rename(columns={"value": "visual"}), on=others
    )
    paired["baseline"] = "visual"
    paired["delta"] = paired["value"] - paired["visual"]
    paired["ci_low"] = paired["delta"] - 0.03
    paired["ci_high"] = paired["delta"] + 0.03
    paired["p_value"] = np.where(paired["delta"].abs() > 0.05, 0.0004, 0.3)
    paired["p_holm"] = np.where(paired["delta"].abs() > 0.05, 0.004, 0.9)
    lake.write(COMPARISONS, COMPARISONS.frame(paired[COMPARISONS.names]), benchmark)


def _settings(
    benchmark: str, clips: list[dict[str, object]], rng: np.random.Generator
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for encoder, variant, subset in itertools.product(ENCODERS, VARIANTS, ("all", *LEVELS)):
        base = {
            "benchmark": benchmark,
            "encoder": encoder,
            "variant": variant,
            "grader": None if subset == "all" else GRADER,
            "subset": subset,
            "crop_rule": "none",
            "similarity": "cosine",
        }
        lift = 0.05 * VARIANTS.index(variant) + 0.05 * (("all", *LEVELS).index(subset))
        lift += 0.1 * ENCODERS.index(encoder)
        texts = [t for t in TEXTS if subset in ("all", level_of(t))]
        if benchmark == "ego_mcq":
            rows += _question_scores(base, texts, lift, rng)
        else:
            rows += _retrieval_scores(base, texts, clips, lift, rng)
    return rows


def _question_scores(
    base: dict[str, object], texts: list[str], lift: float, rng: np.random.Generator
) -> list[dict[str, object]]:
    return [
        {
            **base,
            "protocol": None,
            "direction": None,
            "relevance_kind": "question",
            "recall_rule": None,
            "query_id": str(TEXTS.index(text)),
            "video_id": "P00_01",
            "metric": ("accuracy_inter", "accuracy_intra")[TEXTS.index(text) % 2],
            "value": float(rng.random() < 0.35 + lift),
            "rank": 1.0,
            "candidates": 5,
        }
        for text in texts
    ]


def _retrieval_scores(
    base: dict[str, object],
    texts: list[str],
    clips: list[dict[str, object]],
    lift: float,
    rng: np.random.Generator,
) -> list[dict[str, object]]:
    heard = [clip for clip in clips if clip["text"] in texts]
    sides = {
        "text_to_audio": [(f"caption_{TEXTS.index(t):02d}", None) for t in texts],
        "audio_to_text": [(clip["clip_id"], clip["video_id"]) for clip in heard],
    }
    metrics = [
        (m, "duplicates" if "recall" in m or "rank" in m else None) for m in RETRIEVAL_METRICS
    ]
    if base["benchmark"] == "epic_sounds":
        metrics.append(("class_accuracy", None))
    metrics += [(f"recall_at_{k}", "diagonal") for k in (1, 5, 10, 50)]
    rows: list[dict[str, object]] = []
    protocols = (
        ("subset_gallery",) if base["subset"] == "all" else ("subset_gallery", "full_gallery")
    )
    for protocol, (direction, queries), (metric, rule) in itertools.product(
        protocols, sides.items(), metrics
    ):
        gallery = sides["audio_to_text" if direction == "text_to_audio" else "text_to_audio"]
        for query, video in queries:
            value = float(np.clip(rng.normal(0.3 + lift, 0.1), 0, 1))
            rank = 1 + int(rng.integers(10))
            rows.append(
                {
                    **base,
                    "protocol": protocol,
                    "direction": direction,
                    "relevance_kind": RETRIEVAL[str(base["benchmark"])],
                    "recall_rule": rule,
                    "query_id": query,
                    "video_id": video,
                    "metric": metric,
                    "value": float(rank) if metric.endswith("rank") else value,
                    "rank": float(rank),
                    "candidates": len(gallery),
                }
            )
    return rows
