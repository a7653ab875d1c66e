"""SQL models of style and difficulty, against scipy and plain formulas."""

from contextlib import contextmanager

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from support.lake_fixture import TEXTS, build_lake, level_of

from resources.sql_models import SQL_FOLDER, read_models
from resources.tables import CLIPS, QUERY_HITS, TEXT_STYLES, text_id
from resources.warehouse import publish, query

MODELS = {model.name: model.sql for model in read_models(SQL_FOLDER)}
METRIC = {"benchmark": "b", "direction": None, "metric": "accuracy_inter"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return build_lake(tmp_path_factory.mktemp("styles") / "lake")


@pytest.fixture(scope="module")
def file(lake, tmp_path_factory):
    target = tmp_path_factory.mktemp("published") / "published.duckdb"
    publish(lake, SQL_FOLDER, target)
    return target


@contextmanager
def database(**tables):
    with duckdb.connect() as connection:
        for name, frame in tables.items():
            connection.register(name, frame)
        yield connection


def of_gains(changes, gains):
    """`style_against_gain` of some encoders: (encoders, texts) each."""
    scores, traits = [], []
    for encoder, row in enumerate(gains):
        for text, gain in enumerate(row):
            common = {**METRIC, "encoder": f"{encoder:04}", "text_id": f"{encoder}-{text}",
                      "query_id": f"{encoder}-{text}"}  # fmt: skip
            scores += [{**common, "variant": "visual", "value": 0.0},
                       {**common, "variant": "few", "value": gain}]  # fmt: skip
            trait = {"benchmark": "b", "text_id": common["text_id"], "trait": "words"}
            changed = 1.0 + changes[encoder][text]
            traits += [{**trait, "variant": "visual", "value": 1.0},
                       {**trait, "variant": "few", "value": changed}]  # fmt: skip
    tables = {"main_query_scores": pd.DataFrame(scores), "style_traits": pd.DataFrame(traits)}
    with database(**tables) as connection:
        rows = connection.sql(MODELS["style_against_gain"]).df()
    return rows.sort_values("encoder", ignore_index=True)


def test_rho_is_spearmans_ties_included():
    draw = np.random.default_rng(0)
    changes = draw.integers(0, 4, (20, 30)).astype(float)
    gains = np.round(changes * draw.uniform(-1, 1, (20, 1)) + draw.normal(0, 2, (20, 30)))
    found = of_gains(changes, gains)
    expected = [
        spearmanr(change, gain).statistic for change, gain in zip(changes, gains, strict=True)
    ]
    np.testing.assert_allclose(found["rho"], expected, atol=1e-9)
    np.testing.assert_allclose(found["mean_gain"], 100 * gains.mean(axis=1))
    np.testing.assert_allclose(found["mean_change"], changes.mean(axis=1))


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_the_interval_holds_the_true_correlation_about_as_often_as_it_says(strength):
    draw = np.random.default_rng(1)
    one, noise = draw.standard_normal((2, 500, 40))
    other = strength * one + np.sqrt(1 - strength**2) * noise
    found = of_gains(one, other)
    true = 6 / np.pi * np.arcsin(strength / 2)
    covered = ((found["ci_low"] <= true) & (true <= found["ci_high"])).mean()
    assert 0.92 <= covered <= 0.98


def test_what_never_differs_has_no_correlation_and_a_perfect_one_stays_within_1():
    found = of_gains([[0, 0, 0, 0, 0], [1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]])
    assert found.loc[0, ["rho", "ci_low", "ci_high"]].isna().all()
    assert found.loc[1, "rho"] == pytest.approx(1)
    assert found.loc[1, "ci_low"] <= found.loc[1, "ci_high"] <= 1


def test_queries_that_share_a_text_count_once(file):
    rows = query(file, "SELECT * FROM style_against_gain WHERE benchmark = 'epic_mir'")
    # No clip of the last text is usable, so that it is no audio query's.
    texts = rows.groupby("direction")["texts"].unique()
    assert texts["text_to_audio"].tolist() == [len(TEXTS)]
    assert texts["audio_to_text"].tolist() == [len(TEXTS) - 1]
    assert set(rows["trait"]) == {
        "words", "vocabulary", "sound_words", "visual_words", "audiocaps_similarity",
    }  # fmt: skip


def test_informativeness_is_set_against_difficulty(file):
    [found] = query(
        file,
        "SELECT * FROM informativeness_against_difficulty WHERE benchmark = 'epic_mir' "
        "AND encoder = 'mel_ridge' AND variant = 'visual' AND direction = 'text_to_audio'",
    ).to_dict("records")
    scores = query(
        file,
        "SELECT text, value FROM main_query_scores WHERE benchmark = 'epic_mir' "
        "AND encoder = 'mel_ridge' AND variant = 'visual' AND direction = 'text_to_audio'",
    )
    levels = scores["text"].map(lambda text: ("low", "moderate", "high").index(level_of(text)))
    expected = spearmanr(levels, 1 - scores["value"])
    assert found["rho"] == pytest.approx(expected.statistic)
    assert found["texts"] == len(TEXTS)
    assert found["ci_low"] < found["rho"] < found["ci_high"]


def test_precision_recall_and_f1_are_means_over_queries(lake, file):
    hits = lake.read(QUERY_HITS, "epic_mir")
    chosen = hits[(hits["encoder"] == "mel_ridge") & (hits["variant"] == "plain")
                  & (hits["direction"] == "audio_to_text")]  # fmt: skip
    styles = lake.read(TEXT_STYLES, "epic_mir")
    words = styles[styles["variant"] == "plain"].set_index("text_id")["words"]
    text_of = lake.read(CLIPS, "epic_mir").set_index("clip_id")["text_id"]
    lengths = chosen["query_id"].map(text_of).map(words)
    rows = query(
        file,
        "SELECT * FROM precision_recall_by_style WHERE benchmark = 'epic_mir' AND k = 5 "
        "AND encoder = 'mel_ridge' AND variant = 'plain' AND direction = 'audio_to_text' "
        "AND (trait = 'words' OR trait IS NULL)",
    )
    assert rows["queries"].tolist() == [len(chosen), *rows["queries"][1:]]
    assert rows["queries"][1:].sum() == len(chosen)
    for row in rows.to_dict("records"):
        part = chosen
        if row["trait"]:
            part = chosen[(lengths >= row["trait_from"]) & (lengths <= row["trait_to"])]
        precision = part["hits_at_5"] / 5
        recall = part["hits_at_5"] / part["right_candidates"]
        f1 = (2 * precision * recall / (precision + recall)).fillna(0)
        assert row["queries"] == len(part)
        assert row["precision_at_k"] == pytest.approx(100 * precision.mean())
        assert row["recall_at_k"] == pytest.approx(100 * recall.mean())
        assert row["f1_at_k"] == pytest.approx(100 * f1.mean())


def test_questions_are_parted_too(file):
    rows = query(
        file,
        "SELECT p.*, s.value FROM precision_recall_by_style AS p "
        "INNER JOIN headline_scores AS s USING (benchmark, encoder, variant, metric) "
        "WHERE p.benchmark = 'ego_mcq' AND p.trait IS NULL",
    )
    assert len(rows) == 12
    assert set(rows["k"]) == {1}
    for name in ("precision_at_k", "recall_at_k", "f1_at_k"):
        np.testing.assert_allclose(rows[name], rows["value"])


def test_variants_are_described_by_their_means(lake, file):
    rows = query(file, "SELECT * FROM style_by_variant WHERE benchmark = 'ego_mcq'")
    assert rows["variant"].tolist() == ["visual", "plain", "with_examples"]
    styles = lake.read(TEXT_STYLES, "ego_mcq")
    for row in rows.to_dict("records"):
        own = styles[styles["variant"] == row["variant"]]
        assert row["texts"] == len(own)
        assert row["words"] == pytest.approx(own["words"].mean())
        assert row["vocabulary"] == len({word for words in own["vocabulary"] for word in words})
        assert row["sound_words"] == pytest.approx(100 * own["sound_words"].mean())
    assert rows["clotho_similarity"].isna().all()


def test_text_ids_are_those_of_the_original_texts(file):
    rows = query(file, "SELECT DISTINCT text_id FROM style_traits WHERE benchmark = 'epic_mir'")
    assert set(rows["text_id"]) == {text_id(text) for text in TEXTS}
