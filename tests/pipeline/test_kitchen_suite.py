"""The whole graph on real kitchen audio, through the `openai` provider on a loopback server."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile
from support.command_line import CommandLineRun
from support.kitchen_project import kitchen_project
from support.openai_server import OpenAIServer, kitchen_answers
from support.real_data import real_data

from assets.reports.ratings.drawing import draw_items, read_candidates
from assets.reports.ratings.sheet import write_sheet
from assets.reports.ratings.storage import RatingsFolder
from resources.lake import Lake

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

KEY = "sk-this-key-must-appear-nowhere"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    answers = kitchen_answers(real_data("kitchen_suite", "recorded_answers.jsonl"))
    with OpenAIServer(answers) as server:
        config = kitchen_project(tmp_path_factory.mktemp("kitchen"), server.url)
        yield CommandLineRun(config, server, api_key=KEY)


def test_480_of_493_clips_are_usable_and_the_others_named(run):
    assert run.value("SELECT count(*) FROM clips WHERE benchmark = 'epic_mir'") == 493
    assert run.value("SELECT count(*) FROM clips WHERE benchmark = 'epic_mir' AND usable") == 480
    excluded = run.rows(
        "SELECT reason, count(*) AS clips FROM exclusions WHERE benchmark = 'epic_mir' "
        "AND item_kind = 'clip' AND effect = 'excluded' AND stage = 'benchmarks' GROUP BY reason"
    )
    assert excluded["clips"].sum() == 13
    reasons = " ".join(excluded["reason"]).lower()
    for word in ("no audio", "silence", "damaged", "missing", "past"):
        assert word in reasons


def test_each_text_was_asked_once_a_prompt(run):
    texts = run.value("SELECT count(DISTINCT text_id || variant) FROM descriptions") + run.value(
        "SELECT count(DISTINCT text_id || grader) FROM informativeness"
    )
    assert run.server.requests == texts
    assert run.value("SELECT count(*) FROM requests WHERE state = 'answered'") >= texts


def test_a_second_run_asks_and_computes_nothing(run):
    asked = run.server.requests
    run.again()
    assert run.server.requests == asked
    assert "Nothing was recomputed." in run.done.stdout


@pytest.mark.parametrize("variant", ["visual", "describe_zero_shot"])
@pytest.mark.parametrize(
    ("benchmark", "metric", "direction"),
    [
        ("epic_mir", "map_published", "mean"),
        ("epic_mir", "map_binary", "mean"),
        ("epic_sounds", "map_published", "mean"),
        ("ego_mcq", "accuracy_intra", None),
    ],
)
def test_the_interval_lies_above_the_random_floor(run, benchmark, metric, direction, variant):
    scores = run.rows("SELECT * FROM scores WHERE subset = 'all' AND similarity = 'cosine'")
    chosen = scores[
        (scores["benchmark"] == benchmark)
        & (scores["variant"] == variant)
        & (scores["metric"] == metric)
        & (scores["direction"].fillna("") == (direction or ""))
    ]
    [score] = chosen.to_dict("records")
    assert score["ci_low"] > score["random_floor"]


def test_no_clip_of_a_training_recording_is_scored(run):
    assert (
        run.value(
            "SELECT count(*) FROM query_scores WHERE video_id LIKE 'K01%' OR video_id LIKE 'K02%'"
        )
        == 0
    )
    assert (
        run.value(
            "SELECT count(*) FROM exclusions WHERE benchmark = 'epic_mir' "
            "AND encoder = 'mel_ridge' AND reason = 'training split'"
        )
        == 288
    )


def test_a_rating_sheet_holds_200_clips_that_can_be_heard(run):
    settings = run.settings
    candidates = read_candidates(Lake(settings.lake_dir), list(settings.benchmarks), (), None)
    sheet = write_sheet(draw_items(candidates, 200, seed=1), RatingsFolder(settings.ratings_dir))
    assert (sheet.items, sheet.repeats) == (210, 10)
    assert sheet.bytes < 10e6
    page = sheet.page.read_text(encoding="utf-8")
    content = re.search(r'id="content">(.*?)</script>', page, re.DOTALL)[1]
    for item in json.loads(content)["items"]:
        mp3 = base64.b64decode(item["sound"].partition(",")[2])
        samples, _ = soundfile.read(io.BytesIO(mp3))
        assert np.abs(samples).max() > 1e-4
        assert "#C" not in item["a"] + item["b"]
    levels = RatingsFolder(settings.ratings_dir).key(sheet.name)["level"].value_counts()
    assert set(levels.index) == {"low", "moderate", "high"}


def test_the_key_is_nowhere_on_disk_or_in_the_output(run):
    assert run.server.authorizations == {f"Bearer {KEY}"}
    assert KEY not in run.done.stdout + run.done.stderr
    folder = run.config.parent
    for file in folder.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file
