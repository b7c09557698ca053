"""The page as readers use it in Chromium: definitions, themes, widths, keyboard alone, without scripts, on paper."""

import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from browser_pages import (
    EVIL,
    NAMES,
    Reader,
    Written,
    WrittenVolumes,
    browser,
    dice_table,
    flat_page,
    opened,
    seeds_page,
    small_page,
    volume_page,
)

from unifocal.reporting.page import SCRIPTS

__all__ = ["browser", "flat_page", "opened", "seeds_page", "small_page", "volume_page"]


@pytest.mark.parametrize("place", ["#metrics a.metric", "#ranking a.metric", "#viewer-scores a.metric"])
def test_a_metrics_name_opens_its_definition(opened: Callable[..., Reader], flat_page: Written, place: str) -> None:
    reader = opened(flat_page.page)
    dialog = reader.page.locator("#definition")
    assert not dialog.is_visible()
    reader.page.locator(place).first.focus()
    reader.page.keyboard.press("Enter")
    assert dialog.is_visible()
    for words in ("Dice", "2TP", "0 to 1", "neither mask holds the label: undefined", "higher"):
        assert words in dialog.inner_text()
    reader.page.keyboard.press("Escape")
    assert not dialog.is_visible()
    reader.page.locator(place).first.click()
    reader.page.click("#definition-close")
    assert not dialog.is_visible()


def _contrast(colours: list[str]) -> float:
    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted(map(luminance, colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


COLOURS_OF = """(names) => names.map((name) => {
    const probe = document.createElement('span');
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
})"""


CONTRASTS = (
    *((ink, ground) for ink in ("ink", "muted", "accent") for ground in ("paper", "ground")),
    ("warn", "paper"),
    ("warn", "warn-ground"),
)


def test_both_themes_are_readable_and_can_be_chosen(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader = opened(flat_page.page, color_scheme="dark")
    grounds = []
    for words in ("Light page", "Dark page"):
        button = reader.page.locator("#theme")
        assert button.inner_text() == words
        for inks, ground in CONTRASTS:
            assert _contrast(reader.page.evaluate(COLOURS_OF, [inks, ground])) >= 4.5, (words, inks, ground)
        grounds.append(reader.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        button.click()
    assert grounds[0] != grounds[1]
    assert _contrast([grounds[0], "rgb(0,0,0)"]) < 2
    assert reader.page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_no_width_makes_the_page_scroll_sideways(
    opened: Callable[..., Reader], flat_page: Written, volume_page: WrittenVolumes, width: int
) -> None:
    for path in (flat_page.page, volume_page.page):
        reader = opened(path, viewport={"width": width, "height": 800})
        for block in reader.page.locator("details > summary").all():
            block.evaluate("(summary) => { summary.parentElement.open = true; }")
        reader.settle()
        assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
        if width == 360:
            assert reader.page.locator("#stage canvas").count() == 1


def test_hostile_names_are_words(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader = opened(flat_page.page)
    for name in NAMES:
        reader.page.fill("#case-text", name)
        reader.page.locator(".case-open").first.click()
        assert reader.page.locator("#viewer-title").inner_text() == name
    assert reader.page.title() != "hit"
    assert reader.page.locator("img[src=x], body b b, script:not([type]) ~ script:not([type])").count() == 0
    assert EVIL in reader.page.locator("#loss-select option").all_inner_texts()
    policy = reader.page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy


NAMELESS = """() => {
    const named = 'button, input, select, a, summary, [role=region], [role=group], [role=img], dialog, fieldset, img';
    return [...document.querySelectorAll(named)].filter((element) => {
        const attributes = ['aria-label', 'alt'].map((name) => element.getAttribute(name));
        const labels = [...(element.labels ?? [])].map((label) => label.innerText);
        const by = document.getElementById(element.getAttribute('aria-labelledby') ?? '')?.innerText;
        const legend = element.querySelector(':scope > legend')?.textContent;
        const own = element.matches('button, a, summary') ? element.textContent : '';
        return ![...attributes, ...labels, by, legend, own].join('').trim();
    }).map((element) => element.outerHTML.slice(0, 120));
}"""


def test_everything_that_can_be_used_has_a_name(opened: Callable[..., Reader], volume_page: WrittenVolumes) -> None:
    reader = opened(volume_page.page)
    nameless = reader.page.evaluate(NAMELESS)
    assert nameless == []


def test_the_keyboard_alone_reaches_every_part(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader = opened(flat_page.page)
    reader.page.locator("#case-metric").focus()
    met: list[str] = []
    for _ in range(80):
        reader.page.keyboard.press("Tab")
        met.append(reader.page.evaluate("document.activeElement.id || document.activeElement.className"))
    wanted = ["case-text", "case-rule", "metric", "case-open", "case-next", "stage", "layout-all", "loss-previous"]
    wanted += [
        "loss-select",
        "layer-falsePositives",
        "opacity",
        "level",
        "width",
        "window-reset",
        "zoom-lesion",
        "smooth",
    ]
    assert [name for name in wanted if name not in met] == []
    places = [met.index(name) for name in wanted if name != "metric"]
    assert places == sorted(places)
    shadow = reader.page.evaluate("""() => {
        document.getElementById('case-next').focus({focusVisible: true});
        return getComputedStyle(document.activeElement).outlineStyle;
    }""")
    assert shadow == "solid"


def test_without_scripts_the_page_still_tells_all(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader = opened(flat_page.page, java_script_enabled=False)
    worst = dice_table(flat_page).mean(axis=1).sort_values().index[0]
    assert worst in reader.page.locator("noscript tbody tr").first.inner_text()
    assert reader.page.locator("#examples img").first.is_visible()
    assert not reader.page.locator("#case-browser").is_visible()
    assert not reader.page.locator("#theme").is_visible()
    entry = reader.page.locator("#metric-dice")
    assert not entry.is_visible()
    reader.page.locator("#metrics a.metric").first.click()
    assert entry.is_visible()


def test_a_case_without_pictures_says_where_to_look(
    opened: Callable[..., Reader], flat_page: Written, small_page: Path
) -> None:
    reader = opened(small_page)
    reader.page.locator(".case-open").last.click()
    reader.settle()
    best = dice_table(flat_page).mean(axis=1).sort_values().index[-1]
    words = reader.page.inner_text("#stage")
    assert "Not embedded" in words
    assert f"data/images/{best}.png" in words
    assert reader.page.locator("#viewer-scores tbody tr").count() > 5
    reader.page.locator(".case-open").first.click()
    reader.settle()
    assert reader.page.locator("#stage canvas").count() == 5


def test_paper_shows_what_a_click_would(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader = opened(flat_page.page)
    reader.page.emulate_media(media="print")
    reader.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert reader.page.locator("#metric-dice").is_visible()
    assert not reader.page.locator("#case-browser").is_visible()
    assert not reader.page.locator("nav").is_visible()
    assert reader.page.locator("#examples img").first.is_visible()
    reader.page.evaluate("dispatchEvent(new Event('afterprint'))")
    reader.page.emulate_media(media="screen")
    assert not reader.page.locator("#metric-dice").is_visible()


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_sound_by_themselves(script: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine to check the scripts with")
    path = files("unifocal.reporting").joinpath("templates", script)
    outcome = subprocess.run([node, "--check", str(path)], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    text = path.read_text(encoding="utf-8")
    assert '"use strict";' in text
    assert "</script" not in text
    assert "innerHTML" not in text
