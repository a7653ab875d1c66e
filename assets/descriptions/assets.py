"""Declares the language-model tables: few-shot pool, prompts, descriptions, levels, requests."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from assets.benchmarks.authors_files import paper_descriptions, paper_levels, published_version
from assets.descriptions.agreement import grader_agreement
from assets.descriptions.causes import Before
from assets.descriptions.failure_signs import before_and_after, failure_signs
from assets.descriptions.few_shot import (
    build_few_shot_examples,
    fetch_few_shot_files,
    read_word_list,
)
from assets.descriptions.paper import (
    SEVERAL,
    paper_alterations,
    paper_exclusions,
    with_paper_descriptions,
    with_paper_levels,
)
from assets.descriptions.prompts import load_prompts, prompts_table
from assets.descriptions.rewriting import (
    Outcome,
    build_descriptions,
    build_informativeness,
    build_requests,
    build_subset_members,
    wanted_texts,
)
from assets.descriptions.styles import (
    SOUND_WORDS,
    VISUAL_WORDS,
    audiocaps_style,
    build_text_styles,
    clotho_style,
)
from resources.hashing import canonical_hash
from resources.language_model.prices import show_usd
from resources.language_model.providers import open_language_model, open_ledger
from resources.language_model.question import Progress, Spent
from resources.media.inventory import content_hash
from resources.settings import RecordedSettings
from resources.table_assets.checks import table_check
from resources.table_assets.declared import table_asset
from resources.table_assets.shown import as_metadata
from resources.table_assets.stage import Made, Stage
from resources.table_model import TableModel
from resources.tables import (
    CAPTIONS,
    CLIPS,
    DESCRIPTION_EXCLUSIONS,
    DESCRIPTIONS,
    FEW_SHOT_EXAMPLES,
    INFORMATIVENESS,
    INFORMATIVENESS_EXCLUSIONS,
    PROMPTS,
    QUESTIONS,
    REQUESTS,
    SUBSET_MEMBERS,
    TEXT_STYLES,
)

LACKING = "without an answer/"
"""Of names of metadata: how many rows have no usable answer, by reason."""

SHOWN = 20
"""Rows without an answer that the UI shows; the table lists them all."""


def _prompts(stage: Stage) -> Any:
    return canonical_hash([repr(prompt) for prompt in load_prompts(stage.settings)])


def _visual_words(stage: Stage) -> tuple[str, ...]:
    return read_word_list(stage.settings.prompts_folder / VISUAL_WORDS)


def _sound_words(stage: Stage) -> tuple[str, ...]:
    return read_word_list(stage.settings.prompts_folder / SOUND_WORDS)


def _pool(stage: Stage) -> Any:
    fetch_few_shot_files(stage.settings, stage.progress("bytes"))
    files = [*stage.settings.few_shot.audiocaps, *stage.settings.few_shot.kinetics]
    pool = stage.settings.few_shot.model_dump(mode="json")
    return [pool, [content_hash(file) for file in files if file.exists()], _visual_words(stage)]


def _styles(stage: Stage) -> Any:
    files = [*stage.settings.few_shot.audiocaps, *stage.settings.styles.clotho]
    captions = [content_hash(file) for file in files if file.exists()]
    return [captions, _sound_words(stage), _visual_words(stage)]


def _asked(stage: Stage) -> Any:
    """Prompts, and the recorded file where answers come from one; a server decides no row."""
    chosen = stage.settings.language_model
    recorded = None
    if isinstance(chosen, RecordedSettings) and chosen.answers.is_file():
        recorded = content_hash(chosen.answers)
    published = published_version(stage.settings, stage.benchmark)
    return [_prompts(stage), _visual_words(stage), recorded, published]


def _asked_so_far(stage: Stage) -> Any:
    """The same, and what the ledger's history holds, whichever benchmark it is about."""
    with open_ledger(stage.settings) as ledger:
        return [_asked(stage), ledger and ledger.history_state()]


def _texts(stage: Stage) -> pd.DataFrame:
    return wanted_texts(stage.table(CAPTIONS), stage.table(QUESTIONS))


def _progress(stage: Stage) -> Callable[[Progress], None]:
    report = stage.progress("answers")

    def follow(progress: Progress) -> None:
        spent = progress.spent_usd
        report(progress.done, progress.total, "" if spent is None else f"{show_usd(spent)} USD")

    return follow


def _before(stage: Stage, table: TableModel, exclusions: TableModel, variant: str) -> Before:
    return Before.of(stage.previous(table), stage.previous(exclusions), variant)


def _tables(
    stage: Stage,
    outcome: Outcome,
    table: pd.DataFrame,
    exclusions: TableModel,
    **shown: pd.DataFrame,
) -> tuple[Made, pd.DataFrame]:
    listed = exclusions.frame(outcome.exclusions)
    lacking = listed[listed["effect"] == "excluded"]
    metadata = {name: as_metadata(frame) for name, frame in shown.items()}
    metadata["lacking"] = as_metadata(lacking[["reason", "detail"]].head(SHOWN))
    counts = {
        **outcome.counts.as_metadata(),
        **{f"asked because/{cause}": count for cause, count in sorted(outcome.causes.items())},
        "quarantined": outcome.quarantined,
        "not_asked": outcome.not_asked,
        **{f"{LACKING}{reason}": count for reason, count in sorted(outcome.lacking.items())},
    }
    made = Made(table, counts, {**_spent(outcome.spent), **metadata}, outcome.counts.failed == 0)
    if len(lacking):
        stage.log(
            f"{len(lacking):,} of {outcome.counts.wanted:,} have no usable answer and are listed "
            f"in {exclusions.name}, first: {lacking['reason'].iloc[0]}: {lacking['detail'].iloc[0]}"
        )
    return made, listed


def _spent(spent: Spent) -> dict[str, Any]:
    """What was spent now; a cost that is not known in full is not told as a number."""
    shown: dict[str, Any] = {
        "requests": spent.requests,
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.completion_tokens,
        "cost_usd": spent.usd,
    }
    if spent.unpriced:
        shown["cost_usd"] = f"unknown for {spent.unpriced:,} of {spent.requests:,} requests"
    return shown


@table_asset(FEW_SHOT_EXAMPLES, code_version="1", version=_pool)
def few_shot_examples(stage: Stage) -> pd.DataFrame:
    """The overlap of Kinetics and AudioCaps: clips described by eye and by ear."""
    return build_few_shot_examples(stage.settings.few_shot, _visual_words(stage))


@table_asset(PROMPTS, reads=[FEW_SHOT_EXAMPLES], code_version="1", version=_prompts)
def prompts(stage: Stage) -> pd.DataFrame:
    """The prompts, as they are in their files now."""
    return prompts_table(load_prompts(stage.settings), stage.table(FEW_SHOT_EXAMPLES))


@table_asset(
    DESCRIPTIONS,
    DESCRIPTION_EXCLUSIONS,
    reads=[CAPTIONS, QUESTIONS, FEW_SHOT_EXAMPLES, PROMPTS],
    code_version="2",
    version=_asked,
    pool="language_model",
)
def descriptions(stage: Stage) -> tuple[Made, pd.DataFrame]:
    """Rewrite every distinct text with every prompt; only unknown answers are asked for."""
    published = paper_descriptions(stage.settings, stage.benchmark)  # before anything is paid
    with open_language_model(stage.settings, progress=_progress(stage)) as model:
        outcome = build_descriptions(
            stage.benchmark,
            _texts(stage),
            load_prompts(stage.settings),
            stage.table(FEW_SHOT_EXAMPLES),
            model,
            _visual_words(stage),
            _before(stage, DESCRIPTIONS, DESCRIPTION_EXCLUSIONS, "variant"),
        )
    table = with_paper_descriptions(outcome.table, published, stage.benchmark)
    altered = paper_alterations(published, stage.benchmark)
    if altered:
        stage.log(f"warning: {len(altered):,} texts, {SEVERAL}; first {altered[0]['detail']}")
    outcome.exclusions.extend(paper_exclusions(_texts(stage), published, stage.benchmark))
    outcome.exclusions.extend(altered)
    shown = before_and_after(table)
    return _tables(stage, outcome, table, DESCRIPTION_EXCLUSIONS, before_and_after=shown)


@table_asset(
    TEXT_STYLES,
    reads=[CAPTIONS, QUESTIONS, FEW_SHOT_EXAMPLES, DESCRIPTIONS],
    code_version="1",
    version=_styles,
)
def text_styles(stage: Stage) -> Made:
    """How every text is worded: length, vocabulary, words for sounds, likeness to captions."""
    references = {
        "audiocaps_similarity": audiocaps_style(stage.settings.few_shot.audiocaps),
        "clotho_similarity": clotho_style(stage.settings.styles.clotho),
    }
    word_lists = {"sound_words": _sound_words(stage), "visual_words": _visual_words(stage)}
    table = build_text_styles(
        stage.benchmark, _texts(stage), stage.table(DESCRIPTIONS), word_lists, references
    )
    compared = {
        f"captions behind {name}": style.captions if style else 0
        for name, style in references.items()
    }
    return Made.whole(table, compared)


@table_asset(
    INFORMATIVENESS,
    INFORMATIVENESS_EXCLUSIONS,
    reads=[CAPTIONS, QUESTIONS, FEW_SHOT_EXAMPLES, PROMPTS],
    code_version="1",
    version=_asked,
    pool="language_model",
)
def informativeness(stage: Stage) -> tuple[Made, pd.DataFrame]:
    """Grade every distinct text: how well can its action be told from its sound?"""
    published = paper_levels(stage.settings, stage.benchmark)  # before anything is paid
    with open_language_model(stage.settings, progress=_progress(stage)) as model:
        outcome = build_informativeness(
            stage.benchmark,
            _texts(stage),
            load_prompts(stage.settings),
            stage.table(FEW_SHOT_EXAMPLES),
            model,
            _before(stage, INFORMATIVENESS, INFORMATIVENESS_EXCLUSIONS, "grader"),
        )
    table = with_paper_levels(outcome.table, published, stage.benchmark)
    outcome.exclusions.extend(paper_exclusions(_texts(stage), published, stage.benchmark))
    shown = pd.DataFrame(grader_agreement(table))
    return _tables(stage, outcome, table, INFORMATIVENESS_EXCLUSIONS, agreement=shown)


@table_asset(SUBSET_MEMBERS, reads=[INFORMATIVENESS, CLIPS, CAPTIONS, QUESTIONS], code_version="1")
def subset_members(stage: Stage) -> pd.DataFrame:
    """Which clips, captions and questions belong to which informativeness level."""
    return build_subset_members(
        stage.benchmark,
        stage.table(INFORMATIVENESS),
        stage.table(CLIPS),
        stage.table(CAPTIONS),
        stage.table(QUESTIONS),
    )


@table_asset(
    REQUESTS,
    reads=[CAPTIONS, QUESTIONS, FEW_SHOT_EXAMPLES, PROMPTS, DESCRIPTIONS, INFORMATIVENESS],
    code_version="1",
    version=_asked_so_far,
)
def requests(stage: Stage) -> Made:
    """The history of what was sent to a language model about this benchmark's texts."""
    with open_ledger(stage.settings) as ledger:
        history = build_requests(
            stage.benchmark,
            _texts(stage),
            load_prompts(stage.settings),
            stage.table(FEW_SHOT_EXAMPLES),
            ledger,
        )
    return Made(history)


@table_check(DESCRIPTIONS, blocking=False)
def rewriting_worked(stage: Stage) -> list[str]:
    """Warns of what the paper's own rewriting suffered from: see `failure_signs`."""
    signs = failure_signs(stage.table(DESCRIPTIONS), _visual_words(stage))
    return [warning for sign in signs for warning in sign.warnings()]


DESCRIPTION_CHECKS = (rewriting_worked,)
DESCRIPTION_TABLES = (
    few_shot_examples,
    prompts,
    descriptions,
    text_styles,
    informativeness,
    subset_members,
    requests,
)
