"""The whole graph on real kitchen audio, through the `openai` provider on a loopback server."""

import base64
import io
import json
import re
import threading
import time
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
import yaml
from support.command_line import CommandLineRun
from support.kitchen_project import kitchen_project
from support.openai_server import OpenAIServer, kitchen_answers
from support.poison import EMBEDDING, LOUDNESS, SCAN, STEPS, begun, poisoned
from support.ray_nodes import ray_cluster
from support.real_data import real_data
from support.same_tables import assert_same_rows, assert_same_tables
from typer.testing import CliRunner

from assets.benchmarks.authors_files import paper_descriptions, paper_levels
from assets.reports.ratings.drawing import draw_items, read_candidates
from assets.reports.ratings.sheet import write_sheet
from assets.reports.ratings.storage import RatingsFolder
from pipelines.cli import app
from resources.config_file import load_settings
from resources.lake import Lake
from resources.parallel import WORKER_LOST
from resources.tables import (
    AUDIO_EMBEDDINGS,
    CLIPS,
    DESCRIPTIONS,
    EXCLUSIONS,
    INFORMATIVENESS,
    MEDIA,
)

pytestmark = [pytest.mark.real_data, pytest.mark.slow]
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `cluster`")

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


def test_what_is_exported_in_the_authors_form_is_read_again(run, tmp_path):
    """The 24 questions whose texts don't single out the answer were asked of nobody."""
    command = ["export", str(tmp_path), "--config", str(run.config)]
    command += ["--variant", "describe_zero_shot", "--grader", "grade_informativeness"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    questions = tmp_path / "egomcq_filtered.json"
    asked = run.value("SELECT count(*) FROM questions WHERE usable")
    assert len(json.loads(questions.read_text())) == asked < 320
    given = yaml.safe_load(run.config.read_text())["benchmarks"]
    given["ego_mcq"]["questions"] = str(questions)
    for name, pattern in {
        "epic_mir": "EPIC_100_*",
        "epic_sounds": "EPIC_Sounds_*",
        "ego_mcq": "egomcq_filtered_*",
    }.items():
        files = sorted(tmp_path.glob(pattern))
        twins = [str(file) for file in files if file.stem.endswith("_gpt")]
        given[name]["descriptions_from"] = twins
        given[name]["levels_from"] = [str(file) for file in files if str(file) not in twins]
    settings = load_settings(run.config, benchmarks=given)
    lake = Lake(run.settings.lake_dir)
    for name in given:
        for read, model, value in (
            (paper_descriptions, DESCRIPTIONS, "description"),
            (paper_levels, INFORMATIVENESS, "level"),
        ):
            ours = lake.read(model, name).set_index("text_id")[value].to_dict()
            assert read(settings, name).set_index("text_id")[value].to_dict() == ours


def test_the_key_is_nowhere_on_disk_or_in_the_output(run):
    assert run.server.authorizations == {f"Bearer {KEY}"}
    assert KEY not in run.done.stdout + run.done.stderr
    folder = run.config.parent
    for file in folder.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file


# ---------------------------------------------------------------------------------- Ray cluster

POISON = {SCAN: "K04_02", LOUDNESS: "K05_02", EMBEDDING: "K04_04"}
"""By step, the recording that every worker dies of."""
POOR = "epic_mir"
"""The benchmark that this is tried with."""


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster(1, 1, 1) as running:
        yield running


def on_cluster(folder, run, cluster, environment=None, **changes):
    """A project of its own that shares nothing with the run in one process."""
    config = kitchen_project(
        folder,
        run.server.url,
        engine={"kind": "ray", "address": cluster.address},
        **changes,
    )
    return CommandLineRun(config, run.server, environment=environment)


@needs_ray
def test_a_cluster_of_three_nodes_makes_the_tables_of_one_process(run, cluster, tmp_path):
    together = on_cluster(tmp_path, run, cluster)
    lakes = [Lake(one.settings.lake_dir) for one in (run, together)]
    assert assert_same_tables(*lakes) >= 3 * len(run.settings.benchmarks)


@pytest.fixture(scope="module")
def poor(run, cluster, tmp_path_factory):
    """A run with recordings that kill; of three nodes one is lost in each of two steps.

    The last on this cluster, therefore.
    """
    folder = tmp_path_factory.mktemp("poor")
    marks = folder / "marks"
    marks.mkdir()

    def lose():
        for step, node in zip((SCAN, EMBEDDING), list(cluster.worker_nodes), strict=True):
            while len(begun(marks, step)) < 3:
                time.sleep(0.02)
            cluster.remove_node(node, allow_graceful=False)

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    benchmarks = yaml.safe_load(run.config.read_text())["benchmarks"]
    done = on_cluster(
        folder,
        run,
        cluster,
        environment=poisoned(POISON, marks),
        benchmarks={POOR: benchmarks[POOR]},
        prompts=["grade_informativeness"],
    )
    assert not thread.is_alive()
    done.begun = {step: begun(marks, step) for step in STEPS}
    return done


def rows(run, model):
    return Lake(run.settings.lake_dir).read(model, POOR)


@pytest.fixture(scope="module")
def lost(run):
    """By step, the clips of the recording that kills there."""
    clips = rows(run, CLIPS)
    return {step: set(clips.loc[clips["video_id"] == POISON[step], "clip_id"]) for step in STEPS}


@needs_ray
def test_recordings_that_kill_are_named_with_their_clips(poor, lost):
    assert {step: len(clips) for step, clips in lost.items()} == dict.fromkeys(STEPS, 24)
    reasons = rows(poor, MEDIA).set_index("video_id")["reason"]
    assert reasons[POISON[SCAN]].startswith(f"{WORKER_LOST}: ")
    named = rows(poor, EXCLUSIONS)
    named = named[(named["item_kind"] == "clip") & (named["reason"] == WORKER_LOST)]
    assert named.groupby("stage", observed=True)["item_id"].agg(set).to_dict() == {
        "benchmarks": lost[SCAN] | lost[LOUDNESS],
        "embeddings": lost[EMBEDDING],
    }


@needs_ray
@pytest.mark.parametrize("model", [MEDIA, CLIPS, AUDIO_EMBEDDINGS], ids=lambda model: model.name)
def test_all_others_are_finished_and_published_as_by_one_process(run, poor, lost, model):
    names = set().union(POISON.values(), *lost.values())
    column = "video_id" if model is MEDIA else "clip_id"
    alone, together = (rows(one, model) for one in (run, poor))
    others = [
        frame[~frame[column].isin(names)].reset_index(drop=True) for frame in (alone, together)
    ]
    assert_same_rows(*others, model.name)
    assert len(others[0]) < len(alone)
    stamp = Lake(poor.settings.lake_dir).stamp(model, POOR)
    assert stamp.made_from == "", "the next run is to try them again"
    assert poor.value("SELECT count(*) FROM scores") > 0


@needs_ray
@pytest.mark.parametrize("step", STEPS)
def test_only_what_a_lost_node_was_at_is_done_twice(poor, step):
    times = poor.begun[step].copy()
    assert times.pop(POISON[step]) == 3
    in_flight = 0 if step == LOUDNESS else 1
    assert sum(times.values()) - len(times) <= in_flight
