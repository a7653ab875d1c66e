"""The doors to prompts and paid answers, through the command line, against a loopback server."""

import json
import re
import shutil

import pytest
import yaml
from support.asked_project import BENCHMARK, AskedProject
from support.documentation import PROGRAM, blocks, shell_commands, words
from support.openai_server import Fault, OpenAIServer
from support.prompt_files import GRADE, answer_plainly

from resources.lake import Lake
from resources.language_model.ledger import Ledger
from resources.language_model.providers import run_budget
from resources.language_model.recorded import read_recorded
from resources.settings import PROJECT_ROOT
from resources.sql_models import SQL_FOLDER
from resources.tables import DESCRIPTION_EXCLUSIONS, DESCRIPTIONS, INFORMATIVENESS, REQUESTS
from resources.warehouse import publish

TEXTS = [f"cut onion {n}" for n in range(30)]
COUNTS = ("wanted", "reused", "new", "stale", "orphaned", "failed")
NEW_WORDS = [
    {"role": "system", "content": 'One field "description".'},
    {"role": "user", "content": "Text:\n{{ text }}"},
]
OTHER_GRADE = [
    {"role": "system", "content": 'Be strict. One field "level".'},
    {"role": "user", "content": "{{ text }}"},
]
WITH_EXAMPLES = [
    {"role": "system", "content": 'One field "description". {{ examples | length }} examples.'},
    {"role": "user", "content": "{{ text }}"},
]


def shown(count):
    """A pool of its own, written into a prompt's file."""
    return [{"visual_text": f"doing {n}", "audio_caption": f"sound {n}"} for n in range(count)]


@pytest.fixture(autouse=True)
def own_process():
    run_budget.cache_clear()


@pytest.fixture
def project(tmp_path):
    with OpenAIServer(answer_plainly) as server:
        yield AskedProject(tmp_path / "project", server, TEXTS)


def planned(project, *options):
    """By prompt the numbers of its line in `plan`, and the causes: `{cause: count}`."""
    found, name = {}, None
    for line in project.command("plan", *options).splitlines():
        first = re.match(r" (\S+) +([\d,]+) +([\d,]+) +([\d,]+) +(.*)", line)
        more = re.match(r" {20,}(\D+) (\d+) *$", line)
        if first:
            name = first[1]
            cause = re.match(r"(\D+) (\d+)", first[5])
            found[name] = [int(first[n]) for n in (2, 3, 4)], {}
        else:
            cause = more
        if cause and name:
            found[name][1][cause[1].strip()] = int(cause[2])
    return found


def metadata(result, table):
    """What a run's materialization of a table says, by name."""
    events = result.asset_materializations_for_node(table)
    (event,) = [event for event in events if event.asset_key.path == [table]]
    return {name: getattr(v, "records", v.value) for name, v in event.metadata.items()}


def test_a_plan_says_what_a_run_then_asks_and_why(project):
    assert planned(project)["plain"] == ([30, 0, 30], {"first run": 30})
    assert planned(project, "--limit", "4")["plain"][0] == [4, 0, 4]
    made = metadata(project.materialize(), "descriptions")
    assert [made[name] for name in COUNTS] == [30, 0, 30, 0, 0, 0]
    assert made["asked because/first run"] == 30
    said = project.command("plan")
    assert "Every answer is known: nothing is asked or paid." in said
    assert planned(project)["grade"] == ([30, 30, 0], {})

    project.write_texts([*TEXTS[3:], "open door", "wash pan"])
    project.write_prompt(messages=NEW_WORDS)
    plan = planned(project)
    assert plan["plain"] == ([29, 0, 29], {"source": 2, "template": 27})
    assert plan["grade"] == ([29, 27, 2], {"source": 2})
    before = project.server.requests
    made = metadata(project.materialize(), "descriptions")
    assert project.server.requests - before == 29 + 2
    assert [made[name] for name in COUNTS] == [29, 0, 2, 27, 3, 0]
    assert (made["asked because/source"], made["asked because/template"]) == (2, 27)
    assert (made["requests"], made["cost_usd"] > 0) == (29, True)


CHANGES = {
    "template": {"messages": NEW_WORDS},
    "model": {"model": "gpt-4o-2024-08-06"},
    "parameters": {"parameters": {"temperature": 1, "max_tokens": 50}},
    "model + parameters": {"model": "gpt-4o-2024-08-06", "parameters": {"max_tokens": 49}},
}


def test_each_change_of_a_prompt_has_its_name(project):
    project.materialize()
    for cause, changes in CHANGES.items():
        project.write_prompt(**changes)
        assert planned(project)["plain"] == ([30, 0, 30], {cause: 30})
    project.write_prompt()
    assert planned(project)["plain"][0] == [30, 30, 0]
    project.write_prompt(id="other", messages=NEW_WORDS)
    assert planned(project)["other"][1] == {"new prompt": 30}

    project.write_prompt(messages=WITH_EXAMPLES, examples={"count": 2, "pool": shown(2)})
    project.materialize()
    project.write_prompt(messages=WITH_EXAMPLES, examples={"count": 3, "pool": shown(3)})
    assert planned(project)["plain"][1] == {"examples": 30}


def test_what_is_asked_again_has_a_cause_too(project):
    bad = Fault("content", body="no JSON")
    project.server.fault = lambda n, body: bad if "onion 7" in str(body["messages"]) else None
    project.materialize()
    assert project.command("retry", "--class", "schema").startswith("2 of 2 in quarantine")
    project.server.fault = None
    assert planned(project)["plain"] == ([30, 29, 1], {"unanswered": 1})
    words = project.folder / "prompts" / "visual_words.txt"
    words.write_text("sounds while they\n")
    assert planned(project)["plain"][1] == {"checks": 29, "unanswered": 1}
    words.unlink()
    project.settings.cache_dir.joinpath("ledger.sqlite").rename(project.folder / "elsewhere")
    assert planned(project)["plain"][1] == {"ledger": 29, "unanswered": 1}


def test_a_plan_names_price_budget_and_unknown_prices(project):
    said = project.command("plan")
    assert "In all 60 questions in 60 requests" in said
    budget = float(re.search(r"--budget ([\d.]+)", said)[1])
    least, most = map(float, re.search(r"Price: ([\d.]+) to ([\d.]+) USD", said).groups())
    assert 0 < least < most < budget
    project.write_config(budget_usd=budget)
    project.materialize()
    with Ledger.in_folder(project.settings.cache_dir) as ledger:
        assert least <= ledger.paid_usd() <= most

    project.write_texts(["open door"])
    (project.folder / "prices.yaml").write_text("models: {}\n")
    project.write_config(prices="prices.yaml")
    said = project.command("plan")
    assert "The price of gpt-4o-mini-2024-07-18 is unknown" in said
    assert "0.00" not in said and "--budget" not in said


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_the_budget_that_a_plan_names_suffices(project, mode):
    project.write_config(mode=mode, batch_poll_s=0.01)
    budget = float(re.search(r"--budget ([\d.]+)", project.command("plan"))[1])
    project.write_config(mode=mode, batch_poll_s=0.01, budget_usd=budget)
    project.server.usage = lambda messages, content: (150, 30)
    project.materialize()
    assert len(project.table(DESCRIPTIONS)) == len(project.table(INFORMATIVENESS)) == 30


def test_prompt_show_prints_the_messages_that_are_sent(project):
    said = project.command("prompt", "show", "plain", "--limit", "2")
    assert said.count(f"{BENCHMARK} · cut onion") == 2
    assert "Seen:\ncut onion" in said
    project.write_prompt(id="for_others", benchmarks=["elsewhere"])
    assert "for_others is not for own." in project.command("prompt", "show", "for_others")
    assert "there are: for_others, grade" in project.command("prompt", "show", "no", expect=2)
    assert project.server.requests == 0


def test_what_was_recorded_is_a_run_without_key_or_server(project):
    project.materialize()
    descriptions = project.table(DESCRIPTIONS)
    file = project.folder / "answers.jsonl"
    assert "60 of 60 answers written to" in project.command("record", str(file))
    assert len(read_recorded(file)) == 60
    project.config.write_text(
        yaml.safe_dump(
            {
                **yaml.safe_load(project.config.read_text()),
                "language_model": {"provider": "recorded", "answers": str(file)},
                "output": "elsewhere",
                "cache_dir": "empty",
            }
        )
    )
    asked = project.server.requests
    assert "Every answer is known" in project.command("plan")
    project.materialize()
    assert project.table(DESCRIPTIONS).equals(descriptions)
    assert project.server.requests == asked
    project.write_texts([*TEXTS, "open door"])
    assert planned(project)["plain"] == ([31, 30, 1], {"source": 1})
    assert "2 answers are not recorded" in project.command("plan")
    assert "there is no ledger" in project.command("retry", expect=2)


def test_quarantine_is_told_and_opened_by_class(project):
    faults = {"onion 7": Fault("refusal"), "onion 8": Fault("content", body="no JSON")}

    def fault(number, body):
        return faults.get(body["messages"][-1]["content"][-7:])

    assert "Nothing is in quarantine." in project.command("retry")
    project.server.fault = fault
    made = metadata(project.materialize(), "descriptions")
    assert (made["quarantined"], made["not_asked"], made["failed"]) == (2, 0, 2)
    assert sorted(row.data["reason"] for row in made["lacking"]) == ["refusal", "schema"]
    assert set(project.table(DESCRIPTION_EXCLUSIONS)["reason"]) == {"refusal", "schema"}
    said = project.command("retry", "--class", "schmea", expect=2)
    assert "nothing of class schmea is in quarantine. There is: refusal 2, schema 2" in said
    assert "2 of 4 in quarantine" in project.command("retry", "--class", "refusal")
    project.server.fault = None
    before = project.server.requests
    project.materialize()
    assert project.server.requests - before == 2
    assert list(project.table(DESCRIPTION_EXCLUSIONS)["reason"]) == ["schema"]


def test_a_ledger_is_copied_and_taken_over(project):
    project.materialize()
    copy = project.folder / "copies" / "ledger.sqlite"
    assert "copied to" in project.command("ledger", "backup", str(copy))
    assert "overwrites nothing" in project.command("ledger", "backup", str(copy), expect=2)
    assert "0 answers taken over." in project.command("ledger", "restore", str(copy))
    project.settings.cache_dir.joinpath("ledger.sqlite").unlink()
    assert "60 answers taken over." in project.command("ledger", "restore", str(copy))
    asked = project.server.requests
    project.materialize()
    assert project.server.requests == asked
    assert len(project.table(REQUESTS)) == 60
    table = str(project.folder / "own.csv")
    assert "no backup of a ledger" in project.command("ledger", "restore", table, expect=2)


def test_a_diff_of_prompts_that_never_ran(project):
    project.write_prompt(
        id="other", messages=WITH_EXAMPLES, examples={"count": 2, "pool": shown(2)}, model="m-2"
    )
    said = project.command("diff", "plain", "other", "--benchmark", BENCHMARK)
    assert "model: gpt-4o-mini-2024-07-18 -> m-2" in said
    assert "\n-Seen:\n" in said and "{{ examples | length }} examples." in said
    assert "+ doing 1 -> sound 1" in said
    assert "is not there yet" in said
    assert "Nothing that decides" in project.command("diff", "plain", "plain")
    assert "no such prompt" in project.command("diff", "plain", "nobody", expect=2)
    assert project.server.requests == 0


def test_a_diff_of_prompts_that_ran_shows_the_texts_that_moved(project):
    project.write_prompt(id="other", messages=NEW_WORDS)
    project.write_prompt(**{**GRADE, "id": "second", "messages": OTHER_GRADE})
    answers = {"Be strict": '{"level": "low"}', "One field": '{"description": "A blade taps"}'}
    project.server.answer = lambda messages: next(
        (said for words, said in answers.items() if messages[0]["content"].startswith(words)),
        answer_plainly(messages),
    )
    project.materialize()
    settings = project.settings
    publish(Lake(settings.lake_dir), SQL_FOLDER, settings.duckdb_file)
    said = project.command("diff", "plain", "other", "--limit", "2")
    assert "own: 30 of 30 texts differ" in said
    assert "    + A blade taps\n" in said and "    - Something sounds while they cut onion" in said
    assert "and 28 more" in said
    said = project.command("diff", "grade", "second", "--limit", "1")
    assert "own: 30 of 30 texts differ\n  agreement 0%" in said
    assert "    - high\n    + low\n" in said


def test_the_key_is_in_no_output_and_no_file(project, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    project.server.fault = lambda number, body: (
        Fault("status", 400, body="bad sk-very-secret") if number == 3 else None
    )
    project.materialize()
    file = project.folder / "answers.jsonl"
    said = [
        project.command(*command)
        for command in (["plan"], ["record", str(file)], ["retry"], ["prompt", "show", "plain"])
    ]
    assert "Bearer sk-very-secret" in project.server.authorizations
    assert "sk-very-secret" not in json.dumps(said)
    for path in project.folder.rglob("*"):
        assert not path.is_file() or b"sk-very-secret" not in path.read_bytes(), path


def test_the_commands_of_the_page_on_prompts_work_in_its_order(project, monkeypatch):
    page = PROJECT_ROOT / "docs" / "prompts.md"
    [example] = [block.text for block in blocks("yaml") if block.page == page]
    prompts = project.folder / "prompts"
    for name in ("describe_few_shot", "describe_zero_shot"):
        shutil.copy(PROJECT_ROOT / "prompts" / f"{name}.yaml", prompts)
    (prompts / "describe_briefly.yaml").write_text(example)
    pool = PROJECT_ROOT / "resources" / "sample" / "few_shot"
    files = {name: [str(pool / f"{name}.csv")] for name in ("audiocaps", "kinetics")}
    given = {**yaml.safe_load(project.config.read_text()), "few_shot": files}
    project.config.write_text(yaml.safe_dump(given))
    project.server.fault = lambda number, body: (
        Fault("content", body="no JSON") if "onion 7" in body["messages"][-1]["content"] else None
    )
    monkeypatch.chdir(project.folder)
    for said in shell_commands():
        program, *given = words(said.text)
        if said.page != page or program != PROGRAM:
            continue
        assert given[given.index("--config") + 1] == "configs/mine.yaml"
        del given[given.index("--config") : given.index("--config") + 2]
        if given[0] == "run":
            project.materialize()
        else:
            assert project.command(*given)
    assert len(read_recorded(project.folder / "answers.jsonl")) == 5 * 29
    assert set(project.table(DESCRIPTIONS)["variant"]) >= {"plain", "describe_briefly"}
