"""What is wrong with a config and all that it names, before anything is run or paid."""

from __future__ import annotations

from collections.abc import Sequence

from assets.benchmarks.adapters import source_warnings
from assets.descriptions.checking import check_files
from assets.descriptions.prompts import load_prompts
from assets.embeddings.health import examine_encoders
from resources.health import Finding, examine_language_model
from resources.settings import Settings


def only(settings: Settings, benchmarks: Sequence[str]) -> Settings:
    """The same config with some of its benchmarks."""
    chosen = {name: settings.benchmarks[name] for name in benchmarks}
    return settings.model_copy(update={"benchmarks": chosen})


def find_problems(settings: Settings) -> tuple[list[str], list[str]]:
    """All that would stop a run or leave it nothing to score, and all that deserves a look.

    An encoder that can't run beside others that can, a key that is not set and prices that are
    not known deserve a look: what can be done without them is done.
    """
    problems = check_files(settings)
    encoders = list(examine_encoders(settings))
    noted = [finding for finding in encoders if finding.mark == "note"]
    if not problems:
        models = {prompt.model for prompt in load_prompts(settings)}
        asking = examine_language_model(settings, models)
        noted += [finding for finding in asking if finding.mark != "ok"]
    problems += [_said(finding) for finding in encoders if finding.mark == "stops"]
    return problems, [*source_warnings(settings), *map(_said, noted)]


def _said(finding: Finding) -> str:
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return f"{finding.area}: {finding.text}{remedy}"
