"""The rating sheet as a rater meets it: listen, judge, close, come back, save; then import."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import soundfile
from support.chromium import headless_chromium
from support.raters import rated_warehouse

from assets.reports.ratings.answers import COLUMNS
from assets.reports.ratings.drawing import draw_items
from assets.reports.ratings.importing import import_answers
from assets.reports.ratings.sheet import write_sheet
from assets.reports.ratings.storage import RatingsFolder
from assets.reports.ratings.tables import build_ratings, stored_answers
from assets.reports.report import write_report
from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT
from resources.tables import LEVELS

pytestmark = [pytest.mark.browser, pytest.mark.slow]
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
CLIPS = 6
HOSTILE = 'Wash <b>the</b> pan & "lid" </script>'


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    """A sheet of short sounds, one of its texts with markup in it."""
    root = tmp_path_factory.mktemp("sheet")
    rng = np.random.default_rng(0)
    soundfile.write(root / "sounds.wav", rng.normal(0, 0.05, 24_000 * CLIPS), 24_000)
    candidates = pd.DataFrame(
        {
            "benchmark": "epic_mir",
            "clip_id": [f"clip{place}" for place in range(CLIPS)],
            "path": str(root / "sounds.wav"),
            "start_s": [float(place) for place in range(CLIPS)],
            "stop_s": [place + 0.4 for place in range(CLIPS)],
            "text_id": [f"text{place}" for place in range(CLIPS)],
            "text": [HOSTILE, *(f"cut thing {place}" for place in range(1, CLIPS))],
            "variant": "plain",
            "description": [f"A knife taps on wood {place}" for place in range(CLIPS)],
            "grader": "grade",
            "level": [LEVELS[place % 3] for place in range(CLIPS)],
        }
    )
    return write_sheet(draw_items(candidates, CLIPS, seed=0), RatingsFolder(root / "ratings"))


@pytest.fixture(scope="module")
def browser():
    with headless_chromium() as browser:
        yield browser


@pytest.fixture(params=[(1280, "light"), (390, "dark")])
def context(browser, request):
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True
    )
    yield context
    context.close()


@pytest.fixture
def problems():
    return []


@pytest.fixture
def open_page(context, sheet, problems):
    def open_page():
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda sent: (
                sent.url.startswith(("file:", "data:", "blob:")) or problems.append(sent.url)
            ),
        )
        page.goto(sheet.page.as_uri())
        return page

    return open_page


def until(page, expression):
    """Wait for the page's state: its security policy stops what Playwright itself waits with."""
    for _ in range(300):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)


def listen(page):
    """Play the sound; the questions open when it has been heard to its end."""
    page.locator("#play").click()
    until(page, "document.getElementById('sound').currentTime > 0")
    page.locator("#questions:not([disabled])").wait_for()


def answer(page):
    """Judge by the texts, as a careful rater does by the sound: the description tells better."""
    texts = {side: page.locator(f"#text-{side}").inner_text() for side in "ab"}
    better = "a" if "knife" in texts["a"] else "b"
    for side in "ab":
        page.locator(f"input[name={side}][value='{5 if side == better else 2}']").check(force=True)
    page.locator(f"input[name=preference][value={better}]").check(force=True)
    level = LEVELS[len(texts[better]) % 2 + 1 if "1" in texts[better] else 0]
    page.locator(f"input[name=informativeness][value={level}]").check(force=True)
    return texts


def test_listen_judge_come_back_save_and_import(open_page, sheet, problems, tmp_path):
    page = open_page()
    page.locator("#rater").fill("Zoë")
    seen = set()
    for _ in range(3):
        assert not page.locator("#questions").is_visible()
        listen(page)
        seen |= set(answer(page).values())
        page.locator("#next").click()
    page.close()

    page = open_page()
    assert page.locator("#rater").input_value() == "Zoë"
    assert page.locator("#place").inner_text() == f"Sound 4 of {sheet.items}"
    assert f"3 of {sheet.items} sounds are answered" in page.locator("#state").inner_text()
    for _ in range(sheet.items - 3):
        listen(page)
        seen |= set(answer(page).values())
        page.locator("#next").click()
    assert HOSTILE in seen
    assert "save the file and hand it in" in page.locator("#state").inner_text()

    with page.expect_download() as download:
        page.locator("#save").click()
    assert download.value.suggested_filename == f"ratings-{sheet.name}-Zoë.csv"
    download.value.save_as(tmp_path / "zoe.csv")
    assert problems == []

    folder = RatingsFolder(sheet.page.parent)
    imported = import_answers(tmp_path / "zoe.csv", folder, replace=False)
    assert imported.accepted, imported.told
    ratings = build_ratings(stored_answers(folder), folder)
    assert len(ratings) == sheet.items
    assert set(ratings["preference"]) == {"description"}
    assert set(ratings["description_rating"]) == {5}
    assert set(ratings["visual_rating"]) == {2}
    for file in folder.answers():
        file.unlink()


def test_what_plays_is_the_clip(open_page, sheet):
    page = open_page()
    sound = page.evaluate(
        "fetch(document.getElementById('sound').src).then(r => r.text()).catch(() => 'refused')"
    )
    assert sound == "refused"  # the page may fetch nothing, not even from itself
    page.locator("#play").click()
    until(page, "document.getElementById('sound').ended")
    assert 0.35 <= page.evaluate("document.getElementById('sound').duration") <= 0.6


def test_all_by_keyboard(open_page):
    page = open_page()
    page.locator("#rater").focus()
    page.keyboard.type("Ann")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.locator("#questions:not([disabled])").wait_for()
    for steps in (3, 1, 1, 2):
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        for _ in range(steps):
            page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("#place").inner_text().startswith("Sound 2")
    kept = page.evaluate("JSON.parse(Object.values(localStorage)[0])")
    [answers] = [found for found in kept["answers"].values() if found.get("a")]
    chosen = {name: answers[name] for name in ("a", "b", "preference", "informativeness")}
    assert chosen == {"a": "4", "b": "2", "preference": "same", "informativeness": "high"}
    assert page.evaluate("document.activeElement.id") == "play"


def test_an_unfinished_sound_and_a_missing_name_are_told(open_page):
    page = open_page()
    listen(page)
    page.locator("#next").click()
    assert page.locator("#missing").is_visible()
    assert page.locator("#place").inner_text().startswith("Sound 1")
    page.locator("#save").click()
    assert page.evaluate("document.activeElement.id") == "rater"
    assert "initials or a name first" in page.locator("#state").inner_text()


def test_a_partial_file_holds_what_is_answered(open_page):
    page = open_page()
    page.locator("#rater").fill('A "quoted", name')
    listen(page)
    answer(page)
    with page.expect_download() as download:
        page.locator("#save").click()
    rows = pd.read_csv(io.BytesIO(download.value.path().read_bytes()), dtype=str)
    assert list(rows.columns) == list(COLUMNS)
    assert list(rows["rater"]) == ['A "quoted", name']


@pytest.mark.parametrize("heard", [False, True])
def test_axe_finds_nothing_serious_and_nothing_sticks_out(open_page, heard):
    page = open_page()
    if heard:
        listen(page)
        answer(page)
    found = axe.Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == page.viewport_size["width"]


@pytest.fixture(scope="module")
def rated_report(tmp_path_factory):
    root = tmp_path_factory.mktemp("rated")
    settings = load_settings(PROJECT_ROOT / "configs" / "sample.yaml")
    write_report(rated_warehouse(root), settings, root / "report.html")
    return root / "report.html"


def test_the_report_with_ratings_is_accessible_and_fits(context, rated_report):
    page = context.new_page()
    page.goto(rated_report.as_uri())
    section = page.locator("#ratings")
    section.locator("summary").click()
    assert section.locator("table").count() == 4
    found = axe.Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == page.viewport_size["width"]
