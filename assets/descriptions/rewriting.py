"""Texts become audio descriptions, and get their informativeness graded (method section 7).

Each distinct text of a benchmark is put to each prompt once. What comes back is checked; what can't
be used, or was not asked, is listed by `description_exclusions` and is in no table.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from assets.descriptions.causes import Before, made_with
from assets.descriptions.few_shot import find_visual_words
from assets.descriptions.prompts import Prompt, examples_of, render
from resources.counts import Counts
from resources.language_model.ledger import Ledger
from resources.language_model.question import (
    Answer,
    Answers,
    Check,
    LanguageModel,
    Problem,
    Question,
    Spent,
)
from resources.language_model.replies import REFUSAL
from resources.tables import DESCRIPTIONS, INFORMATIVENESS, REQUESTS, SUBSET_MEMBERS

NOTHING = Before()

LONGEST_CHARACTERS = 300
"""A description is one or two sentences; AudioCaps' longest caption has 212 characters."""


@dataclass
class Outcome:
    """One table made from a language model's answers, and what is missing from it.

    Attributes:
        table: DESCRIPTIONS or INFORMATIVENESS.
        counts: rows by what became of them.
        causes: new and stale rows by why they were asked for (see `causes`).
        exclusions: one row a text and variant that has no answer, in the form of EXCLUSIONS.
        lacking: the missing by why: the class of a bad answer, or why nobody was asked.
        quarantined: how many of the missing had answers, none of them usable.
        not_asked: how many of them were not asked at all.
        spent: what was spent on it now.
    """

    table: pd.DataFrame
    counts: Counts
    causes: Mapping[str, int]
    exclusions: list[dict[str, Any]]
    lacking: Mapping[str, int]
    quarantined: int
    not_asked: int
    spent: Spent


def wanted_texts(captions: pd.DataFrame, questions: pd.DataFrame) -> pd.DataFrame:
    """The distinct texts of a benchmark that are queries: of captions, and of usable questions.

    Returns:
        `text_id, text`, one row a text, sorted by `text_id`.
    """
    usable = questions[questions["usable"].astype(bool)] if len(questions) else questions
    both = pd.concat([captions[["text_id", "text"]], usable[["text_id", "text"]]])
    return both.drop_duplicates("text_id").sort_values("text_id", ignore_index=True)


def build_descriptions(
    benchmark: str,
    texts: pd.DataFrame,
    prompts: Sequence[Prompt],
    pool: pd.DataFrame,
    model: LanguageModel,
    visual_words: Sequence[str],
    before: Before = NOTHING,
) -> Outcome:
    """Rewrite every text with every prompt of purpose `describe` that is for the benchmark.

    Args:
        benchmark: its name.
        texts: `text_id, text`, distinct.
        prompts: all prompts of the run.
        pool: FEW_SHOT_EXAMPLES.
        model: whom to ask.
        visual_words: words that a description must not have.
        before: the table as it was, to tell new rows from stale ones, and why they were asked for.

    Raises:
        LanguageModelError: the model can't be asked, or has no recorded answer.
        FewShotError: a prompt wants more examples than there are.
    """

    def check(question: Question, fields: Mapping[str, str]) -> Problem | None:
        return check_description(question.text, fields["description"], visual_words)

    asked = _questions(benchmark, texts, prompts, pool, "describe")
    parts = _made_with(prompts, pool, asked)
    answers = model.ask(asked, check)
    rows = [
        {
            **_common(benchmark, question, answer, parts),
            "variant": question.variant,
            "description": answer.fields["description"].strip(),
        }
        for question, answer in _answered(asked, answers)
    ]
    table = DESCRIPTIONS.frame(rows)
    return _outcome(benchmark, table, asked, answers, parts, before)


def build_informativeness(
    benchmark: str,
    texts: pd.DataFrame,
    prompts: Sequence[Prompt],
    pool: pd.DataFrame,
    model: LanguageModel,
    before: Before = NOTHING,
) -> Outcome:
    """Grade every text with every prompt of purpose `grade` (arguments: see `build_descriptions`).

    A grade that is missing is missing: the text is in no subset, and in the exclusions.
    """

    def check(question: Question, fields: Mapping[str, str]) -> Problem | None:
        return None

    asked = _questions(benchmark, texts, prompts, pool, "grade")
    parts = _made_with(prompts, pool, asked)
    answers = model.ask(asked, check)
    rows = [
        {
            **_common(benchmark, question, answer, parts),
            "grader": question.variant,
            "level": answer.fields["level"],
            "reason": answer.fields.get("reason"),
        }
        for question, answer in _answered(asked, answers)
    ]
    table = INFORMATIVENESS.frame(rows)
    return _outcome(benchmark, table, asked, answers, parts, before)


def check_description(text: str, description: str, visual_words: Sequence[str]) -> Problem | None:
    """What makes a description unusable; None: nothing."""
    clean = description.strip()
    if not any(character.isalpha() for character in clean):
        return Problem("empty", f"no words: {clean[:40]!r}")
    if len(clean) > LONGEST_CHARACTERS:
        return Problem("too_long", f"{len(clean)} characters, at most {LONGEST_CHARACTERS}")
    if REFUSAL.match(clean):
        return Problem("refusal", clean[:200])
    if _folded(clean) == _folded(text):
        return Problem("unchanged", "the description repeats the text")
    if seen := find_visual_words(clean, visual_words):
        return Problem("visual", f"speaks of what is seen: {', '.join(seen)}")
    return None


def build_subset_members(
    benchmark: str,
    informativeness: pd.DataFrame,
    clips: pd.DataFrame,
    captions: pd.DataFrame,
    questions: pd.DataFrame,
) -> pd.DataFrame:
    """Which clips, captions and questions belong to which level, by each grader (method 7.2).

    An item is in the level of its own text. Items without a grade are in none.

    Returns:
        SUBSET_MEMBERS.
    """
    levels = informativeness[["text_id", "grader", "level"]].astype(str)
    items = pd.concat(
        [
            frame[["text_id", f"{kind}_id"]]
            .rename(columns={f"{kind}_id": "item_id"})
            .assign(item_kind=kind)
            for kind, frame in (("clip", clips), ("caption", captions), ("question", questions))
        ]
    )
    members = items.merge(levels, on="text_id").rename(columns={"level": "subset"})
    return SUBSET_MEMBERS.frame(members.drop(columns="text_id").assign(benchmark=benchmark))


def build_requests(
    benchmark: str,
    texts: pd.DataFrame,
    prompts: Sequence[Prompt],
    pool: pd.DataFrame,
    ledger: Ledger | None,
) -> pd.DataFrame:
    """Every request of the ledger that asked one of the benchmark's questions (REQUESTS).

    Args:
        benchmark: its name.
        texts: `text_id, text`, distinct.
        prompts: all prompts of the run.
        pool: FEW_SHOT_EXAMPLES.
        ledger: None where answers are recorded: then no request was sent.
    """
    if ledger is None:
        return REQUESTS.frame([])
    asked = [
        question
        for purpose in ("describe", "grade")
        for question in _questions(benchmark, texts, prompts, pool, purpose)
    ]
    found = pd.DataFrame(ledger.requests_about(question.key for question in asked))
    if found.empty:
        return REQUESTS.frame([])
    names = [name for name in REQUESTS.names if name != "benchmark"]
    return REQUESTS.frame(found[names].assign(benchmark=benchmark))


def reasons_lacking(exclusions: pd.DataFrame, variant: str) -> dict[str, str]:
    """By text id, in a few words, why a variant has no description of a text.

    Args:
        exclusions: DESCRIPTION_EXCLUSIONS.
        variant: whose.
    """
    own = exclusions[
        (exclusions["effect"] == "excluded") & exclusions["detail"].str.startswith(f"{variant}: ")
    ]
    return dict(zip(own["item_id"], own["reason"], strict=True))


def prompt_questions(
    benchmark: str, texts: pd.DataFrame, prompt: Prompt, pool: pd.DataFrame
) -> list[Question]:
    """A prompt's question about each text; none if the prompt is for other benchmarks.

    Raises:
        FewShotError: it wants more examples than there are.
    """
    if not prompt.is_for(benchmark):
        return []
    examples = examples_of(prompt, pool)
    return [render(prompt, text, examples) for text in texts["text"]]


def check_for(prompt: Prompt, visual_words: Sequence[str]) -> Check:
    """What judges a prompt's answers."""

    def description(question: Question, fields: Mapping[str, str]) -> Problem | None:
        return check_description(question.text, fields["description"], visual_words)

    def level(question: Question, fields: Mapping[str, str]) -> Problem | None:
        return None  # the schema has said it all

    return description if prompt.purpose == "describe" else level


def _questions(
    benchmark: str, texts: pd.DataFrame, prompts: Sequence[Prompt], pool: pd.DataFrame, purpose: str
) -> list[Question]:
    return [
        question
        for prompt in prompts
        if prompt.purpose == purpose
        for question in prompt_questions(benchmark, texts, prompt, pool)
    ]


def _made_with(
    prompts: Sequence[Prompt], pool: pd.DataFrame, asked: Sequence[Question]
) -> dict[str, str]:
    """What decides the answers of each variant that is asked."""
    variants = {question.variant for question in asked}
    return {
        prompt.variant: made_with(prompt, examples_of(prompt, pool))
        for prompt in prompts
        if prompt.variant in variants
    }


def _answered(asked: Sequence[Question], answers: Answers) -> list[tuple[Question, Answer]]:
    return [
        (question, answers.answered[question.key])
        for question in asked
        if question.key in answers.answered
    ]


def _common(
    benchmark: str, question: Question, answer: Answer, parts: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "benchmark": benchmark,
        "text_id": question.text_id,
        "text": question.text,
        "model": answer.model,
        "made_with": parts[question.variant],
        "key": question.key,
    }


def _outcome(
    benchmark: str,
    table: pd.DataFrame,
    asked: Sequence[Question],
    answers: Answers,
    parts: Mapping[str, str],
    before: Before,
) -> Outcome:
    """Count what became of every question; the sums add up, or it is an error."""
    missing = [question for question in asked if question.key not in answers.answered]
    rows = [_exclusion(benchmark, question, answers) for question in missing]
    quarantined = sum(question.key in answers.quarantined for question in asked)
    not_asked = sum(question.key in answers.not_asked for question in asked)
    if len(asked) != len(table) + quarantined + not_asked:
        raise AssertionError(
            f"{len(asked)} questions became {len(table)} answers, {quarantined} quarantined and "
            f"{not_asked} not asked"
        )
    made = [q for q in asked if q.key in answers.answered and q.key not in answers.known]
    stale = sum((question.text_id, question.variant) in before.rows for question in made)
    wanted = {(question.text_id, question.variant) for question in asked}
    counts = Counts(
        wanted=len(asked),
        reused=len(table) - len(made),
        new=len(made) - stale,
        stale=stale,
        orphaned=len(before.rows.keys() - wanted),
        failed=len(missing),
    )
    causes = Counter(
        before.cause(question, parts[question.variant], question.key in answers.refused)
        for question in made
    )
    lacking = Counter(_why_missing(question, answers) for question in missing)
    return Outcome(table, counts, causes, rows, lacking, quarantined, not_asked, answers.spent)


def _why_missing(question: Question, answers: Answers) -> str:
    """In a few words."""
    failure = answers.quarantined.get(question.key)
    if failure:
        return failure.problem.kind
    return answers.not_asked[question.key].split(":")[0]


def _exclusion(benchmark: str, question: Question, answers: Answers) -> dict[str, Any]:
    failure = answers.quarantined.get(question.key)
    reason: str = "not asked"
    detail = answers.not_asked.get(question.key, "")
    if failure:
        reason = failure.problem.kind
        detail = f"{failure.problem.detail} (after {failure.attempts} answers): {failure.raw}"
    return {
        "benchmark": benchmark,
        "item_kind": "text",
        "item_id": question.text_id,
        "effect": "excluded",
        "encoder": None,
        "stage": "descriptions",
        "reason": reason,
        "detail": f"{question.variant}: {question.text!r}: {detail}",
    }


def _folded(text: str) -> str:
    """A text without case, spacing and punctuation."""
    kept = (c if c.isalnum() else " " for c in unicodedata.normalize("NFC", text).casefold())
    return " ".join("".join(kept).split())
