"""What one query found: candidates ranked anew from the published vectors, right ones marked.

What counts as right is said by the relevance that the query was scored with, and the ranks beside
the texts are the published ones. Everything returned is plain data, as the page reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from assets.benchmarks.relevance import Relevance, class_relevance, pair_relevance
from assets.reports.listening import ListeningError, Task, plain
from resources.tables import VISUAL, text_id

if TYPE_CHECKING:
    import duckdb

TOP = 5
"""Candidates shown of each ranking; the first right one follows where it ranks lower."""
_CLASSES = "verb_class, noun_classes"


@dataclass(frozen=True)
class _Candidates:
    """What is searched: rows with ids, texts and classes, and their vectors, one a row."""

    rows: pd.DataFrame
    vectors: np.ndarray


class Rankings:
    """Rankings of a published result's queries, through one connection (`warehouse.reading`)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        # Many queries of one task search the same gallery.
        self._gallery = lru_cache(maxsize=2)(self._read_gallery)
        self._captions = lru_cache(maxsize=4)(self._read_captions)

    def found(self, task: Task, encoder: str, variant: str | None, query_id: str) -> dict[str, Any]:
        """What one query found: with the visual text, and with one description.

        Returns:
            `clip`: the query's own clip where the query is a sound; `texts`: every variant's text
            with its score; `rankings`: a list of candidates for each of the two texts.

        Raises:
            ListeningError: there is no such query.
        """
        scores = self._rows(
            "SELECT variant, text_id, text, description, 100 * value AS value, rank "
            "FROM main_query_scores WHERE benchmark = $benchmark AND metric = $metric "
            "AND direction IS NOT DISTINCT FROM $direction AND encoder = $encoder "
            "AND query_id = $query_id ORDER BY variant <> 'visual', variant",
            benchmark=task.benchmark,
            metric=task.metric,
            direction=task.direction,
            encoder=encoder,
            query_id=query_id,
        )
        if scores.empty:
            raise ListeningError(f"{encoder} has no score of {query_id} in {task.name}")
        scores["description"] = scores["description"].where(
            scores["variant"] != VISUAL, scores["text"]
        )
        texts = dict(zip(scores["variant"], scores["description"], strict=True))
        shown = [VISUAL, *(name for name in texts if name == variant != VISUAL)]
        rank = {
            None: self._options,
            "text_to_audio": self._clips_for_text,
            "audio_to_text": self._texts_for_clip,
        }[task.direction]
        return {
            "clip": self._clip(task, query_id) if task.direction == "audio_to_text" else None,
            "texts": [
                {"variant": row.variant, "text": row.description}
                | {"value": plain(row.value), "rank": plain(row.rank)}
                for row in scores.itertuples()
            ],
            "rankings": [
                {"variant": name, **rank(task, encoder, name, query_id, texts[name])}
                for name in shown
            ],
        }

    def _clips_for_text(
        self, task: Task, encoder: str, variant: str, query_id: str, text: str
    ) -> dict[str, Any]:
        gallery = self._gallery(task.benchmark, encoder)
        caption = self._rows(
            f"SELECT caption_id, clip_id, {_CLASSES} FROM captions "  # noqa: S608
            "WHERE benchmark = $benchmark AND caption_id = $query_id",
            benchmark=task.benchmark,
            query_id=query_id,
        )
        relevant = self._relevance(task, caption, gallery.rows).caption_rows(slice(0, 1))[0]
        query = self._text_vectors(task.benchmark, encoder, [text_id(text)]).vectors[0]
        return _ranking(gallery, gallery.vectors @ query, relevant, TOP, _clip_data)

    def _texts_for_clip(
        self, task: Task, encoder: str, variant: str, query_id: str, text: str
    ) -> dict[str, Any]:
        gallery = self._gallery(task.benchmark, encoder, (query_id,))
        captions = self._captions(task.benchmark, encoder, variant)
        relevant = self._relevance(task, captions.rows, gallery.rows).clip_rows(slice(0, 1))[0]
        similarity = captions.vectors @ gallery.vectors[0]
        return _ranking(captions, similarity, relevant, TOP, _text_data)

    def _options(
        self, task: Task, encoder: str, variant: str, query_id: str, text: str
    ) -> dict[str, Any]:
        question = self._rows(
            "SELECT options, answer FROM questions "
            "WHERE benchmark = $benchmark AND question_id = $query_id",
            benchmark=task.benchmark,
            query_id=query_id,
        ).iloc[0]
        options = tuple(question["options"])
        gallery = self._gallery(task.benchmark, encoder, options)
        order = pd.Index(gallery.rows["clip_id"]).get_indexer(pd.Index(options))
        asked = _Candidates(gallery.rows.iloc[order], gallery.vectors[order])
        query = self._text_vectors(task.benchmark, encoder, [text_id(text)]).vectors[0]
        right = (np.arange(len(options)) == question["answer"]).astype(float)
        return _ranking(asked, asked.vectors @ query, right, len(options), _clip_data)

    def _read_gallery(
        self, benchmark: str, encoder: str, clip_ids: tuple[str, ...] | None = None
    ) -> _Candidates:
        """The usable clips with a vector of every seed, or some of them, by id.

        Similarities are averaged over seeds: that of the mean vector is the mean similarity.
        """
        rows = self._rows(
            f"""
            SELECT
                c.clip_id, c.video_id, c.start_s, c.stop_s, c.text, {_CLASSES},
                a.vector AS vector
            FROM clips AS c
            JOIN audio_embeddings AS a
                ON a.benchmark = c.benchmark AND a.clip_id = c.clip_id AND a.encoder = $encoder
            WHERE
                c.benchmark = $benchmark AND c.usable
                AND ($all OR c.clip_id IN (SELECT unnest($clip_ids::VARCHAR[])))
            ORDER BY c.clip_id, a.seed
            """,  # noqa: S608
            benchmark=benchmark,
            encoder=encoder,
            all=clip_ids is None,
            clip_ids=list(clip_ids or ()),
        )
        repeats = rows.groupby("clip_id")["clip_id"].transform("size")
        whole = rows[repeats == repeats.max()]
        seeds = int(repeats.max()) if len(rows) else 1
        vectors = np.stack(list(whole["vector"])) if len(whole) else np.empty((0, 0), np.float32)
        means = vectors.reshape(-1, seeds, vectors.shape[1]).mean(axis=1)
        return _Candidates(whole.iloc[::seeds].drop(columns="vector"), means)

    def _read_captions(self, benchmark: str, encoder: str, variant: str) -> _Candidates:
        """The captions that have a text in a variant, by id, with that text's vectors."""
        rows = self._rows(
            f"""
            SELECT c.caption_id, c.clip_id, {_CLASSES},
                CASE WHEN $variant = 'visual' THEN c.text ELSE d.description END AS text
            FROM captions AS c
            LEFT JOIN descriptions AS d
                ON d.benchmark = c.benchmark AND d.text_id = c.text_id AND d.variant = $variant
            WHERE c.benchmark = $benchmark ORDER BY c.caption_id
            """,  # noqa: S608
            benchmark=benchmark,
            variant=variant,
        )
        rows = rows[rows["text"].notna()].reset_index(drop=True)
        ids = rows["text"].map(text_id)
        known = self._text_vectors(benchmark, encoder, list(ids))
        order = pd.Index(known.rows["text_id"]).get_indexer(pd.Index(ids))
        return _Candidates(rows[order >= 0], known.vectors[order[order >= 0]])

    def _text_vectors(self, benchmark: str, encoder: str, ids: list[str]) -> _Candidates:
        rows = self._rows(
            "SELECT text_id, vector FROM text_embeddings WHERE benchmark = $benchmark "
            "AND encoder = $encoder AND text_id IN (SELECT DISTINCT unnest($ids))",
            benchmark=benchmark,
            encoder=encoder,
            ids=ids,
        )
        if rows.empty:
            raise ListeningError(f"{encoder} has no vector of this text in {benchmark}")
        return _Candidates(rows, np.stack(list(rows["vector"])))

    def _relevance(self, task: Task, captions: pd.DataFrame, clips: pd.DataFrame) -> Relevance:
        """The relevance that the task was scored with, between some captions and clips."""
        kind = self._rows(
            "SELECT relevance_kind FROM scores WHERE benchmark = $benchmark AND metric = $metric "
            "AND direction = $direction AND relevance_kind IN ('caption', 'pairs', 'class') "
            "LIMIT 1",
            benchmark=task.benchmark,
            metric=task.metric,
            direction=task.direction,
        )["relevance_kind"].iloc[0]
        if kind != "pairs":
            return class_relevance(captions, clips, kind)
        pairs = self._rows("FROM relevance WHERE benchmark = $benchmark", benchmark=task.benchmark)
        if pairs.empty:  # each caption's own clip
            pairs = captions[["caption_id", "clip_id"]].dropna().assign(relevance=1.0)
        return pair_relevance(captions, clips, pairs)

    def _clip(self, task: Task, clip_id: str) -> dict[str, Any]:
        rows = self._rows(
            "SELECT clip_id, video_id, start_s, stop_s, text FROM clips "
            "WHERE benchmark = $benchmark AND clip_id = $clip_id",
            benchmark=task.benchmark,
            clip_id=clip_id,
        )
        return _clip_data(rows.iloc[0])

    def _rows(self, sql: str, **parameters: Any) -> pd.DataFrame:
        rows = self._connection.execute(sql, parameters).df()
        for name in rows.columns.intersection(["verb_class", "noun_classes"]):
            rows[name] = rows[name].astype(object).where(rows[name].notna(), None)
        return rows


def _ranking(
    candidates: _Candidates, similarity: np.ndarray, relevant: np.ndarray, top: int, data: Any
) -> dict[str, Any]:
    """The most similar candidates, and the first right one; equal ones in their order by id."""
    order = np.argsort(-similarity, kind="stable")
    right = np.flatnonzero(relevant[order] == 1)
    shown = list(range(min(top, len(order))))
    if len(right) and right[0] >= top:
        shown.append(int(right[0]))
    return {
        "candidates": len(order),
        "right": len(right),
        "results": [
            {
                "rank": place + 1,
                "similarity": round(float(similarity[order[place]]), 4),
                "relevance": round(float(relevant[order[place]]), 3),
                **data(candidates.rows.iloc[order[place]]),
            }
            for place in shown
        ],
    }


def _clip_data(row: pd.Series) -> dict[str, Any]:
    return {
        "clip_id": row["clip_id"],
        "video_id": row["video_id"],
        "start_s": round(float(row["start_s"]), 3),
        "stop_s": round(float(row["stop_s"]), 3),
        "text": row["text"],
    }


def _text_data(row: pd.Series) -> dict[str, Any]:
    return {"clip_id": None, "text": row["text"]}


def sounds_of(found: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every clip that some results show, as often as they show it."""
    for result in found:
        if result["clip"]:
            yield result["clip"]
        for ranking in result["rankings"]:
            yield from (item for item in ranking["results"] if item["clip_id"])
