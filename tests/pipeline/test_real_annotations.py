"""The official EPIC-KITCHENS and EPIC-SOUNDS files, all of them, where no recording is at hand."""

import json

import pytest
from support.command_line import CommandLineRun
from support.kitchen_project import kitchen_project
from support.openai_server import OpenAIServer
from support.real_data import real_data

pytestmark = [pytest.mark.real_data, pytest.mark.slow]


def any_answer(messages):
    if '"level"' in messages[0]["content"]:
        return json.dumps({"level": "moderate"})
    text = messages[-1]["content"].splitlines()[-1].strip()
    return json.dumps({"description": f"a faint rustle, as of: {text}"})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    retrieval = real_data("epic_kitchens_100", "retrieval_annotations")
    benchmarks = {
        "epic_mir": {
            "clips": str(retrieval / "EPIC_100_retrieval_test.csv"),
            "sentences": str(retrieval / "EPIC_100_retrieval_test_sentence.csv"),
        },
        "epic_sounds": {"segments": str(real_data("epic_sounds") / "EPIC_Sounds_validation.csv")},
    }
    with OpenAIServer(any_answer) as server:
        config = kitchen_project(
            tmp_path_factory.mktemp("official"),
            server.url,
            benchmarks=benchmarks,
            media=["nowhere/{participant_id}/{video_id}.MP4"],
        )
        yield CommandLineRun(config, server, expect=1)


def test_every_row_is_read(run):
    counts = run.rows("SELECT benchmark, count(*) AS n FROM clips GROUP BY ALL ORDER BY ALL")
    assert counts["n"].tolist() == [9668, 8035]
    counts = run.rows("SELECT benchmark, count(*) AS n FROM captions GROUP BY ALL ORDER BY ALL")
    assert counts["n"].tolist() == [3842, 44]


def test_every_clip_is_reported_as_missing_media(run):
    left_out = run.rows(
        "SELECT benchmark, count(*) AS clips FROM exclusions "
        "WHERE item_kind = 'clip' AND effect = 'excluded' AND reason LIKE 'missing%' "
        "GROUP BY ALL ORDER BY ALL"
    )
    assert left_out["clips"].tolist() == [9668, 8035]
    assert run.value("SELECT count(*) FROM clips WHERE usable") == 0


def test_every_text_is_rewritten_or_listed(run):
    """The made-up answers repeat the narration; a few of those speak of what is seen."""
    rewritten = run.value("SELECT count(*) FROM descriptions WHERE benchmark = 'epic_mir'")
    listed = run.rows("SELECT * FROM description_exclusions WHERE benchmark = 'epic_mir'")
    assert rewritten + len(listed) == 3835
    assert rewritten > 3800
    assert set(listed["reason"]) <= {"visual"}


def test_there_are_no_scores_and_the_run_says_so(run):
    assert "Nothing was scored." in run.done.stdout
    assert run.value("SELECT count(*) FROM scores") == 0
    assert run.settings.report_file.exists()
