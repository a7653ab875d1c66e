"""What a plan says, against what a run then costs."""

import random
from types import SimpleNamespace

import pytest
from support.openai_server import OpenAIServer, grouped
from support.prompt_files import GRADE, NO_POOL, answer_plainly, make_prompt, texts_of

from assets.descriptions.causes import Before
from assets.descriptions.planning import InLedger, plan_benchmark, total_price
from assets.descriptions.prompts import read_prompt_file
from assets.descriptions.rewriting import build_descriptions, build_requests
from resources.language_model.ledger import Ledger
from resources.language_model.prices import Prices, load_prices
from resources.language_model.providers import open_language_model
from resources.settings import PROJECT_ROOT, OpenAISettings

PRICES = load_prices()


def plan(folder, prompts, texts, prices=PRICES, **settings):
    chosen = OpenAISettings(provider="openai", **settings)
    with Ledger.in_folder(folder) as ledger:
        nothing = {"describe": Before(), "grade": Before()}
        known = InLedger(ledger, chosen, prices)
        return plan_benchmark("b", texts, prompts, NO_POOL, (), known, nothing)


def run(folder, server, prompts, texts):
    settings = SimpleNamespace(
        language_model=OpenAISettings(provider="openai", base_url=server.url),
        cache_dir=folder,
        ledger=None,
    )
    with open_language_model(settings) as model:
        build_descriptions("b", texts, prompts, NO_POOL, model, ())
        return build_requests("b", texts, prompts, NO_POOL, model.ledger)


@pytest.mark.parametrize("texts_per_request", [1, 5])
def test_the_cost_of_a_run_lies_in_the_planned_range(tmp_path, texts_per_request):
    words = random.Random(3)
    texts = texts_of(*(f"{'cut ' * words.randint(1, 9)}onion {n}" for n in range(200)))
    prompt = make_prompt(tmp_path, texts_per_request=texts_per_request)

    def usage(messages, content):
        return sum(len(m["content"]) for m in messages) // 4 + 60, len(content) // 4 + 3

    with OpenAIServer(grouped(answer_plainly), usage=usage) as server:
        (row,) = plan(tmp_path, [prompt], texts)
        assert (row.wanted, row.known, row.to_ask, row.price.basis) == (200, 0, 200, "assumed")
        assert row.price.requests == 200 // texts_per_request
        first = run(tmp_path, server, [prompt], texts[:100])["cost_usd"].sum()
        assert 0 < first < row.price.usd.high
        (row,) = plan(tmp_path, [prompt], texts)
        assert (row.known, row.to_ask) == (100, 100)
        assert row.price.basis == "observed"
        cost = run(tmp_path, server, [prompt], texts)["cost_usd"].sum() - first
        assert row.price.usd.low <= cost <= row.price.usd.high
        assert abs((row.price.usd.low + row.price.usd.high) / 2 - cost) < 0.15 * cost
        (row,) = plan(tmp_path, [prompt], texts)
        assert (row.to_ask, row.price.usd.low, row.price.usd.high) == (0, 0.0, 0.0)


def test_an_unknown_price_is_said_and_never_zero(tmp_path):
    prompts = [make_prompt(tmp_path), make_prompt(tmp_path, **{**GRADE, "model": "local"})]
    rows = plan(tmp_path, prompts, texts_of("cut onion"))
    assert rows[0].price.usd is not None and rows[1].price.usd is None
    assert total_price(rows).usd is None
    assert total_price(rows[:1]).usd == rows[0].price.usd


def test_a_batch_costs_its_share(tmp_path):
    prompt = make_prompt(tmp_path)
    (online,) = plan(tmp_path, [prompt], texts_of("cut onion"))
    (batch,) = plan(tmp_path, [prompt], texts_of("cut onion"), mode="batch")
    assert batch.price.usd.high == pytest.approx(online.price.usd.high / 2)


def test_every_model_of_a_shipped_prompt_has_a_price():
    files = sorted((PROJECT_ROOT / "prompts").glob("*.yaml"))
    models = {prompt.model for file in files for prompt in read_prompt_file(file)}
    assert models and models <= PRICES.models.keys()


def test_a_price_list_is_checked(tmp_path):
    (tmp_path / "prices.yaml").write_text("models: {a: {input: cheap}}\nbatch_factor: 3\n")
    with pytest.raises(Exception, match=r"models.a.input.*models.a.output.*batch_factor"):
        load_prices(tmp_path / "prices.yaml")
    assert Prices(models={}).cost("a", 1, 1) is None
