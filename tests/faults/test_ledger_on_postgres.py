"""What only a database server can do to the ledger: restart, refuse, and be opened by many."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from support.postgres import postgres_server
from support.prompt_files import make_prompt

from assets.descriptions.prompts import render
from resources.config_file import SettingsError, load_settings
from resources.language_model import ledger_backup, ledger_database
from resources.language_model.ledger import Ledger
from resources.language_model.ledger_backup import back_up, restore
from resources.language_model.ledger_database import transaction
from resources.language_model.ledger_rows import Outcome
from resources.language_model.prices import Prices
from resources.language_model.question import LanguageModelError
from resources.language_model.replies import Reply
from resources.language_model.requests import make_intent, make_verdict

FIELDS = {"description": "A knife taps"}


@pytest.fixture
def questions(tmp_path):
    prompt = make_prompt(tmp_path)
    return [render(prompt, f"cut onion {number}", ()) for number in range(200)]


@pytest.fixture
def url(postgres, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    return postgres.new_database()


def answer(ledger, question, raw="{}"):
    ledger.claim([question], {question.key: 0})
    intent = make_intent((question,), "text", Prices(models={}))
    ledger.intend([intent]).result()
    reply = Reply(raw, "stop", None, "model-x", 100, 10, "{}")
    verdict = make_verdict(question.key, (FIELDS, None), reply, "m", 0, intent.request_id)
    outcome = Outcome(intent.request_id, "answered", 1, raw, None, 100, 10, 0.5)
    ledger.settle(outcome, [verdict]).result()


def test_opened_by_many_at_once_it_is_set_up_once(url):
    with ThreadPoolExecutor(8) as threads:
        for ledger in threads.map(lambda _: Ledger(url), range(8)):
            ledger.close()


def test_new_questions_claimed_by_many_at_once_are_each_one_owners(url, questions):
    """None of them has a row yet that could be locked."""
    ledgers = [Ledger(url) for _ in range(6)]
    gate = threading.Barrier(len(ledgers))
    none = {question.key: 0 for question in questions}

    def claim(ledger):
        gate.wait()
        return ledger.claim(questions, none)

    with ThreadPoolExecutor(len(ledgers)) as threads:
        claims = list(threads.map(claim, ledgers))
    assert sum(len(claim.ours) for claim in claims) == len(questions)
    assert all(len(claim.ours) + len(claim.others) == len(questions) for claim in claims)
    for ledger in ledgers:
        ledger.close()


def test_after_a_restart_of_the_server_it_goes_on(questions, monkeypatch):
    with postgres_server() as server:
        monkeypatch.setenv("PGPASSWORD", server.password)
        with Ledger(server.new_database()) as ledger:
            answer(ledger, questions[0])
            server.stop()
            with pytest.raises(LanguageModelError, match="Does the server run"):
                ledger.claim(questions[1:2], {questions[1].key: 0})
            with pytest.raises(LanguageModelError, match=r"can't be read: .* Does the server run"):
                ledger.look_up([questions[0].key])
            server.start()
            answer(ledger, questions[1])
            assert len(ledger.look_up(question.key for question in questions[:2])) == 2


def test_a_character_that_the_database_refuses_loses_no_answer(url, questions):
    with Ledger(url) as ledger:
        answer(ledger, questions[0], raw="a\x00b")
        (stored,) = ledger.look_up([questions[0].key]).values()
        assert (stored.fields, stored.raw) == (FIELDS, "a\N{SYMBOL FOR NULL}b")


def test_a_file_moves_into_the_database_and_back(tmp_path, url, questions):
    with Ledger.in_folder(tmp_path) as file, Ledger(url) as ledger:
        answer(file, questions[0])
        back_up(file, tmp_path / "moved.sqlite")
        assert restore(ledger, tmp_path / "moved.sqlite") == 1
        answer(ledger, questions[1])
        back_up(ledger, tmp_path / "back.sqlite")
        assert restore(file, tmp_path / "back.sqlite") == 1
        stored = file.look_up(question.key for question in questions)
        assert [row.fields for row in stored.values()] == [FIELDS, FIELDS]


def test_a_wrong_password_is_named_and_not_shown(url, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "not-the-right-one")
    with pytest.raises(LanguageModelError, match="PGPASSWORD") as caught:
        Ledger(url)
    assert "not-the-right-one" not in str(caught.value)


def test_a_user_who_may_not_make_tables_is_told_what_is_to_be_granted(url, postgres):
    owner = sa.create_engine(url)
    with owner.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE plain LOGIN PASSWORD '{postgres.password}'")
        connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    owner.dispose()
    with pytest.raises(LanguageModelError, match="GRANT CREATE") as caught:
        Ledger(url.replace("//sound@", "//plain@"))
    assert "CREATE TABLE" not in str(caught.value)


def test_a_writer_that_goes_on_for_long_is_no_server_that_is_down(url):
    with Ledger(url) as one, Ledger(url) as other:
        with other.engine.connect() as pooled:
            pooled.exec_driver_sql("SET lock_timeout = '50ms'")
            pooled.commit()
        with (
            transaction(one.engine),
            pytest.raises(LanguageModelError, match="Another process has been writing"),
        ):
            other.renew()


def test_a_backup_is_read_and_taken_over_by_parts(tmp_path, url, questions, monkeypatch):
    """Neither all in memory, nor in one transaction that keeps others from writing."""
    monkeypatch.setattr(ledger_database, "CHUNK", 2)
    monkeypatch.setattr(ledger_backup, "CHUNK", 2)
    sizes, writes = [], []

    @contextmanager
    def counted(engine):
        writes.append(engine)
        with transaction(engine) as connection:
            yield connection

    monkeypatch.setattr(ledger_backup, "transaction", counted)
    with Ledger(url) as ledger, Ledger.in_folder(tmp_path) as file:
        for question in questions[:5]:
            answer(ledger, question)
        sa.event.listen(
            ledger.engine,
            "before_cursor_execute",
            lambda _1, cursor, *_: sizes.append(type(cursor).__name__),
        )
        back_up(ledger, tmp_path / "moved.sqlite")
        assert set(sizes) == {"ServerCursor"}
        assert restore(file, tmp_path / "moved.sqlite") == 5
        assert restore(file, tmp_path / "moved.sqlite") == 0
        assert len(writes) == 2 * 3 * 3


@pytest.mark.parametrize("key", ["ledger", "dagster_storage"])
@pytest.mark.parametrize("url", ["postgresql://me:my-secret@host/db", "mysql://host/db", "db"])
def test_a_config_takes_no_password_and_no_other_database(tmp_path, key, url):
    config = tmp_path / "mine.yaml"
    config.write_text(f"{key}: {url}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(config)
    expected = "PGPASSWORD" if "my-secret" in url else "postgresql://user@host"
    assert f"{key}: " in str(caught.value)
    assert expected in str(caught.value)
    assert "my-secret" not in str(caught.value)
