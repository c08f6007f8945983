"""The page in headless Chromium: each part works by keyboard, at both sizes, and shows hostile names as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.browser import CHROMIUM, SIZES, Page, browser
from tests.web.sites import MARKUP, RING, SORT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
"""Git ignores them."""
LABELLED = """[...document.querySelectorAll('input, textarea, button')]
    .filter((one) => !(one.labels?.length || one.textContent.trim() || one.ariaLabel)).map((one) => one.outerHTML)"""
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def finish(page: Page, name: str, size: str) -> None:
    """Take a screenshot, and prove what holds for each view."""
    page.shoot(SHOTS / f"{name}-{size}.png")
    assert page.run(FITS), "the page scrolls sideways"
    assert page.run(LABELLED) == []
    assert page.complaints == []


def test_an_account_is_looked_up_and_a_repository_picked_by_keyboard(page: Page, address: str, size: str) -> None:
    page.open(address, size)
    page.shoot(SHOTS / f"start-{size}.png")
    page.run("document.querySelector('#query').focus()")
    page.type("OctoCat")
    page.press("Enter")
    page.wait("document.querySelectorAll('.repository').length === 2")
    assert "5 files" in page.run("document.querySelector('#look-up-status').textContent")
    page.run("document.querySelector('.repository summary').click()")
    page.wait("document.querySelectorAll('.repository td.path').length === 3")
    page.run("document.querySelector('.repository input').focus()")
    page.press("Space")
    finish(page, "look-up", size)
    page.run("document.querySelector('.actions button:last-child').click()")
    page.wait("location.hash === '#opt-out'")
    assert page.run("document.querySelector('#repositories').value") == "Octocat/algorithms"
    page.wait("document.activeElement.id === 'opt-out-title'")


def test_what_is_not_released_gives_no_more_than_that(page: Page, address: str, size: str) -> None:
    page.open(f"{address}/?q=nobody", size)
    page.wait("!!document.querySelector('.empty')")
    assert "Not in this release" in page.run("document.querySelector('#look-up-result').textContent")
    finish(page, "nothing", size)


def test_a_request_gets_a_number(page: Page, address: str, size: str) -> None:
    page.open(f"{address}/#opt-out", size)
    finish(page, "opt-out", size)
    page.run("document.querySelector('#opt-out-form').requestSubmit()")
    page.wait("document.querySelector('#opt-out-status').classList.contains('bad')")
    page.run("document.querySelector('#repositories').focus()")
    page.type("octocat/ring\nhttps://github.com/octocat/algorithms")
    page.run("document.querySelector('#opt-out-form').requestSubmit()")
    page.wait("!!document.querySelector('.receipt .number')")
    assert page.run("document.querySelectorAll('.receipt li').length") == 2
    finish(page, "receipt", size)
    number = page.run("document.querySelector('.receipt .number').textContent")
    page.run("document.querySelector('#receipt').focus()")
    page.type(number)
    page.press("Enter")
    page.wait("document.querySelector('#progress-status').textContent.includes('waits for a person')")


def test_pasted_code_is_marked_with_its_sources(page: Page, address: str, size: str) -> None:
    text = f"# caf\u00e9 \U0001f600\n{SORT}\n\nprint(merge_sorted([1], [2]))\n\n{RING}"
    page.open(f"{address}/#source", size)
    page.run("document.querySelector('#code').focus()")
    page.run(f"document.querySelector('#code').value = {json.dumps(text)}")
    page.run("document.querySelector('#source-form').requestSubmit()")
    page.wait("document.querySelectorAll('.match').length === 2")
    marked = page.run("[...document.querySelectorAll('mark')].map((one) => one.textContent).join('\\n')")
    assert "merged.append(source.pop(0))" in marked
    assert "print(" not in marked
    assert page.run("document.querySelector('pre.text').textContent") == text
    finish(page, "source", size)


def test_the_release_shows_funnel_and_card(page: Page, address: str, size: str) -> None:
    page.open(f"{address}/#release", size)
    page.wait("document.querySelectorAll('.step').length === 6 && document.querySelectorAll('#card table').length > 3")
    assert "610" in page.run("document.querySelector('#funnel').textContent")
    finish(page, "release", size)


def test_names_in_the_release_stay_text(page: Page, address: str, size: str) -> None:
    page.open(f"{address}/?q=octocat-labs", size)
    page.wait("!!document.querySelector('.repository summary')")
    page.run("document.querySelector('.repository summary').click()")
    page.wait("!!document.querySelector('.repository td.path')")
    assert page.run("document.querySelector('td.path').textContent") == f"pages/{MARKUP}.js"
    assert page.run("document.title") == "The Sample v1"
    finish(page, "hostile", size)


def test_the_dark_scheme_is_followed(page: Page, address: str) -> None:
    page.open(f"{address}/?q=octocat", "desktop", dark=True)
    page.wait("document.querySelectorAll('.repository').length === 2")
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 22)"
    finish(page, "dark", "desktop")
