"""From the cells of a run's five tables back to what they rest on, and the numbers again."""

import shutil
import socket
import subprocess
import sys

import pandas as pd
import pytest

from assets.reports.cell import KEY, CellError, find_cell
from assets.reports.explain import ExplainError, explain, same
from assets.reports.recompute import recomputed, result_tables
from resources.lake import Lake
from resources.settings import PROJECT_ROOT
from resources.tables import (
    AUDIO_EMBEDDINGS,
    CAPTIONS,
    CLIPS,
    DESCRIPTIONS,
    METRICS,
    SUBSET_MEMBERS,
    text_id,
)
from resources.warehouse import query

pytestmark = pytest.mark.slow

DERIVED = ("query_scores", "scores", "comparisons")
CELL = {"encoder": "mel_ridge", "variant": "describe_few_shot", "direction": "audio_to_text"}
TABLES = [f"paper_table_{number}" for number in range(1, 6)]


@pytest.fixture
def run(finished_run):
    return finished_run


@pytest.fixture
def copy(run, tmp_path):
    """The settings of a copy of the run's lake and DuckDB file, to be changed by hand."""
    output = tmp_path / "output"
    shutil.copytree(run.settings.lake_dir, output / "lake")
    shutil.copy(run.settings.duckdb_file, output)
    return run.settings.model_copy(update={"output": output})


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def without_what_was_derived(settings):
    for name in DERIVED:
        shutil.rmtree(settings.lake_dir / name)
    settings.duckdb_file.unlink()
    return settings


def rows_of(file, table):
    return query(file, f'SELECT * FROM "{table}"')  # noqa: S608 (one of TABLES)


def where_of(row):
    return {name: "null" if pd.isna(row[name]) else row[name] for name in KEY}


def section(found, title):
    return dict(next(s.lines for s in found.sections if s.title.startswith(title)))


# ------------------------------------------------------------------------- recomputation


def test_every_cell_of_the_five_tables_comes_out_bit_for_bit(run, copy, no_network):
    published = {table: rows_of(run.settings.duckdb_file, table) for table in TABLES}
    assert result_tables() == TABLES
    assert all(len(rows) for rows in published.values())
    lake = Lake(without_what_was_derived(copy).lake_dir)
    with recomputed(lake, copy.metrics, lake.benchmarks(CLIPS), TABLES) as anew:
        for table, rows in published.items():
            pd.testing.assert_frame_equal(rows_of(anew, table), rows, check_exact=True)


@pytest.mark.parametrize("table", TABLES)
def test_a_cell_is_found_and_recomputed_without_scores_and_duckdb_file(
    run, copy, no_network, table
):
    row = rows_of(run.settings.duckdb_file, table).iloc[-1]
    without_what_was_derived(copy)
    column = next(name for name in row.index if name in METRICS)
    for figure in (column, f"{column}_ci_high", f"{column}_p_holm"):
        found = explain(copy, table, where_of(row), figure, recompute=True)
        assert list(found.values) == ["recomputed"]
        assert same(found.values["recomputed"], row[figure]), figure


def negate_a_vector(lake):
    vectors = lake.read(AUDIO_EMBEDDINGS, "epic_mir")
    vectors.at[3, "vector"] = -vectors["vector"][3]
    lake.write(AUDIO_EMBEDDINGS, vectors, "epic_mir")


def swap_two_descriptions(lake):
    rows = lake.read(DESCRIPTIONS, "epic_mir")
    first, second = rows.index[rows["variant"] == CELL["variant"]][:2]
    rows.loc[[first, second], "description"] = rows["description"][[second, first]].to_numpy()
    lake.write(DESCRIPTIONS, rows, "epic_mir")


def give_a_caption_another_class(lake):
    captions = lake.read(CAPTIONS, "epic_mir")
    captions.loc[0, "verb_class"] = 96
    lake.write(CAPTIONS, captions, "epic_mir")


@pytest.mark.parametrize(
    "edit", [negate_a_vector, swap_two_descriptions, give_a_caption_another_class]
)
def test_an_upstream_row_changed_by_hand_shows(copy, edit):
    before = explain(copy, "paper_table_1", CELL, "map_published", recompute=True)
    assert before.verdict == "the same, bit for bit"
    edit(Lake(copy.lake_dir))
    after = explain(copy, "paper_table_1", CELL, "map_published", recompute=True)
    assert after.values["published"] == before.values["published"]
    assert after.values["recomputed"] != before.values["recomputed"]
    assert not after.agrees
    relevance_changed = section(after, "Relevance") != section(before, "Relevance")
    assert relevance_changed == (edit is give_a_caption_another_class)


def test_a_level_changed_by_hand_shows_in_the_levels_table_only(copy):
    lake = Lake(copy.lake_dir)
    members = lake.read(SUBSET_MEMBERS, "epic_mir")
    clips = lake.read(CLIPS, "epic_mir")
    scored = members["item_id"].isin(clips["clip_id"][clips["usable"]])
    low = members.index[(members["subset"] == "low") & (members["item_kind"] == "clip") & scored]
    lake.write(SUBSET_MEMBERS, members.drop(low[1]), "epic_mir")
    assert explain(copy, "paper_table_1", CELL, "map_published", recompute=True).agrees
    lowest = {**CELL, "subset": "low"}
    assert not explain(copy, "paper_table_4", lowest, "map_published", recompute=True).agrees


# -------------------------------------------------------------------------------- origins


def test_every_figure_is_the_one_of_its_score(run):
    """Which row of `scores` a column shows: told by its name, compared with the table's own."""
    scores = query(run.settings.duckdb_file, "SELECT * FROM scores")
    seen = 0
    for table in TABLES:
        rows = rows_of(run.settings.duckdb_file, table)
        for _, row in rows.iterrows():
            for column in rows.columns:
                if column.removesuffix("_diagonal") not in METRICS or pd.isna(row[column]):
                    continue
                found = find_cell(rows, table, where_of(row), column).of(scores)
                assert len(found) == 1, (table, column)
                factor = 1 if column.endswith("_rank") else 100
                assert found["value"].iloc[0] * factor == row[column]
                seen += 1
    assert seen > 500


def test_what_is_told(run):
    found = explain(run.settings, "paper_table_1", CELL, "map_published")
    assert found.values == {"published": found.cell.value}
    score = section(found, "The row of `scores`")
    assert float(score["value"]) * 100 == found.cell.value
    assert score["queries"] == "180"
    assert score["crop_rule"] == "whole"
    assert "ascending" in score["ties are"]
    queries = section(found, "Its queries")
    assert queries["rows"] == "180"
    assert query(run.settings.duckdb_file, queries["listed by"])["value"].mean() == pytest.approx(
        float(score["value"])
    )
    assert queries["lowest"].count("\n") == queries["highest"].count("\n") == 2
    texts = section(found, "Texts: describe_few_shot")
    assert "peeling potatoes -> " in texts["examples"]
    assert "peeling potatoes" in texts["message: system"]
    assert texts["message: user"].endswith(texts["example text"])
    assert texts["answered under the key"].endswith("(these messages)")
    stored = Lake(run.settings.lake_dir).read(DESCRIPTIONS, "epic_mir")
    answered = stored[stored["text_id"] == text_id(texts["example text"])]
    assert texts["its description"] in set(answered["description"])
    assert len(section(found, "Encoder: mel_ridge")["fingerprint"]) == 64
    versions = section(found, "Data versions")
    lake = Lake(run.settings.lake_dir)
    assert versions["audio_embeddings"] == lake.stamp(AUDIO_EMBEDDINGS, "epic_mir").data_version


def test_levels_have_a_prompt_too(run):
    row = rows_of(run.settings.duckdb_file, "paper_table_4").iloc[0]
    found = explain(run.settings, "paper_table_4", where_of(row), "ndcg")
    levels = section(found, "Levels: grade_informativeness")
    assert levels["its level"] in ("low", "moderate", "high")
    assert levels["answered under the key"].endswith("(these messages)")


def test_a_prompt_edited_since_is_told(run):
    file = run.settings.prompts_folder / "describe_few_shot.yaml"
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text(text.replace("One short sentence", "One long sentence"), encoding="utf-8")
        found = explain(run.settings, "paper_table_1", CELL, "map_published")
    finally:
        file.write_text(text, encoding="utf-8")
    texts = section(found, "Texts: describe_few_shot")
    assert texts["answered under the key"].endswith("(the prompt has changed since)")


def test_without_published_file_or_recomputation_there_is_nothing_to_explain(copy):
    without_what_was_derived(copy)
    with pytest.raises(ExplainError, match="--recompute"):
        explain(copy, "paper_table_1", CELL, "map_published")


def test_other_tables_and_rows_are_refused(run):
    with pytest.raises(ExplainError, match="no such table: scores; there are paper_table_1"):
        explain(run.settings, "scores", CELL, "value")
    with pytest.raises(CellError, match="direction: audio_to_text, mean, text_to_audio"):
        explain(run.settings, "paper_table_1", {"variant": "visual"}, "map_published")


def test_the_command_takes_several_conditions_after_one_option(run):
    where = [f"{name}={value}" for name, value in CELL.items()]
    command = [sys.executable, "-m", "pipelines.cli", "explain", "--config", str(run.config)]
    options = ["--table", "paper_table_1", "--where", *where, "--column", "map_published"]
    done = subprocess.run(
        [*command, *options, "--recompute"],
        cwd=PROJECT_ROOT,
        env=run.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the same, bit for bit" in done.stdout
    rows = rows_of(run.settings.duckdb_file, "paper_table_1")
    cell = find_cell(rows, "paper_table_1", CELL, "map_published")
    assert f"recomputed: {cell.value}\n" in done.stdout
