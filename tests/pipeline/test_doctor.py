"""What `doctor` says of a config that can run, and of those that can't."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from importlib.util import find_spec

import numpy as np
import pytest
import yaml
from support.media_files import write_audio
from typer.testing import CliRunner

from pipelines.cli import app
from resources import health
from resources.config_file import load_settings
from resources.encoders import torch_runtime
from resources.encoders.catalog import build_encoder
from resources.language_model.ledger import Ledger
from resources.vector_store import VectorStore

KEY = "sk-not-to-be-seen"
COLUMNS = "media,start_s,stop_s,visual_text,sound_caption,class\n"


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A small benchmark of the user's own that could run."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    write_audio(tmp_path / "media" / "a.wav", np.full(16_000, 0.1, np.float32))
    (tmp_path / "clips.csv").write_text("clip_id,media,text\n1,a,open door\n2,b,close door\n")
    (tmp_path / "train.csv").write_text(f"{COLUMNS}media/a.wav,0,1,open door,a creak,door\n")
    return write(tmp_path)


def write(folder, **changes):
    raw = {
        "benchmarks": {"mine": {"adapter": "table", "clips": "clips.csv"}},
        "media": ["media/{video_id}.wav"],
        "prompts": ["describe_zero_shot"],
        "language_model": {"provider": "openai", "base_url": "http://127.0.0.1:9/v1"},
        "encoders": {"baseline": {"kind": "mel_ridge", "train": "train.csv"}},
        **changes,
    }
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(raw))
    return file


def examined(config, *options, expect=0):
    """The findings by area and mark; nothing that is printed holds the key."""
    done = CliRunner().invoke(app, ["doctor", "--config", str(config), "--json", *options])
    assert done.exit_code == expect, done.output
    assert KEY not in done.output
    found = {}
    for finding in json.loads(done.output):
        found.setdefault((finding["area"], finding["mark"]), []).append(finding)
    return found


def texts(found, area, mark):
    return " | ".join(f"{one['text']} -> {one['remedy']}" for one in found.get((area, mark), ()))


def test_what_can_run_is_told_without_the_key(config):
    found = examined(config)
    assert not any(mark == "stops" for _, mark in found)
    assert "OPENAI_API_KEY is set" in texts(found, "language model", "ok")
    assert "2 clips, 1 of 2 recordings found -> first missing: b" in texts(found, "mine", "note")
    assert "describe_zero_shot" in texts(found, "prompts", "ok")
    assert "baseline: mel_ridge" in texts(found, "encoders", "ok")
    assert re.search(r"[\d,.]+ GB free", texts(found, "disk", "ok"))
    assert "nothing was run yet" in texts(found, "dagster", "note")


def test_the_page_fits_eighty_columns_and_marks_what_stops(config, tmp_path):
    (tmp_path / "clips.csv").unlink()
    arguments = ["doctor", "--config", str(config)]
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert done.exit_code == 1
    assert all(len(line) <= 80 for line in done.output.splitlines())
    assert "STOPS" in done.output
    assert "1 would stop a run." in done.output


def without_media(folder):
    (folder / "media" / "a.wav").rename(folder / "elsewhere.wav")


def without_key(folder):
    write(folder, language_model={"provider": "openai", "api_key_variable": "NO_SUCH_KEY"})


def without_answers(folder):
    write(folder, language_model={"provider": "recorded", "answers": "none.jsonl"})


def with_an_unknown_prompt(folder):
    write(folder, prompts=["no_such_prompt"])


def without_any_encoder(folder):
    (folder / "train.csv").unlink()


@pytest.mark.parametrize(
    ("break_it", "area", "said"),
    [
        (without_media, "mine", "0 of 2 recordings found"),
        (without_key, "language model", "NO_SUCH_KEY is not set -> export NO_SUCH_KEY="),
        (without_answers, "language model", "none.jsonl: recorded answers can't be read"),
        (with_an_unknown_prompt, "prompts", "no such file"),
        (without_any_encoder, "encoders", "no encoder can run here"),
    ],
)
def test_what_would_stop_a_run(config, tmp_path, break_it, area, said):
    break_it(tmp_path)
    found = examined(config, expect=1)
    assert said in texts(found, area, "stops")


def test_a_checkpoint_that_is_not_there_is_told_with_how_to_get_it(config, tmp_path):
    baseline = {"kind": "mel_ridge", "train": "train.csv"}
    clap = {"kind": "laion_clap", "checkpoint": "630k-best"}
    known = {"kind": "laion_clap", "checkpoint": "630k-audioset-best"}
    write(tmp_path, encoders={"baseline": baseline, "clap": clap, "known": known})
    found = examined(config)
    said = texts(found, "encoders", "note")
    if "torch is not installed" in said:
        pytest.skip("needs the extra `encoders`")
    assert "clap is left out: weights missing -> " in said
    assert "630k-best.pt is not there. Download https://" in said
    for file in ("630k-audioset-best.pt", "roberta-base/vocab.json", "roberta-base/merges.txt"):
        fetched = rf"known: /\S*/weights/{file} is fetched when it is first needed"
        assert re.search(fetched, texts(found, "encoders", "ok"))


def test_an_encoder_whose_files_are_not_those_that_it_needs_is_left_out(config, tmp_path):
    weights = load_settings(config).cache_dir / "weights"
    (weights / "roberta-base").mkdir(parents=True)
    (weights / "roberta-base" / "merges.txt").write_text("another")
    (tmp_path / "own.pt").write_bytes(b"weights")
    clap = {"kind": "laion_clap", "checkpoint": "own.pt"}
    baseline = {"kind": "mel_ridge", "train": "train.csv"}
    write(
        tmp_path,
        encoders={
            "wrong": clap,
            "lacking": {**clap, "vocabulary": "nowhere"},
            "pinned": {**clap, "checkpoint": "630k-audioset-best", "sha256": "0" * 64},
            "baseline": baseline,
        },
    )
    said = texts(examined(config), "encoders", "note")
    if "torch is not installed" in said:
        pytest.skip("needs the extra `encoders`")
    assert re.search(r"wrong is left out: weights wrong -> \S*merges\.txt has sha256", said)
    assert re.search(r"lacking is left out: weights missing -> \S*nowhere/vocab\.json", said)
    assert "pinned is left out: weights wrong" in said


def test_without_torch_vectors_that_are_known_can_still_be_scored(config, tmp_path, monkeypatch):
    monkeypatch.setattr(torch_runtime, "has_torch", lambda: False)
    (tmp_path / "own.pt").write_bytes(b"weights")
    write(tmp_path, encoders={"own": {"kind": "laion_clap", "checkpoint": "own.pt"}})
    left_out = examined(config, expect=1)
    assert "own is left out: torch is not installed" in texts(left_out, "encoders", "note")
    given = load_settings(config)
    encoder = build_encoder("own", given.encoders["own"], given.cache_dir)
    store = VectorStore(given.vectors_dir, encoder.fingerprint)
    store.add(["a key"], np.ones((1, 2), np.float32))
    assert "vectors that are known already are used" in texts(examined(config), "encoders", "note")


@pytest.mark.parametrize(("trust", "mark"), [(False, "note"), (True, "ok")])
def test_a_checkpoint_that_nobody_vouches_for_is_noted(config, tmp_path, trust, mark):
    (tmp_path / "own.pt").write_bytes(b"weights")
    write(
        tmp_path, encoders={"own": {"kind": "laion_clap", "checkpoint": "own.pt", "trust": trust}}
    )
    if find_spec("torch") is None:
        pytest.skip("needs the extra `encoders`")
    found = examined(config)  # it may run: so nothing stops
    assert "own: own.pt, 0.0 GB" in texts(found, "encoders", mark)
    assert ("set `trust: true`" in texts(found, "encoders", mark)) == (not trust)


def test_a_model_without_a_price_is_noted(config, tmp_path):
    (tmp_path / "prices.yaml").write_text("models: {}\n")
    model = {"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "prices": "prices.yaml"}
    write(tmp_path, language_model=model)
    assert "no price of gpt" in texts(examined(config), "language model", "note")


def test_a_server_far_away_without_encryption_is_noted(config, tmp_path):
    model = {"provider": "openai", "base_url": "http://192.0.2.1/v1"}
    write(tmp_path, language_model=model)
    assert "travel unencrypted" in texts(examined(config), "language model", "note")


def test_quarantined_answers_are_counted(config, tmp_path, monkeypatch):
    with Ledger.in_folder(load_settings(config).cache_dir):
        pass
    monkeypatch.setattr(Ledger, "states", lambda self: {"answered": 7, "failed": 2, "in_batch": 3})
    found = examined(config)
    assert "7 answers" in texts(found, "ledger", "ok")
    assert "2 answers are quarantined" in texts(found, "ledger", "note")
    assert "3 questions are in a batch" in texts(found, "ledger", "note")


class Models(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        allowed = self.headers["Authorization"] == f"Bearer {KEY}"
        self.send_response(200 if allowed and self.path == "/v1/models" else 401)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_the_server_is_asked_only_if_told_to(config, tmp_path, monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    write(tmp_path, language_model={"provider": "openai", "base_url": url})
    try:
        assert f"{url} answers" in texts(examined(config, "--ask-server"), "language model", "ok")
        monkeypatch.setenv("OPENAI_API_KEY", "another")
        refused = examined(config, "--ask-server", expect=1)
        assert "refuses the key (401)" in texts(refused, "language model", "stops")
    finally:
        server.shutdown()
        server.server_close()
    down = examined(config, "--ask-server", expect=1)
    assert "can't be reached: ConnectError" in texts(down, "language model", "stops")
    assert not any(mark == "stops" for _, mark in examined(config))


@pytest.mark.slow
def test_a_run_that_went_well_and_an_edit_since(finished_run):
    found = examined(finished_run.config)
    assert texts(found, "dagster", "ok").count("nothing has changed") == 3
    assert "no daemon" in texts(found, "dagster", "note")
    prompt = finished_run.settings.prompts_folder / "describe_few_shot.yaml"
    text = prompt.read_text()
    try:
        prompt.write_text(f"{text}# edited\n".replace("One short", "One brief"))
        found = examined(finished_run.config)
    finally:
        prompt.write_text(text)
    assert texts(found, "dagster", "note").count("inputs have changed") == 3


def test_what_the_checkout_requires_counts_and_not_what_it_did_at_the_last_installation(
    tmp_path, monkeypatch
):
    (tmp_path / "constraints.txt").write_text("")
    required = '["typer>=0.29", "pyyaml>=99", "no-such-package>=1"]'
    (tmp_path / "pyproject.toml").write_text(f"[project]\ndependencies = {required}\n")
    monkeypatch.setattr(health, "PROJECT_ROOT", tmp_path)
    monkeypatch.setattr(metadata, "requires", lambda name: ["gone-since>=1"])
    stops = [found.text for found in health.examine_versions() if found.mark == "stops"]
    assert [text.split()[0] for text in stops] == ["pyyaml", "no-such-package"]
