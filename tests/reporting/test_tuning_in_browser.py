"""The report of a search in Chromium: quiet, no wider than the window, and whole without scripts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from browser_pages import Reader, browser, opened
from tuning_folder import Search, write_search

from unifocal.reporting import write_tuning_report

__all__ = ["browser", "opened"]

EVIL = "<img src=x onerror=\"document.title='hit'\">" + "x" * 120


@pytest.fixture(scope="module")
def tuning_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    table = write_search(folder, Search(objectives=("dice", "hd95"), name=EVIL))
    table.assign(reason=table["reason"].str.replace("refused", EVIL)).to_csv(folder / "trials.csv", index=False)
    return write_tuning_report(folder)


@pytest.mark.parametrize("width", [360, 1200])
def test_no_width_makes_the_page_scroll_sideways(opened: Callable[..., Reader], tuning_page: Path, width: int) -> None:
    reader = opened(tuning_page, viewport={"width": width, "height": 800}, color_scheme="dark")
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
    assert reader.page.title() != "hit"
    assert reader.page.locator("#theme").inner_text() == "Light page"
    reader.page.locator("#theme").click()
    assert reader.page.evaluate("document.documentElement.dataset.theme") == "light"


def test_without_scripts_everything_is_there(opened: Callable[..., Reader], tuning_page: Path) -> None:
    reader = opened(tuning_page, java_script_enabled=False)
    for place in ("#result", "#best", "#progress svg", "#settings svg", "#front svg", "#trials", "#method"):
        assert reader.page.locator(place).first.is_visible(), place
    assert not reader.page.locator("#theme").is_visible()
    assert reader.page.locator("#trials tbody tr").count() == 14
