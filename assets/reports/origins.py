"""What a score rests on, in words and hashes: prompts and answers, encoder, relevance, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from assets.descriptions.paper import PAPER
from assets.descriptions.prompts import Prompt, PromptError, examples_of, load_prompts, render
from assets.embeddings.fingerprints import encoder_fingerprints
from assets.retrieval.galleries import RetrievalTables
from resources.encoders.catalog import build_encoder, single_encoders
from resources.encoders.protocol import EncoderUnavailable
from resources.encoders.torch_runtime import TorchEncoder
from resources.hashing import canonical_hash
from resources.lake import Lake
from resources.settings import Settings
from resources.table_model import TableModel
from resources.tables import (
    CAPTIONS,
    CLIPS,
    COMPARISONS,
    DESCRIPTIONS,
    FEW_SHOT_EXAMPLES,
    INFORMATIVENESS,
    PROMPTS,
    QUERY_SCORES,
    QUESTIONS,
    RELEVANCE,
    SCORES,
    TABLES,
    VISUAL,
)
from resources.warehouse import query

_QUERIES_SHOWN = 3
_CLASSES = ("verb_class", "noun_classes")


@dataclass(frozen=True)
class Section:
    """A heading, and lines of names and what they are; a value may have several lines."""

    title: str
    lines: list[tuple[str, str]]


def query_section(file: Path, score: Mapping[Any, Any]) -> Section:
    """The queries that a row of `scores` is the mean of: the SELECT that lists them, and both ends.

    Args:
        file: the published DuckDB file.
        score: the row; of the direction `mean`, the queries of both directions.
    """
    names = [name for name in QUERY_SCORES.key if name != "query_id"]
    both = score["direction"] == "mean"
    chosen = [
        f"s.{name} {_equals(score[name])}" for name in names if not (both and name == "direction")
    ]
    joined = "\n  AND ".join(chosen)
    select = f"""SELECT s.direction, s.query_id, s.value, s.rank, t.text
FROM query_scores AS s LEFT JOIN query_texts AS t
  ON t.benchmark = s.benchmark AND t.query_id = s.query_id
  AND t.direction IS NOT DISTINCT FROM s.direction
WHERE {joined}
ORDER BY s.value, s.query_id, s.direction"""  # noqa: S608 (the file is read only)
    rows = query(file, select).to_dict("records")
    return Section(
        "Its queries, in the published DuckDB file",
        [
            ("rows", f"{len(rows):,}"),
            ("listed by", select),
            ("lowest", "\n".join(map(_query_line, rows[:_QUERIES_SHOWN]))),
            ("highest", "\n".join(map(_query_line, rows[: -_QUERIES_SHOWN - 1 : -1]))),
        ],
    )


def _equals(value: str | None) -> str:
    return "IS NULL" if pd.isna(value) else "= '" + str(value).replace("'", "''") + "'"


def _query_line(row: Mapping[Any, Any]) -> str:
    rank = "none" if pd.isna(row["rank"]) else f"{row['rank']:g}"
    text = "" if pd.isna(row["text"]) else f": {row['text']}"
    return f"{row['value']:.4f}, first right at rank {rank}, {row['query_id']}{text}"


def text_section(settings: Settings, lake: Lake, benchmark: str, variant: str) -> Section:
    """Where the texts of a variant come from: prompt, examples, models, and one text in full."""
    title = f"Texts: {variant}"
    if variant == VISUAL:
        return Section(title, [("source", "the benchmark's own texts, as annotated")])
    rows = lake.read(DESCRIPTIONS, benchmark)
    return Section(
        title, _answers(settings, lake, rows[rows["variant"] == variant], variant, "description")
    )


def level_section(settings: Settings, lake: Lake, benchmark: str, grader: str) -> Section:
    """Where the levels of a grader come from."""
    rows = lake.read(INFORMATIVENESS, benchmark)
    rows = rows[rows["grader"] == grader]
    return Section(f"Levels: {grader}", _answers(settings, lake, rows, grader, "level"))


def encoder_section(settings: Settings, encoder: str) -> Section:
    """An encoder's fingerprint, as the config has it now, and its checkpoint's hash."""
    lines = [("fingerprint", encoder_fingerprints(settings).get(encoder, "no longer configured"))]
    if checkpoint := _checkpoint(settings, encoder):
        lines.append(("checkpoint sha256", checkpoint))
    return Section(f"Encoder: {encoder}", lines)


def version_section(lake: Lake, benchmark: str) -> Section:
    """Data versions of the tables that scoring reads, and of those made from it."""
    names = [field.name for field in fields(RetrievalTables)]
    lines = []
    for name in (*names, QUERY_SCORES.name, SCORES.name, COMPARISONS.name):
        stamp = lake.stamp(TABLES[name], benchmark)
        lines.append((name, stamp.data_version if stamp else "not there"))
    return Section("Data versions of the tables in the lake", lines)


def relevance_hash(lake: Lake, benchmark: str, kind: str) -> str:
    """sha256 of what relevance is computed from: 64 hex digits.

    Args:
        lake: holds the tables.
        benchmark: whose.
        kind: `relevance_kind`. Classes of captions and clips; for `pairs` those that the
            benchmark brings, or else each caption's own clip; options and answers of questions.
    """
    tables: dict[TableModel, tuple[str, ...]]
    if kind == "question":
        tables = {QUESTIONS: ("question_id", "options", "answer")}
    elif kind == "pairs" and len(lake.read(RELEVANCE, benchmark)):
        tables = {RELEVANCE: ("caption_id", "clip_id", "relevance")}
    elif kind == "pairs":
        tables = {CAPTIONS: ("caption_id", "clip_id")}
    else:
        tables = {CAPTIONS: ("caption_id", *_CLASSES), CLIPS: ("clip_id", *_CLASSES)}
    content = {
        model.name: lake.read_arrow(model, benchmark).select(list(columns)).to_pylist()
        for model, columns in tables.items()
    }
    return canonical_hash({"kind": kind, **content})


def _answers(
    settings: Settings, lake: Lake, rows: pd.DataFrame, variant: str, field: str
) -> list[tuple[str, str]]:
    """What answers a prompt got, from whom, and how one of the texts was put."""
    models = rows["model"].value_counts()
    lines = [("answers", f"{len(rows):,} distinct texts")]
    lines += [("model that answered", f"{name}: {n:,}") for name, n in models.items() if n]
    if variant == PAPER:
        return [*lines, ("source", "the authors' own files, named under `descriptions_from:`")]
    stored = lake.read(PROMPTS)
    for prompt in stored[stored["variant"] == variant].to_dict("records"):
        lines += [
            (name.replace("_", " "), str(prompt[name]))
            for name in ("file", "template_hash", "model", "parameters")
        ]
        lines.append(("examples", "\n".join(prompt["examples"]) or "none"))
    if len(rows):
        example = rows.iloc[0]
        lines += [("example text", example["text"]), (f"its {field}", example[field])]
        lines += _rendered(settings, lake, example, variant)
    return lines


def _rendered(
    settings: Settings, lake: Lake, example: pd.Series, variant: str
) -> list[tuple[str, str]]:
    """The messages for one text, and whether they are those that were answered."""
    try:
        prompt = _prompt(settings, variant)
    except PromptError as error:
        return [("messages", f"can't be shown: {error}")]
    if prompt is None:
        return [("messages", "can't be shown: the config no longer uses this prompt")]
    pool = lake.read(FEW_SHOT_EXAMPLES)
    question = render(prompt, example["text"], examples_of(prompt, pool))
    asked = question.key == example["key"]
    return [
        *((f"message: {m['role']}", m["content"]) for m in question.messages),
        (
            "answered under the key",
            f"{example['key']} ({'these messages' if asked else 'the prompt has changed since'})",
        ),
    ]


def _prompt(settings: Settings, variant: str) -> Prompt | None:
    return next((p for p in load_prompts(settings) if p.variant == variant), None)


def _checkpoint(settings: Settings, name: str) -> str | None:
    """The sha256 of an encoder's checkpoint; None for encoders without one."""
    single = single_encoders(settings).get(name)
    if single is None:
        return None
    try:
        encoder = build_encoder(name, single, settings.cache_dir)
        return encoder.checkpoint_sha256 if isinstance(encoder, TorchEncoder) else None
    except EncoderUnavailable as error:
        return f"unavailable: {error.reason}"
