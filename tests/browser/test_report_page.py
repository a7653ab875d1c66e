"""The report in a real browser: no errors, no network, nothing cut off on a phone."""

from __future__ import annotations

import itertools

import pytest
from support.chromium import headless_chromium
from support.lake_fixture import build_lake

from assets.reports.report import write_report
from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT
from resources.warehouse import publish

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CONTRAST = """
() => {
  const luminance = colour => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(value => value / 255)
      .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/rgba\\(.*, 0\\)/.test(colour) && colour !== 'transparent') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const poor = new Set();
  for (const element of document.querySelectorAll('main *, header *, nav *, footer *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || element.closest('svg') || !element.getClientRects().length) continue;
    const [one, other] = [luminance(getComputedStyle(element).color), luminance(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) poor.add(`${element.tagName}.${element.className}: ${ratio.toFixed(2)}`);
  }
  return [...poor];
}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    publish(build_lake(folder / "lake"), PROJECT_ROOT / "dbt_like_sql", folder / "file.duckdb")
    settings = load_settings(PROJECT_ROOT / "configs" / "sample.yaml")
    write_report(folder / "file.duckdb", settings, folder / "report" / "index.html")
    return (folder / "report" / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    with headless_chromium() as browser:
        yield browser


@pytest.fixture(params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def opened(browser, report, request):
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith("file:") or page.problems.append(sent.url))
    page.goto(report)
    yield page
    context.close()


def test_it_opens_from_disk_without_complaint(opened):
    assert opened.problems == []
    assert opened.locator("#tables table").count() == 5


def test_nothing_sticks_out_of_the_page(opened):
    assert opened.evaluate("document.documentElement.scrollWidth") == opened.viewport_size["width"]


def test_charts_are_drawn_and_described(opened):
    pictures = opened.locator("[role=img]")
    assert pictures.count() > 30
    for index in range(0, pictures.count(), 7):
        box = pictures.nth(index).bounding_box()
        assert box["height"] > 60
        assert pictures.nth(index).get_attribute("aria-label")
    fills = opened.evaluate(
        "[...document.querySelectorAll('.chart svg path')].map(e => getComputedStyle(e).fill)"
    )
    assert len({fill for fill in fills if fill != "none"}) >= 3


def test_data_is_a_click_away(opened):
    details = opened.locator("#figure-gain details")
    assert not details.locator("table").is_visible()
    details.locator("summary").click()
    assert details.locator("table").is_visible()


def test_text_stands_out_from_its_ground(opened):
    assert opened.evaluate(CONTRAST) == []


def test_headings_descend_one_step_at_a_time(opened):
    levels = opened.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
