"""What every adapter reads annotation files into: a benchmark before any media is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

CLIP_COLUMNS = (
    "clip_id",
    "video_id",
    "participant_id",
    "start_s",
    "stop_s",
    "text",
    "verb_class",
    "noun_classes",
)
CAPTION_COLUMNS = ("caption_id", "clip_id", "text", "verb_class", "noun_classes")
QUESTION_COLUMNS = (
    "question_id",
    "kind",
    "text",
    "options",
    "option_texts",
    "answer",
)
RELEVANCE_COLUMNS = ("caption_id", "clip_id", "relevance")


@dataclass(frozen=True)
class Alteration:
    """One item that is used in another form than its file gives."""

    item_kind: str
    item_id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Annotations:
    """A benchmark's files, read and checked, before any media is looked at.

    The frames have the columns named above, in file order: times as the files give them, in
    seconds, `stop_s` None for the recording's end; `options` and `option_texts` are tuples.
    `warnings` deserve a look and change nothing.
    """

    benchmark: str
    clips: pd.DataFrame
    captions: pd.DataFrame = field(default_factory=lambda: _frame([], CAPTION_COLUMNS))
    questions: pd.DataFrame = field(default_factory=lambda: _frame([], QUESTION_COLUMNS))
    relevance: pd.DataFrame = field(default_factory=lambda: _frame([], RELEVANCE_COLUMNS))
    alterations: tuple[Alteration, ...] = ()
    warnings: tuple[str, ...] = ()

    def limited(self, texts: int) -> Annotations:
        """Only the first `texts` distinct query texts, in file order, and their clips.

        A clip stays if it is a kept question's option, or the clip of a kept caption or in a pair
        with one, or (where there are captions) carries a kept text itself.
        """
        queries = pd.concat([self.captions["text"], self.questions["text"]])
        kept = set(queries.drop_duplicates().head(texts))
        captions = self.captions[self.captions["text"].isin(kept)]
        questions = self.questions[self.questions["text"].isin(kept)]
        wanted = {option for options in questions["options"] for option in options}
        wanted |= set(captions["clip_id"].dropna())
        pairs = self.relevance[self.relevance["caption_id"].isin(captions["caption_id"])]
        wanted |= set(pairs["clip_id"])
        stays = self.clips["clip_id"].isin(wanted)
        if len(captions):
            stays |= self.clips["text"].isin(kept)
        clips = self.clips[stays]
        items = {*captions["caption_id"], *clips["clip_id"], *questions["question_id"]}
        return replace(
            self,
            clips=clips.reset_index(drop=True),
            captions=captions.reset_index(drop=True),
            questions=questions.reset_index(drop=True),
            relevance=pairs.reset_index(drop=True),
            alterations=tuple(a for a in self.alterations if a.item_id in items),
        )


def clip_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of clips, as `Annotations` holds them."""
    return _frame(rows, CLIP_COLUMNS)


def caption_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of captions, as `Annotations` holds them."""
    return _frame(rows, CAPTION_COLUMNS)


def question_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of questions, as `Annotations` holds them."""
    return _frame(rows, QUESTION_COLUMNS)


def relevance_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of pairs, as `Annotations` holds them."""
    return _frame(rows, RELEVANCE_COLUMNS)


def _frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Objects throughout, so that no class turns into a float beside a missing one."""
    return pd.DataFrame(list(rows), columns=list(columns), dtype=object)
