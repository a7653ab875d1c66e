"""What a config would ask about a benchmark, told from its files, before any table is made.

It serves those who want to look before anything runs: the price plan, the rendering of prompts,
the recording of answers. The assets ask the same questions, of the same texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from assets.benchmarks.adapters import read_annotations
from assets.benchmarks.annotation_files import AnnotationError
from assets.benchmarks.authors_files import paper_descriptions
from assets.descriptions.causes import Before
from assets.descriptions.few_shot import (
    FewShotError,
    build_few_shot_examples,
    fetch_few_shot_files,
    read_word_list,
)
from assets.descriptions.planning import (
    InFile,
    InLedger,
    KnownAnswers,
    PlanRow,
    plan_benchmark,
)
from assets.descriptions.prompts import Prompt, PromptError, load_prompts
from assets.descriptions.rewriting import prompt_questions
from resources.downloads import DownloadError
from resources.lake import Lake
from resources.language_model.ledger import Ledger
from resources.language_model.prices import load_prices
from resources.language_model.question import Question
from resources.language_model.recorded import RecordedAnswers
from resources.settings import RecordedSettings, Settings
from resources.sources import SourceError
from resources.table_model import TableModel
from resources.tables import (
    DESCRIPTION_EXCLUSIONS,
    DESCRIPTIONS,
    INFORMATIVENESS,
    INFORMATIVENESS_EXCLUSIONS,
    text_id,
)


class AskedError(ValueError):
    """What would be asked can't be told; the message says which file is wrong, and how."""


@dataclass(frozen=True)
class Asked:
    """The texts of one benchmark, and the prompts that are put to them.

    `clip_texts` and the authors' descriptions, `published`, are embedded as well, and nobody is
    asked about them.
    """

    settings: Settings
    benchmark: str
    texts: pd.DataFrame
    prompts: tuple[Prompt, ...]
    pool: pd.DataFrame
    visual_words: tuple[str, ...]
    clip_texts: frozenset[str]
    published: frozenset[str]

    def questions(self, prompt: Prompt) -> list[Question]:
        """A prompt's question about each text.

        Raises:
            AskedError: it wants more few-shot examples than there are.
        """
        try:
            return prompt_questions(self.benchmark, self.texts, prompt, self.pool)
        except FewShotError as error:
            raise AskedError(str(error)) from error

    def question_keys(self) -> list[str]:
        """The keys of all questions of all prompts."""
        return [question.key for prompt in self.prompts for question in self.questions(prompt)]

    def plan(self, ledger: Ledger | None) -> list[PlanRow]:
        """What of it is not known yet, why, and its price (see `planning`).

        Args:
            ledger: where known answers are; None where they are recorded.

        Raises:
            AskedError: a prompt wants more few-shot examples than there are.
            LanguageModelError: recorded answers or price list can't be read.
        """
        chosen = self.settings.language_model
        known: KnownAnswers
        if isinstance(chosen, RecordedSettings):
            known = InFile(RecordedAnswers(chosen.answers))
        elif ledger:
            known = InLedger(ledger, chosen, load_prices(chosen.prices))
        else:
            return []
        try:
            return plan_benchmark(
                self.benchmark,
                self.texts,
                self.prompts,
                self.pool,
                self.visual_words,
                known,
                self._before(),
            )
        except FewShotError as error:
            raise AskedError(str(error)) from error

    def _before(self) -> dict[str, Before]:
        """What the last run left, by the purpose of prompts."""
        lake = Lake(self.settings.lake_dir)

        def last(model: TableModel) -> pd.DataFrame | None:
            there = lake.stamp(model, self.benchmark)
            return lake.read(model, self.benchmark) if there else None

        return {
            "describe": Before.of(last(DESCRIPTIONS), last(DESCRIPTION_EXCLUSIONS), "variant"),
            "grade": Before.of(last(INFORMATIVENESS), last(INFORMATIVENESS_EXCLUSIONS), "grader"),
        }


def read_asked(settings: Settings, benchmark: str, filtered: pd.DataFrame | None = None) -> Asked:
    """Read texts, prompts and few-shot pool from their files.

    Args:
        settings: the config.
        benchmark: its name.
        filtered: QUESTIONS, where it is there and up to date. Without it all questions count,
            since which of them pass the filters is known only when their recordings have been
            measured: a plan then errs on the dear side.

    Raises:
        AskedError: a file can't be used.
    """
    try:
        annotations = read_annotations(settings, benchmark)
        published = frozenset(paper_descriptions(settings, benchmark)["description"])
        prompts = load_prompts(settings)
    except (AnnotationError, PromptError, SourceError, DownloadError, OSError) as error:
        raise AskedError(str(error)) from error
    words = read_word_list(settings.prompts_folder / "visual_words.txt")
    pool = read_pool(settings)
    questions = annotations.questions if filtered is None else filtered[filtered["usable"]]
    texts = pd.concat([annotations.captions["text"], questions["text"]])
    distinct = pd.DataFrame({"text_id": texts.map(text_id), "text": texts})
    distinct = distinct.drop_duplicates("text_id").sort_values("text_id", ignore_index=True)
    own = annotations.clips["text"] if len(annotations.captions) else ()
    return Asked(settings, benchmark, distinct, prompts, pool, words, frozenset(own), published)


def read_pool(settings: Settings) -> pd.DataFrame:
    """FEW_SHOT_EXAMPLES from their files, which are fetched where they are official.

    Raises:
        AskedError: a file can't be used.
    """
    try:
        words = read_word_list(settings.prompts_folder / "visual_words.txt")
        fetch_few_shot_files(settings)
        return build_few_shot_examples(settings.few_shot, words)
    except (FewShotError, SourceError, DownloadError, OSError) as error:
        raise AskedError(str(error)) from error
