"""Ratings as the report shows them: the published figures, and nobody's name as markup."""

import html
import re

import pytest
from support.lake_fixture import build_lake
from support.raters import rated_warehouse

from assets.reports.report import render
from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT
from resources.warehouse import publish, query

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return rated_warehouse(tmp_path_factory.mktemp("rated"), hostile=HOSTILE)


@pytest.fixture(scope="module")
def section(published):
    page = render(published, load_settings(PROJECT_ROOT / "configs" / "sample.yaml"))
    return re.search(r'<section id="ratings">.*?</section>', page, re.DOTALL)[0]


def words(section):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", section)))


def test_the_preference_is_the_published_one(section, published):
    [row] = query(
        published,
        "FROM rating_preferences WHERE benchmark = 'all' AND variant = 'all' AND subset = 'all'",
    ).to_dict("records")
    assert f"{100 * row['share']:.0f} %" in words(section)
    assert f"{100 * row['ci_low']:.0f} to {100 * row['ci_high']:.0f}" in words(section)
    assert "Descriptions tell better what is heard." in words(section)


def test_agreement_is_told_and_rater_by_rater_a_click_away(section):
    assert "informativeness quadratic_kappa grade" in words(section)
    details = re.search(r"<details>.*?</details>", section, re.DOTALL)[0]
    assert "Ann" in words(details)
    assert "Ann" not in words(section.replace(details, ""))


def test_a_rejected_file_is_told_with_its_reason_and_not_as_markup(section):
    assert HOSTILE not in section
    assert f"{HOSTILE}, sheet" in words(section)
    assert "1 of 64 items are not answered" in words(section)


def test_levels_of_people_and_model_add_up(published):
    rows = query(
        published,
        "SELECT model_level, sum(judgements) AS n, sum(share) AS share "
        "FROM human_informativeness GROUP BY model_level",
    )
    assert rows["n"].sum() == 2 * 60
    assert list(rows["share"].round(6)) == [100] * len(rows)


def test_without_ratings_the_report_says_how_to_get_some(tmp_path):
    publish(build_lake(tmp_path / "lake"), PROJECT_ROOT / "dbt_like_sql", tmp_path / "file.duckdb")
    page = render(tmp_path / "file.duckdb", load_settings(PROJECT_ROOT / "configs/sample.yaml"))
    assert "Nobody's ratings count yet" in html.unescape(page)
