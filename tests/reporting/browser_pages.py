"""A browser for the tests of the page, and pages to open in it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from evaluation_study import Evaluation, write_evaluation
from many_cases import write_many_cases
from playwright.sync_api import Browser, Error, Page, sync_playwright
from synthetic_study import Recipe, Study, write_study
from turned_volumes import Turned, write_turned

from unifocal.reporting.drawings import case_panels
from unifocal.reporting.page import render
from unifocal.reporting.study import read_study
from unifocal.statistics import Analysis, analyse

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
EVIL = "<img src=x onerror=\"document.title='hit'\">"
CLASS = "</script><b>b</b>"
NAMES = (
    "plain",
    EVIL,
    "<script>document.title='hit'<script>",
    "Zoë \N{SNOWMAN} 'quoted' & \"more\"",
    "x" * 180,
)


@dataclass(frozen=True)
class Written:
    """A page and the study that it shows."""

    page: Path
    study: Study


@dataclass(frozen=True)
class WrittenVolumes:
    """A page and the evaluation that it shows."""

    page: Path
    evaluation: Evaluation


@dataclass(frozen=True)
class WrittenTurned:
    """A page and the volumes that it shows."""

    page: Path
    turned: Turned


@dataclass(frozen=True)
class WrittenSeeds:
    """A page and the scores that it shows."""

    page: Path
    scores: pd.DataFrame


def _write(folder: Path, analysis: Analysis, **options: Any) -> Path:
    """The page without its figures, which take most of the time."""
    view = read_study(folder)
    path = folder / "report.html"
    path.write_text(render(view, analysis, {}, case_panels(view, analysis), **options), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def flat_page(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """2D images with hostile names, three losses."""
    recipe = Recipe(patients=6, side=48, names=NAMES, losses=("bce", "focal", EVIL), classes=("a", CLASS), folds=2)
    study = write_study(tmp_path_factory.mktemp("flat"), recipe)
    return Written(_write(study.folder, study.analysis), study)


@pytest.fixture(scope="session")
def small_page(flat_page: Written, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study in a page with room for few pictures."""
    view = read_study(flat_page.study.folder)
    whole = len(flat_page.page.read_text(encoding="utf-8"))
    pictures = sum(
        len(line)
        for line in flat_page.page.read_text(encoding="utf-8").splitlines()
        if 'id="case-' in line and "case-index" not in line and "application/json" in line
    )
    path = tmp_path_factory.mktemp("small") / "report.html"
    shown = case_panels(view, flat_page.study.analysis)
    path.write_text(
        render(view, flat_page.study.analysis, {}, shown, limit=whole - pictures // 2 + 4_000), encoding="utf-8"
    )
    return path


@pytest.fixture(scope="session")
def volume_page(tmp_path_factory: pytest.TempPathFactory) -> WrittenVolumes:
    """Volumes, two methods, two labels."""
    evaluation = write_evaluation(tmp_path_factory.mktemp("volumes"), patients=4)
    return WrittenVolumes(_write(evaluation.folder, evaluation.analysis), evaluation)


@pytest.fixture(scope="session")
def planes_page(tmp_path_factory: pytest.TempPathFactory) -> WrittenTurned:
    """Two equal volumes without symmetry, stored towards the patient's left, back and head."""
    turned = write_turned(tmp_path_factory.mktemp("planes"), "LPS", cases=2)
    return WrittenTurned(_write(turned.folder, turned.analysis), turned)


@pytest.fixture(scope="session")
def seeds_page(tmp_path_factory: pytest.TempPathFactory) -> WrittenSeeds:
    """Three cases, two losses, two seeds."""
    folder = tmp_path_factory.mktemp("seeds")
    scores = write_many_cases(folder, 3, 64, losses=("a", "b"), seeds=(5, 1))
    return WrittenSeeds(_write(folder, analyse(scores, resamples=50)), scores)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the machine has it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine (looked for chromium, chromium-browser, google-chrome)")
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        except Error as error:
            pytest.skip(f"{path} does not start: {error.message.splitlines()[0]}")
        yield opened
        opened.close()


class Reader:
    """A page in the browser that may say nothing on the console and ask for nothing but itself."""

    def __init__(self, browser: Browser, path: Path, **options: Any) -> None:
        context = browser.new_context(viewport=options.pop("viewport", {"width": 1400, "height": 1000}), **options)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(5_000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            self.settle()

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60)))")

    def finish(self, path: Path) -> None:
        """Nothing on the console, nothing asked for but the file and what is embedded."""
        assert self.said == []
        assert {url for url in self.asked if not url.startswith("data:")} <= {path.as_uri()}
        self.page.context.close()

    def column(self, position: int) -> list[str]:
        """The words in a column of the table of cases."""
        script = "(n) => [...document.querySelectorAll('#case-table tbody tr')].map((row) => row.cells[n].innerText)"
        return list(self.page.evaluate(script, position))

    def click(self, selector: str) -> None:
        """Click and wait for the drawing."""
        self.page.click(selector)
        self.settle()

    def set_range(self, selector: str, value: float) -> None:
        """Move a slider."""
        script = "(e, value) => { e.value = value; e.dispatchEvent(new Event('input', {bubbles: true})); }"
        self.page.locator(selector).evaluate(script, value)
        self.settle()

    def pixel(self, what: str | int, row: float, column: float, plane: int | None = None) -> tuple[int, int, int]:
        """The colour of the middle of a pixel of the masks, on the canvas of a loss, in the view of the whole image."""
        script = """([what, row, column, plane]) => {
            const wanted = plane === null ? "" : `[data-plane="${plane}"]`;
            const canvas = document.querySelector(`#stage canvas[data-what="${what}"]${wanted}`);
            const [rows, columns] = window.viewerSize;
            const [x, y] = [((column + 0.5) / columns) * canvas.width, ((row + 0.5) / rows) * canvas.height];
            const probe = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            probe.drawImage(canvas, -Math.floor(x), -Math.floor(y));
            return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
        }"""
        red, green, blue = self.page.evaluate(script, [str(what), float(row), float(column), plane])
        return red, green, blue

    def know_size(self, rows: int, columns: int) -> None:
        """How many pixels the masks have."""
        self.page.evaluate("(size) => { window.viewerSize = size; }", [rows, columns])


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Reader]]:
    """Open a page; at the end of the test it must have kept quiet."""
    readers: list[tuple[Reader, Path]] = []

    def open_page(path: Path, **options: object) -> Reader:
        readers.append((Reader(browser, path, **options), path))
        return readers[-1][0]

    yield open_page
    for reader, path in readers:
        reader.finish(path)


def dice_table(written: Written) -> pd.DataFrame:
    """The Dice of every case under every loss."""
    scores = written.study.scores()
    return scores[scores["metric"] == "dice"].pivot_table(index="case", columns="loss", values="value")
