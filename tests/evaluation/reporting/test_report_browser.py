"""The page of a report in a browser: table, links, viewer of slices, without requests and without errors."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from box_study import CASES, SLICES, write_box_report, write_study
from numpy.typing import NDArray
from PIL import Image

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boxes")
    return write_box_report(write_study(folder), folder / "out")


@pytest.fixture
def opened(browser: Any, page_file: Path) -> Iterator[Callable[..., Any]]:
    """Function that opens the page; at the end, it has made no request and printed nothing in the console."""
    found, contexts = [], []

    def opened_page(**options: Any) -> Any:
        context = browser.new_context(viewport={"width": 1400, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: found.append(request.url))
        page.on("console", lambda message: found.append(message.text))
        page.on("pageerror", lambda error: found.append(str(error)))
        page.goto(page_file.as_uri())
        return page

    yield opened_page
    for context in contexts:
        context.close()
    assert [text for text in found if text.partition("#")[0] != page_file.as_uri() and text[:5] != "data:"] == []


def cases_shown(page: Any) -> list[str]:
    return [row.inner_text() for row in page.locator(".cases tbody tr:not([hidden]) th").all()]


def in_viewer(page: Any, text: str) -> None:
    """Wait until the line below the slices has this text."""
    from playwright.sync_api import expect

    page.locator("#slices").scroll_into_view_if_needed()
    expect(page.locator("#viewer output")).to_contain_text(re.compile(text), timeout=60_000)


def pixels(page: Any) -> NDArray[np.uint8]:
    """The colours of the viewer, (row, column, RGB), after it has been drawn."""
    page.wait_for_timeout(300)
    return np.asarray(Image.open(io.BytesIO(page.locator("#viewer canvas").screenshot())).convert("RGB"))


def test_a_click_on_a_heading_sorts_the_cases(opened: Callable[..., Any]) -> None:
    page = opened()
    heading = page.locator(".cases thead tr:nth-child(2) th", has_text="DSS").first
    assert cases_shown(page) == ["c0", "c1", "c2", "c3", "c4", "c5"]
    heading.locator("button").click()
    assert cases_shown(page) == ["c5", "c4", "c3", "c2", "c1", "c0"]  # the more columns, the lower the DSS
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").press("Enter")
    assert cases_shown(page) == ["c0", "c1", "c2", "c3", "c4", "c5"]
    assert heading.get_attribute("aria-sort") == "descending"


def test_words_and_lists_filter_the_cases(opened: Callable[..., Any]) -> None:
    page = opened()
    page.locator(".filters select[aria-label=Condition]").select_option(label="cld")
    assert cases_shown(page) == ["c1", "c3", "c5"]
    page.get_by_label("Filter").fill("C3")
    assert cases_shown(page) == ["c3"]
    assert page.locator(".cases output").inner_text() == f"1 of {CASES} cases"
    page.locator(".filters select[aria-label=Condition]").select_option(label="all")
    page.get_by_label("Filter").fill("absent")
    assert cases_shown(page) == ["c2"]  # the status of its spleen


def test_a_point_of_a_figure_opens_its_case(opened: Callable[..., Any]) -> None:
    page = opened()
    in_viewer(page, "c2: slice")
    page.get_by_label("Filter").fill("c0")
    # c5 has the smallest predicted liver, so its percent difference is the lowest point: the largest y.
    points = page.locator("#bland_altman_liver a")
    heights = [float(points.nth(number).locator("use").get_attribute("y")) for number in range(points.count())]
    assert len(heights) == CASES
    lowest = points.nth(int(np.argmax(heights)))
    assert lowest.locator("title").text_content() == "c5"
    lowest.click()
    page.locator(".cases tr:target").wait_for()  # until the filter no longer hides the row
    assert page.locator(".cases tr:target th").inner_text() == "c5"
    assert len(cases_shown(page)) == CASES
    in_viewer(page, "c5: slice")


def test_the_arrow_keys_move_between_the_points(opened: Callable[..., Any]) -> None:
    page = opened()
    points = page.locator("#bland_altman_liver a")
    points.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.url.partition("#")[2] == str(points.nth(1).get_attribute("href")).lstrip("#")
    assert page.locator("#bland_altman_liver a[tabindex='0']").count() == 1


def test_the_viewer_scrolls_slices_by_key_wheel_and_slider(opened: Callable[..., Any]) -> None:
    page = opened()
    in_viewer(page, f"c2: slice 2 of {SLICES}")  # the first of the equal slices with liver and spleen
    canvas = page.locator("#viewer canvas")
    canvas.focus()
    page.keyboard.press("ArrowUp")
    in_viewer(page, f"slice 3 of {SLICES}")
    page.keyboard.press("PageDown")
    in_viewer(page, f"slice 1 of {SLICES}")
    without_organs = pixels(page)
    page.get_by_label("Slice", exact=True).fill("4")
    in_viewer(page, f"slice 4 of {SLICES}")
    assert (pixels(page) != without_organs).any()
    canvas.hover()
    page.mouse.wheel(0, 100)
    in_viewer(page, f"slice [35] of {SLICES}")
    page.get_by_label("Plane", exact=True).select_option("sagittal")
    in_viewer(page, r"slice \d+ of 32")


def test_the_viewer_shows_reference_prediction_and_errors_in_their_places(opened: Callable[..., Any]) -> None:
    page = opened()
    in_viewer(page, "c2: slice")
    page.get_by_label("Opacity").fill("1")
    colours = {}
    page.locator("#viewer canvas").focus()
    for key in "1234":
        page.keyboard.press(key)
        colours[key] = pixels(page).astype(int)
    height, width, _ = colours["1"].shape
    size = height / 32  # the slice is square and as high as the canvas

    def at(key: str, row: float, column: float) -> list[int]:
        """The colour in the middle of a pixel of the slice."""
        found = colours[key][int((row + 0.5) * size), int(width / 2 + (column + 0.5 - 16) * size)]
        return [int(value) for value in found]

    orange, green, blue = [230, 159, 0], [0, 158, 115], [32, 96, 255]
    grey = at("1", 12, 8)
    assert max(grey) - min(grey) <= 2
    assert np.allclose(at("2", 12, 8), orange, atol=12)  # liver: left of the image, as columns 4 to 15
    assert np.allclose(at("2", 20, 22), green, atol=12)  # spleen: right and posterior
    assert np.allclose(at("3", 12, 8), orange, atol=12)
    assert np.allclose(at("3", 20, 22), at("1", 20, 22), atol=3)  # no spleen is predicted
    assert np.allclose(at("4", 20, 22), blue, atol=12)  # false negative
    assert np.allclose(at("4", 12, 4), blue, atol=12)  # the first two columns of the liver
    assert np.allclose(at("4", 12, 8), grey, atol=3)


def test_the_page_is_readable_at_420_pixels(browser: Any, opened: Callable[..., Any]) -> None:
    page = opened()
    page.set_viewport_size({"width": 420, "height": 900})
    in_viewer(page, "c2: slice")
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert page.locator("#viewer canvas").bounding_box()["width"] > 300


def test_the_page_is_complete_without_javascript(opened: Callable[..., Any]) -> None:
    page = opened(java_script_enabled=False)
    assert len(cases_shown(page)) == CASES
    assert page.locator("button").count() == 0
    assert page.locator("#slices").locator("..").inner_text().count("The viewer needs JavaScript") == 1
    page.locator("#bland_altman_liver a").first.click()
    assert "#case-" in page.url
