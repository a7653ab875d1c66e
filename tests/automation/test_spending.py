"""What the sensor spends unasked, and what it says where that would be too much."""

from types import SimpleNamespace

import dagster as dg
import pytest
import yaml
from support.asked_project import BENCHMARK, AskedProject
from support.prompt_files import DESCRIBE
from support.sample_project import sample_project

from assets.benchmarks.adapters import read_annotations, source_version
from assets.descriptions.asking import read_asked
from pipelines import spending
from pipelines.automation import TaggedProject, ask
from pipelines.spending import Allowance, allow
from resources.config_file import load_settings
from resources.sample import write_sample

BENCHMARKS = ("epic_mir", "ego_mcq", "epic_sounds")


class Paid:
    """A sample project whose prompts would be put to a server that takes money."""

    def __init__(self, folder, sources):
        self.config = sample_project(folder, sources)
        self.prices = folder / "prices.yaml"
        raw = yaml.safe_load(self.config.read_text())
        models = {
            yaml.safe_load((folder / "prompts" / f"{name}.yaml").read_text())["model"]
            for name in raw["prompts"]
        }
        self.models = {name: {"input": 1.0, "output": 1.0} for name in models}
        self.price(**self.models)
        model = {"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "prices": "prices.yaml"}
        self.set(language_model=model, automation={"settle_s": 0})

    def set(self, **keys):
        raw = {**yaml.safe_load(self.config.read_text()), **keys}
        self.config.write_text(yaml.safe_dump(raw))

    def price(self, **models):
        self.prices.write_text(yaml.safe_dump({"models": models}))

    def tick(self):
        """What the sensor does: the benchmarks it starts, and what it says."""
        with dg.DagsterInstance.ephemeral() as instance:
            resource = TaggedProject(config_file=str(self.config))
            result = ask(instance, resource, load_settings(self.config), print)
        requested = {request.partition_key for request in result.run_requests or ()}
        return requested, result.skip_reason and result.skip_reason.skip_message


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spending") / "sources"
    write_sample(folder)
    return folder


@pytest.fixture
def paid(tmp_path, sources, monkeypatch):
    monkeypatch.setattr(spending, "_planned", {})
    return Paid(tmp_path / "project", sources)


def test_what_costs_little_is_started(paid):
    assert paid.tick() == (set(BENCHMARKS), None)


def test_above_the_bound_nothing_starts_and_the_remedy_is_said(paid):
    paid.set(automation={"settle_s": 0, "max_usd_per_change": 0.001})
    requested, said = paid.tick()
    assert requested == set()
    for benchmark in BENCHMARKS:
        assert f"--config {paid.config} --benchmark {benchmark} --budget 0." in said
    assert "describe_zero_shot: 51" in said
    assert "allows (0.0010 USD)" in said


def test_a_price_that_is_not_known_is_no_bound_to_keep(paid):
    paid.price()
    requested, said = paid.tick()
    assert requested == set()
    for name in paid.models:
        assert f"in {paid.prices} what it costs" in said
        assert f"`{name}: {{input: 0, output: 0}}`" in said
    assert "--budget" not in said
    paid.price(**{name: {"input": 0, "output": 0} for name in paid.models})
    assert paid.tick()[0] == set(BENCHMARKS)


def test_another_price_list_is_another_plan(paid):
    paid.price(**{name: {"input": 1e6, "output": 1e6} for name in paid.models})
    assert paid.tick()[0] == set()
    paid.price(**paid.models)
    assert paid.tick()[0] == set(BENCHMARKS)


def test_a_plan_is_made_once_until_something_changes(paid, monkeypatch):
    paid.set(automation={"settle_s": 0, "max_usd_per_change": 0.0})
    read, reads = spending.read_asked, []
    monkeypatch.setattr(
        spending, "read_asked", lambda *given: reads.append(given[1]) or read(*given)
    )
    assert paid.tick() == paid.tick()
    assert sorted(reads) == sorted(BENCHMARKS)
    paid.set(seeds=[0, 1])
    paid.tick()
    assert len(reads) == 6


def test_questions_that_fail_the_filters_are_not_planned_once_that_is_known(paid):
    settings = load_settings(paid.config)
    annotations = read_annotations(settings, "ego_mcq")
    every = read_asked(settings, "ego_mcq")
    first = annotations.questions["text"].iloc[0]
    filtered = annotations.questions.assign(usable=annotations.questions["text"] != first)
    some = read_asked(settings, "ego_mcq", filtered)
    assert set(every.texts["text"]) - set(some.texts["text"]) == {first}


def test_files_that_are_wrong_stop_their_own_run_and_no_other(tmp_path, monkeypatch):
    """A run says best what is wrong, and stops before it asks anything."""
    monkeypatch.setattr(spending, "_planned", {})
    server = SimpleNamespace(url="http://127.0.0.1:9/v1")
    project = AskedProject(tmp_path, server, ["cut onion"])
    settings = project.settings
    assert allow(settings, BENCHMARK, "as it was").usd == 1.0

    wants_three = {"examples": {"count": 3}}
    system, user = DESCRIBE["messages"]
    shown = {**system, "content": "{% for e in examples %}{{ e.audio_caption }}{% endfor %}"}
    project.write_prompt(messages=[{**shown}, user], **wants_three)
    assert allow(settings, BENCHMARK, "too few examples") == Allowance(usd=1.0)
    said = project.command("plan", expect=2)
    assert "3 few-shot examples are wanted and the pool keeps 0" in " ".join(said.split())

    project.write_prompt()
    (project.folder / "own.csv").unlink()
    stored = SimpleNamespace(is_current=lambda stage: source_version(settings, BENCHMARK))
    monkeypatch.setattr(spending, "questions", stored)
    assert allow(settings, BENCHMARK, "no annotations") == Allowance(usd=1.0)
    assert "own.csv: no such file" in " ".join(project.command("plan", expect=2).split())


def test_recorded_answers_cost_nothing(paid):
    paid.set(
        language_model={"provider": "recorded", "answers": "resources/sample/answers.jsonl"},
        automation={"settle_s": 0, "max_usd_per_change": 0.0},
    )
    assert paid.tick() == (set(BENCHMARKS), None)
