"""The batch API: partial results, expiry, refusal, and moving between batch and online."""

import pytest
from support.openai_server import Fault, OpenAIServer
from support.prompt_files import answer_plainly, make_prompt
from test_language_model import TEXTS, ask, first

from assets.descriptions.prompts import render
from resources.language_model.ledger import Ledger
from resources.language_model.prices import Budget
from resources.language_model.question import LanguageModelError

BATCHED = {"mode": "batch", "batch_poll_s": 0.01, "batch_wait_s": 30.0}


def test_a_batch_end_to_end_at_the_batch_price(tmp_path):
    with OpenAIServer(answer_plainly, usage=lambda m, c: (300, 20)) as server:
        answers = ask(server, tmp_path, **BATCHED)
        assert len(answers.answered) == 20
        assert len(server.batches) == 1 and "POST /v1/chat/completions" not in server.calls
        calls = len(server.calls)
        assert len(ask(server, tmp_path, **BATCHED).known) == 20
        assert len(ask(server, tmp_path).known) == 20
        assert len(server.calls) == calls
        with Ledger.in_folder(tmp_path) as ledger:
            key = render(make_prompt(tmp_path), TEXTS[0], ()).key
            (request,) = ledger.requests_about([key])
        assert request["cost_usd"] == pytest.approx((300 * 0.15e-6 + 20 * 0.6e-6) / 2)


def test_rows_of_the_error_file_and_rows_that_never_ran_are_open_again(tmp_path):
    def fault(number, body):
        text = body["messages"][-1]["content"]
        if text.endswith("cut onion 3"):
            return Fault("status", 500)
        return Fault("hang") if text.endswith("cut onion 5") else None

    with OpenAIServer(answer_plainly, fault=fault, batch_status="expired") as server:
        answers = ask(server, tmp_path, **BATCHED)
        assert len(answers.answered) == 18
        assert sorted(reason.split(":")[0] for reason in answers.not_asked.values()) == [
            "expired",
            "server",
        ]
        server.fault, server.batch_status = None, "completed"
        assert len(ask(server, tmp_path, **BATCHED).answered) == 20
        assert len(server.bodies) == 20 + 2


def test_a_bad_answer_in_a_batch_is_asked_again_alone(tmp_path):
    fault = first(Fault("content", body="no JSON"))
    with OpenAIServer(answer_plainly, fault=fault) as server:
        assert len(ask(server, tmp_path, **BATCHED).answered) == 20
        assert len(server.batches) == 2
        assert len(server.bodies) == 21


def test_a_batch_refused_as_a_whole_says_why_and_is_not_stuck(tmp_path):
    with OpenAIServer(answer_plainly, batch_status="failed") as server:
        with pytest.raises(LanguageModelError, match="no such model"):
            ask(server, tmp_path, **BATCHED)
        server.batch_status = "completed"
        assert len(ask(server, tmp_path, **BATCHED).answered) == 20


def test_what_is_in_a_batch_is_not_asked_online(tmp_path):
    with OpenAIServer(answer_plainly, batch_polls=3) as server:
        waiting = ask(server, tmp_path, TEXTS[:10], **{**BATCHED, "batch_wait_s": 0.0})
        assert len(waiting.not_asked) == 10
        answers = ask(server, tmp_path)
        assert len(answers.answered) == 10 and len(answers.not_asked) == 10
        assert server.requests == 10
        assert len(ask(server, tmp_path).answered) == 20
        assert len(server.batches) == 1
        assert set(server.answered.values()) == {1}


def test_a_batch_larger_than_the_budget_is_cut(tmp_path):
    with OpenAIServer(answer_plainly, usage=lambda m, c: (300, 20)) as server:
        budget = Budget(0.0003)
        answers = ask(server, tmp_path, budget=budget, **BATCHED)
        assert 0 < len(answers.answered) < 20
        assert len(answers.not_asked) == 20 - len(answers.answered)
        assert 0 < budget.spent_usd <= budget.limit_usd
        assert budget.reserved_usd == pytest.approx(0)


def test_an_earlier_run_s_batch_gives_nothing_back_to_this_run_s_budget(tmp_path):
    with OpenAIServer(answer_plainly, usage=lambda m, c: (300, 20)) as server:
        ask(server, tmp_path, TEXTS[:10], **{**BATCHED, "batch_wait_s": 0.0})
        budget = Budget(0.0)
        answers = ask(server, tmp_path, budget=budget, **BATCHED)
        assert (len(answers.answered), len(answers.not_asked)) == (10, 10)
        assert (budget.spent_usd, budget.reserved_usd) == (0, 0)


def test_a_batch_tells_how_far_it_is(tmp_path):
    seen = []
    with OpenAIServer(answer_plainly, batch_polls=2) as server:
        ask(server, tmp_path, progress=seen.append, **BATCHED)
    assert [(progress.done, progress.total) for progress in seen][-1] == (20, 20)
    assert (seen[0].done, seen[0].total) == (0, 20)
    assert seen[-1].spent_usd > 0


def test_batches_have_a_largest_size(tmp_path):
    with OpenAIServer(answer_plainly) as server:
        assert len(ask(server, tmp_path, batch_size=8, **BATCHED).answered) == 20
        assert len(server.batches) == 3


def test_a_batch_server_that_is_gone_says_so_and_the_batch_stays(tmp_path):
    with OpenAIServer(answer_plainly, batch_polls=2) as server:
        ask(server, tmp_path, **{**BATCHED, "batch_wait_s": 0.0})
        url = server.url
    gone = type("Gone", (), {"url": url})()
    with pytest.raises(LanguageModelError, match="can't be reached"):
        ask(gone, tmp_path, max_attempts=1, **{**BATCHED})
