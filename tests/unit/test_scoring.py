from dataclasses import replace

import numpy as np
import pytest
from support.retrieval_tables import (
    AXES,
    NAME,
    TEXTS,
    audio_rows,
    caption_rows,
    clip_rows,
    description_rows,
    level_rows,
    tables,
    text_rows,
)

from assets.retrieval.galleries import RetrievalError
from assets.retrieval.intervals import holm
from assets.retrieval.scoring import score_queries
from assets.retrieval.summaries import aggregate_scores, compare_variants, unclear_gains
from resources.settings import MetricsSettings
from resources.tables import CLIPS, COMPARISONS, QUERY_HITS, QUERY_SCORES, SCORES, text_id

SETTINGS = MetricsSettings(resamples=200, randomisations=500)
PERFECT_TEXTS = dict(zip(TEXTS, AXES, strict=False))


def own_axis(clip, seed):
    return PERFECT_TEXTS[clip["text"]]


def wrong_axis(clip, seed):
    return AXES[(TEXTS.index(clip["text"]) + 1) % 3]


def perfect(**rows):
    clips = clip_rows()
    given = {
        "audio_embeddings": audio_rows(clips, own_axis),
        "text_embeddings": text_rows(PERFECT_TEXTS),
    }
    return tables(clips, **{**given, **rows})


def run(given, settings=SETTINGS):
    scored, _, left_out = score_queries(given, settings)
    return scored, left_out, aggregate_scores(given, scored, settings)


def value(frame, column="value", **where):
    for name, wanted in where.items():
        frame = frame[frame[name].isna() if wanted is None else frame[name] == wanted]
    assert len(frame) == 1, frame
    return frame[column].iloc[0]


# ------------------------------------------------------------------------------ retrieval


def test_a_perfect_model_reaches_the_ceiling_everywhere():
    scored, left_out, scores = run(perfect())
    assert left_out.empty
    reached = scores[scores["recall_rule"] != "diagonal"]
    assert reached["value"].tolist() == pytest.approx([1.0] * len(reached))
    assert (reached["ceiling"] == 1).all()
    directions = {"text_to_audio": (3, 6), "audio_to_text": (6, 3), "mean": (9, 6)}
    for direction, (queries, candidates) in directions.items():
        where = {"direction": direction, "metric": "ndcg"}
        assert value(scores, "queries", **where) == queries
        assert value(scores, "candidates", **where) == candidates
    QUERY_SCORES.to_arrow(scored)
    SCORES.to_arrow(scores)


def test_a_model_that_is_always_wrong_is_not_flattered():
    clips = clip_rows()
    given = perfect(audio_embeddings=audio_rows(clips, wrong_axis))
    _, _, scores = run(given)
    where = {"direction": "text_to_audio", "recall_rule": "duplicates"}
    assert value(scores, metric="recall_at_1", **where) == 0
    # Two wrong clips come first; the two right ones tie with the two others behind them.
    assert value(scores, metric="mean_rank", **where) == pytest.approx(2 + 5 / 3)


def test_the_diagonal_rule_and_its_ceiling():
    """Two clips share each text: a deterministic model puts its own first half of the time."""
    _, _, scores = run(perfect())
    where = {"metric": "recall_at_1", "recall_rule": "diagonal"}
    assert value(scores, "ceiling", direction="text_to_audio", **where) == 0.5
    assert value(scores, direction="text_to_audio", **where) == 1  # ties are read kindly
    assert value(scores, "ceiling", direction="audio_to_text", **where) == 0
    assert value(scores, direction="audio_to_text", **where) == 0
    assert value(scores, "candidates", direction="audio_to_text", **where) == 6


def test_text_queries_belong_to_no_recording_and_are_drawn_by_text():
    scored, _, scores = run(perfect())
    by_direction = scored.groupby("direction", observed=True)["video_id"]
    assert by_direction.apply(lambda videos: videos.isna().all()).to_dict() == {
        "audio_to_text": False,
        "text_to_audio": True,
    }
    clusters = scores.drop_duplicates("direction").set_index("direction")["cluster"].to_dict()
    assert clusters == {
        "text_to_audio": "text (approximate)",
        "audio_to_text": "video (approximate)",
        "mean": "text and video (approximate)",
    }


def test_the_plain_interval_stands_beside_the_clustered_one():
    """Recordings on which a model is always right or always wrong: queries are no evidence each."""
    clips = clip_rows(per_text=40, videos=8)

    def by_recording(clip, seed):
        return (own_axis if int(clip["video_id"][1:]) % 2 else wrong_axis)(clip, seed)

    vectors = {"audio_embeddings": audio_rows(clips, by_recording)}
    _, _, scores = run(tables(clips, **vectors, text_embeddings=text_rows(PERFECT_TEXTS)))
    rows = scores[(scores["metric"] == "recall_at_1") & (scores["recall_rule"] == "duplicates")]
    rows = rows.set_index("direction")
    clustered = rows["ci_high"] - rows["ci_low"]
    plain = rows["plain_ci_high"] - rows["plain_ci_low"]
    assert clustered["audio_to_text"] > 2 * plain["audio_to_text"] > 0
    assert clustered["text_to_audio"] == plain["text_to_audio"]  # each text is there once
    assert (scores["plain_ci_low"] <= scores["value"] + 1e-12).all()
    assert (scores["plain_ci_high"] >= scores["value"] - 1e-12).all()


def test_metrics_are_averaged_over_seeds_query_by_query():
    clips = clip_rows()

    def by_seed(clip, seed):
        return (own_axis if seed == 0 else wrong_axis)(clip, seed)

    _, _, scores = run(perfect(audio_embeddings=audio_rows(clips, by_seed, seeds=(0, 1))))
    where = {"direction": "audio_to_text", "recall_rule": "duplicates", "metric": "recall_at_1"}
    assert value(scores, **where) == 0.5
    assert set(scores["seeds"]) == {2}


def test_class_benchmarks_report_the_accuracy_of_the_best_class():
    clips = clip_rows(noun_classes=None)
    _, _, scores = run(tables(clips, audio_embeddings=audio_rows(clips, own_axis),
                              text_embeddings=text_rows(PERFECT_TEXTS)))  # fmt: skip
    assert set(scores["relevance_kind"]) == {"class"}
    where = {"metric": "class_accuracy"}
    assert value(scores, direction="audio_to_text", **where) == 1
    assert value(scores, "random_floor", direction="audio_to_text", **where) == pytest.approx(1 / 3)
    assert "text_to_audio" not in set(scores["direction"][scores["metric"] == "class_accuracy"])


def test_pairs_and_own_clips_serve_benchmarks_without_classes():
    clips = clip_rows(verb_class=None, noun_classes=None, per_text=1)
    vectors = {"audio_embeddings": audio_rows(clips, own_axis),
               "text_embeddings": text_rows(PERFECT_TEXTS)}  # fmt: skip
    _, _, own = run(tables(clips, **vectors))
    swapped = [
        {"benchmark": NAME, "caption_id": f"c{n}", "clip_id": f"c{(n + 1) % 3}", "relevance": 1.0}
        for n in range(3)
    ]
    _, _, paired = run(tables(clips, relevance=swapped, **vectors))
    where = {"direction": "text_to_audio", "recall_rule": "duplicates", "metric": "recall_at_1",
             "relevance_kind": "pairs"}  # fmt: skip
    assert value(own, **where) == 1
    assert value(paired, **where) == 0


def test_verb_and_noun_relevance_on_request():
    settings = SETTINGS.model_copy(update={"relevance_kinds": ("caption", "verb")})
    _, _, scores = run(perfect(), settings)
    assert set(scores["relevance_kind"]) == {"caption", "verb"}
    assert set(scores["relevance_kind"][scores["recall_rule"] == "diagonal"]) == {"caption"}


# -------------------------------------------------------------------------------- subsets


def test_both_protocols_filter_queries_and_one_filters_candidates():
    clips = clip_rows()
    levels = {TEXTS[0]: "low", TEXTS[1]: "low", TEXTS[2]: "high"}
    given = perfect(subset_members=level_rows(levels, clips, caption_rows(clips)))
    _, _, scores = run(given)
    sizes = {
        (row.subset, row.protocol): (row.queries, row.candidates)
        for row in scores[(scores["direction"] == "text_to_audio") & (scores["metric"] == "ndcg")]
        .itertuples()
    }  # fmt: skip
    assert sizes == {
        ("all", "subset_gallery"): (3, 6),
        ("low", "subset_gallery"): (2, 4),
        ("low", "full_gallery"): (2, 6),
        ("high", "subset_gallery"): (1, 2),
        ("high", "full_gallery"): (1, 6),
    }
    assert value(scores, grader="g", subset="high", protocol="subset_gallery", metric="ndcg",
                 column="random_floor", direction="text_to_audio") == 1  # fmt: skip


def test_full_gallery_scores_are_those_of_the_whole():
    clips = clip_rows()
    levels = {TEXTS[0]: "low"}
    given = perfect(
        audio_embeddings=audio_rows(clips, wrong_axis),
        subset_members=level_rows(levels, clips, caption_rows(clips)),
    )
    scored, _, _ = run(given)
    columns = ["direction", "metric", "recall_rule", "query_id"]
    whole = scored[scored["subset"] == "all"].set_index(columns)["value"]
    full = scored[scored["protocol"] == "full_gallery"].set_index(columns)["value"]
    assert len(full)
    assert full.to_dict() == whole.loc[full.index].to_dict()


# ------------------------------------------------------------------------------- variants


DESCRIBED = {text: f"sound of {text}" for text in TEXTS}


def described(descriptions, vectors, **rows):
    return perfect(
        descriptions=description_rows("p1", descriptions),
        text_embeddings=text_rows({**PERFECT_TEXTS, **vectors}),
        **rows,
    )


def test_variants_are_compared_over_the_queries_that_both_have():
    shuffled = {DESCRIBED[text]: AXES[(n + 1) % 3] for n, text in enumerate(TEXTS)}
    given = described({text: DESCRIBED[text] for text in TEXTS[:2]}, shuffled)
    scored, left_out, scores = run(given)
    assert sorted(left_out[["item_kind", "item_id", "reason"]].to_numpy().tolist()) == [
        ["clip", "c4", "nothing right to be found"],
        ["clip", "c5", "nothing right to be found"],
        ["text", text_id(TEXTS[2]), "no description"],
    ]
    comparisons = compare_variants(given, scored, SETTINGS)
    COMPARISONS.to_arrow(comparisons)
    where = {"baseline": "visual", "variant": "p1", "direction": "text_to_audio",
             "recall_rule": "duplicates", "metric": "recall_at_1"}  # fmt: skip
    assert value(comparisons, "delta", **where) == -1
    assert value(comparisons, "queries", **where) == 2
    assert value(scores, "queries", variant="p1", **{k: where[k] for k in list(where)[2:]}) == 2


def test_each_metric_is_corrected_for_its_own_comparisons():
    shuffled = {DESCRIBED[text]: AXES[(n + 1) % 3] for n, text in enumerate(TEXTS)}
    given = described(DESCRIBED, shuffled)
    comparisons = compare_variants(given, score_queries(given, SETTINGS).query_scores, SETTINGS)
    keys = ["metric", "relevance_kind", "similarity", "recall_rule"]
    families = comparisons.astype(dict.fromkeys(keys, object)).groupby(keys, dropna=False)
    assert families.ngroups > 1
    for _, rows in families:
        expected = holm(rows["p_value"].to_numpy(dtype=float))
        np.testing.assert_allclose(rows["p_holm"], expected)
    everything = holm(comparisons["p_value"].to_numpy(dtype=float))
    assert not np.allclose(comparisons["p_holm"], everything, equal_nan=True)


def test_equal_variants_differ_by_nothing():
    same = {DESCRIBED[text]: PERFECT_TEXTS[text] for text in TEXTS}
    given = described(DESCRIBED, same)
    comparisons = compare_variants(given, score_queries(given, SETTINGS).query_scores, SETTINGS)
    assert (comparisons["delta"] == 0).all()
    tested = comparisons[comparisons["metric"] != "median_rank"]
    assert (tested["p_value"] == 1).all()
    assert (tested["p_holm"] == 1).all()
    assert comparisons["p_value"][comparisons["metric"] == "median_rank"].isna().all()


def test_descriptions_that_come_out_alike_tie():
    """Rewriting that merges texts can't be right by luck: the merged share their ranks."""
    merged = dict.fromkeys(TEXTS, "something in a kitchen")
    _, _, scores = run(described(merged, {"something in a kitchen": AXES[0]}))
    where = {"variant": "p1", "direction": "audio_to_text", "recall_rule": "duplicates"}
    assert value(scores, metric="recall_at_1", **where) == pytest.approx(1 / 3)


def test_a_missing_text_vector_withholds_the_variant_and_names_the_text():
    given = described(DESCRIBED, {DESCRIBED[text]: AXES[0] for text in TEXTS[:2]})
    scored, left_out, _ = run(given)
    assert set(scored["variant"]) == {"visual"}
    row = left_out.iloc[0]
    assert (row["item_id"], row["encoder"]) == (text_id(DESCRIBED[TEXTS[2]]), "e")
    assert row["reason"] == "no text vector"
    assert "p1" in row["detail"]


# -------------------------------------------------------------------- what is not scored


def test_unusable_and_unembedded_clips_leave_the_gallery():
    clips = clip_rows()
    clips[0]["usable"] = False
    given = tables(clips, audio_embeddings=audio_rows(clips[:-1], own_axis),
                   text_embeddings=text_rows(PERFECT_TEXTS))  # fmt: skip
    _, _, scores = run(given)
    where = {"direction": "text_to_audio", "metric": "map_binary"}
    assert value(scores, "candidates", **where) == 4


def test_a_query_with_nothing_right_is_reported_and_left_out():
    clips = clip_rows()
    for clip in clips[:2]:
        clip["usable"] = False
    given = tables(clips, audio_embeddings=audio_rows(clips, own_axis),
                   text_embeddings=text_rows(PERFECT_TEXTS))  # fmt: skip
    scored, left_out, scores = run(given)
    assert left_out[["item_kind", "item_id"]].to_numpy().tolist() == [["caption", "c0"]]
    assert "c0" not in set(scored["query_id"])
    assert value(scores, "queries", direction="text_to_audio", metric="map_binary") == 2
    assert not scored["value"].isna().any()


def test_a_clip_without_every_seed_is_left_out_by_name():
    clips = clip_rows()
    rows = audio_rows(clips, own_axis, seeds=(0, 1))[:-1]
    scored, left_out, _ = run(perfect(audio_embeddings=rows))
    assert left_out[["item_id", "reason"]].to_numpy().tolist() == [
        ["c5", "not embedded with every seed"]
    ]
    assert "c5" not in set(scored["query_id"])


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.float32([np.nan, 0, 0, 0]), "vector of c0 is not finite"),
        (np.float32([1, 0]), "dimensions are mixed"),
    ],
)
def test_bad_vectors_are_refused_by_name(vector, message):
    rows = audio_rows(clip_rows(), own_axis)
    rows[0]["vector"] = vector
    with pytest.raises(RetrievalError, match=message):
        score_queries(perfect(audio_embeddings=rows), SETTINGS)


def test_vectors_of_two_models_are_refused():
    rows = audio_rows(clip_rows(), lambda clip, seed: np.ones(3, dtype=np.float32))
    with pytest.raises(RetrievalError, match="4 dimensions and audio vectors 3"):
        score_queries(perfect(audio_embeddings=rows), SETTINGS)


def test_two_crop_rules_of_one_encoder_are_refused():
    rows = audio_rows(clip_rows(), own_axis)
    rows[0]["crop_rule"] = "centre"
    with pytest.raises(RetrievalError, match="2 crop rules"):
        score_queries(perfect(audio_embeddings=rows), SETTINGS)


@pytest.mark.parametrize("empty", ["audio_embeddings", "clips"])
def test_nothing_to_score_gives_empty_tables(empty):
    given = perfect(audio_embeddings=[])
    if empty == "clips":
        given = replace(given, clips=CLIPS.frame([]), captions=given.captions.iloc[:0])
    scored, left_out, scores = run(given)
    assert scored.empty
    assert left_out.empty
    assert scores.empty
    assert compare_variants(given, scored, SETTINGS).empty


def test_hits_are_stored_for_the_whole_gallery_alone():
    clips = clip_rows()
    levels = level_rows(dict.fromkeys(TEXTS, "high"), clips, caption_rows(clips))
    hits = score_queries(perfect(subset_members=levels), SETTINGS).query_hits
    assert hits.groupby("direction", observed=True).size().to_dict() == {
        "text_to_audio": 3,
        "audio_to_text": 6,
    }
    by_text = hits[hits["direction"] == "text_to_audio"]
    assert set(by_text["right_candidates"]) == {2}
    assert by_text[["hits_at_1", "hits_at_5"]].drop_duplicates().values.tolist() == [[1, 2]]
    QUERY_HITS.to_arrow(hits)


def test_hits_of_tied_candidates_and_of_seeds_are_what_is_expected():
    clips = clip_rows()

    def by_seed(clip, seed):
        return own_axis(clip, seed) if seed == 0 else AXES[3]

    given = perfect(audio_embeddings=audio_rows(clips, by_seed, seeds=(0, 1)))
    hits = score_queries(given, SETTINGS).query_hits
    by_text = hits[hits["direction"] == "text_to_audio"]
    # Seed 0 puts both right clips first; with seed 1 all six tie.
    assert by_text["hits_at_1"].tolist() == pytest.approx([(1 + 2 / 6) / 2] * 3)
    assert by_text["hits_at_5"].tolist() == pytest.approx([(2 + 2 * 5 / 6) / 2] * 3)


def test_rewriting_that_gains_nothing_clear_is_named():
    rows = [
        {"benchmark": NAME, "encoder": "e", "baseline": "visual", "variant": variant,
         "subset": "all", "protocol": "subset_gallery", "direction": "mean",
         "relevance_kind": "caption", "crop_rule": "whole", "similarity": "cosine",
         "metric": "map_published", "delta": 0.01, "ci_low": low, "ci_high": 0.04, "queries": 9,
         **others}
        for variant, low, others in [
            ("clear", 0.001, {}),
            ("open", -0.02, {}),
            ("touching", 0.0, {}),
            ("of_levels", -0.02, {"subset": "low", "grader": "g"}),
            ("one_way", -0.02, {"direction": "text_to_audio"}),
            ("between_prompts", -0.02, {"baseline": "clear"}),
        ]
    ]  # fmt: skip
    assert unclear_gains(COMPARISONS.frame(rows)) == [
        "e, open: map_published +1.0 points over the visual text, 95 % interval -2.0 to +4.0",
        "e, touching: map_published +1.0 points over the visual text, 95 % interval +0.0 to +4.0",
    ]
    assert unclear_gains(COMPARISONS.frame([])) == []


# ------------------------------------------------------------------------------ questions


def question(number, text, options, answer, kind="inter", usable=True):
    return {"benchmark": NAME, "question_id": str(number), "kind": kind, "text": text,
            "text_id": text_id(text), "options": options, "answer": answer,
            "usable": usable}  # fmt: skip


def asked(questions, **rows):
    clips = clip_rows()
    given = {"audio_embeddings": audio_rows(clips, own_axis),
             "text_embeddings": text_rows(PERFECT_TEXTS)}  # fmt: skip
    return tables(clips, captions=[], questions=questions, **{**given, **rows})


def test_questions_share_ties_and_are_told_apart_by_kind():
    given = asked(
        [
            question(0, TEXTS[0], ["c0", "c2", "c4"], 0),
            question(1, TEXTS[0], ["c0", "c1", "c4"], 1),
            question(2, TEXTS[1], ["c0", "c1", "c4"], 2, kind="intra"),
            question(3, TEXTS[1], ["c0", "c1", "c4"], 2, usable=False),
        ]
    )
    scored, left_out, scores = run(given)
    assert left_out.empty
    assert value(scores, metric="accuracy_inter") == 0.75
    assert value(scores, metric="accuracy_intra") == pytest.approx(1 / 3)
    assert set(scores["random_floor"]) == {1 / 3}
    assert set(scores["candidates"]) == {3}
    assert scores["direction"].isna().all()
    assert scores["protocol"].isna().all()
    answers = scored.set_index("query_id")["video_id"].astype(str).to_dict()
    assert answers == {"0": "v0", "1": "v1", "2": "v0"}


def test_the_published_rule_takes_the_first_of_the_tied():
    settings = SETTINGS.model_copy(update={"multiple_choice_ties": "first"})
    given = asked([question(0, TEXTS[0], ["c0", "c1"], 1)])
    assert value(run(given, settings)[2], metric="accuracy_inter") == 0


def test_a_question_with_an_option_outside_the_gallery_is_left_out_by_name():
    clips = clip_rows()
    questions = [question(0, TEXTS[0], ["c0", "c2"], 0), question(1, TEXTS[0], ["c0", "c5"], 0)]
    given = asked(questions, audio_embeddings=audio_rows(clips[:-1], own_axis))
    scored, left_out, _ = run(given)
    assert left_out[["item_kind", "item_id"]].to_numpy().tolist() == [["question", "1"]]
    assert set(scored["query_id"]) == {"0"}


def test_levels_of_questions():
    questions = [question(0, TEXTS[0], ["c0", "c2"], 0), question(1, TEXTS[1], ["c0", "c2"], 0)]
    levels = {TEXTS[0]: "high", TEXTS[1]: "low"}
    given = asked(questions, subset_members=level_rows(levels, [], questions=questions))
    scores = run(given)[2]
    by_subset = scores.set_index("subset")["value"].to_dict()
    assert by_subset == {"all": 0.5, "high": 1, "low": 0}


def test_questions_of_different_sizes_are_refused():
    questions = [question(0, TEXTS[0], ["c0", "c2"], 0), question(1, TEXTS[0], ["c0"], 0)]
    with pytest.raises(RetrievalError, match="1 has another number of options"):
        score_queries(asked(questions), SETTINGS)


# --------------------------------------------------------------------------- dual softmax


def test_dual_softmax_stands_beside_the_cosine_when_asked_for():
    settings = SETTINGS.model_copy(update={"dual_softmax": True})
    _, _, scores = run(perfect(), settings)
    counts = scores.groupby("similarity", observed=True).size().to_dict()
    assert counts["cosine"] == counts["dual_softmax"]
    where = {"metric": "ndcg", "direction": "text_to_audio"}
    assert value(scores, similarity="dual_softmax", **where) == 1


def test_scores_repeat_exactly():
    given = perfect(audio_embeddings=audio_rows(clip_rows(), wrong_axis))
    one, other = run(given)[2], run(given)[2]
    assert one.equals(other)
