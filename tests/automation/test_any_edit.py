"""Whatever a user edits, in whatever order: the tables are those that a fresh start would make.

And what is asked of the language model and the encoder is what was never asked before, and all of
it. The stage functions run here as a run of `refresh` calls them, on real files (see `tiny_world`).
"""

from __future__ import annotations

import shutil
from collections import Counter

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from support.edits import EDITS, Edit, apply
from support.tiny_world import ANSWERS_LOOKED_AT, MUTE, Clip, Crash, Project, Prompt, World


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A project whose first run is done, and a copy of it to go back to."""
    folder = tmp_path_factory.mktemp("world")
    project = Project(folder / "project")
    project.folder.mkdir()
    project.write(World())
    project.refresh()
    shutil.copytree(project.folder, folder / "first run")
    return project


def reset(project: Project) -> Project:
    """The project as it was after its first run."""
    shutil.rmtree(project.folder)
    shutil.copytree(project.folder.parent / "first run", project.folder)
    again = Project(project.folder)
    again.write(World())
    again.spent = {kind: list(items) for kind, items in project.spent.items()}
    return again


def run(project: Project, world: World) -> bool:
    """Run the chain on a world, and check what is asked; whether the run came to its end."""
    project.write(world)
    before = {kind: set(items) for kind, items in project.spent.items()}
    due = {kind: items - before[kind] for kind, items in world.wanted().items()}
    try:
        project.refresh()
    except Crash:
        project.crash = None
        assert all(set(project.spent[kind]) - before[kind] <= due[kind] for kind in due)
        return False
    assert {kind: set(project.spent[kind]) - before[kind] for kind in due} == due
    return True


def check_against_a_fresh_start(project: Project) -> None:
    """The tables are those of a fresh start, and nothing was ever asked twice."""
    paid = {kind: Counter(items) for kind, items in project.spent.items()}
    assert set((paid["texts"] + paid["sounds"]).values()) == {1}
    for question, times in paid["answers"].items():
        assert times == (ANSWERS_LOOKED_AT if MUTE in question[0] else 1), question

    assert project.differences_to_a_fresh_start() == []


def check_sequence(project: Project, edits: list[Edit]) -> None:
    """Edits and runs, and a last run; after one that died, the next edit comes first."""
    project, worlds = reset(project), [World()]
    for edit in edits:
        worlds.append(apply(edit, worlds))
        if edit.kind == "crash":
            project.crash = (edit.of, edit.to)
        elif edit.run:
            run(project, worlds[-1])
    if not run(project, worlds[-1]):
        assert run(project, worlds[-1])
    check_against_a_fresh_start(project)


@pytest.mark.parametrize(
    ("edit", "answers", "texts", "sounds"),
    [
        (Edit("text", "c0", "stir soup"), 2, 2, 0),
        (Edit("text", "c0", "open door"), 0, 0, 0),
        (Edit("times", "c0", (0.25, 0.75)), 0, 0, 1),
        (Edit("times", "c0", (1.0, 2.2)), 0, 0, 2),
        (Edit("class", "c0", "door"), 0, 0, 0),
        (Edit("row deleted", "c0"), 0, 0, 0),
        (Edit("new row", "c4", Clip("a", 0.0, 0.2, "cut onion", "tap")), 0, 0, 1),
        (Edit("sound", "a", 2), 0, 0, 3),
        (Edit("template", "describe", "listened"), 3, 3, 0),
        (Edit("model", "grade", "model-b"), 3, 0, 0),
        (Edit("temperature", "describe", 0.5), 3, 3, 0),
        (Edit("texts per request", "describe", 3), 0, 0, 0),
        (Edit("new prompt", "second", Prompt()), 0, 0, 0),
        (Edit("new prompt", "second", Prompt(template="example")), 3, 3, 0),
        (Edit("prompt deleted", "describe"), 0, 0, 0),
        (Edit("example", to="a tap drips"), 0, 0, 0),
        (Edit("checkpoint", to="weights 1"), 0, 6, 6),
        (Edit("crop", to="crop_centre"), 0, 0, 2),
        (Edit("seeds", to=(0, 1, 2)), 0, 0, 2),
        (Edit("bootstrap", to=1), 0, 0, 0),
        (Edit("release", to="2"), 0, 0, 0),
    ],
    ids=lambda value: value.kind if isinstance(value, Edit) else str(value),
)
def test_what_an_edit_costs(
    start: Project, edit: Edit, answers: int, texts: int, sounds: int
) -> None:
    """Four clips of three texts, two of them long and cropped under two seeds; two prompts."""
    project = reset(start)
    assert {kind: len(items) for kind, items in project.spent.items()} == dict.fromkeys(
        ("answers", "texts", "sounds"), 6
    )
    assert run(project, apply(edit, [World()]))
    costs = {kind: len(items) - 6 for kind, items in project.spent.items()}
    assert costs == {"answers": answers, "texts": texts, "sounds": sounds}
    assert project.differences_to_a_fresh_start() == []


def test_tables_of_another_release_are_made_again_without_paying(start: Project) -> None:
    project = reset(start)
    for file in project.settings().lake_dir.rglob("*.parquet"):
        table = pq.read_table(file, partitioning=None)
        pq.write_table(table.drop_columns(table.column_names[-1]), file)
    assert run(project, World())
    assert {kind: len(items) for kind, items in project.spent.items()} == dict.fromkeys(
        ("answers", "texts", "sounds"), 6
    )
    assert project.differences_to_a_fresh_start() == []


@hypothesis_settings(max_examples=3, deadline=None, suppress_health_check=[*HealthCheck])
@given(EDITS)
def test_three_sequences(start: Project, edits: list[Edit]) -> None:
    check_sequence(start, edits)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[*HealthCheck])
@given(EDITS)
def test_two_hundred_sequences(start: Project, edits: list[Edit]) -> None:
    check_sequence(start, edits)
