"""Who is scored with whom: the captions, clips and questions of one encoder and text variant.

Plans only: ids and positions, no similarity. Scoring and aggregation both walk these, so that
what was scored and what is said of it (candidates, floors) cannot differ. What is left out is
said here, as rows of the table `exclusions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from assets.benchmarks.relevance import Relevance, class_relevance, pair_relevance
from assets.retrieval.metrics import Direction
from resources.settings import MetricsSettings
from resources.tables import EXCLUSIONS, LEVELS, VISUAL, text_id

Exclusion = dict[str, str | None]


class RetrievalError(ValueError):
    """Tables can't be scored; the message names the table, the row and the remedy."""


@dataclass(frozen=True)
class RetrievalTables:
    """The tables of one benchmark that retrieval reads, each in its model's form."""

    clips: pd.DataFrame
    captions: pd.DataFrame
    relevance: pd.DataFrame
    questions: pd.DataFrame
    descriptions: pd.DataFrame
    subset_members: pd.DataFrame
    audio_embeddings: pd.DataFrame
    text_embeddings: pd.DataFrame

    @property
    def benchmark(self) -> str:
        """The benchmark's name; empty if it has no clip."""
        return str(self.clips["benchmark"].iloc[0]) if len(self.clips) else ""

    @property
    def variants(self) -> list[str]:
        """The text variants, the original first."""
        return [VISUAL, *sorted(set(self.descriptions["variant"]) - {VISUAL})]


@dataclass(frozen=True)
class Gallery:
    """What one encoder is scored on, with the texts of one variant.

    Attributes:
        encoder, variant, crop_rule: whose vectors, which texts, how long clips were cut.
        seeds: the seeds that every clip of the gallery has a vector of.
        clips: rows of `clips` in the gallery, with `variant_text_id`, null where none.
        captions: rows of `captions` that have a text in this variant, with `variant_text_id`.
        questions: rows of `questions` that are asked, with `variant_text_id`.
        options: positions in `clips` of each question's options: (questions, options).
    """

    encoder: str
    variant: str
    crop_rule: str
    seeds: tuple[int, ...]
    clips: pd.DataFrame
    captions: pd.DataFrame
    questions: pd.DataFrame
    options: np.ndarray


@dataclass(frozen=True)
class Cell:
    """One subset under one protocol.

    Attributes:
        grader: who graded; None for the subset `all`.
        subset, protocol: see the tables.
        captions, clips: positions in the gallery of the queries of either direction; under
            `subset_gallery` they are the candidates as well, else all of the gallery is.
    """

    grader: str | None
    subset: str
    protocol: str
    captions: np.ndarray
    clips: np.ndarray

    def queries(self, direction: Direction) -> np.ndarray:
        """Positions of the queries of a direction."""
        return self.captions if direction == "text_to_audio" else self.clips

    def gallery_positions(self, gallery: Gallery) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the captions and clips that are candidates."""
        if self.protocol == "full_gallery":
            return np.arange(len(gallery.captions)), np.arange(len(gallery.clips))
        return self.captions, self.clips


def plan_galleries(tables: RetrievalTables) -> tuple[list[Gallery], list[Exclusion]]:
    """The galleries of all encoders and variants, and what is left out of them.

    A clip is in an encoder's gallery if it is usable and has a vector of every seed of that
    encoder. A caption or question without a description in a variant is left out of that variant.
    A variant with a text that the encoder has no vector of is not scored with it.
    """
    galleries: list[Gallery] = []
    left_out: list[Exclusion] = []
    maps = {variant: _variant_texts(tables, variant) for variant in tables.variants}
    for variant, texts in maps.items():
        left_out += _without_description(tables, variant, texts)
    for encoder, vectors in tables.audio_embeddings.groupby("encoder", observed=True):
        audio = _audio_gallery(tables, str(encoder), vectors)
        known = set(tables.text_embeddings["text_id"][tables.text_embeddings["encoder"] == encoder])
        left_out += _incomplete_clips(tables, str(encoder), vectors, audio)
        for variant, texts in maps.items():
            gallery, unasked = _gallery(tables, audio, variant, texts)
            missing = sorted(_needed_texts(gallery) - known)
            if missing:
                left_out += [
                    exclusion(
                        tables,
                        "text",
                        item,
                        gallery.encoder,
                        "no text vector",
                        f"variant {variant} is not scored with {encoder}",
                    )
                    for item in missing
                ]
            else:
                left_out += unasked
                galleries.append(gallery)
    return galleries, left_out


def cells(tables: RetrievalTables, gallery: Gallery, protocols: tuple[str, ...]) -> Iterator[Cell]:
    """The subset `all`, once, as `subset_gallery`; and each grader's levels by protocol."""
    yield Cell(
        None,
        "all",
        "subset_gallery",
        np.arange(len(gallery.captions)),
        np.arange(len(gallery.clips)),
    )
    captions, clips = gallery.captions["caption_id"], gallery.clips["clip_id"]
    for (grader, subset), members in _levels(tables):
        in_level = {
            kind: set(members["item_id"][members["item_kind"] == kind])
            for kind in ("caption", "clip")
        }
        positions = (
            np.flatnonzero(captions.isin(in_level["caption"])),
            np.flatnonzero(clips.isin(in_level["clip"])),
        )
        for protocol in protocols:
            yield Cell(grader, subset, protocol, *positions)


def question_cells(
    tables: RetrievalTables, gallery: Gallery
) -> Iterator[tuple[str | None, str, np.ndarray]]:
    """(grader, subset, positions of its questions) for `all` and every level."""
    yield None, "all", np.arange(len(gallery.questions))
    for (grader, subset), members in _levels(tables):
        asked = set(members["item_id"][members["item_kind"] == "question"])
        yield grader, subset, np.flatnonzero(gallery.questions["question_id"].isin(asked))


def relevances(
    tables: RetrievalTables, gallery: Gallery, settings: MetricsSettings
) -> dict[str, Relevance]:
    """The relevance of a gallery, by kind.

    Pairs where the benchmark brings them; identity of the class where clips have one class and
    no nouns; the configured kinds where they have verb and noun classes; and where there is
    neither class nor pair, each caption's own clip.
    """
    captions, clips = gallery.captions, gallery.clips
    if len(tables.relevance):
        return {"pairs": pair_relevance(captions, clips, tables.relevance)}
    if tables.clips["verb_class"].notna().any():
        if tables.clips["noun_classes"].notna().any():
            return {k: class_relevance(captions, clips, k) for k in settings.relevance_kinds}
        return {"class": class_relevance(captions, clips, "class")}
    own = captions[["caption_id", "clip_id"]].dropna().assign(relevance=1.0)
    return {"pairs": pair_relevance(captions, clips, own)}


def exclusion(
    tables: RetrievalTables,
    item_kind: str,
    item_id: str,
    encoder: str | None,
    reason: str,
    detail: str | None,
) -> Exclusion:
    """One thing that retrieval leaves out; `encoder` is null where it is so for all."""
    return {
        "benchmark": tables.benchmark,
        "item_kind": item_kind,
        "item_id": item_id,
        "effect": "excluded",
        "encoder": encoder,
        "stage": "retrieval",
        "reason": reason,
        "detail": detail,
    }


def exclusion_rows(rows: list[Exclusion]) -> pd.DataFrame:
    """What was left out, in the form of the table `exclusions`."""
    return EXCLUSIONS.frame(pd.DataFrame(rows, columns=EXCLUSIONS.names).drop_duplicates())


# ----------------------------------------------------------------------------------- parts


@dataclass(frozen=True)
class _AudioGallery:
    encoder: str
    crop_rule: str
    seeds: tuple[int, ...]
    clips: pd.DataFrame


def _levels(tables: RetrievalTables) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """((grader, level), members) in a fixed order."""
    for grader, members in tables.subset_members.groupby("grader", observed=True):
        for level in LEVELS:
            yield (str(grader), level), members[members["subset"] == level]


def _variant_texts(tables: RetrievalTables, variant: str) -> dict[str, str] | None:
    """Original text id -> the id of its description; None for the originals themselves."""
    if variant == VISUAL:
        return None
    rows = tables.descriptions[tables.descriptions["variant"] == variant]
    return {
        original: text_id(description)
        for original, description in zip(rows["text_id"], rows["description"], strict=True)
    }


def _with_texts(frame: pd.DataFrame, texts: dict[str, str] | None) -> pd.DataFrame:
    ids = frame["text_id"] if texts is None else frame["text_id"].map(texts)
    return frame.assign(variant_text_id=ids.astype(object).where(ids.notna(), None))


def _without_description(
    tables: RetrievalTables, variant: str, texts: dict[str, str] | None
) -> list[Exclusion]:
    if texts is None:
        return []
    asked = tables.questions[tables.questions["usable"]]
    wanted = set(tables.captions["text_id"]) | set(asked["text_id"])
    return [
        exclusion(tables, "text", item, None, "no description", f"variant {variant}")
        for item in sorted(wanted - set(texts))
    ]


def _audio_gallery(tables: RetrievalTables, encoder: str, vectors: pd.DataFrame) -> _AudioGallery:
    rules = sorted(set(vectors["crop_rule"]))
    if len(rules) > 1:
        raise RetrievalError(
            f"audio_embeddings: encoder {encoder} has vectors of {len(rules)} crop rules "
            f"({', '.join(rules)}): give each rule an encoder of its own"
        )
    seeds = tuple(sorted(int(seed) for seed in vectors["seed"].unique()))
    counts = vectors.groupby("clip_id").size()
    complete = counts.index[counts == len(seeds)]
    usable = tables.clips["usable"] & tables.clips["clip_id"].isin(complete)
    return _AudioGallery(encoder, rules[0], seeds, tables.clips[usable].reset_index(drop=True))


def _incomplete_clips(
    tables: RetrievalTables, encoder: str, vectors: pd.DataFrame, audio: _AudioGallery
) -> list[Exclusion]:
    """Usable clips with vectors of some seeds only (those with none are listed by embeddings)."""
    usable = set(tables.clips["clip_id"][tables.clips["usable"]])
    missing = (usable & set(vectors["clip_id"])) - set(audio.clips["clip_id"])
    return [
        exclusion(tables, "clip", item, encoder, "not embedded with every seed", None)
        for item in sorted(missing)
    ]


def _gallery(
    tables: RetrievalTables, audio: _AudioGallery, variant: str, texts: dict[str, str] | None
) -> tuple[Gallery, list[Exclusion]]:
    captions = _with_texts(tables.captions, texts)
    questions = _with_texts(tables.questions[tables.questions["usable"]], texts)
    questions = questions[questions["variant_text_id"].notna()].reset_index(drop=True)
    options = _option_positions(questions, audio.clips)
    complete = (options >= 0).all(axis=1)
    gallery = Gallery(
        encoder=audio.encoder,
        variant=variant,
        crop_rule=audio.crop_rule,
        seeds=audio.seeds,
        clips=_with_texts(audio.clips, texts),
        captions=captions[captions["variant_text_id"].notna()].reset_index(drop=True),
        questions=questions[complete].reset_index(drop=True),
        options=options[complete],
    )
    unasked = [
        exclusion(tables, "question", item, audio.encoder, "an option is not in the gallery", None)
        for item in questions["question_id"][~complete]
    ]
    return gallery, unasked


def _option_positions(questions: pd.DataFrame, clips: pd.DataFrame) -> np.ndarray:
    """(questions, options): each option's position among the clips, -1 where it is not there."""
    if questions.empty:
        return np.empty((0, 0), dtype=np.int64)
    counts = questions["options"].map(len)
    odd = questions["question_id"][counts != counts.iloc[0]]
    if len(odd):
        raise RetrievalError(
            f"questions: {odd.iloc[0]} has another number of options than the first question; "
            "all questions of a benchmark have the same number"
        )
    flat = pd.Index(clips["clip_id"]).get_indexer(np.concatenate(questions["options"].tolist()))
    return flat.reshape(len(questions), -1)


def _needed_texts(gallery: Gallery) -> set[str]:
    needed = set(gallery.captions["variant_text_id"]) | set(gallery.questions["variant_text_id"])
    if len(gallery.captions):
        needed |= set(gallery.clips["variant_text_id"].dropna())
    return needed
