"""The scale of every setting: how many candidates, the random floor and the ceiling.

Read off the same plan that scoring walks (`galleries`), from relevance and texts alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from assets.benchmarks.relevance import Relevance
from assets.retrieval.floors import diagonal_ceiling, diagonal_floor, random_floor
from assets.retrieval.galleries import (
    Cell,
    Gallery,
    RetrievalTables,
    cells,
    plan_galleries,
    question_cells,
    relevances,
)
from assets.retrieval.metrics import BOTH_DIRECTIONS, Direction, relevance_profiles
from resources.settings import MetricsSettings
from resources.tables import METRICS

PERFECT = dict.fromkeys(METRICS, 1.0)
"""What a perfect model reaches where nothing stands in its way; ranks count from 1."""


class ScaleKey(NamedTuple):
    """The part of a setting that decides its scale."""

    encoder: str
    variant: str
    grader: str | None
    subset: str
    protocol: str | None
    direction: str | None
    relevance_kind: str
    recall_rule: str | None


@dataclass(frozen=True)
class Scale:
    """What a score is read against; floor and ceiling by metric."""

    candidates: int
    seeds: int
    floor: dict[str, float]
    ceiling: dict[str, float]


def scales(tables: RetrievalTables, settings: MetricsSettings) -> dict[ScaleKey, Scale]:
    """The scales of all settings that these tables give scores for, both directions apart."""
    found: dict[ScaleKey, Scale] = {}
    floors = _RandomFloors()
    for gallery in plan_galleries(tables)[0]:
        kinds = relevances(tables, gallery, settings) if len(gallery.captions) else {}
        for kind, relevance in kinds.items():
            for cell in cells(tables, gallery, settings.protocols):
                for direction in BOTH_DIRECTIONS:
                    floor = floors.of(gallery, cell, direction, kind, relevance)
                    by_relevance = _by_relevance(gallery, cell, direction, floor)
                    diagonal = _diagonal(gallery, cell, direction, settings.seed)
                    for rule in (None, "duplicates", "diagonal"):
                        key = ScaleKey(
                            gallery.encoder,
                            gallery.variant,
                            cell.grader,
                            cell.subset,
                            cell.protocol,
                            direction,
                            kind,
                            rule,
                        )
                        found[key] = diagonal if rule == "diagonal" else by_relevance
        found |= _question_scales(tables, gallery)
    return found


@dataclass(frozen=True)
class _RandomFloors:
    """Random floors, computed once for all encoders and variants with the same gallery."""

    known: dict[tuple[object, ...], dict[str, float]] = field(default_factory=dict)

    def of(
        self, gallery: Gallery, cell: Cell, direction: Direction, kind: str, relevance: Relevance
    ) -> dict[str, float]:
        """The floor of a cell's queries of one direction, by metric."""
        captions, clips = cell.gallery_positions(gallery)
        queries = cell.queries(direction)
        sides = (
            (gallery.captions["caption_id"], captions),
            (gallery.clips["clip_id"], clips),
            (gallery.captions["caption_id"], cell.captions),
            (gallery.clips["clip_id"], cell.clips),
        )
        key = (kind, direction, *(tuple(ids.to_numpy()[positions]) for ids, positions in sides))
        if key not in self.known:
            profiles = relevance_profiles(relevance.subset(captions, clips), direction)
            if cell.protocol == "full_gallery":
                profiles = profiles.take(queries)
            floor = random_floor(profiles)
            self.known[key] = {**floor, "class_accuracy": floor["recall_at_1"]}
        return self.known[key]


def _by_relevance(
    gallery: Gallery, cell: Cell, direction: Direction, floor: dict[str, float]
) -> Scale:
    captions, clips = cell.gallery_positions(gallery)
    candidates = len(clips) if direction == "text_to_audio" else len(captions)
    return Scale(candidates, len(gallery.seeds), floor, PERFECT)


def _diagonal(gallery: Gallery, cell: Cell, direction: Direction, seed: int) -> Scale:
    """The diagonal rule knows clips only: those with a text of their own in this variant."""
    _, clips = cell.gallery_positions(gallery)
    own_texts = pd.factorize(gallery.clips["variant_text_id"])[0]
    clips = clips[own_texts[clips] >= 0]
    queries = np.flatnonzero(np.isin(clips, cell.clips))
    texts = own_texts[clips]
    return Scale(
        candidates=len(clips),
        seeds=len(gallery.seeds),
        floor=diagonal_floor(texts, queries, direction, seed),
        ceiling=diagonal_ceiling(texts, queries, direction),
    )


def _question_scales(tables: RetrievalTables, gallery: Gallery) -> dict[ScaleKey, Scale]:
    if gallery.questions.empty:
        return {}
    options = gallery.options.shape[1]
    scale = Scale(options, len(gallery.seeds), dict.fromkeys(METRICS, 1 / options), PERFECT)
    return {
        ScaleKey(
            gallery.encoder, gallery.variant, grader, subset, None, None, "question", None
        ): scale
        for grader, subset, _ in question_cells(tables, gallery)
    }
