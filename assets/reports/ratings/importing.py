"""Takes raters' files in: judged by the key of their sheet, then kept beside it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from assets.reports.ratings.answers import AnswerError, judge, read_answers
from assets.reports.ratings.storage import RatingsFolder


@dataclass(frozen=True)
class Imported:
    """What became of one file; `kept`: it is among the imported ones, accepted or rejected."""

    file: Path
    accepted: bool
    kept: bool
    told: str


def import_answers(file: Path, folder: RatingsFolder, replace: bool) -> Imported:
    """Judge one file and keep it, so that the table `raters` lists it with the verdict.

    What is no rater's file, or of a sheet not drawn here, is not kept. A rater's accepted file
    gives way to another accepted one only if `replace` says so, and to a rejected one never.
    """
    try:
        rows = read_answers(file)
    except AnswerError as error:
        return Imported(file, False, False, str(error).removeprefix(f"{file}: "))
    sheet, rater = rows["sheet"].iloc[0], rows["rater"].iloc[0]
    if sheet not in folder.keys:
        drawn = ", ".join(folder.keys) or "none"
        return Imported(
            file, False, False, f"of sheet {sheet}, which has no key in {folder.root}: {drawn}"
        )
    answers = judge(file, rows, folder.key(sheet))
    problems = "; ".join(answers.problems)
    target = folder.answer(sheet, rater)
    before = target.read_bytes() if target.exists() else None
    if before is not None and before != file.read_bytes():
        old = judge(target, read_answers(target), folder.key(sheet))
        if old.accepted and not (answers.accepted and replace):
            told = problems or "if it is to count instead, import it with --replace"
            return Imported(
                file, False, False, f"another file of {rater} is accepted already: {told}"
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    if before != file.read_bytes():
        shutil.copyfile(file, target)
    told = problems or f"{rater}, {len(rows)} answers"
    return Imported(file, answers.accepted, True, told)
