"""Report and both listening pages of real runs, in a real browser: heard, searched and read.

Over the sample, and over the kitchen suite where it is at hand.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from support.chromium import headless_chromium, need_chromium
from support.command_line import CommandLineRun
from support.kitchen_project import kitchen_project
from support.openai_server import OpenAIServer, kitchen_answers
from support.real_data import real_data

from resources.settings import PROJECT_ROOT

axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
VIEWS = {"desktop": (1280, 900, "light"), "phone": (390, 844, "dark")}


@pytest.fixture(
    scope="module",
    params=["sample", pytest.param("kitchen", marks=pytest.mark.real_data)],
)
def run(request, tmp_path_factory):
    need_chromium()
    if request.param == "sample":
        yield request.getfixturevalue("finished_run")
        return
    folder = tmp_path_factory.mktemp("kitchen") / "project"
    answers = kitchen_answers(real_data("kitchen_suite", "recorded_answers.jsonl"))
    with OpenAIServer(answers) as server:
        yield CommandLineRun(kitchen_project(folder, server.url), server)


@pytest.fixture(scope="module")
def server(run):
    """`sound-approach listen` on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "listen",
         "--config", str(run.config), "--port", str(port)],
        cwd=PROJECT_ROOT, env=os.environ, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(300):
            time.sleep(0.1)
            try:
                urllib.request.urlopen(url).close()
                break
            except OSError:
                assert process.poll() is None
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def addresses(run, server):
    return {
        "report": run.settings.report_file.as_uri(),
        "disk": run.settings.listening_file.as_uri(),
        "server": server,
    }


@pytest.fixture(scope="module")
def browser():
    with headless_chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser, addresses, request):
    """One of the pages, and what went wrong in it; `request.param` names page and view."""
    name, view = request.param
    width, height, scheme = VIEWS[view]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=name != "server"
    )
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "request",
        lambda sent: (
            sent.url.startswith((addresses[name], "data:", "blob:"))
            or page.problems.append(sent.url)
        ),
    )
    page.goto(addresses[name])
    if name != "report":
        page.locator(".hit").first.wait_for()
    yield page
    assert page.problems == []
    context.close()


def until(page, expression, argument=None):
    """Wait for a script to be true; the page's policy lets Playwright evaluate no string in it."""
    for _ in range(200):
        if page.evaluate(expression, argument):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def on(*names, views=("desktop",)):
    return pytest.mark.parametrize(
        "opened",
        [(name, view) for name in names for view in views],
        indirect=True,
        ids="-".join,
    )


@on("report", "disk", "server", views=("desktop", "phone"))
def test_nothing_serious_is_in_the_way_of_anybody(opened):
    found = axe.Axe().run(opened).response["violations"]
    serious = {
        violation["id"]: [node["html"][:200] for node in violation["nodes"]]
        for violation in found
        if violation["impact"] in ("serious", "critical")
    }
    assert serious == {}
    assert opened.evaluate("document.documentElement.scrollWidth") == opened.viewport_size["width"]


@on("report")
def test_the_reports_charts_are_drawn(opened):
    drawn = opened.locator("figure.chart svg")
    assert drawn.count() >= 10
    heights = drawn.evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
    assert min(heights) > 60
    opened.get_by_role("link", name="Listen", exact=True).click()
    opened.locator(".query").first.wait_for()
    opened.problems.clear()  # the other page is a file beside it


@on("disk", "server", views=("desktop", "phone"))
def test_a_sound_plays_and_its_time_advances(opened):
    button = opened.locator(".hit .play").first
    button.scroll_into_view_if_needed()
    button.click()
    until(opened, "document.getElementById('player').currentTime > 0.1")
    until(opened, "document.getElementById('player').duration > 0.2")
    picture = button.locator("img").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert picture == [192, 56]


@on("disk", "server")
def test_one_sound_at_a_time_and_a_second_press_stops_it(opened):
    first, second = (opened.locator(".hit .play").nth(number) for number in (0, 1))
    first.click()
    until(opened, "!document.getElementById('player').paused")
    second.click()
    until(opened, "document.querySelectorAll('.play[aria-pressed=true]').length === 1")
    assert first.get_attribute("aria-pressed") == "false"
    until(opened, "!document.getElementById('player').paused")
    if second.get_attribute("aria-pressed") == "true":
        second.click()
    until(opened, "document.getElementById('player').paused")


@on("disk", "server")
def test_search_and_level_narrow_the_list(opened):
    status = opened.get_by_role("status")
    before = status.inner_text()
    text = opened.locator(".said").nth(1).inner_text()
    opened.get_by_label("Words in a text").fill(text)
    until(opened, "before => document.querySelector('.status').textContent !== before", before)
    assert all(text.lower() in said.lower() for said in opened.locator(".said").all_inner_texts())
    opened.get_by_label("Words in a text").fill("no text says this")
    opened.get_by_text("No query fits.").wait_for()
    opened.get_by_label("Words in a text").fill("")
    until(opened, "before => document.querySelector('.status').textContent === before", before)
    opened.get_by_label("Level").select_option("high")
    until(opened, "before => document.querySelector('.status').textContent !== before", before)
    assert all("high" in about for about in opened.locator(".about").all_inner_texts())


@on("disk", "server")
def test_gains_and_losses_by_keyboard(opened):
    opened.get_by_role("tab", name="All").focus()
    opened.keyboard.press("ArrowRight")
    for tab, sign in (("Biggest gains", "+"), ("Biggest losses", "−")):
        selected = opened.get_by_role("tab", name=tab)
        assert selected.get_attribute("aria-selected") == "true"
        until(
            opened,
            "sign => document.querySelector('.moved-by')?.textContent.startsWith(sign)",
            sign,
        )
        opened.locator(".hit").first.wait_for()
        opened.keyboard.press("ArrowRight")
    assert opened.get_by_role("tab", name="Disagreements").get_attribute("aria-selected") == "true"


@on("server")
def test_every_way_of_searching_shows_what_was_found(opened):
    tasks = opened.get_by_label("Search")
    for value in tasks.locator("option").evaluate_all("all => all.map(one => one.value)"):
        tasks.select_option(value)
        until(opened, "task => decodeURIComponent(location.hash).includes(task)", value)
        opened.locator(".hit.right").first.wait_for()
        assert opened.locator(".ranking").count() == 2


def test_pages_are_small_enough_to_send(run):
    assert run.settings.listening_file.stat().st_size < 20_000_000
    assert run.settings.report_file.stat().st_size < 3_000_000
