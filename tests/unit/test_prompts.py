"""Prompt files: what they may say, what they render, and what decides a key."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from support.prompt_files import (
    DESCRIBE,
    NO_POOL,
    make_prompt,
    pool_of,
    shipped_prompt,
    write_prompt,
)

from assets.descriptions.few_shot import Example, FewShotError
from assets.descriptions.prompts import (
    PromptError,
    examples_of,
    load_prompts,
    prompts_table,
    read_prompt_file,
    render,
)
from resources.settings import PROJECT_ROOT

SHIPPED = sorted(path.stem for path in (PROJECT_ROOT / "prompts").glob("*.yaml"))
PAIRS = [(f"doing {word}", f"{word} sounds {word}") for word in "abcdefghijklmnopqrstuvwxyz"]


def settings(folder: Path, prompts="all", model=None):
    asked = SimpleNamespace(model=model)
    return SimpleNamespace(prompts_folder=folder, prompts=prompts, language_model=asked)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_prompts_render_the_text_on_a_line_of_its_own(name):
    prompt = shipped_prompt(name)
    examples = examples_of(prompt, pool_of(*PAIRS))
    question = render(prompt, "  put down plate ", examples)
    assert question.messages[-1]["content"].splitlines()[-1] == "put down plate"
    everything = "\n".join(message["content"] for message in question.messages)
    assert all(example.audio_caption in everything for example in examples)
    assert "{%" not in everything and "{{" not in everything
    for field in question.answer_schema["properties"]:
        assert f'"{field}"' in everything


def test_the_few_shot_prompts_differ_in_the_number_of_examples_only():
    base = shipped_prompt("describe_few_shot")
    for name, count in (("describe_few_shot_5", 5), ("describe_few_shot_20", 20)):
        other = shipped_prompt(name)
        assert other.template == base.template
        assert other.examples.count == count
    bare = render(shipped_prompt("describe_zero_shot"), "cut onion", ())
    assert render(base, "cut onion", ()).key == bare.key


def test_several_models_are_a_variant_each_and_one_is_not(tmp_path):
    path = write_prompt(tmp_path, model=None, models=["gpt-a", "gpt-b"])
    assert [p.variant for p in read_prompt_file(path)] == ["plain@gpt-a", "plain@gpt-b"]
    path = write_prompt(tmp_path, model=None, models=["gpt-a"])
    assert [p.variant for p in read_prompt_file(path)] == ["plain"]


def test_a_config_names_another_model_for_prompts_that_name_one(tmp_path):
    write_prompt(tmp_path)
    write_prompt(tmp_path, id="both", model=None, models=["gpt-a", "gpt-b"])
    found = {prompt.variant: prompt.model for prompt in load_prompts(settings(tmp_path))}
    assert found["plain"] == DESCRIBE["model"]
    other = {prompt.variant: prompt.model for prompt in load_prompts(settings(tmp_path, model="x"))}
    assert other == {**found, "plain": "x"}


def test_a_config_may_use_no_prompt(tmp_path):
    assert load_prompts(settings(tmp_path, prompts=())) == ()
    with pytest.raises(PromptError, match="no prompts: put at least one"):
        load_prompts(settings(tmp_path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"purpse": "describe"}, "purpse: unknown key"),
        ({"benchmarks": "epic_mir"}, "benchmarks: write a list: [epic_mir]"),
        ({"purpose": None}, "purpose: missing"),
        ({"id": "plain", "model": None}, "one `model:`"),
        ({"models": ["x"]}, "one `model:`"),
        ({"parameters": {"temperature": 0}}, "max_tokens"),
        ({"parameters": {"max_tokens": 5, "stream": True}}, "can't set stream"),
        ({"answer": {"caption": "string"}}, "has the fields: description"),
        ({"messages": [{"role": "user", "content": "{{ txt }}"}]}, "unknown variable txt"),
        ({"messages": [{"role": "user", "content": "{{ text "}]}, "not a Jinja2 template"),
        ({"messages": [{"role": "user", "content": "Hello"}]}, "contains {{ text }}"),
        ({"messages": [{"role": "user", "content": "{{ text.nothing }}"}]}, "can't be rendered"),
        (
            {"messages": [{"role": "user", "content": "{{ text.__class__.__mro__ }}"}]},
            "can't be rendered",
        ),
        ({"examples": {"count": 3}}, "no message uses `examples`"),
        (
            {
                "texts_per_request": 2,
                "messages": [
                    {"role": "system", "content": "{{ text }}"},
                    {"role": "user", "content": "{{ text }}"},
                ],
            },
            "only the last message",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, changes, said):
    path = write_prompt(tmp_path, **changes)
    with pytest.raises(PromptError) as raised:
        read_prompt_file(path)
    assert said in str(raised.value)
    assert list(raised.value.problems) == [path]


def test_all_problems_of_all_files_are_listed_at_once(tmp_path):
    write_prompt(tmp_path, id="one", purpose="rewrite", colour="red", parameters=None)
    write_prompt(tmp_path, id="two", parameters={"n": 3}, answer={"level": "string"})
    with pytest.raises(PromptError) as raised:
        load_prompts(settings(tmp_path))
    for said in (
        "purpose:",
        "colour: unknown",
        "parameters: missing",
        "can't set n",
        "max_tokens",
        "has the fields",
    ):
        assert said in str(raised.value)
    assert {path.stem for path in raised.value.problems} == {"one", "two"}


def test_a_bad_file_that_is_not_asked_for_does_no_harm(tmp_path):
    write_prompt(tmp_path)
    (tmp_path / "draft.yaml").write_text("id: [")
    assert [p.variant for p in load_prompts(settings(tmp_path, ("plain",)))] == ["plain"]
    with pytest.raises(PromptError, match="draft"):
        load_prompts(settings(tmp_path))
    with pytest.raises(PromptError, match=r"no such file.*there are: draft, plain"):
        load_prompts(settings(tmp_path, ("absent",)))


def test_a_file_s_id_is_its_name(tmp_path):
    write_prompt(tmp_path).rename(tmp_path / "copy.yaml")
    with pytest.raises(PromptError, match="must be the file's name, `copy`"):
        read_prompt_file(tmp_path / "copy.yaml")


def test_a_key_is_made_from_what_decides_the_answer(tmp_path):
    base = render(make_prompt(tmp_path), "cut onion", ()).key
    same = [
        {"about": "Other words."},
        {"id": "renamed"},
        {"parameters": {"max_tokens": 50, "temperature": 0.0}},
        {"texts_per_request": 10},
        {"benchmarks": ["epic_mir"]},
    ]
    other = [
        {"model": "gpt-x"},
        {"parameters": {"temperature": 1, "max_tokens": 50}},
        {"messages": [DESCRIBE["messages"][0], {"role": "user", "content": "See: {{ text }}"}]},
    ]
    assert {render(make_prompt(tmp_path, **c), "cut onion", ()).key for c in same} == {base}
    keys = {render(make_prompt(tmp_path, **c), "cut onion", ()).key for c in other}
    assert len(keys) == len(other) and base not in keys
    assert render(make_prompt(tmp_path), " cut onion\n", ()).key == base
    assert render(make_prompt(tmp_path), "cut onions", ()).key != base


def test_a_text_that_looks_like_a_template_is_only_a_text(tmp_path):
    question = render(make_prompt(tmp_path), "{{ 7 * 7 }} {% raw %}", ())
    assert question.messages[-1]["content"] == "Seen:\n{{ 7 * 7 }} {% raw %}"


def test_examples_come_from_the_pool_or_from_the_file(tmp_path):
    uses = [{"role": "user", "content": "{{ examples[0].audio_caption }} {{ text }}"}]
    own = [{"visual_text": "open tap", "audio_caption": "Water runs"}]
    prompt = make_prompt(tmp_path, messages=uses, examples={"pool": own, "count": 1})
    assert examples_of(prompt, NO_POOL) == (Example("open tap", "Water runs"),)
    prompt = make_prompt(tmp_path, messages=uses, examples={"count": 1})
    with pytest.raises(FewShotError, match=r"prompt plain \(plain.yaml\): 1 few-shot.*few_shot:"):
        examples_of(prompt, NO_POOL)


def test_the_prompts_table_holds_every_prompt_as_it_is(tmp_path):
    prompts = [shipped_prompt(name) for name in SHIPPED]
    table = prompts_table(prompts, pool_of(*PAIRS))
    assert sorted(table["variant"]) == SHIPPED
    row = table[table["variant"] == "describe_few_shot"].iloc[0]
    assert len(row["examples"]) == 8 and " -> " in row["examples"][0]
    assert row["file"] == "describe_few_shot.yaml"
