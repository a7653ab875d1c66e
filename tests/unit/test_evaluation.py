import json
from pathlib import Path

import numpy as np
import pytest
from support import published_formulas as formulas
from support.retrieval_tables import AXES, TEXTS, audio_rows, clip_rows, text_rows
from support.retrieval_tables import tables as retrieval_tables
from typer.testing import CliRunner

from assets.retrieval.evaluation import (
    EvaluationError,
    evaluate,
    nothing_right,
    read_groups,
    read_matrix,
)
from assets.retrieval.galleries import plan_galleries, relevances
from assets.retrieval.scoring import score_queries
from assets.retrieval.summaries import aggregate_scores
from pipelines.cli import app
from resources.settings import MetricsSettings

SETTINGS = MetricsSettings(resamples=200, randomisations=100)
METRICS = {
    "map_published": formulas.map_published,
    "map_binary": formulas.map_binary,
    "ndcg": formulas.ndcg,
    "recall_at_1": lambda s, r: formulas.recall_at(1, s, r),
    "recall_at_5": lambda s, r: formulas.recall_at(5, s, r),
    "recall_at_10": lambda s, r: formulas.recall_at(10, s, r),
    "recall_at_50": lambda s, r: formulas.recall_at(50, s, r),
    "mean_rank": formulas.first_rank,
}


def matrices(audio=70, texts=60, seed=0):
    """Similarities without ties, graded relevance, something right in every row and column."""
    generator = np.random.default_rng(seed)
    similarity = generator.permutation(audio * texts).reshape(audio, texts).astype(np.float32)
    relevance = generator.choice([0, 0, 0, 0, 0, 0.5, 1], (audio, texts)).astype(np.float32)
    relevance[np.arange(audio), np.arange(audio) % texts] = 1
    return similarity, relevance


# ------------------------------------------------------------------------------- figures


def test_values_are_those_of_the_published_formulas():
    similarity, relevance = matrices()
    found = evaluate(similarity, relevance, settings=SETTINGS)
    for name, formula in METRICS.items():
        rows = formula(similarity, relevance).mean()
        columns = formula(similarity.T, relevance.T).mean()
        assert found["audio_to_text"][name]["value"] == pytest.approx(rows, abs=1e-6), name
        assert found["text_to_audio"][name]["value"] == pytest.approx(columns, abs=1e-6), name
        assert found["mean"][name]["value"] == pytest.approx((rows + columns) / 2, abs=1e-6), name
    ranks = formulas.first_rank(similarity, relevance)
    assert found["audio_to_text"]["median_rank"]["value"] == np.median(ranks)


def test_rows_are_audio():
    """One text that every clip puts first; texts themselves find clips in the right order."""
    relevance = np.eye(3)
    similarity = np.eye(3) + np.array([2, 0, 0])
    found = evaluate(similarity, relevance, settings=SETTINGS)
    assert found["audio_to_text"]["recall_at_1"]["value"] == pytest.approx(1 / 3)
    assert found["text_to_audio"]["recall_at_1"]["value"] == 1


def test_intervals_hold_the_values():
    similarity, relevance = matrices()
    for by_metric in evaluate(similarity, relevance, settings=SETTINGS).values():
        for name, figures in by_metric.items():
            assert figures["ci_low"] <= figures["value"] <= figures["ci_high"], name


def test_groups_widen_the_interval_of_the_rows_alone():
    """Rows of a group are copies of each other, so that only groups tell anything new."""
    similarity, relevance = (np.repeat(matrix[:12], 6, axis=0) for matrix in matrices())
    groups = np.repeat([f"v{number}" for number in range(12)], 6)
    plain = evaluate(similarity, relevance, settings=SETTINGS)
    grouped = evaluate(similarity, relevance, groups, SETTINGS)

    def width(found, direction):
        figures = found[direction]["map_published"]
        return figures["ci_high"] - figures["ci_low"]

    assert width(grouped, "audio_to_text") > 1.5 * width(plain, "audio_to_text")
    assert grouped["text_to_audio"] == plain["text_to_audio"]


def test_groups_names_do_not_matter():
    similarity, relevance = matrices()
    numbers = np.arange(len(similarity)) // 5
    names = np.array([f"g{number:03}" for number in numbers])
    assert evaluate(similarity, relevance, numbers, SETTINGS) == evaluate(
        similarity, relevance, names, SETTINGS
    )


def test_figures_are_those_of_the_pipelines_tables():
    """The same vectors through `query_scores` and `scores`, and as two matrices."""
    clips = clip_rows(per_text=5, videos=3)
    generator = np.random.default_rng(1)
    audio = audio_rows(clips, lambda clip, seed: generator.normal(size=4).astype(np.float32))
    tables = retrieval_tables(
        clips,
        audio_embeddings=audio,
        text_embeddings=text_rows(dict(zip(TEXTS, AXES, strict=False))),
    )
    queries = score_queries(tables, SETTINGS).query_scores
    scores = aggregate_scores(tables, queries, SETTINGS)
    by_id = {row["clip_id"]: row["vector"] for row in audio}
    axis_of = dict(zip(TEXTS, AXES, strict=False))
    similarity = np.array(
        [[by_id[c] @ axis_of[t] for t in tables.captions["text"]] for c in tables.clips["clip_id"]]
    )
    [gallery] = plan_galleries(tables)[0]
    relevance = relevances(tables, gallery, SETTINGS)["caption"]
    found = evaluate(
        similarity,
        relevance.caption_rows(slice(None)).T,
        tables.clips["video_id"].to_numpy(dtype=str),
        SETTINGS,
    )
    published = scores[
        (scores["subset"] == "all") & (scores["recall_rule"].fillna("duplicates") == "duplicates")
    ]
    assert len(published) == 3 * 9
    for row in published.itertuples():
        figures = found[row.direction][row.metric]
        assert figures["value"] == pytest.approx(row.value, abs=1e-12)
        if row.direction == "audio_to_text":  # texts are drawn one by one, in another order
            assert figures["ci_low"] == pytest.approx(row.ci_low, abs=1e-12)
            assert figures["ci_high"] == pytest.approx(row.ci_high, abs=1e-12)


def test_queries_with_nothing_right_are_counted_and_left_out():
    similarity, relevance = matrices()
    relevance[3] = 0
    relevance[:, 5] = np.minimum(relevance[:, 5], 0.5)
    kept = np.delete(np.arange(len(similarity)), 3)
    found = evaluate(similarity, relevance, settings=SETTINGS)
    alone = formulas.map_published(similarity[kept], relevance[kept]).mean()
    assert found["audio_to_text"]["map_published"]["value"] == pytest.approx(alone, abs=1e-6)
    assert nothing_right(relevance) == {"text_to_audio": 1, "audio_to_text": 1}


def test_a_metric_that_no_query_has_is_absent():
    similarity, relevance = matrices()
    found = evaluate(similarity, relevance * 0.5, settings=SETTINGS)
    assert all(set(by_metric) == {"ndcg"} for by_metric in found.values())


# -------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, r: (s[:-1], r), r"similarity has shape \(69, 60\) and relevance \(70, 60\)"),
        (lambda s, r: (s[0], r), r"similarity has shape \(60,\)"),
        (lambda s, r: (_with(s, 7, np.nan), r), "similarity is NaN in row 7"),
        (lambda s, r: (s, _with(r, 8, np.nan)), "relevance is NaN in row 8"),
        (lambda s, r: (s, _with(r, 9, 1.5)), r"relevance is outside \[0, 1\] in row 9"),
        (lambda s, r: (s, _with(r, 9, -0.5)), r"relevance is outside \[0, 1\] in row 9"),
        (lambda s, r: (s, r * 0), "0 everywhere"),
        (lambda s, r: (s[:, :0], r[:, :0]), "0 everywhere"),
    ],
)
def test_bad_matrices_are_refused(change, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate(*change(*matrices()), settings=SETTINGS)


def _with(matrix, row, value):
    matrix = matrix.copy()
    matrix[row, 2] = value
    return matrix


def test_groups_of_another_length_are_refused():
    with pytest.raises(EvaluationError, match="70 rows"):
        evaluate(*matrices(), np.zeros(5), SETTINGS)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["row,video", "0,a"], "no column group"),
        (["row,group", "0,a", "x,b"], "line 3: row 'x' is no row of a matrix of 2 rows"),
        (["row,group", "0,a", "2,b"], "line 3: row '2' is no row of a matrix of 2 rows"),
        (["row,group", "0,a", "0,b"], "line 3: row '0' is there twice"),
        (["row,group", "0,a", "1,"], "line 3: row '1' has no group"),
        (["row,group", "0,a"], "row 1 has no line"),
    ],
)
def test_bad_groups_are_refused(tmp_path, lines, message):
    file = tmp_path / "g.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(EvaluationError, match=message):
        read_groups(file, 2)


def test_groups_may_come_in_any_order(tmp_path):
    file = tmp_path / "g.csv"
    file.write_text("group,row\nb,1\na,0\na,2\n", encoding="utf-8")
    assert read_groups(file, 3).tolist() == ["a", "b", "a"]


def test_pickled_objects_are_refused(tmp_path):
    file = tmp_path / "S.npy"
    np.save(file, np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(EvaluationError, match=r"S\.npy can't be read"):
        read_matrix(file)


@pytest.mark.parametrize("content", [b"", b"1,2\n", b"\x93NUMPY\x01\x00"])
def test_what_is_no_matrix_is_refused(tmp_path, content):
    file = tmp_path / "S.npy"
    file.write_bytes(content)
    with pytest.raises(EvaluationError, match=r"numpy\.save"):
        read_matrix(file)


# ----------------------------------------------------------------------------- the command


def command(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "80"})


@pytest.fixture
def files(tmp_path):
    similarity, relevance = matrices()
    np.save(tmp_path / "S.npy", similarity)
    np.save(tmp_path / "R.npy", relevance)
    groups = "\n".join(f"{row},v{row // 7}" for row in range(len(similarity)))
    (tmp_path / "g.csv").write_text(f"row,group\n{groups}\n", encoding="utf-8")
    return tmp_path


def test_command_prints_a_narrow_table_and_writes_json(files):
    options = ["--similarity", files / "S.npy", "--relevance", files / "R.npy"]
    done = command(*options, "--groups", files / "g.csv", "--json", files / "out.json")
    assert done.exit_code == 0, done.output
    written = json.loads(Path(files / "out.json").read_text(encoding="utf-8"))
    groups = np.arange(70) // 7
    assert written == evaluate(*matrices(), groups)
    lines = [line for line in done.output.splitlines() if "out.json" not in line]  # a path
    assert max(map(len, lines)) <= 80
    value = written["audio_to_text"]["map_published"]["value"]
    assert f"{100 * value:.1f}" in done.output
    assert "10 groups" in done.output


def test_command_says_what_is_wrong(files):
    done = command("--similarity", files / "S.npy", "--relevance", files / "absent.npy")
    assert done.exit_code == 2
    assert "absent.npy" in done.output
