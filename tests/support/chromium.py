"""Debian's Chromium, as Playwright starts it here: headless, and quiet on the network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def need_chromium() -> None:
    """Skip where there is no browser, before anything dear is made for it."""
    pytest.importorskip("playwright.sync_api")
    if _CHROMIUM is None:
        pytest.skip("no Chromium is installed: chromium, chromium-browser or google-chrome")


@contextmanager
def headless_chromium() -> Iterator[Browser]:
    """A browser of its own."""
    need_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_CHROMIUM, args=_QUIET)
        yield browser
        browser.close()


def materialize_all(page: Page, url: str, benchmark: str) -> None:
    """Launch job `refresh` for one benchmark from Dagster's UI, as a user clicks through it."""
    page.goto(f"{url}/locations/sound_approach/jobs/refresh")
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Select a partition").click()
    page.get_by_text(benchmark, exact=True).first.click()
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Launch 1 run").click()
    page.get_by_text("Launched run").first.wait_for()
