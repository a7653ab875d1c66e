"""The README's walk, as written there: edit a prompt, see other scores, change it back."""

import re

import pytest
from support.command_line import CommandLineRun
from support.sample_project import sample_project

from resources.settings import PROJECT_ROOT
from resources.tables import TABLES

pytestmark = pytest.mark.slow

README = PROJECT_ROOT / "README.md"
SCORES = """
    SELECT benchmark, variant, direction, metric, value FROM scores
    WHERE subset = 'all' AND recall_rule IS NULL ORDER BY ALL
"""


def edit_of_readme():
    """The line that the README has its readers add, and the line that it goes after."""
    readme = README.read_text(encoding="utf-8")
    [block] = re.findall(r"```diff\n(.*?)```", readme, flags=re.DOTALL)
    before, added = block.splitlines()
    assert added.startswith("+")
    return before[1:], added[1:]


def computed(output):
    """The tables with rows that were computed, by the counts that the command printed."""
    lines = [line.split() for line in output.splitlines()]
    counts = [line for line in lines if len(line) == 7 and line[0] in TABLES]
    return {name for name, _, _, new, stale, *_ in counts if (new, stale) != ("·", "·")}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return CommandLineRun(sample_project(tmp_path_factory.mktemp("walk") / "project"))


@pytest.fixture
def prompt(run):
    file = run.settings.prompts_folder / "describe_zero_shot.yaml"
    text = file.read_text(encoding="utf-8")
    yield file
    file.write_text(text, encoding="utf-8")


def test_edit_scores_revert(run, prompt):
    first = run.rows(SCORES)
    before, added = edit_of_readme()
    original = prompt.read_text(encoding="utf-8")
    assert original.count(before + "\n") == 1

    prompt.write_text(original.replace(before + "\n", f"{before}\n{added}\n"), encoding="utf-8")
    output = run.again()
    edited = run.rows(SCORES)
    assert {"text_embeddings", "scores"} <= computed(output)
    assert computed(output).isdisjoint({"media", "clips", "audio_embeddings", "informativeness"})
    changed = edited["value"] != first["value"]
    assert set(edited["variant"][changed]) == {"describe_zero_shot"}
    for benchmark in ("epic_mir", "ego_mcq"):
        of_benchmark = changed & (edited["benchmark"] == benchmark)
        assert edited["value"][of_benchmark].mean() < first["value"][of_benchmark].mean()

    prompt.write_text(original, encoding="utf-8")
    output = run.again()
    assert computed(output).isdisjoint({"text_embeddings", "audio_embeddings"})
    assert run.rows(SCORES).equals(first)


def test_the_five_queries(run):
    [block] = re.findall(r"```sql\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    queries = [query for query in block.split(";") if query.strip()]
    assert len(queries) == 5
    for query in queries:
        assert len(run.rows(query)), query


def test_a_run_without_a_change_computes_nothing(run):
    assert "Nothing was recomputed." in run.again()


def test_any_other_edit_asks_for_a_provider_and_keeps_what_is_published(run, prompt):
    first = run.rows(SCORES)
    text = prompt.read_text(encoding="utf-8")
    prompt.write_text(text.replace("One short sentence", "One long sentence"), encoding="utf-8")
    output = run.again(expect=1)
    assert "no recorded answer: choose a provider" in output
    assert "language_model:" in output
    assert run.rows(SCORES).equals(first)


def test_a_limited_run_has_an_output_of_its_own(run):
    output = run.again("--limit", "5", "--benchmark", "epic_mir")
    limited = run.settings.output.with_name("sample-limit-5")
    assert (limited / "sound_approach.duckdb").exists()
    assert str(limited) in output.replace("\n", "")
