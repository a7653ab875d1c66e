"""`kill -9` at any moment, and several processes at once: nothing is lost, nothing paid twice."""

import os
import random
import signal
import time

import pytest
from support.ask_process import start, texts
from support.openai_server import Fault, OpenAIServer
from support.prompt_files import answer_plainly

PATIENT = pytest.mark.timeout(900)
BATCHED = {"mode": "batch", "batch_poll_s": 0.05, "batch_wait_s": 60}


def answered(asking):
    outcome = asking.end()
    assert isinstance(outcome, dict), outcome
    return outcome["answered"]


def kills_online(server, folder, ledger_url, count, kills, seed, concurrency=8):
    """Kill a run at random moments after its first request, then let one go to its end."""
    chance = random.Random(seed)
    for _ in range(kills):
        known = len(server.bodies)
        asking = start(folder, count, ledger_url, base_url=server.url, concurrency=concurrency)
        while asking.process.is_alive() and len(server.bodies) == known:
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.1))
        asking.kill()
    return answered(start(folder, count, ledger_url, base_url=server.url, concurrency=concurrency))


@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=[pytest.mark.slow, PATIENT])])
def test_killed_online_only_what_was_in_flight_is_paid_twice(tmp_path, ledger_url, kills):
    count = 40 + 25 * kills
    with OpenAIServer(answer_plainly, latency_s=0.02) as server:
        assert kills_online(server, tmp_path, ledger_url, count, kills, seed=1) == count
        assert len(server.answered) == count
        paid_twice = sum(server.answered.values()) - count
        assert paid_twice <= 8 * kills
        assert start(tmp_path, count, ledger_url, base_url=server.url).end()["known"] == count
        assert sum(server.answered.values()) == count + paid_twice


def test_an_answer_that_was_written_down_is_never_asked_for_again(tmp_path, ledger_url):
    """One at a time: a kill can cost at most the one request in flight."""
    with OpenAIServer(answer_plainly, latency_s=0.01) as server:
        kills_online(server, tmp_path, ledger_url, 60, kills=5, seed=2, concurrency=1)
        assert sum(server.answered.values()) <= 60 + 5


def test_two_processes_at_once_pay_each_request_once(tmp_path, ledger_url):
    with OpenAIServer(answer_plainly, latency_s=0.02) as server:
        both = [start(tmp_path, 300, ledger_url, base_url=server.url) for _ in range(2)]
        assert [answered(asking) for asking in both] == [300, 300]
        assert len(server.answered) == 300
        assert set(server.answered.values()) == {1}


def test_two_processes_at_once_submit_one_batch(tmp_path, ledger_url):
    with OpenAIServer(answer_plainly, batch_polls=3) as server:
        both = [start(tmp_path, 50, ledger_url, base_url=server.url, **BATCHED) for _ in range(2)]
        assert [answered(asking) for asking in both] == [50, 50]
        assert set(server.answered.values()) == {1}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(1, 7))
def test_killed_at_any_step_of_a_batch_it_is_submitted_once(tmp_path, ledger_url, call, moment):
    """Calls are: upload, create, poll, poll, the result file; the sixth never comes."""
    victims = []

    def kill(number):
        if number == call and victims:
            os.kill(victims.pop(), signal.SIGKILL)

    with OpenAIServer(answer_plainly, batch_polls=1) as server:
        setattr(server, f"{moment}_call", kill)
        asking = start(tmp_path, 30, ledger_url, base_url=server.url, **BATCHED)
        victims.append(asking.process.pid)
        assert (asking.end() is None) == (call < 6)
        victims.clear()
        assert answered(start(tmp_path, 30, ledger_url, base_url=server.url, **BATCHED)) == 30
        assert len(server.batches) == 1
        assert set(server.answered.values()) == {1}
        assert len(server.answered) == len(texts(30))


def test_a_run_interrupted_by_ctrl_c_keeps_what_has_arrived(tmp_path, ledger_url):
    with OpenAIServer(answer_plainly, latency_s=0.1) as server:
        asking = start(tmp_path, 400, ledger_url, base_url=server.url, concurrency=8)
        while server.requests < 40:
            time.sleep(0.01)
        os.kill(asking.process.pid, signal.SIGINT)
        assert "KeyboardInterrupt" in asking.end()
        assert sum(server.answered.values()) < 400
        assert answered(start(tmp_path, 400, ledger_url, base_url=server.url)) == 400
        assert set(server.answered.values()) == {1}


def test_ctrl_c_does_not_sit_out_a_long_wait(tmp_path, ledger_url):
    def limit(number, body):
        return Fault("status", 429, {"retry-after": "50"}) if number > 10 else None

    with OpenAIServer(answer_plainly, fault=limit) as server:
        asking = start(tmp_path, 40, ledger_url, base_url=server.url, concurrency=4)
        while not server.statuses[429]:
            time.sleep(0.01)
        begin = time.monotonic()
        os.kill(asking.process.pid, signal.SIGINT)
        assert "KeyboardInterrupt" in asking.end()
        assert time.monotonic() - begin < 10
        server.fault = None
        assert answered(start(tmp_path, 40, ledger_url, base_url=server.url)) == 40
        assert set(server.answered.values()) == {1}
