"""Every command, path and link of README and docs exists, with the options that are written there.

What can run on the sample runs in `tests/pipeline/test_readme_walk.py`, all queries included.
"""

import contextlib
import importlib.util
import re

import pytest
import yaml
from support.documentation import (
    PAGES,
    PROGRAM,
    Said,
    anchors,
    blocks,
    inline,
    is_command,
    is_path,
    links,
    queries,
    shell_commands,
    words,
)
from typer._click.core import Context
from typer._click.exceptions import MissingParameter, UsageError
from typer.core import TyperGroup
from typer.main import get_command

from assets.benchmarks import own_table
from pipelines.cli import app
from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT, TableSettings

COMMON = {"export", "cp", "cd", "duckdb", "pip", "git", "$EDITOR", "ls", "tar", "rsync", "psql"}
COMMON |= {"docker"}
"""Programs that are not this project's: their options are theirs to check."""
OUTPUTS = ("outputs/", "sound_approach.duckdb", "report/index.html", "report/listening.html")
"""Made by a run; `test_readme_walk` looks for them after one."""
READERS_FILES = {
    "configs/mine.yaml",
    "configs/kitchen.yaml",
    "egomcq.json",
    "egomcq_filtered.json",
    "egomcq_filtered_gpt.json",
    "roberta-base/vocab.json",
    "roberta-base/merges.txt",
    "bert-base-uncased/vocab.txt",
}
"""Files that a reader brings, that are fetched, or that `export` writes."""


def parse(command):
    """Parse a command of ours as the command line does, without running it.

    Raises:
        UsageError: it, an option or a value does not exist, or something is missing.
    """
    found, given = get_command(app), words(command)[1:]
    context = Context(found, info_name=PROGRAM)
    while isinstance(found, TyperGroup):
        if given in ([], ["--help"]):
            return
        name, found, given = found.resolve_command(context, given)
        context = Context(found, info_name=name, parent=context)
    if given != ["--help"]:
        found.make_context(found.name, given, parent=context.parent)


def check_command(command):
    program, *arguments = words(command)
    if program == PROGRAM:
        parse(command)
    elif program == "make":
        targets = re.findall(r"^(\w+):", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE)
        asked = [word for word in arguments if "=" not in word]
        assert set(asked) <= set(targets), f"make has no {asked}"
    elif program in ("python", "python3"):
        if arguments[0] == "-m":
            assert importlib.util.find_spec(arguments[1]), f"no module {arguments[1]}"
        else:
            assert (PROJECT_ROOT / arguments[0]).is_file(), f"no script {arguments[0]}"
    elif program == "run":
        assert (PROJECT_ROOT / ".ci" / "run").exists()
    else:
        assert program in COMMON, f"{program} is no program that this test knows"


def check_path(text, page):
    path = text.rstrip("/")
    if path.startswith(OUTPUTS) or path in READERS_FILES:
        return
    if "<" in path:
        path = re.sub(r"<[^>]+>", "*", path)
    found = [*PROJECT_ROOT.glob(path), *page.parent.glob(path)]
    if "/" not in path:
        found += [
            file
            for folder in ("resources", "assets", "pipelines", "tests", "prompts", "configs")
            for file in (PROJECT_ROOT / folder).rglob(path)
        ]
    assert found, f"no such file: {text}"


def check_link(target, page):
    if re.match(r"https?://", target):
        return
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.exists(), f"no such page: {target}"
    if anchor:
        assert anchor in anchors(file), f"no heading {anchor} in {file.name}"


@pytest.mark.parametrize("said", shell_commands(), ids=str)
def test_a_command_and_its_options_exist(said):
    check_command(said.text)


@pytest.mark.parametrize("said", [said for said in inline() if is_command(said.text)], ids=str)
def test_a_command_in_a_sentence_exists(said):
    if said.text.startswith("make "):
        check_command(said.text)
        return
    with contextlib.suppress(MissingParameter):  # a sentence need not say what it is told
        parse(said.text)


@pytest.mark.parametrize("said", [said for said in inline() if is_path(said.text)], ids=str)
def test_a_path_exists(said):
    check_path(said.text, said.page)


@pytest.mark.parametrize("said", links(), ids=str)
def test_a_link_leads_somewhere(said):
    check_link(said.text, said.page)


@pytest.mark.parametrize("said", blocks("yaml"), ids=str)
def test_a_piece_of_config_is_valid(said, tmp_path):
    piece = yaml.safe_load(said.text)
    if not isinstance(piece, dict) or piece.keys() & {"id", "purpose", "messages"}:
        return  # a prompt, or a part of one
    sample = yaml.safe_load((PROJECT_ROOT / "configs" / "sample.yaml").read_text())
    encoders = {**sample["encoders"], **piece.get("encoders", {})}
    if any("precomputed" in str(one) or "late" in str(one) for one in encoders.values()):
        encoders = piece["encoders"]
    (tmp_path / "piece.yaml").write_text(yaml.safe_dump({**sample, **piece, "encoders": encoders}))
    load_settings(tmp_path / "piece.yaml")


def test_the_example_of_a_users_table_can_be_read(tmp_path):
    [table] = blocks("csv")
    (tmp_path / "clips.csv").write_text(table.text)
    config = {"adapter": "table", "clips": str(tmp_path / "clips.csv"), "texts": ["text"]}
    settings = TableSettings.model_validate(config, context={"base": tmp_path})
    annotations = own_table.read(settings, "kitchen")
    assert list(annotations.clips["text"]) == [
        "opens the fridge",
        "closes the fridge",
        "washes a cup",
    ]
    assert annotations.clips["verb_class"].nunique() == 2


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [PAGES[0]]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = [said.text.partition("#")[0] for said in links() if said.page == page]
        found = {(page.parent / target).resolve() for target in targets if target.endswith(".md")}
        waiting += [page for page in PAGES if page in found - reached]
    assert set(PAGES) == reached


def test_the_cookbook_has_twenty_questions():
    [page] = [page for page in PAGES if page.name == "cookbook.md"]
    numbered = re.findall(r"^(\d+)\. ", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert numbered == [str(number) for number in range(1, 21)]
    assert sum(said.page == page for said in queries()) >= 20


@pytest.mark.parametrize(
    "command",
    [
        "sound-approach fly",
        "sound-approach run --fast",
        "sound-approach ratings draw",
        "sound-approach search water",
        "sound-approach run --budget much",
        "make coffee",
        "python -m resources.nothing",
        "frobnicate now",
    ],
)
def test_an_unknown_command_or_option_is_seen(command):
    with pytest.raises((UsageError, AssertionError)):
        check_command(command)


@pytest.mark.parametrize("path", ["docs/nothing.md", "prompts/none.yaml", "none.py"])
def test_an_unknown_path_is_seen(path):
    assert is_path(path)
    with pytest.raises(AssertionError):
        check_path(path, PAGES[0])


@pytest.mark.parametrize("target", ["docs/nothing.md", "docs/encoders.md#nothing", "#nothing"])
def test_an_unknown_link_is_seen(target):
    with pytest.raises(AssertionError):
        check_link(target, PAGES[0])


def test_what_is_said_is_found(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(
        "# One `b` two\n\nSee [this](x.md#a) and `configs/sample.yaml`.\n\n"
        "```sh\nexport A=1 && .venv/bin/sound-approach plan \\\n  --config c   # said\n```\n\n"
        "```sql\n-- only a comment\nSELECT 1;\nSELECT 2;\n```\n"
    )
    monkeypatch.setattr("support.documentation.PAGES", [page])
    assert [words(said.text)[0] for said in shell_commands()] == ["export", PROGRAM]
    assert words(shell_commands()[1].text) == [PROGRAM, "plan", "--config", "c"]
    assert [said.text.split()[-1] for said in queries()] == ["1", "2"]
    assert links() == [Said(page, "x.md#a")]
    assert "configs/sample.yaml" in [said.text for said in inline()]
    assert anchors(page) == {"one-b-two"}
