"""The listening server: what it answers, and what it never does."""

from __future__ import annotations

import html
import io

import pytest
import soundfile
from starlette.testclient import TestClient
from support.listening_project import published_project
from support.retrieval_tables import NAME

from assets.reports.listening_server import listening_app

QUERY = {"task": f"{NAME}/text_to_audio", "encoder": "one", "variant": "plain"}
ELSEWHERE = (
    "/etc/passwd",
    "/../../etc/passwd",
    "/..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/index.html",
    "/media/v0.wav",
    "/out/sound_approach.duckdb",
    "//etc/passwd",
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return published_project(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def client(settings):
    with TestClient(
        listening_app(settings, [NAME]),
        base_url="http://127.0.0.1:8790",
        raise_server_exceptions=False,
    ) as client:
        yield client


def test_the_page_names_every_task_and_carries_no_query(client):
    page = client.get("/")
    assert page.status_code == 200
    assert f"{NAME}/audio_to_text" in page.text
    assert "plain sound of" not in page.text
    assert "default-src 'none'" in html.unescape(page.text)


def test_queries_are_found_by_words_and_a_page_at_a_time(client):
    answer = client.get("/queries", params={**QUERY, "words": "water"}).json()
    assert [row["text"] for row in answer["queries"]] == ["pour water"]
    assert client.get("/queries", params={**QUERY, "page": 99}).json()["queries"] == []


def test_a_clip_is_heard_and_seen(client):
    [row] = client.get("/queries", params={**QUERY, "words": "water"}).json()["queries"]
    found = client.get("/found", params={**QUERY, "query": row["query_id"]}).json()
    clip = found["rankings"][0]["results"][0]
    named = {"benchmark": NAME, "clip": clip["clip_id"]}
    sound = client.get("/sound", params=named)
    assert sound.headers["content-type"] == "audio/flac"
    samples, rate = soundfile.read(io.BytesIO(sound.content))
    assert len(samples) / rate == pytest.approx(0.7, abs=0.01)
    assert client.get("/spectrogram", params=named).content.startswith(b"\x89PNG")


@pytest.mark.parametrize("path", ELSEWHERE)
def test_no_other_file_is_served(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/sound", "/spectrogram"])
@pytest.mark.parametrize(
    "clip",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "v0.wav",
        "c0' OR '1'='1",
        "c0\x00",
        "",
        "c23",  # not usable
    ],
)
def test_only_usable_clips_of_the_benchmark_are_cut(client, path, clip):
    answer = client.get(path, params={"benchmark": NAME, "clip": clip})
    assert answer.status_code == 404
    assert "usable clip" in answer.json()["error"]


def test_clips_of_other_benchmarks_are_not_cut(client, settings):
    assert client.get("/sound", params={"benchmark": "other", "clip": "c0"}).status_code == 404
    with TestClient(
        listening_app(settings, ["other"]),
        base_url="http://127.0.0.1",
        raise_server_exceptions=True,
    ) as other:
        assert other.get("/sound", params={"benchmark": NAME, "clip": "c0"}).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
@pytest.mark.parametrize("path", ["/", "/queries", "/found", "/sound", "/spectrogram"])
def test_nothing_but_reading_is_allowed(client, method, path):
    assert getattr(client, method)(path).status_code == 405


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.7:8790", ""])
def test_a_foreign_name_for_this_machine_is_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 400
    assert client.get("/sound?benchmark=kitchen&clip=c0", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost:8790", "127.0.0.1"])
def test_loopback_names_are_answered(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


def test_other_sites_can_not_read_or_embed_what_is_served(client):
    headers = client.get("/", headers={"origin": "https://evil.example"}).headers
    assert "access-control-allow-origin" not in headers
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("path", "given", "status"),
    [
        ("/queries", {"task": "nothing/here"}, 404),
        ("/queries", {**QUERY, "tab": "drop table"}, 404),
        ("/queries", {**QUERY, "level": "loud"}, 404),
        ("/queries", {**QUERY, "page": "many"}, 400),
        ("/found", {**QUERY, "query": "nothing"}, 404),
        ("/found", {**QUERY, "encoder": "none", "query": "c0"}, 404),
    ],
)
def test_what_can_not_be_answered_is_said_in_words(client, path, given, status):
    answer = client.get(path, params=given)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_recording_that_is_gone_is_named_without_its_folder(client, settings):
    recording = settings.base / "media" / "v1.wav"
    away = recording.with_suffix(".away")
    recording.rename(away)
    try:
        answer = client.get("/sound", params={"benchmark": NAME, "clip": "c21"})
    finally:
        away.rename(recording)
    assert answer.status_code == 404
    assert "v1.wav" in answer.json()["error"]
    assert str(settings.base) not in answer.json()["error"]


def test_a_new_publication_is_served_at_once(tmp_path):
    settings = published_project(tmp_path)
    with TestClient(
        listening_app(settings, [NAME]), base_url="http://localhost", raise_server_exceptions=False
    ) as client:
        assert client.get("/queries", params=QUERY).json()["total"] == 6
        settings.duckdb_file.rename(tmp_path / "away.duckdb")
        gone = client.get("/queries", params=QUERY)
        assert gone.status_code == 503
        assert "not there yet" in gone.json()["error"]
        (tmp_path / "away.duckdb").rename(settings.duckdb_file)
        assert client.get("/queries", params=QUERY).json()["total"] == 6
