"""Raters' files: what is accepted, and what is rejected for which reason."""

import pytest
from support.raters import made_up_key, rate

from assets.reports.ratings.answers import AnswerError, judge, read_answers, unblind
from assets.reports.ratings.importing import import_answers
from assets.reports.ratings.storage import KeyMissingError, RatingsFolder
from assets.reports.ratings.tables import (
    build_agreement,
    build_preferences,
    build_raters,
    build_ratings,
    stored_answers,
)
from resources.settings import MetricsSettings

METRICS = MetricsSettings(resamples=200)


@pytest.fixture
def folder(tmp_path):
    return RatingsFolder(tmp_path / "ratings")


@pytest.fixture
def sheet(folder):
    return folder.write_key(made_up_key())


@pytest.fixture
def save(tmp_path, folder, sheet):
    def save(rater="Ann", edit=lambda rows: rows, name=None, **how):
        rows = edit(rate(folder.key(sheet), sheet, rater, **how))
        file = tmp_path / (name or f"{rater}.csv")
        rows.to_csv(file, index=False)
        return file

    return save


def judged(file, folder):
    rows = read_answers(file)
    return judge(file, rows, folder.key(rows["sheet"].iloc[0]))


def test_a_careful_rater_is_accepted(save, folder):
    found = judged(save(care=0.95), folder)
    assert found.problems == ()
    assert (found.repeats, found.contradictions) == (4, 0)


def test_answers_are_said_of_the_texts_and_no_more_of_the_sides(save, folder, sheet):
    key = folder.key(sheet)
    rows = unblind(read_answers(save(taste=1.0)), key)
    assert set(rows["preference"]) == {"description"}
    assert set(rows["description_rating"]) == {4}
    assert set(rows["visual_rating"]) == {2}
    assert set(key["description_side"]) == {"a", "b"}


def change(column, value, rows=slice(0, 1)):
    def edit(frame):
        frame = frame.copy()
        frame.loc[frame.index[rows], column] = value
        return frame

    return edit


def turned(frame):
    return change("preference", "a")(frame).assign(rating_a="1", rating_b="5")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda rows: rows.iloc[3:], "3 of 64 items are not answered"),
        (change("item", "elsewhere"), "1 items are not on the sheet: elsewhere"),
        (lambda rows: rows.iloc[[0, *range(64)]], "1 items are answered more than once"),
        (
            lambda rows: change("informativeness", "low", slice(0, 1))(rows.iloc[[0, *range(64)]]),
            "answered more than once",
        ),
        (change("rating_a", "6"), "rating_a is '6' for item item000"),
        (change("rating_b", ""), "rating_b is '' for item item000"),
        (change("preference", "A"), "preference is 'A'"),
        (change("informativeness", "loud"), "informativeness is 'loud'"),
        (change("plays", "0"), "1 items were rated unheard: item000"),
        (lambda rows: rows.assign(preference="a"), "preference is a for every item"),
        (lambda rows: rows.assign(informativeness="low"), "informativeness is low for every"),
        (lambda rows: rows.assign(rating_a="3", rating_b="3"), "every text is rated 3"),
        (turned, "the preferred text is the one rated worse"),
    ],
)
def test_what_is_wrong_is_told(save, folder, edit, told):
    found = judged(save(edit=edit), folder)
    assert not found.accepted
    assert told in "; ".join(found.problems)


def test_a_doubled_item_with_other_answers_is_named(save, folder):
    def contradict(rows):
        again = rows.iloc[[5]].assign(preference="same")
        return rows.iloc[[*range(64)]]._append(again)

    [problem] = judged(save(edit=contradict), folder).problems
    assert problem == "1 items are answered more than once, 1 with other answers: item005"


def test_who_answers_at_random_fails_on_what_came_twice(folder, sheet, tmp_path):
    sheet = folder.write_key(made_up_key(200, repeats=10))
    rejected = []
    for seed in range(20):
        rows = rate(folder.key(sheet), sheet, "Random", seed=seed, care=0.0)
        rejected += judge(tmp_path, rows, folder.key(sheet)).problems
    # A random rater prefers the same side twice, and hears a like level, in 39 of 100 repeats.
    assert sum("came twice" in problem for problem in rejected) >= 12


@pytest.mark.parametrize(("first", "second", "held"), [("low", "moderate", 4), ("low", "high", 0)])
def test_a_repeat_holds_if_levels_are_a_step_apart_at_most(
    save, folder, sheet, first, second, held
):
    key = folder.key(sheet)
    again = key["repeat_of"] != ""
    rows = read_answers(save())
    rows.loc[rows["item"].isin(key["repeat_of"][again]), "informativeness"] = first
    rows.loc[rows["item"].isin(key["item"][again]), "informativeness"] = second
    assert judge(folder.root, rows, key).held == held


def test_a_sound_rated_otherwise_the_second_time_does_not_hold(save, folder, sheet):
    key = folder.key(sheet)
    rows = read_answers(save())
    assert judge(folder.root, rows, key).held == 4
    again = rows["item"].isin(key["item"][key["repeat_of"] != ""])
    for column in ("rating_a", "rating_b"):
        rows.loc[again, column] = rows.loc[again, column].map({"4": "5", "2": "4"})
    assert judge(folder.root, rows, key).held == 0


def test_ties_count_half(save, folder):
    def tie(rows):
        return rows.assign(preference="same", rating_a="4", rating_b="4").mask(
            rows["item"] == "item000", rows
        )

    assert import_answers(save(edit=tie, taste=1.0), folder, False).accepted
    ratings = build_ratings(stored_answers(folder), folder)
    found = build_preferences(ratings, METRICS).iloc[0]
    assert (found["for_description"], found["same"], found["for_visual"]) == (1, 59, 0)
    assert found["share"] == pytest.approx((1 + 59 / 2) / 60)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no CSV that can be read"),
        ("sheet;rater;item\n1;2;3\n", "no column sheet, rater, item"),
        (b"\xff\xfe\x00", "no CSV that can be read"),
        ('a,b\n"1,2\n', "no CSV that can be read"),
    ],
)
def test_what_is_no_raters_file_is_not_kept(tmp_path, folder, sheet, text, told):
    file = tmp_path / "strange.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = import_answers(file, folder, replace=False)
    assert not found.kept
    assert told in found.told
    assert folder.answers() == []


def test_two_raters_in_one_file_are_told_apart(save):
    with pytest.raises(AnswerError, match="one rater a file, this one has Ann, Ben"):
        read_answers(save(edit=change("rater", "Ben")))


def test_a_file_of_another_sheet_is_not_kept(save, folder, sheet):
    found = import_answers(save(edit=lambda rows: rows.assign(sheet="abc")), folder, False)
    assert not found.kept
    assert f"of sheet abc, which has no key in {folder.root}: {sheet}" in found.told


def test_an_accepted_file_gives_way_only_to_an_accepted_one_that_is_to_replace_it(save, folder):
    assert import_answers(save(name="one.csv"), folder, False).accepted
    assert import_answers(save(name="one.csv"), folder, False).accepted
    other = save(name="two.csv", care=0.9, seed=7)
    assert "import it with --replace" in import_answers(other, folder, False).told
    poor = save(name="three.csv", edit=lambda rows: rows.iloc[1:])
    assert not import_answers(poor, folder, True).kept
    [stored] = folder.answers()
    assert stored.read_bytes() == (other.parent / "one.csv").read_bytes()
    assert import_answers(other, folder, True).accepted
    assert stored.read_bytes() == other.read_bytes()


def test_a_key_that_is_gone_is_named_with_the_remedy(save, folder, sheet):
    import_answers(save(), folder, False)
    folder.keys[sheet].unlink()
    with pytest.raises(KeyMissingError, match=rf"{sheet}\.csv is not there: put"):
        stored_answers(folder)


def test_a_rejected_file_is_listed_and_gives_way_to_a_better_one(save, folder):
    poor = save(name="poor.csv", edit=lambda rows: rows.iloc[1:])
    assert import_answers(poor, folder, False).kept
    raters = build_raters(stored_answers(folder))
    assert not raters["accepted"].any()
    assert "1 of 64 items are not answered" in raters["reason"].iloc[0]
    assert import_answers(save(name="whole.csv"), folder, False).accepted
    assert build_raters(stored_answers(folder))["accepted"].all()


@pytest.fixture
def ratings(save, folder):
    for number, rater in enumerate(("Ann", "Ben", "Zoë / ☃")):
        file = save(rater, name=f"{number}.csv", care=0.95, seed=number, taste=0.75)
        assert import_answers(file, folder, False).accepted
    return build_ratings(stored_answers(folder), folder)


def test_rows_in_are_rows_out(ratings):
    assert len(ratings) == 3 * 64
    assert ratings["repeat_of"].notna().sum() == 3 * 4
    assert set(ratings["rater"]) == {"Ann", "Ben", "Zoë / ☃"}


def test_agreement_names_every_pair_and_the_model(ratings):
    agreement = build_agreement(ratings, METRICS)
    of_levels = agreement[agreement["subject"] == "informativeness"].set_index("statistic")
    assert of_levels.loc["alpha_ordinal", "value"] > 0.6
    pairs = set(zip(*(of_levels.loc["quadratic_kappa", n] for n in ("first", "second")), strict=1))
    assert ("Ann", "Ben") in pairs
    assert ("all raters", "grade") in pairs
    assert len(pairs) == 3 + 4
    assert (agreement["items"] == 60).all()


def test_agreement_with_the_model_is_low_where_it_grades_something_else(ratings):
    agreement = build_agreement(ratings, METRICS)
    [pooled] = agreement[(agreement["first"] == "all raters") & agreement["second"].notna()][
        "value"
    ]
    assert abs(pooled) < 0.3


def test_preference_adds_up_and_is_what_the_raters_were_given(ratings):
    found = build_preferences(ratings, METRICS)
    counts = found[["for_description", "same", "for_visual"]].sum(axis=1)
    [whole] = counts[(found[["benchmark", "variant", "subset"]] == "all").all(axis=1)]
    assert whole == 180
    for column in ("benchmark", "variant", "subset"):
        assert counts[found[column] != "all"].sum() == 180
    all_of_it = found.iloc[0]
    assert all_of_it["share"] == pytest.approx(0.75, abs=0.1)
    assert all_of_it["ci_low"] < all_of_it["share"] < all_of_it["ci_high"]
    assert all_of_it["gain"] == pytest.approx(2 * (2 * all_of_it["share"] - 1))


def test_without_ratings_the_tables_are_empty(folder):
    nothing = build_ratings([], folder)
    assert nothing.empty
    assert build_agreement(nothing, METRICS).empty
    assert build_preferences(nothing, METRICS).empty


def test_one_rater_agrees_with_the_model_only(save, folder):
    import_answers(save(), folder, False)
    agreement = build_agreement(build_ratings(stored_answers(folder), folder), METRICS)
    assert set(agreement["second"]) == {"grade"}
