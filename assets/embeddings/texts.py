"""Text embeddings: every distinct text once an encoder, however many rows carry it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from assets.embeddings.counting import count
from assets.embeddings.engine import Progress
from resources.counts import Counts
from resources.encoders.catalog import build_encoder, fused_encoders, single_encoders
from resources.encoders.late_fusion import fuse_rows
from resources.encoders.precomputed import Precomputed, vector_key
from resources.encoders.protocol import Encoder, EncoderUnavailable, Vectors
from resources.keys import text_key
from resources.settings import LateFusionSettings, Settings
from resources.tables import TEXT_EMBEDDINGS, normalized, text_id
from resources.vector_store import VectorStore

BATCH = 1024
"""Texts handed over at once; an encoder batches them further, by length."""

TextVectors = Mapping[str, Vectors]
TextEngine = Callable[[Encoder, VectorStore, Mapping[str, str], Progress], TextVectors]


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
) -> tuple[pd.DataFrame, Counts]:
    """Embed distinct texts with every encoder of the config that can run here.

    Args:
        settings: names the encoders and the cache folder.
        benchmark: the partition.
        texts: `text_id, text`, distinct (see `wanted_texts`).
        previous: the last `text_embeddings` (`text_id, encoder`), to tell new from stale rows.
        progress: given what is counted, says whom to tell of texts done and texts to do.
        engine: what computes missing vectors, if not this process (see `embed_here`).

    Returns:
        Table `text_embeddings`, and the counts. A text that nobody brought a vector of has no
        row: scoring says what that costs. An encoder that can't run has none at all, and is
        listed with the clips' exclusions.
    """
    by_name: dict[str, pd.DataFrame] = {}
    made: set[str] = set()
    for name, encoder_settings in single_encoders(settings).items():
        try:
            encoder = build_encoder(name, encoder_settings, settings.cache_dir)
            if isinstance(encoder, Precomputed):
                by_name[name] = _look_up(encoder, texts)
            else:
                report = progress(f"texts, {name}") if progress else lambda done, of: None
                by_name[name], computed = _embed(
                    encoder, settings, texts, engine or embed_here, report
                )
                made |= computed
        except EncoderUnavailable:
            continue
    for name, fused in fused_encoders(settings).items():
        if fused.weights.keys() <= by_name.keys():
            by_name[name] = _fuse(name, fused, by_name)
    made_of = [rows for rows in by_name.values() if len(rows)]
    rows = pd.concat(made_of or [_rows("", [], [], [])])
    table = TEXT_EMBEDDINGS.frame(rows.assign(benchmark=benchmark))
    return table, count(table, previous, made, failed=0, item=["text_id", "encoder"])


def _look_up(encoder: Precomputed, texts: pd.DataFrame) -> pd.DataFrame:
    found = encoder.text_vectors(texts["text_id"])
    vectors = list(found.values())
    return _rows(encoder.name, list(found), [vector_key(vector) for vector in vectors], vectors)


def embed_here(
    encoder: Encoder, store: VectorStore, missing: Mapping[str, str], report: Progress
) -> TextVectors:
    """Embed texts in this process, and save their vectors batch by batch.

    Args:
        encoder: what embeds.
        store: where vectors are kept.
        missing: the texts by key.
        report: told of texts done and texts to do.

    Returns:
        Every text's vector by key.

    Raises:
        EncoderUnavailable: the encoder can't run here.
    """
    made: dict[str, Vectors] = {}
    keys = list(missing)
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        vectors = encoder.embed_texts([missing[key] for key in batch])
        store.add(batch, vectors)
        made |= dict(zip(batch, vectors, strict=True))
        report(len(made), len(keys))
    return made


def _embed(
    encoder: Encoder,
    settings: Settings,
    texts: pd.DataFrame,
    engine: TextEngine,
    report: Progress,
) -> tuple[pd.DataFrame, set[str]]:
    """An encoder's rows, and the keys that were computed now."""
    store = VectorStore(settings.vectors_dir, encoder.fingerprint)
    keys = [text_key(text, encoder.fingerprint) for text in texts["text"]]
    known = store.read(keys)
    missing = {key: text for key, text in zip(keys, texts["text"], strict=True) if key not in known}
    if missing:
        known |= engine(encoder, store, missing, report)
    return _rows(encoder.name, texts["text_id"], keys, [known[key] for key in keys]), set(missing)


def _fuse(
    name: str, settings: LateFusionSettings, by_name: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Rows of an encoder made of others, of the texts that all of them have."""
    parts = {part: by_name[part].set_index("text_id") for part in settings.weights}
    return fuse_rows(parts, settings).assign(encoder=name).reset_index()


def _rows(
    encoder: str, identifiers: Iterable[str], keys: Sequence[str], vectors: Sequence[Vectors]
) -> pd.DataFrame:
    columns = {"text_id": list(identifiers), "key": keys, "vector": vectors}
    return pd.DataFrame(columns, dtype=object).assign(encoder=encoder)
