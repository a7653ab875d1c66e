"""Scores of every query: vectors and texts in, the table `query_scores` out.

Metrics are averaged over seeds, query by query; vectors never are. Under the protocol
`full_gallery` a subset's queries have the very values that they have in the whole gallery, so
that only `subset_gallery` is computed anew for each level.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from assets.benchmarks.relevance import BlockMatrix, Relevance
from assets.retrieval.galleries import (
    Cell,
    Exclusion,
    Gallery,
    RetrievalError,
    RetrievalTables,
    cells,
    exclusion,
    exclusion_rows,
    plan_galleries,
    question_cells,
    relevances,
)
from assets.retrieval.metrics import (
    BOTH_DIRECTIONS,
    RECALL_AT,
    Direction,
    QueryMetrics,
    choice_accuracy,
    choice_rank,
    diagonal_ranks,
    published_recall,
    query_metrics,
)
from assets.retrieval.similarity import CosineSimilarity, dual_softmax
from resources.settings import MetricsSettings
from resources.tables import QUERY_HITS, QUERY_SCORES

QUESTION_BLOCK = 4096


class Scored(NamedTuple):
    """What scoring makes of one benchmark.

    Attributes:
        query_scores, query_hits: the tables.
        left_out: in the form of `exclusions` (stage `retrieval`): texts without description or
            vector, clips without every seed, questions with an option outside the gallery, and
            queries that have nothing right to be found.
    """

    query_scores: pd.DataFrame
    query_hits: pd.DataFrame
    left_out: pd.DataFrame


def score_queries(tables: RetrievalTables, settings: MetricsSettings) -> Scored:
    """Score every query of one benchmark with every encoder and text variant.

    Args:
        tables: the benchmark's tables, in their models' form.
        settings: relevance kinds, protocols, dual softmax, tie rule of questions.

    Raises:
        RetrievalError: vectors are not finite or do not fit each other; the row is named.
    """
    galleries, left_out = plan_galleries(tables)
    rows = _QueryScoreRows(tables)
    for gallery in galleries:
        vectors = _Vectors.of(tables, gallery)
        if len(gallery.captions) and len(gallery.clips):
            left_out += _score_retrieval(tables, settings, gallery, vectors, rows)
        if len(gallery.questions):
            _score_questions(tables, settings, gallery, vectors, rows)
    return Scored(rows.frame(), rows.hits_frame(), exclusion_rows(left_out))


# --------------------------------------------------------------------------------- vectors


@dataclass(frozen=True)
class _Vectors:
    """A gallery's vectors.

    Attributes:
        text_ids: the distinct texts, in the order of `texts`.
        texts: (distinct texts, dimensions).
        clips: for each seed, (clips of the gallery, dimensions).
    """

    text_ids: pd.Index
    texts: np.ndarray
    clips: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, tables: RetrievalTables, gallery: Gallery) -> _Vectors:
        """Stack the vectors of a gallery from both embedding tables."""
        columns = [gallery.captions, gallery.questions]
        if len(gallery.captions):
            columns.append(gallery.clips)
        wanted = pd.unique(pd.concat([c["variant_text_id"] for c in columns]).dropna())
        rows = tables.text_embeddings
        rows = rows[rows["encoder"] == gallery.encoder]
        texts = _stack(rows["text_id"], rows["vector"], wanted, "text_embeddings")
        rows = tables.audio_embeddings
        rows = rows[rows["encoder"] == gallery.encoder]
        clips = tuple(
            _stack(
                rows["clip_id"][rows["seed"] == seed],
                rows["vector"][rows["seed"] == seed],
                gallery.clips["clip_id"],
                "audio_embeddings",
            )
            for seed in gallery.seeds
        )
        if len(texts) and clips and texts.shape[1] != clips[0].shape[1]:
            raise RetrievalError(
                f"encoder {gallery.encoder}: text vectors have {texts.shape[1]} dimensions and "
                f"audio vectors {clips[0].shape[1]}: they are of different models"
            )
        return cls(pd.Index(wanted), texts, clips)

    def positions(self, text_ids: pd.Series) -> np.ndarray:
        """Each text's row in `texts`, -1 for none."""
        return self.text_ids.get_indexer(pd.Index(text_ids))


def _stack(ids: pd.Series, vectors: pd.Series, wanted: Iterable[str], table: str) -> np.ndarray:
    """The vectors of the wanted ids, in that order, float32."""
    wanted = pd.Index(wanted)
    positions = pd.Index(ids).get_indexer(wanted)
    cells_ = vectors.to_numpy()[positions]
    sizes = {len(cell) for cell in cells_}
    if len(sizes) > 1:
        raise RetrievalError(f"{table}: vectors of {sorted(sizes)} dimensions are mixed")
    matrix = np.stack(cells_).astype(np.float32, copy=False) if sizes else np.empty((0, 0), "f4")
    bad = ~np.isfinite(matrix).all(axis=1)
    if bad.any():
        raise RetrievalError(
            f"{table}: the vector of {wanted[int(bad.argmax())]} is not finite: embed it again"
        )
    return matrix


# ------------------------------------------------------------------------------- retrieval


@dataclass(frozen=True)
class _CellScores:
    """Scores of one cell, by direction.

    Attributes:
        metrics: of the cell's captions (text to audio) and clips (audio to text).
        diagonal: ranks under the diagonal rule, one a clip in both directions; NaN for a clip
            whose own text the variant lacks.
    """

    metrics: dict[Direction, QueryMetrics]
    diagonal: dict[Direction, np.ndarray]

    def select(self, cell: Cell) -> _CellScores:
        """The queries of a cell, out of the scores of the whole gallery."""
        return _CellScores(
            {d: m.take(cell.queries(d)) for d, m in self.metrics.items()},
            {direction: ranks[cell.clips] for direction, ranks in self.diagonal.items()},
        )


@dataclass(frozen=True)
class _Scorer:
    """One kind of similarity over one gallery; captions and clips carry positions of texts."""

    vectors: _Vectors
    captions: np.ndarray
    own_texts: np.ndarray
    temperature: float | None

    def metrics(self, cell: Cell, relevance: Relevance) -> dict[Direction, QueryMetrics]:
        """Metrics of a cell whose queries are its gallery."""
        if not (len(cell.captions) and len(cell.clips)):
            return {}
        relevant = relevance.subset(cell.captions, cell.clips)
        texts = self.captions[cell.captions]
        similar = [self._similarity(texts, cell.clips, clips) for clips in self.vectors.clips]
        return {
            direction: QueryMetrics.mean([query_metrics(s, relevant, direction) for s in similar])
            for direction in BOTH_DIRECTIONS
        }

    def diagonal(self, cell: Cell) -> dict[Direction, np.ndarray]:
        """Ranks of a cell under the diagonal rule."""
        has_text = self.own_texts[cell.clips] >= 0
        kept = cell.clips[has_text]
        texts = self.own_texts[kept]
        similar = [self._similarity(texts, kept, clips) for clips in self.vectors.clips]
        ranks = {}
        for direction in BOTH_DIRECTIONS:
            ranks[direction] = np.full(len(cell.clips), np.nan)
            repeats = [diagonal_ranks(s, direction) for s in similar]
            ranks[direction][has_text] = np.mean(repeats, axis=0)
        return ranks

    def _similarity(
        self, texts: np.ndarray, positions: np.ndarray, clips: np.ndarray
    ) -> BlockMatrix:
        cosine = CosineSimilarity(self.vectors.texts, texts, clips[positions])
        if self.temperature is None:
            return cosine
        own = self.own_texts[positions]
        return dual_softmax(cosine, own[own >= 0], self.temperature)


def _score_retrieval(
    tables: RetrievalTables,
    settings: MetricsSettings,
    gallery: Gallery,
    vectors: _Vectors,
    rows: _QueryScoreRows,
) -> list[Exclusion]:
    """Score all cells in both directions; returns the queries with nothing right to be found."""
    captions = vectors.positions(gallery.captions["variant_text_id"])
    own_texts = vectors.positions(gallery.clips["variant_text_id"])
    kinds = relevances(tables, gallery, settings)
    left_out: list[Exclusion] = []
    temperatures: dict[str, float | None] = {"cosine": None}
    if settings.dual_softmax:
        temperatures["dual_softmax"] = settings.dual_softmax_temperature
    for similarity, temperature in temperatures.items():
        scorer = _Scorer(vectors, captions, own_texts, temperature)
        for kind, relevance in kinds.items():
            whole, *levels = cells(tables, gallery, settings.protocols)
            # The diagonal rule knows no relevance: it is scored once, under the first kind.
            first = kind == next(iter(kinds))
            of_whole = _CellScores(
                scorer.metrics(whole, relevance), scorer.diagonal(whole) if first else {}
            )
            rows.add_cell(gallery, whole, kind, similarity, of_whole)
            if first and similarity == "cosine":
                rows.add_hits(gallery, kind, of_whole)
            left_out += _nothing_right(tables, gallery, kind, of_whole)
            for cell in levels:
                scores = (
                    of_whole.select(cell)
                    if cell.protocol == "full_gallery"
                    else _CellScores(
                        scorer.metrics(cell, relevance), scorer.diagonal(cell) if first else {}
                    )
                )
                rows.add_cell(gallery, cell, kind, similarity, scores)
    return left_out


def _nothing_right(
    tables: RetrievalTables, gallery: Gallery, kind: str, scores: _CellScores
) -> list[Exclusion]:
    """Queries of the whole gallery without a candidate of relevance 1: in no mAP, recall, rank."""
    ids = {
        "text_to_audio": ("caption", gallery.captions["caption_id"]),
        "audio_to_text": ("clip", gallery.clips["clip_id"]),
    }
    return [
        exclusion(
            tables,
            ids[direction][0],
            item,
            gallery.encoder,
            "nothing right to be found",
            f"relevance {kind}, variant {gallery.variant}, {direction}",
        )
        for direction, metrics in scores.metrics.items()
        for item in ids[direction][1][np.isnan(metrics.rank)]
    ]


# ------------------------------------------------------------------------------- questions


def _score_questions(
    tables: RetrievalTables,
    settings: MetricsSettings,
    gallery: Gallery,
    vectors: _Vectors,
    rows: _QueryScoreRows,
) -> None:
    texts = vectors.positions(gallery.questions["variant_text_id"])
    answers = gallery.questions["answer"].to_numpy()
    accuracies, ranks = [], []
    for clips in vectors.clips:
        similarity = _option_similarity(vectors.texts, texts, clips, gallery.options)
        accuracies.append(choice_accuracy(similarity, answers, settings.multiple_choice_ties))
        ranks.append(choice_rank(similarity, answers))
    accuracy, rank = np.mean(accuracies, axis=0), np.mean(ranks, axis=0)
    kinds = gallery.questions["kind"].to_numpy()
    for grader, subset, positions in question_cells(tables, gallery):
        for kind in ("inter", "intra"):
            asked = positions[kinds[positions] == kind]
            rows.add_questions(
                gallery, grader, subset, f"accuracy_{kind}", asked, accuracy[asked], rank[asked]
            )


def _option_similarity(
    texts: np.ndarray, text: np.ndarray, clips: np.ndarray, options: np.ndarray
) -> np.ndarray:
    """(questions, options) cosines, in blocks: the options' vectors would not fit at once."""
    similarity = np.empty(options.shape, dtype=np.float32)
    for start in range(0, len(options), QUESTION_BLOCK):
        block = slice(start, start + QUESTION_BLOCK)
        similarity[block] = np.einsum("qd,qod->qo", texts[text[block]], clips[options[block]])
    return similarity


# ------------------------------------------------------------------------------------ rows


@dataclass
class _QueryScoreRows:
    """Collects rows of `query_scores` by the part, as codes where strings repeat."""

    tables: RetrievalTables
    labels: list[dict[str, str | None]] = field(default_factory=list)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    hits: list[pd.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.videos = pd.Index(sorted(set(self.tables.clips["video_id"])))

    def add_cell(
        self, gallery: Gallery, cell: Cell, kind: str, similarity: str, scores: _CellScores
    ) -> None:
        """The rows of one cell: every metric of both directions."""
        common = {
            "grader": cell.grader,
            "subset": cell.subset,
            "protocol": cell.protocol,
            "relevance_kind": kind,
            "similarity": similarity,
        }
        clip_ids = gallery.clips["clip_id"].to_numpy()[cell.clips]
        videos = self.videos.get_indexer(pd.Index(gallery.clips["video_id"]))[cell.clips]
        # Text queries belong to no recording.
        queries = {
            "text_to_audio": (gallery.captions["caption_id"].to_numpy()[cell.captions], None),
            "audio_to_text": (clip_ids, videos),
        }
        for direction, metrics in scores.metrics.items():
            setting = {**common, "direction": direction}
            ids, recordings = queries[direction]
            for metric, values in _graded_metrics(metrics, direction, kind).items():
                self._add(
                    gallery, {**setting, "metric": metric}, ids, recordings, values, metrics.rank
                )
            for metric, values in _rank_metrics(metrics.rank, metrics.recall).items():
                labels = {**setting, "recall_rule": "duplicates", "metric": metric}
                self._add(gallery, labels, ids, recordings, values, metrics.rank)
        for direction, ranks in scores.diagonal.items():
            for metric, values in _rank_metrics(ranks, published_recall(ranks)).items():
                labels = {
                    **common,
                    "direction": direction,
                    "recall_rule": "diagonal",
                    "metric": metric,
                }
                self._add(gallery, labels, clip_ids, queries[direction][1], values, ranks)

    def add_hits(self, gallery: Gallery, kind: str, scores: _CellScores) -> None:
        """The rows of `query_hits` of a whole gallery."""
        ids = {
            "text_to_audio": gallery.captions["caption_id"].to_numpy(),
            "audio_to_text": gallery.clips["clip_id"].to_numpy(),
        }
        for direction, metrics in scores.metrics.items():
            found = ~np.isnan(metrics.right)
            columns = {
                "benchmark": self.tables.benchmark,
                "encoder": gallery.encoder,
                "variant": gallery.variant,
                "direction": direction,
                "relevance_kind": kind,
                "query_id": ids[direction][found],
                "right_candidates": metrics.right[found].astype(np.int64),
            }
            columns |= {
                f"hits_at_{k}": metrics.hits[found, column] for column, k in enumerate(RECALL_AT)
            }
            self.hits.append(pd.DataFrame(columns))

    def add_questions(
        self,
        gallery: Gallery,
        grader: str | None,
        subset: str,
        metric: str,
        asked: np.ndarray,
        accuracy: np.ndarray,
        rank: np.ndarray,
    ) -> None:
        """The rows of one kind of question in one subset."""
        answers = gallery.questions["answer"].to_numpy()[asked]
        right = gallery.options[asked, answers]
        videos = self.videos.get_indexer(pd.Index(gallery.clips["video_id"]))[right]
        labels = {
            "grader": grader,
            "subset": subset,
            "relevance_kind": "question",
            "similarity": "cosine",
            "metric": metric,
        }
        ids = gallery.questions["question_id"].to_numpy()[asked]
        self._add(gallery, labels, ids, videos, accuracy, rank)

    def _add(
        self,
        gallery: Gallery,
        labels: dict[str, str | None],
        ids: np.ndarray,
        videos: np.ndarray | None,
        values: np.ndarray,
        ranks: np.ndarray,
    ) -> None:
        kept = ~np.isnan(values)
        if not kept.any():
            return
        codes = np.full(len(ids), -1) if videos is None else videos
        self.labels.append(
            {
                "benchmark": self.tables.benchmark,
                "encoder": gallery.encoder,
                "variant": gallery.variant,
                "crop_rule": gallery.crop_rule,
                **labels,
            }
        )
        self.parts.append((ids[kept], codes[kept].astype(np.int32), values[kept], ranks[kept]))

    def frame(self) -> pd.DataFrame:
        """The table `query_scores`."""
        if not self.parts:
            return QUERY_SCORES.frame([])
        lengths = [len(part[0]) for part in self.parts]
        ids, videos, values, ranks = (
            np.concatenate(column) for column in zip(*self.parts, strict=True)
        )
        columns: dict[str, Any] = {
            name: _repeated_labels([labels.get(name) for labels in self.labels], lengths)
            for name in QUERY_SCORES.names
            if name not in ("query_id", "video_id", "value", "rank")
        }
        columns |= {
            "query_id": ids,
            "video_id": pd.Categorical.from_codes(videos, categories=self.videos),
            "value": values,
            "rank": ranks,
        }
        return QUERY_SCORES.frame(pd.DataFrame(columns))

    def hits_frame(self) -> pd.DataFrame:
        """The table `query_hits`."""
        return QUERY_HITS.frame(pd.concat(self.hits) if self.hits else [])


def _graded_metrics(
    metrics: QueryMetrics, direction: Direction, kind: str
) -> dict[str, np.ndarray]:
    """Metrics without a recall rule. The top clip's class is right if its first rank is."""
    graded = {
        "map_published": metrics.map_published,
        "map_binary": metrics.map_binary,
        "ndcg": metrics.ndcg,
    }
    if kind == "class" and direction == "audio_to_text":
        graded["class_accuracy"] = metrics.recall[:, RECALL_AT.index(1)]
    return graded


def _rank_metrics(ranks: np.ndarray, recall: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics that a recall rule decides; the query's share of a median or mean is its rank."""
    by_k = {f"recall_at_{k}": recall[:, column] for column, k in enumerate(RECALL_AT)}
    return by_k | {"median_rank": ranks, "mean_rank": ranks}


def _repeated_labels(labels: list[str | None], lengths: list[int]) -> pd.Series:
    """One label a part, as a category of one label a row."""
    categories = pd.Index(sorted({label for label in labels if label is not None}))
    codes = categories.get_indexer(pd.Index(labels, dtype=object)).astype(np.int32)
    return pd.Series(pd.Categorical.from_codes(np.repeat(codes, lengths), categories=categories))
