"""What is wrong with the files that a config names: all of it at once, before a run is started."""

from __future__ import annotations

from collections.abc import Iterator

from assets.benchmarks.adapters import check_sources
from assets.benchmarks.annotation_files import AnnotationError
from assets.benchmarks.authors_files import paper_descriptions, paper_levels
from assets.descriptions.asking import AskedError, read_pool
from assets.descriptions.few_shot import FewShotError
from assets.descriptions.prompts import Prompt, PromptError, examples_of, load_prompts
from assets.descriptions.styles import StyleError, clotho_style
from resources.language_model.question import LanguageModelError
from resources.language_model.recorded import read_recorded
from resources.settings import RecordedSettings, Settings


def check_files(settings: Settings) -> list[str]:
    """Every problem of annotations, media patterns, authors' files, pool, styles, prompts, answers.

    Official files that are not there yet are fetched. What encoders need is not looked at: one
    that can't run is left out of a run, with its reason.

    Returns:
        A message a problem; none if a run can start.
    """
    problems = [
        *check_sources(settings),
        *_authors_files(settings),
        *_prompts_and_examples(settings),
        *_texts_and_answers(settings),
    ]
    # Whoever reads the authors' files reads the annotations too, and says the same of them.
    return list(dict.fromkeys(problems))


def _authors_files(settings: Settings) -> Iterator[str]:
    for benchmark in settings.benchmarks:
        for read in (paper_descriptions, paper_levels):
            try:
                read(settings, benchmark)
            except AnnotationError as error:
                yield f"{benchmark}: {error}"


def _prompts_and_examples(settings: Settings) -> Iterator[str]:
    """Of each prompt too whether it finds as many few-shot examples as it wants."""
    prompts: tuple[Prompt, ...] = ()
    try:
        prompts = load_prompts(settings)
    except PromptError as error:
        yield str(error)
    try:
        pool = read_pool(settings)
    except AskedError as error:
        yield str(error)
        return
    for prompt in prompts:
        try:
            examples_of(prompt, pool)
        except FewShotError as error:
            yield str(error)


def _texts_and_answers(settings: Settings) -> Iterator[str]:
    for read in (_read_styles, _read_answers):
        try:
            read(settings)
        except (StyleError, LanguageModelError) as error:
            yield str(error)


def _read_styles(settings: Settings) -> None:
    clotho_style(settings.styles.clotho)


def _read_answers(settings: Settings) -> None:
    if isinstance(settings.language_model, RecordedSettings):
        read_recorded(settings.language_model.answers)
