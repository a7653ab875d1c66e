"""What README and docs have their readers do on the sample: a walk, commands, queries, paths.

`tests/unit/test_documentation.py` looks up what can't run here: that it exists, options included.
"""

import re
import subprocess
import sys

import numpy as np
import pytest
from support.command_line import CommandLineRun
from support.documentation import PROGRAM, inline, is_path, queries, shell_commands, words
from support.raters import rate
from support.sample_project import sample_project

from assets.embeddings.search import search
from assets.reports.ratings.storage import RatingsFolder
from resources.config_file import load_settings
from resources.lake import Lake
from resources.settings import PROJECT_ROOT
from resources.tables import AUDIO_EMBEDDINGS, CLIPS, TABLES
from resources.warehouse import query

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

READERS_OWN = re.compile(r"configs/(?!sample\.yaml)|<key>|--to ")
"""In a command: what only its reader has, such as a config over real data."""
RUN_HERE = {
    "bundle make",
    "diff",
    "doctor",
    "explain",
    "export",
    "gc",
    "ledger backup",
    "plan",
    "prompt show",
    "ratings import",
    "ratings sheet",
    "record",
    "retry",
    "search",
    "validate",
}
RUN_ELSEWHERE = {
    "bundle unpack": "tests/pipeline/test_bundle.py",
    "bundle verify": "tests/pipeline/test_bundle.py",
    "evaluate": "tests/unit/test_evaluation.py",
    "ledger restore": "tests/pipeline/test_prompt_commands.py",
    "listen": "tests/browser/test_listening_pages.py",
    "run": "tests/pipeline/test_readme_walk.py",
    "ui": "tests/browser/test_dagster_ui.py",
}
"""Commands that listen, overwrite or need files or answers of one's own, and their tests."""
MADE_BY_READERS = re.compile(r"^outputs/(mine|kitchen|<name>|cache/(sources|weights)|sample-limit)")

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
    assert f"sound-approach ui --config {run.config} --limit 5" in output


def ours():
    """The documented commands of our program, each once."""
    said = [one for one in shell_commands() if words(one.text)[:1] == [PROGRAM]]
    return list({one.text: one for one in said}.values())


def name_of(command):
    """A command's name, such as `run` or `ratings sheet`."""
    found = words(command)[1:3]
    known = RUN_HERE | RUN_ELSEWHERE.keys()
    return next((name for name in (" ".join(found), found[0]) if name in known), found[0])


@pytest.fixture(scope="module")
def told(run):
    """What each documented command that can run on the sample printed, and its exit status."""
    results = {}
    for said in ours():
        if name_of(said.text) in RUN_HERE and not READERS_OWN.search(said.text):
            arguments = words(said.text)[1:]
            if arguments[:2] == ["ratings", "import"]:
                arguments = ["ratings", "import", *saved_by_raters(run)]
            results[said.text] = subprocess.run(
                [sys.executable, "-m", "pipelines.cli", *arguments],
                cwd=run.config.parent.parent,
                env={
                    **run.environment,
                    "PYTHONPATH": str(PROJECT_ROOT),
                    "SOUND_APPROACH_CONFIG": str(run.config),
                },
                capture_output=True,
                text=True,
                check=False,
            )
    return results


def saved_by_raters(run):
    """Files as three raters would save them for the sheet that was drawn."""
    folder = RatingsFolder(run.settings.ratings_dir)
    [sheet] = folder.keys
    files = []
    for seed, rater in enumerate(("Ann", "Ben", "Cleo")):
        file = run.config.parent.parent / f"ratings-{sheet}-{rater}.csv"
        rate(folder.key(sheet), sheet, rater, seed, care=0.9).to_csv(file, index=False)
        files.append(file.name)
    return files


@pytest.mark.parametrize("said", ours(), ids=str)
def test_a_documented_command_runs(told, said):
    name = name_of(said.text)
    if name in RUN_HERE:
        if not READERS_OWN.search(said.text):
            assert told[said.text].returncode == 0, told[said.text].stdout + told[said.text].stderr
    else:
        assert name in RUN_ELSEWHERE, f"{name}: run it here, or say which test does"
        assert (PROJECT_ROOT / RUN_ELSEWHERE[name]).exists()


@pytest.mark.parametrize("said", queries(), ids=str)
def test_a_documented_query_returns_rows(run, told, said, monkeypatch):
    monkeypatch.chdir(run.config.parent.parent)
    assert len(run.rows(said.text)), said.text


def test_sql_ranks_as_the_search_does(run):
    [ranking] = [one.text for one in queries() if one.page == README and "sha256" in one.text]
    [(text, benchmark, encoder)] = re.findall(
        r'search "(.+?)" --benchmark (\S+) --encoder (\S+?)`', README.read_text(encoding="utf-8")
    )
    assert f"sha256('{text}')" in ranking
    lake = Lake(run.settings.lake_dir)
    vectors, clips = (lake.read(model, benchmark) for model in (AUDIO_EMBEDDINGS, CLIPS))
    found = search(run.settings, encoder, text, vectors, clips)
    by_sql = run.rows(ranking)
    assert list(by_sql["clip_id"]) == list(found["clip_id"])
    np.testing.assert_allclose(by_sql["similarity"], found["similarity"], atol=1e-6)


def outputs():
    """The paths under `outputs/` that pages name, in sentences and in commands."""
    paths = {one.text for one in inline() if is_path(one.text)}
    paths |= {word for one in shell_commands() for word in words(one.text)}
    found = {path for path in paths if path.startswith("outputs/")}
    return sorted(path for path in found if not MADE_BY_READERS.match(path))


@pytest.mark.parametrize("path", outputs())
def test_a_documented_output_is_there(run, told, path):
    pattern = re.sub(r"<[^>]+>", "*", path).rstrip("/")
    assert list(run.config.parent.parent.glob(pattern)), path


def test_ratings_go_into_a_bundle_but_not_the_clips(run, told, tmp_path):
    def bundle(*arguments):
        command = [sys.executable, "-m", "pipelines.cli", "bundle", *map(str, arguments)]
        subprocess.run(command, cwd=PROJECT_ROOT, env=run.environment, check=True)

    run.again()  # the run before this one was refused, and a bundle holds only what is published
    bundle("make", tmp_path / "sample.zip", "--config", run.config)
    bundle("unpack", tmp_path / "sample.zip", tmp_path / "there")
    there = load_settings(tmp_path / "there" / "configs" / "sample.yaml")
    here, copied = (
        RatingsFolder(folder) for folder in (run.settings.ratings_dir, there.ratings_dir)
    )
    assert len(here.files()) == 4
    assert copied.version() == here.version()
    assert not list(there.ratings_dir.glob("*.html"))
    assert len(query(there.duckdb_file, "FROM raters WHERE accepted")) == 3
