"""Every kind of encoder on real kitchen audio: scores from those that can run, reasons for others.

`zero_shot` brings real vectors of models that saw neither these sounds nor these texts; `clap` and
`wavcaps` run with random weights, saved as the official files are; `absent` has none.
"""

import json
import shutil

import pandas as pd
import pytest
from support.command_line import CommandLineRun
from support.encoder_files import bert_vocabulary, roberta_vocabulary, save_like_the_official
from support.kitchen_project import kitchen_project
from support.openai_server import OpenAIServer, kitchen_answers
from support.real_data import real_data

torch = pytest.importorskip("torch", reason="needs the extra `encoders`")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.slow,
    pytest.mark.encoders,
    pytest.mark.timeout(1800),
]

BENCHMARKS = {"epic_mir", "epic_sounds", "ego_mcq"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    encoders = {
        "zero_shot": _zero_shot(folder),
        "clap": _random_clap(folder),
        "wavcaps": _random_wavcaps(folder),
        "absent": {"kind": "wavcaps", "checkpoint": "HTSAT-BERT-FT-Clotho"},
        "both": {"kind": "late_fusion", "weights": {"zero_shot": 1, "clap": 1}},
    }
    answers = kitchen_answers(real_data("kitchen_suite", "recorded_answers.jsonl"))
    with OpenAIServer(answers) as server:
        config = kitchen_project(folder, server.url, encoders=encoders)
        yield CommandLineRun(config, server, api_key="sk-test")
    for checkpoint in [*folder.glob("*.pt"), *folder.rglob("*.safetensors")]:
        checkpoint.unlink()
    shutil.rmtree(folder / "outputs", ignore_errors=True)


def _zero_shot(folder):
    """The suite's vectors under each benchmark's own clip ids."""
    vectors = real_data("kitchen_suite", "vectors")
    clips = pd.read_parquet(vectors / "audio_vectors.parquet")
    rows = pd.read_csv(
        real_data(
            "kitchen_suite", "epic_kitchens/retrieval_annotations/EPIC_100_retrieval_test.csv"
        )
    )
    questions = json.loads(real_data("kitchen_suite", "ego_mcq/egomcq.json").read_text())
    records = [clip for question in questions.values() for clip in question["choices"].values()]
    mcq = pd.DataFrame(
        {
            "benchmark": "ego_mcq",
            "clip_id": f"{clip['video_uid']}:{clip['clip_start']}:{clip['clip_end']}",
            "row": rows["narration_id"].iloc[clip["narration_ind"]],
        }
        for clip in records
    ).drop_duplicates("clip_id")
    mcq = mcq.merge(clips.rename(columns={"clip_id": "row"}), on="row").drop(columns="row")
    epic = [clips.assign(benchmark=name) for name in ("epic_mir", "epic_sounds")]
    pd.concat([*epic, mcq])[["benchmark", "clip_id", "vector"]].to_parquet(folder / "audio.parquet")
    return {
        "kind": "precomputed",
        "audio": "audio.parquet",
        "text": str(vectors / "text_vectors.parquet"),
    }


def _texts():
    rows = real_data("kitchen_suite", "recorded_answers.jsonl").read_text().splitlines()
    return [
        text for row in map(json.loads, rows) for text in (row["text"], row["audio_description"])
    ]


def _random_clap(folder):
    from resources.encoders.laion_clap_model import build

    torch.manual_seed(0)
    save_like_the_official(build(fusion=True).state_dict(), folder / "clap.pt")
    roberta_vocabulary(folder / "roberta", _texts(), size=3000)
    return {
        "kind": "laion_clap",
        "checkpoint": "clap.pt",
        "fusion": True,
        "trust": True,
        "vocabulary": "roberta",
        "precision": "bfloat16",
    }


def _random_wavcaps(folder):
    from resources.encoders.wavcaps_model import HtsatBert

    torch.manual_seed(0)
    torch.save({"model": HtsatBert().state_dict()}, folder / "wavcaps.pt")
    bert_vocabulary(folder / "bert", _texts(), size=3000)
    return {
        "kind": "wavcaps",
        "checkpoint": "wavcaps.pt",
        "vocabulary": "bert",
        "precision": "bfloat16",
    }


@pytest.mark.parametrize("encoder", ["zero_shot", "clap", "wavcaps", "both"])
def test_every_encoder_that_can_run_has_scores_in_all_benchmarks(run, encoder):
    scored = run.rows(f"SELECT DISTINCT benchmark FROM scores WHERE encoder = '{encoder}'")  # noqa: S608
    assert set(scored["benchmark"]) == BENCHMARKS


def test_an_encoder_without_weights_is_excluded_with_its_reason(run):
    rows = run.rows("SELECT * FROM exclusions WHERE item_kind = 'encoder'")
    assert set(rows["item_id"]) == {"absent"}
    assert set(rows["benchmark"]) == BENCHMARKS
    assert set(rows["reason"]) == {"weights missing"}
    assert rows["detail"].str.contains("HTSAT-BERT-FT-Clotho.pt").all()
    assert run.value("SELECT count(*) FROM scores WHERE encoder = 'absent'") == 0


def test_real_vectors_are_far_above_the_random_floor(run):
    """On all clips, for original texts and descriptions alike."""
    scores = run.rows(
        "SELECT * FROM scores WHERE encoder = 'zero_shot' AND subset = 'all' "
        "AND similarity = 'cosine' AND metric IN ('map_published', 'accuracy_inter')"
    )
    assert set(scores["variant"]) == {"visual", "describe_zero_shot"}
    assert (scores["ci_low"] > scores["random_floor"]).all()


def test_levels_are_scored_as_well(run):
    subsets = run.rows("SELECT DISTINCT subset FROM scores WHERE encoder = 'zero_shot'")
    assert set(subsets["subset"]) == {"all", "low", "moderate", "high"}


def test_an_old_checkpoint_was_converted_once(run):
    cached = list(run.config.parent.rglob("weights/*.safetensors"))
    assert len(cached) == 1


def test_a_second_run_computes_nothing(run):
    run.again()
    assert "Nothing was recomputed." in run.done.stdout
