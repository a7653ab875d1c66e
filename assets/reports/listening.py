"""What is listened to: a published result's queries, and what each of them found.

Lists of queries come from the scores that were published. What a query found is ranked anew from
the published vectors, and what counts as right is said by the same relevance that was scored with.
Everything returned here is plain data, as the page reads it (`templates/listening.js`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from assets.benchmarks.relevance import Relevance, class_relevance, pair_relevance
from assets.reports.tables import DIRECTION_NAMES, METRIC_NAMES
from resources.tables import VISUAL, text_id

if TYPE_CHECKING:
    import duckdb

PAGE_ROWS = 10
TOP = 5
"""Candidates shown of each ranking; the first right one follows where it ranks lower."""
TABS = ("all", "gains", "losses", "disagreements")
_CLASSES = "verb_class, noun_classes"

_QUERIES = """
WITH scored AS (
    SELECT * FROM main_query_scores WHERE benchmark IN (SELECT unnest($benchmarks))
), compared AS (
    SELECT
        v.benchmark, v.direction, v.metric, v.query_id, v.text_id, v.text, v.encoder,
        r.variant, r.description,
        100 * v.value AS value_before, 100 * r.value AS value_after,
        v.rank AS rank_before, r.rank AS rank_after, 100 * (r.value - v.value) AS gain
    FROM scored AS v
    LEFT JOIN scored AS r
        ON r.variant <> 'visual' AND r.benchmark = v.benchmark AND r.metric = v.metric
        AND r.direction IS NOT DISTINCT FROM v.direction
        AND r.encoder = v.encoder AND r.query_id = v.query_id
    WHERE v.variant = 'visual'
), spreads AS (
    SELECT
        benchmark, direction, metric, query_id,
        100 * (max(value) - min(value)) AS spread, max(rank) - min(rank) AS rank_spread
    FROM scored WHERE variant <> 'visual' GROUP BY ALL
), graded AS (
    SELECT
        benchmark, text_id,
        list({'grader': grader, 'level': level} ORDER BY grader) AS levels
    FROM informativeness GROUP BY ALL
), queries AS (
    SELECT c.*, s.spread, s.rank_spread, coalesce(g.levels, []) AS levels
    FROM compared AS c
    LEFT JOIN spreads AS s
        ON s.benchmark = c.benchmark AND s.metric = c.metric AND s.query_id = c.query_id
        AND s.direction IS NOT DISTINCT FROM c.direction
    LEFT JOIN graded AS g ON g.benchmark = c.benchmark AND g.text_id = c.text_id
)
"""
"""Every query once an encoder and description, beside its visual text (a variant may be null)."""

_ORDERS = {
    "all": ("TRUE", "lower(text), query_id"),
    "gains": (
        "(gain > 0 OR (gain = 0 AND rank_after < rank_before))",
        "gain DESC, rank_before - rank_after DESC, query_id",
    ),
    "losses": (
        "(gain < 0 OR (gain = 0 AND rank_after > rank_before))",
        "gain, rank_after - rank_before DESC, query_id",
    ),
    "disagreements": (
        "(spread > 0 OR rank_spread > 0)",
        "spread DESC, rank_spread DESC, query_id",
    ),
}
"""Each tab's condition and order."""


class ListeningError(ValueError):
    """Nothing can be shown for what was asked; the message says why."""


@dataclass(frozen=True)
class Task:
    """One way of searching a benchmark: its main metric in one direction, or one kind of question.

    Attributes:
        benchmark, direction, metric: as in the table `scores`.
        encoders, variants: those that were scored; variants without the visual text.
    """

    benchmark: str
    direction: str | None
    metric: str
    encoders: tuple[str, ...]
    variants: tuple[str, ...]

    @property
    def name(self) -> str:
        """The benchmark, and what is searched with what."""
        kind = METRIC_NAMES[self.metric].removeprefix("accuracy, ")
        what = DIRECTION_NAMES[self.direction] if self.direction else f"{kind} questions"
        return f"{self.benchmark} · {what}"

    @property
    def key(self) -> str:
        """A name for addresses."""
        return f"{self.benchmark}/{self.direction or self.metric}"

    def data(self) -> dict[str, Any]:
        """The task as the page reads it."""
        return {
            "key": self.key,
            "name": self.name,
            "benchmark": self.benchmark,
            "direction": self.direction,
            "metric": METRIC_NAMES[self.metric],
            "encoders": list(self.encoders),
            "variants": list(self.variants),
        }


@dataclass(frozen=True)
class Wanted:
    """What the reader asked for, within one task.

    Attributes:
        encoder, variant: whose scores, and which description is set beside the visual text.
        level: only texts that a grader put on this level; empty for all.
        words: what their text or description contains; empty for all.
        tab: one of `TABS`.
        page: from 0.
    """

    encoder: str
    variant: str | None
    level: str = ""
    words: str = ""
    tab: str = "all"
    page: int = 0


@dataclass(frozen=True)
class _Candidates:
    """What is searched: rows with ids, texts and classes, and their vectors, one a row."""

    rows: pd.DataFrame
    vectors: np.ndarray


class Listening:
    """A published result, to be listened to; reads through one connection (`warehouse.reading`)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, benchmarks: Iterable[str]) -> None:
        self._connection = connection
        self._benchmarks = list(benchmarks)
        # Many queries of one task search the same gallery.
        self._gallery = lru_cache(maxsize=2)(self._read_gallery)
        self._captions = lru_cache(maxsize=4)(self._read_captions)

    def tasks(self) -> list[Task]:
        """All tasks that were scored: texts that search for sounds first, questions last."""
        rows = self._rows(
            "SELECT DISTINCT benchmark, direction, metric, encoder, variant "
            "FROM main_query_scores WHERE benchmark IN (SELECT unnest($benchmarks)) "
            "ORDER BY direction DESC NULLS LAST, benchmark, metric, encoder, variant",
            benchmarks=self._benchmarks,
        )
        groups: Any = rows.groupby(["direction", "benchmark", "metric"], dropna=False, sort=False)
        return [
            Task(
                benchmark,
                None if pd.isna(direction) else direction,
                metric,
                tuple(dict.fromkeys(group["encoder"])),
                tuple(dict.fromkeys(group["variant"][group["variant"] != VISUAL])),
            )
            for (direction, benchmark, metric), group in groups
        ]

    def queries(self, task: Task, wanted: Wanted) -> dict[str, Any]:
        """One page of a task's queries: `total` and `queries`."""
        condition, order = _ORDERS[wanted.tab]
        rows = self._rows(
            f"""{_QUERIES}
            SELECT *, count(*) OVER () AS total FROM queries
            WHERE metric = $metric AND direction IS NOT DISTINCT FROM $direction
                AND encoder = $encoder AND variant IS NOT DISTINCT FROM $variant AND {condition}
                AND ($level = '' OR len(list_filter(levels, lambda l: l.level = $level)) > 0)
                AND contains(lower(concat_ws(' ', text, description)), lower($words))
            ORDER BY {order} LIMIT {PAGE_ROWS} OFFSET {PAGE_ROWS * wanted.page}
            """,  # noqa: S608
            benchmarks=[task.benchmark],
            metric=task.metric,
            direction=task.direction,
            encoder=wanted.encoder,
            variant=wanted.variant,
            level=wanted.level,
            words=wanted.words.strip(),
        )
        total = int(rows["total"].iloc[0]) if len(rows) else 0
        return {"total": total, "queries": _records(rows.drop(columns="total"), task.key)}

    def chosen(self, tasks: Iterable[Task], count: int) -> list[tuple[Task, dict[str, Any]]]:
        """Queries worth hearing: of each task and tab in turn the next one, each text once."""
        by_setting = {(task.benchmark, task.direction, task.metric): task for task in tasks}
        places = "\nUNION ALL\n".join(
            f"""SELECT {number} AS tab, *, row_number() OVER (
                    PARTITION BY benchmark, direction, metric ORDER BY {order}, encoder, variant
                ) AS place
                FROM (
                    SELECT * FROM queries WHERE {condition}
                    QUALIFY row_number() OVER (
                        PARTITION BY benchmark, direction, metric, text_id
                        ORDER BY {order}, encoder, variant
                    ) = 1
                )
                QUALIFY place <= {count}"""  # noqa: S608
            for number, (condition, order) in enumerate(
                [
                    *(_ORDERS[tab] for tab in TABS if tab != "all"),
                    ("TRUE", "md5(query_id)"),
                ]
            )
        )
        rows = self._rows(
            f"{_QUERIES} SELECT * FROM ({places}) "  # noqa: S608
            "ORDER BY place, tab, benchmark, direction DESC, metric",
            benchmarks=self._benchmarks,
        )
        rows = rows.drop_duplicates(["benchmark", "direction", "metric", "text_id"]).head(count)
        found = []
        for _, row in rows.iterrows():
            direction = None if pd.isna(row["direction"]) else row["direction"]
            task = by_setting[(row["benchmark"], direction, row["metric"])]
            [record] = _records(row.to_frame().T.drop(columns=["tab", "place"]), task.key)
            found.append((task, record))
        return found

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
                | {"value": _plain(row.value), "rank": _plain(row.rank)}
                for row in scores.itertuples()
            ],
            "rankings": [
                {"variant": name, **rank(task, encoder, name, query_id, texts[name])}
                for name in shown
            ],
        }

    def places(self, benchmark: str, clip_ids: Iterable[str]) -> dict[str, dict[Any, Any]]:
        """Where usable clips lie, by id: `path, start_s, stop_s, content_hash`."""
        if benchmark not in self._benchmarks:
            return {}
        rows = self._rows(
            "SELECT c.clip_id, m.path, c.start_s, c.stop_s, m.content_hash FROM clips AS c "
            "JOIN media AS m USING (benchmark, video_id) WHERE c.benchmark = $benchmark "
            "AND c.clip_id IN (SELECT unnest($clip_ids)) AND c.usable",
            benchmark=benchmark,
            clip_ids=list(clip_ids),
        )
        records: list[dict[Any, Any]] = rows.to_dict("records")
        return {row.pop("clip_id"): row for row in records}

    # --------------------------------------------------------------------------- rankings

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


def _records(rows: pd.DataFrame, task_key: str) -> list[dict[str, Any]]:
    """Rows of queries as the page reads them."""
    dropped = ["benchmark", "direction", "metric", "text_id", "rank_spread"]
    return [
        {"task": task_key, **{str(name): _plain(value) for name, value in row.items()}}
        for row in rows.drop(columns=dropped).to_dict("records")
    ]


def _plain(value: Any) -> Any:
    """A value as JSON has it: lists as lists, no NaN, figures short."""
    if isinstance(value, (list, np.ndarray)):
        return [dict(item) for item in value]
    if value is None or pd.isna(value):
        return None
    return round(float(value), 3) if isinstance(value, (int, float, np.number)) else str(value)


def sounds_of(found: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every clip that some results show, as often as they show it."""
    for result in found:
        if result["clip"]:
            yield result["clip"]
        for ranking in result["rankings"]:
            yield from (item for item in ranking["results"] if item["clip_id"])
