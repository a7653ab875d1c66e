"""The ledger: claims, answers, requests, observations, backup."""

import time

import pytest
from support.prompt_files import make_prompt

from assets.descriptions.prompts import render
from resources.language_model import ledger as ledger_module
from resources.language_model.ledger import Ledger, is_alive
from resources.language_model.ledger_backup import back_up, restore
from resources.language_model.ledger_rows import Outcome
from resources.language_model.prices import Prices
from resources.language_model.question import LanguageModelError, Problem
from resources.language_model.recorded import read_recorded, write_recorded
from resources.language_model.replies import Reply
from resources.language_model.requests import make_intent, make_verdict

PRICES = Prices(models={})
REPLY = Reply("{}", "stop", None, "model-x", 100, 10, "{}")


@pytest.fixture
def questions(tmp_path):
    prompt = make_prompt(tmp_path)
    return [render(prompt, f"cut onion {number}", ()) for number in range(5)]


@pytest.fixture
def open_ledger(ledger_url):
    """Opens a test's ledger, in either database, as another process would."""
    return lambda folder: Ledger(ledger_url) if ledger_url else Ledger.in_folder(folder / "cache")


def answer(ledger, question, fields=None, attempts=0):
    """Ask and answer a question through the ledger."""
    ledger.claim([question], {question.key: attempts})
    intent = make_intent((question,), "text", PRICES)
    ledger.intend([intent]).result()
    problem = None if fields else Problem("schema", "no JSON")
    verdict = make_verdict(question.key, (fields, problem), REPLY, "m", attempts, intent.request_id)
    outcome = Outcome(intent.request_id, "answered", 1, "{}", None, 100, 10, 0.5)
    ledger.settle(outcome, [verdict]).result()
    return intent.request_id


def test_an_answer_is_there_for_the_next_process(tmp_path, open_ledger, questions):
    with open_ledger(tmp_path) as ledger:
        request_id = answer(ledger, questions[0], {"description": "A knife taps"})
    with open_ledger(tmp_path) as ledger:
        (stored,) = ledger.look_up([question.key for question in questions]).values()
        assert (stored.state, stored.fields) == ("answered", {"description": "A knife taps"})
        assert (stored.model, stored.attempts) == ("model-x", 1)
        (request,) = ledger.requests_about([questions[0].key])
        assert request["request_id"] == request_id
        assert request["text_ids"] == [questions[0].text_id]
        assert (request["prompt_tokens"], request["cost_usd"]) == (100, 0.5)
        (observed,) = ledger.observed("plain", questions[0].model)
        assert (observed.questions, observed.completion_tokens) == (1, 10)


def test_of_two_owners_one_asks(tmp_path, open_ledger, questions):
    none = {question.key: 0 for question in questions}
    with open_ledger(tmp_path) as one, open_ledger(tmp_path) as other:
        assert len(one.claim(questions[:3], none).ours) == 3
        claims = other.claim(questions, none)
        assert claims.ours == {question.key for question in questions[3:]}
        assert claims.others == {question.key for question in questions[:3]}
        one.release()
        assert len(other.claim(questions, none).ours) == 5


def test_a_question_that_moved_on_is_looked_at_before_it_is_asked_again(
    tmp_path, open_ledger, questions
):
    with open_ledger(tmp_path) as one, open_ledger(tmp_path) as other:
        answer(one, questions[0], {"description": "x"})
        claims = other.claim(questions[:1], {questions[0].key: 0})
        assert claims.ours == claims.others == set()
        assert other.claim(questions[:1], {questions[0].key: 1}).ours == {questions[0].key}


def test_a_claim_ends_with_its_process_or_its_lease():
    now = time.time()
    mine = ledger_module.Ledger("sqlite://").owner
    machine, _, token = mine.rsplit(":", 2)
    assert is_alive(mine, now + 10, now)
    assert not is_alive(mine, now - 1, now)
    assert not is_alive(None, now + 10, now)
    assert not is_alive(f"{machine}:999999999:{token}", now + 10, now)
    assert is_alive("elsewhere/pid:[1]:999999999:abc", now + 10, now)
    assert not is_alive("elsewhere/pid:[1]:999999999:abc", now - 1, now)


def test_a_lease_is_renewed(tmp_path, open_ledger, questions, monkeypatch):
    none = {question.key: 0 for question in questions}
    with open_ledger(tmp_path) as one, open_ledger(tmp_path) as other:
        monkeypatch.setattr(ledger_module, "LEASE_S", 0.05)
        one.claim(questions, none)
        monkeypatch.setattr(ledger_module, "LEASE_S", 60)
        one.renew()
        time.sleep(0.06)
        assert not other.claim(questions, none).ours
        monkeypatch.setattr(ledger_module, "LEASE_S", 0.01)
        one.renew()
        time.sleep(0.02)
        assert len(other.claim(questions, none).ours) == 5


def test_requests_of_a_dead_process_are_marked(tmp_path, open_ledger, questions):
    with open_ledger(tmp_path) as ledger:
        ledger.claim(questions, {question.key: 0 for question in questions})
        ledger.intend([make_intent((questions[0],), "text", PRICES)]).result()
        assert ledger.fail_lost_requests() == 0
        ledger.owner = f"{ledger.owner.rsplit(':', 2)[0]}:999999999:dead"
        ledger.intend([make_intent((questions[1],), "text", PRICES)]).result()
        assert ledger.fail_lost_requests() == 1
        (lost,) = ledger.requests_about([questions[1].key])
        assert (lost["state"], lost["problem"]) == ("failed", "lost")


def test_quarantined_questions_are_retried_by_class(tmp_path, open_ledger, questions):
    with open_ledger(tmp_path) as ledger:
        answer(ledger, questions[0])
        answer(ledger, questions[1], {"description": "x"})
        keys = [question.key for question in questions]
        assert ledger.retry(["refusal"], keys) == 0
        assert ledger.retry(["schema"], keys) == 1
        states = {key: row.state for key, row in ledger.look_up(q.key for q in questions).items()}
        assert states == {questions[0].key: "open", questions[1].key: "answered"}


def test_answers_are_exported_as_a_recorded_file(tmp_path, open_ledger, questions):
    with open_ledger(tmp_path) as ledger:
        answer(ledger, questions[0], {"description": "A knife taps"})
        answer(ledger, questions[1])
        rows = ledger.recorded_rows(question.key for question in questions)
    write_recorded(tmp_path / "answers.jsonl", rows)
    assert read_recorded(tmp_path / "answers.jsonl") == {
        questions[0].key: {
            "key": questions[0].key,
            "model": "model-x",
            "variant": "plain",
            "text": "cut onion 0",
            "answer": {"description": "A knife taps"},
        }
    }


def test_a_backup_gives_back_what_is_missing_and_overwrites_nothing(
    tmp_path, open_ledger, questions
):
    with open_ledger(tmp_path) as ledger:
        answer(ledger, questions[0], {"description": "old"})
        back_up(ledger, tmp_path / "backup.sqlite")
        with pytest.raises(LanguageModelError, match="there already"):
            back_up(ledger, tmp_path / "backup.sqlite")
    with Ledger.in_folder(tmp_path / "new") as other:
        answer(other, questions[1], {"description": "mine"})
        assert restore(other, tmp_path / "backup.sqlite") == 1
        assert restore(other, tmp_path / "backup.sqlite") == 0
        stored = other.look_up(question.key for question in questions)
        assert stored[questions[0].key].fields == {"description": "old"}
        assert stored[questions[1].key].fields == {"description": "mine"}
        assert len(other.requests_about([questions[0].key])) == 1
        (tmp_path / "no.sqlite").write_text("this is no database, only a file of some length")
        with pytest.raises(LanguageModelError, match="no backup of a ledger"):
            restore(other, tmp_path / "no.sqlite")


def test_a_ledger_that_can_t_be_written_says_so(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "ledger.sqlite").mkdir()
    with pytest.raises(LanguageModelError, match=r"ledger.sqlite can't be written"):
        Ledger.in_folder(tmp_path / "cache")
