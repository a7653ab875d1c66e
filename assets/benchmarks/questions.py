"""The table `questions`: which multiple-choice questions are asked (method section 3.2).

The authors' filters are known by name only, so they are defined here: (a) every option has usable
audio; (b) the options' texts differ, and the query's equals that of the answer and no other; (c)
no option is silent. A question keeps the first that it fails as its reason.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import pandas as pd

from assets.benchmarks.annotations import Annotations
from resources.media.inventory import DIGITAL_SILENCE
from resources.settings import EgoMcqSettings, Settings
from resources.tables import QUESTIONS, text_id

NO_AUDIO = "an option has no usable audio"
TEXTS_ALIKE = "the options' texts don't single out the answer"
SILENT = "an option is silent"
FILTERS = (NO_AUDIO, TEXTS_ALIKE, SILENT)
"""In the order in which they are applied."""


def build_questions(
    settings: Settings, annotations: Annotations, clips: pd.DataFrame
) -> pd.DataFrame:
    """Every question, and whether it is asked, as a `QUESTIONS` frame.

    Args:
        settings: the config.
        annotations: the benchmark's files.
        clips: the `CLIPS` frame of the same benchmark.
    """
    questions = annotations.questions
    failed = failed_filters(settings, annotations, clips).to_numpy()
    reasons = np.array([*FILTERS, None], dtype=object)
    first = np.where(failed.any(axis=1), failed.argmax(axis=1), len(FILTERS))
    return QUESTIONS.frame(
        pd.DataFrame(
            {
                "benchmark": annotations.benchmark,
                "question_id": questions["question_id"],
                "kind": questions["kind"],
                "text": questions["text"],
                "text_id": questions["text"].map(text_id),
                "options": questions["options"],
                "answer": questions["answer"],
                "usable": ~failed.any(axis=1),
                "reason": reasons[first],
            }
        )
    )


def failed_filters(
    settings: Settings, annotations: Annotations, clips: pd.DataFrame
) -> pd.DataFrame:
    """Each filter's verdict on each question: its column sums count the filters one by one.

    Returns:
        Booleans, true where the question fails: a row a question in file order, a column a filter.
    """
    questions = annotations.questions
    given = settings.benchmarks[annotations.benchmark]
    if not isinstance(given, EgoMcqSettings) or questions.empty:
        return pd.DataFrame(False, index=questions.index, columns=list(FILTERS))
    silent = (clips["rms"] < given.silence_rms) | (clips["reason"] == DIGITAL_SILENCE)
    mute = ~clips["usable"] & ~silent
    verdicts = {
        NO_AUDIO: _any_option(questions, clips, mute),
        TEXTS_ALIKE: _texts_alike(questions) & given.distinct_texts,
        SILENT: _any_option(questions, clips, silent),
    }
    return pd.DataFrame(verdicts, index=questions.index, columns=list(FILTERS))


def normalised(text: str) -> str:
    """A text as filter (b) compares it: no case, no spare spaces, no full stop at its end."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split()).rstrip(" .")


def _any_option(questions: pd.DataFrame, clips: pd.DataFrame, condition: pd.Series) -> np.ndarray:
    concerned = set(clips.loc[condition, "clip_id"])
    return np.array([not concerned.isdisjoint(options) for options in questions["options"]])


def _texts_alike(questions: pd.DataFrame) -> np.ndarray:
    rows = zip(questions["text"], questions["option_texts"], questions["answer"], strict=True)
    return np.array([not _singled_out(*row) for row in rows])


def _singled_out(query: str, option_texts: tuple[str, ...], answer: int) -> bool:
    options = [normalised(text) for text in option_texts]
    return len(set(options)) == len(options) and options[answer] == normalised(query)
