"""Text embeddings: every distinct text once an encoder, however many rows carry it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from assets.embeddings.results import (
    Embeddings,
    EncoderResult,
    all_encoders,
    encoder_exclusion,
    exclusion,
    failed_rows,
    left_out,
)
from assets.embeddings.work import Progress, Work
from resources.encoders.catalog import build_encoder, single_encoders
from resources.encoders.late_fusion import fuse_rows
from resources.encoders.precomputed import Precomputed, vector_key
from resources.encoders.protocol import Encoder, EncoderUnavailable, Vectors
from resources.keys import text_key
from resources.settings import LateFusionSettings, Settings
from resources.tables import TEXT_EMBEDDING_EXCLUSIONS, TEXT_EMBEDDINGS, normalized, text_id
from resources.vector_store import VectorStore

BATCH = 128
"""Texts handed over at once, a third of a minute's for the slowest encoder on a CPU; an encoder
batches them further, by length."""

TextWork = Work[Mapping[str, str]]
"""The missing texts by key."""

TextEngine = Callable[[TextWork, Progress], None]
"""What fills in a work's faults and saves every other vector: `embed_here`, or another."""


def wanted_texts(
    captions: pd.DataFrame,
    clips: pd.DataFrame,
    questions: pd.DataFrame,
    descriptions: pd.DataFrame,
) -> pd.DataFrame:
    """The distinct texts that scoring needs.

    Captions, usable questions and all descriptions; and where there are captions the clips' own
    texts, which the `diagonal` recall rule ranks (method section 8).

    Returns:
        `text_id, text`, sorted by id; texts in the form that the id stands for. A description's
        id is that of the description itself.
    """
    asked = questions.loc[questions["usable"].astype(bool), ["text_id", "text"]]
    own = clips[["text_id", "text"]] if len(captions) else clips[["text_id", "text"]].iloc[:0]
    rewritten = pd.DataFrame(
        {
            "text_id": [text_id(text) for text in descriptions["description"]],
            "text": list(descriptions["description"]),
        },
        dtype=object,
    )
    texts = pd.concat([captions[["text_id", "text"]], own, asked, rewritten], ignore_index=True)
    texts["text"] = texts["text"].map(normalized)
    return texts.drop_duplicates("text_id").sort_values("text_id", ignore_index=True)


def embed_texts(
    settings: Settings,
    benchmark: str,
    texts: pd.DataFrame,
    previous: pd.DataFrame | None = None,
    progress: Callable[[str], Progress] | None = None,
    engine: TextEngine | None = None,
) -> Embeddings:
    """Embed distinct texts with every encoder of the config that can run here.

    Args:
        settings: names the encoders and the cache folder.
        benchmark: the partition.
        texts: `text_id, text`, distinct (see `wanted_texts`).
        previous: the last `text_embeddings` (`text_id, encoder`), to tell new from stale rows.
        progress: given what is counted, says whom to tell of texts done and texts to do.
        engine: what computes missing vectors, if not this process (see `embed_here`).

    Returns:
        Tables `text_embeddings` and `text_embedding_exclusions`, and the counts. An encoder that
        can't run here has one row in the second, and in the first those texts that are known:
        scoring says of every other, as of one that nobody brought a vector of, what it costs.
    """
    by_name: dict[str, EncoderResult] = {}
    for name, encoder_settings in single_encoders(settings).items():
        report = progress(f"texts, {name}") if progress else lambda done, of: None
        try:
            encoder = build_encoder(name, encoder_settings, settings.cache_dir)
            if isinstance(encoder, Precomputed):
                by_name[name] = _look_up(encoder, texts)
            else:
                by_name[name] = _embed(encoder, settings, texts, engine or embed_here, report)
        except EncoderUnavailable as error:  # told without embedding, so by its fingerprint too
            by_name[name] = left_out(name, error)
    models = (TEXT_EMBEDDINGS, TEXT_EMBEDDING_EXCLUSIONS)
    return all_encoders(settings, benchmark, by_name, _fuse, models, previous)


def embed_here(work: TextWork, report: Progress) -> None:
    """Embed texts in this process, and save their vectors at least every minute.

    Args:
        work: its `faults` and `unavailable` are filled in.
        report: told of texts done and texts to do.
    """
    texts = list(work.wanted.items())
    try:
        for start in range(0, len(texts), BATCH):
            batch = dict(texts[start : start + BATCH])
            work.embed(work.encoder.embed_texts, batch)
            if work.unavailable:
                break
            report(start + len(batch), len(texts))
    finally:
        work.save_finished()


def _look_up(encoder: Precomputed, texts: pd.DataFrame) -> EncoderResult:
    found = encoder.text_vectors(texts["text_id"])
    vectors = list(found.values())
    keys = [vector_key(vector) for vector in vectors]
    return EncoderResult(_rows(encoder.name, list(found), keys, vectors))


def _embed(
    encoder: Encoder,
    settings: Settings,
    texts: pd.DataFrame,
    engine: TextEngine,
    report: Progress,
) -> EncoderResult:
    """An encoder's rows: what is known, and what could be computed of the rest."""
    store = VectorStore(settings.vectors_dir, encoder.fingerprint)
    wanted = texts.assign(key=[text_key(text, encoder.fingerprint) for text in texts["text"]])
    vectors = store.read(wanted["key"])
    missing = wanted[~wanted["key"].isin(vectors.keys())]
    work: TextWork = Work(
        encoder, dict(zip(missing["key"], missing["text"], strict=True)), store.add
    )
    if work.wanted:
        engine(work, report)
        vectors |= store.read(work.wanted.keys())
    rows = wanted[wanted["key"].isin(vectors.keys())]
    return EncoderResult(
        _rows(encoder.name, rows["text_id"], rows["key"], [vectors[key] for key in rows["key"]]),
        _excluded(work, missing),
        work.wanted.keys() & vectors.keys(),
        failed_rows(encoder, len(wanted) - len(rows)),
    )


def _excluded(work: TextWork, missing: pd.DataFrame) -> list[dict[str, Any]]:
    """The texts that the encoder failed with; where it can't run here, itself alone."""
    name = work.encoder.name
    if work.unavailable:
        return [encoder_exclusion(name, work.unavailable)]
    rows = zip(missing["text_id"], missing["text"], missing["key"], strict=True)
    return [
        exclusion("text", text_id, name, fault.reason, f"{text!r}: {fault.detail}")
        for text_id, text, key in rows
        if (fault := work.faults.get(key))
    ]


def _fuse(
    name: str, settings: LateFusionSettings, by_name: Mapping[str, EncoderResult]
) -> EncoderResult:
    """Rows of an encoder made of others, of the texts that all of them have."""
    parts = {part: by_name[part].rows.set_index("text_id") for part in settings.weights}
    return EncoderResult(fuse_rows(parts, settings).assign(encoder=name).reset_index())


def _rows(
    encoder: str, identifiers: Iterable[str], keys: Iterable[str], vectors: Sequence[Vectors]
) -> pd.DataFrame:
    columns = {"text_id": list(identifiers), "key": list(keys), "vector": vectors}
    return pd.DataFrame(columns, dtype=object).assign(encoder=encoder)
