"""Cases as readers look at them in Chromium: sorted, filtered, opened, stepped through, painted."""

from collections.abc import Callable

import numpy as np
import pytest
from browser_pages import (
    CLASS,
    EVIL,
    NAMES,
    Reader,
    Written,
    WrittenSeeds,
    WrittenVolumes,
    browser,
    dice_table,
    flat_page,
    opened,
    seeds_page,
    small_page,
    volume_page,
)
from evaluation_study import METHODS, SHAPE
from PIL import Image

__all__ = ["browser", "flat_page", "opened", "seeds_page", "small_page", "volume_page"]

MAGENTA, GREEN, WHITE = (255, 0, 200), (0, 215, 80), (255, 255, 255)
CASE, FIRST_LOSS = 0, 4


def test_cases_are_listed_worst_first_and_sort_by_any_column(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader, dice = opened(flat_page.page), dice_table(flat_page)
    worst_first = list(dice.mean(axis=1).sort_values().index)
    assert reader.column(CASE) == worst_first
    headings = reader.page.locator("#case-table thead button").all_inner_texts()
    assert [text.replace("▲", "").strip() for text in headings[FIRST_LOSS:]] == ["bce", "focal", EVIL, "Mean", "Range"]
    reader.page.locator("#case-table thead button").nth(FIRST_LOSS + 1).click()
    shown = [float(text) for text in reader.column(FIRST_LOSS + 1)]
    assert shown == sorted(shown) == pytest.approx(sorted(dice["focal"]), abs=0.00051)
    reader.page.locator("#case-table thead button").nth(FIRST_LOSS + 1).click()
    assert [float(text) for text in reader.column(FIRST_LOSS + 1)] == shown[::-1]
    assert reader.page.locator("#case-table th[aria-sort=descending]").count() == 1
    reader.page.locator("#case-table thead button").last.click()
    ranges = (dice.max(axis=1) - dice.min(axis=1)).sort_values(ascending=False)
    assert reader.column(CASE)[0] == ranges.index[0]
    reader.page.locator("#case-table thead button").first.click()
    assert sorted(reader.column(CASE)) == sorted(dice.index)


def test_cases_are_filtered_by_words_groups_and_values(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader, dice = opened(flat_page.page), dice_table(flat_page)
    reader.page.fill("#case-text", "snow")
    assert reader.column(CASE) == []
    reader.page.fill("#case-text", "\N{SNOWMAN}")
    assert reader.column(CASE) == [NAMES[3]]
    assert reader.page.inner_text("#case-count") == "1 of 12 cases"
    reader.page.fill("#case-text", "p002")
    assert set(reader.column(1)) == {"P002"}
    reader.page.fill("#case-text", "")
    reader.page.locator("#case-tools select").nth(1).select_option(CLASS)
    assert set(reader.column(2)) == {CLASS}
    reader.page.locator("#case-tools select").nth(1).select_option("")
    reader.page.select_option("#case-rule", "below")
    limit = round(float(dice.min(axis=1).median()), 3) + 0.0005
    reader.page.fill("#case-limit", str(limit))
    assert set(reader.column(CASE)) == set(dice.index[dice.min(axis=1) < limit])
    reader.page.select_option("#case-rule", "undefined")
    assert reader.column(CASE) == []
    reader.page.select_option("#case-rule", "all")
    reader.page.select_option("#case-metric", "hd95")
    scores = flat_page.study.scores()
    far = scores[scores["metric"] == "hd95"].groupby("case")["value"].mean().sort_values(ascending=False)
    assert reader.column(CASE)[0] == far.index[0]


def test_a_case_opens_by_mouse_and_by_keyboard(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader, order = opened(flat_page.page), list(dice_table(flat_page).mean(axis=1).sort_values().index)
    title = reader.page.locator("#viewer-title")
    assert title.inner_text() == order[0]
    reader.page.locator("#case-table tbody tr").nth(3).locator("td").first.click()
    reader.settle()
    assert title.inner_text() == order[3]
    assert reader.page.evaluate("document.activeElement.id") == "stage"
    reader.page.locator(".case-open").nth(5).focus()
    reader.page.keyboard.press("Enter")
    assert title.inner_text() == order[5]
    reader.page.keyboard.press("n")
    assert title.inner_text() == order[6]
    reader.click("#case-previous")
    reader.click("#case-previous")
    assert title.inner_text() == order[4]
    assert reader.page.locator("#case-table tr[aria-current]").inner_text().startswith(order[4])
    shown = reader.page.locator("#viewer-scores tbody tr").first.locator("td").all_inner_texts()
    assert shown == [f"{value:.3f}" for value in dice_table(flat_page).loc[order[4], ["bce", "focal", EVIL]]]
    reader.page.locator("button[data-open]").last.click()
    assert title.inner_text() == reader.page.locator("#examples .case h3").last.inner_text().partition(" ")[0]


def test_losses_are_stepped_through(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader = opened(flat_page.page)
    whats = "[...document.querySelectorAll('#stage canvas')].map((canvas) => canvas.dataset.what)"
    assert reader.page.evaluate(whats) == ["image", "truth", "0", "1", "2"]
    reader.click("#layout-one")
    assert reader.page.evaluate(whats) == ["0"]
    reader.click("#loss-next")
    assert reader.page.evaluate(whats) == ["1"]
    reader.page.focus("#stage")
    reader.page.keyboard.press("ArrowRight")
    reader.page.keyboard.press("ArrowRight")
    reader.settle()
    assert reader.page.evaluate(whats) == ["0"]
    assert "bce" in reader.page.inner_text("#stage figcaption")
    reader.page.keyboard.press("o")
    assert reader.page.locator("#stage canvas").count() == 5


def _arrays(written: Written, case: str, loss: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    folder = written.study.folder
    (prediction,) = folder.glob(f"runs/{loss}/*/predictions/{case}.png")
    read = [np.asarray(Image.open(folder / "data" / part / f"{case}.png")) for part in ("images", "masks")]
    return read[0], read[1] > 0, np.asarray(Image.open(prediction)) > 0


def _inner(mask: np.ndarray) -> tuple[int, int]:
    """A pixel of the mask away from its edge where there is one."""
    rows, columns = np.nonzero(mask)
    return int(rows[len(rows) // 2]), int(columns[len(columns) // 2])


def test_layers_paint_what_they_say(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader = opened(flat_page.page)
    scores = flat_page.study.scores()
    wrong_both_ways = scores[(scores["loss"] == "focal") & scores["metric"].isin(["precision", "recall"])]
    case = wrong_both_ways.groupby("case")["value"].max().drop(list(NAMES)).idxmin()
    _, truth, prediction = _arrays(flat_page, case, "focal")
    reader.page.fill("#case-text", case)
    reader.page.locator(".case-open").first.click()
    reader.click("#zoom-whole")
    reader.know_size(*truth.shape)
    reader.set_range("#opacity", 100)
    for layer in ("truePositives", "truth", "prediction"):
        reader.page.set_checked(f"#layer-{layer}", checked=False)
    wrong, missed = _inner(prediction & ~truth), _inner(truth & ~prediction)
    right, neither = _inner(truth & prediction), _inner(~truth & ~prediction)
    reader.settle()
    assert (reader.pixel(1, *wrong), reader.pixel(1, *missed)) == (MAGENTA, GREEN)
    for place in (right, neither):
        red, green, blue = reader.pixel(1, *place)
        assert red == green == blue
    reader.set_range("#opacity", 50)
    halfway = reader.pixel(1, *wrong)
    reader.click("#layer-falsePositives")
    plain = reader.pixel(1, *wrong)
    assert len(set(plain)) == 1
    assert halfway == pytest.approx((np.array(plain) + MAGENTA) / 2, abs=1.5)
    assert reader.pixel(1, *missed) == pytest.approx((np.array(reader.pixel("image", *missed)) + GREEN) / 2, abs=3)
    reader.click("#layer-falseNegatives")
    assert len(set(reader.pixel(1, *missed))) == 1
    counts = f"{(prediction & ~truth).sum()} px too many, {(truth & ~prediction).sum()} px missed"
    assert counts in reader.page.locator("#stage figcaption").nth(3).inner_text()
    reader.page.focus("#stage")
    for key in "45":
        reader.page.keyboard.press(key)
    reader.settle()
    assert reader.pixel(1, *wrong) == halfway
    reader.page.keyboard.press("h")
    reader.settle()
    assert reader.pixel(1, *wrong) == plain
    assert reader.page.locator("#overlays-hidden").is_visible()


def test_outlines_lie_on_the_edges_of_the_masks(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader = opened(flat_page.page)
    _, truth, prediction = _arrays(flat_page, "0007", "bce")
    reader.page.fill("#case-text", "0007")
    reader.page.locator(".case-open").first.click()
    reader.click("#zoom-whole")
    reader.click("#layout-one")
    reader.know_size(*truth.shape)
    for layer in ("truePositives", "falsePositives", "falseNegatives"):
        reader.page.set_checked(f"#layer-{layer}", checked=False)
    for layer, mask, colour in (("truth", truth, (255, 214, 10)), ("prediction", prediction, (86, 200, 255))):
        row, column = np.argwhere(mask)[0]
        reader.page.set_checked(f"#layer-{layer}", checked=True)
        reader.settle()
        # The topmost pixel's upper edge runs along the boundary between it and the one above.
        assert reader.pixel(0, row - 0.5, column) == pytest.approx(colour, abs=60)
        reader.page.set_checked(f"#layer-{layer}", checked=False)
        reader.settle()
        assert len(set(reader.pixel(0, row - 0.5, column))) == 1


def test_window_and_level_change_the_grey_values(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader = opened(flat_page.page)
    image, truth, _ = _arrays(flat_page, "0007", "bce")
    reader.page.fill("#case-text", "0007")
    reader.page.locator(".case-open").first.click()
    reader.know_size(*truth.shape)
    reader.page.set_checked("#smooth", checked=False)
    reader.settle()
    dark = np.unravel_index(np.argmin(np.where(image > 30, image, 999)), image.shape)
    places = [(int(dark[0]), int(dark[1])), _inner(truth)]
    before = [reader.pixel("image", *place)[0] for place in places]
    assert before[0] < before[1]
    words = reader.page.inner_text("#window-value")
    reader.set_range("#level", 250)
    darker = [reader.pixel("image", *place)[0] for place in places]
    assert darker[0] < before[0]
    assert darker[1] < before[1]
    assert reader.page.inner_text("#window-value") != words
    reader.set_range("#level", 100)
    reader.set_range("#width", 20)
    assert set(np.unique([reader.pixel("image", *place)[0] for place in places])) <= {0, 255}
    reader.click("#window-reset")
    assert [reader.pixel("image", *place)[0] for place in places] == before
    assert reader.page.inner_text("#window-value") == words


def test_volumes_are_stepped_through_slice_by_slice(opened: Callable[..., Reader], volume_page: WrittenVolumes) -> None:
    reader, evaluation = opened(volume_page.page), volume_page.evaluation
    name = "scan-1"
    truth = evaluation.truths[name]
    found = evaluation.predictions[METHODS[1], name]
    reader.page.fill("#case-text", name)
    reader.page.locator(".case-open").first.click()
    reader.click("#zoom-whole")
    reader.know_size(*SHAPE[1:])
    reader.set_range("#opacity", 100)
    reader.page.set_checked("#layer-truePositives", checked=False)
    stacks = [truth, *(evaluation.predictions[method, name] for method in METHODS)]
    held = [index for index in range(SHAPE[0]) if any(stack[index].any() for stack in stacks)]
    assert f"{len(held)} hold anything" in reader.page.inner_text("#viewer-note")
    canvas = reader.page.locator("#stage canvas").first.bounding_box()
    assert canvas is not None
    assert canvas["height"] / canvas["width"] == pytest.approx(SHAPE[1] * 2 / SHAPE[2], rel=0.03)
    reader.set_range("#slice", 0)
    reader.page.focus("#stage")
    checked = 0
    for label in (1, 2):
        reader.page.select_option("#case-label", str(label))
        reader.set_range("#slice", 0)
        reader.page.focus("#stage")
        for index in held:
            assert reader.page.inner_text("#slice-value") == f"{index + 1} of {SHAPE[0]}"
            given, wanted = found[index] == label, truth[index] == label
            for mask, colour in ((given & ~wanted, MAGENTA), (wanted & ~given, GREEN)):
                if mask.any():
                    row, column = _inner(mask[::-1, ::-1])
                    assert reader.pixel(1, row, column) == colour
                    checked += 1
            reader.page.keyboard.press("ArrowDown")
            reader.settle()
    assert checked > 4


def test_a_seed_is_chosen_with_its_scores(opened: Callable[..., Reader], seeds_page: WrittenSeeds) -> None:
    reader = opened(seeds_page.page)
    reader.page.fill("#case-text", "case-001")
    reader.page.locator(".case-open").first.click()
    scores = seeds_page.scores
    of_case = scores[(scores["case"] == "case-001") & (scores["metric"] == "dice")]
    dice = of_case.pivot_table(index="seed", columns="loss", values="value")
    in_table = [float(text) for text in reader.page.locator("#case-table td.value").all_inner_texts()]
    assert in_table == pytest.approx(list(dice.mean()), abs=0.00051)
    captions = []
    for position, seed in enumerate((1, 5)):
        reader.page.select_option("#seed", str(position))
        reader.settle()
        shown = reader.page.locator("#viewer-scores tbody tr").first.locator("td").all_inner_texts()
        assert [float(text) for text in shown] == pytest.approx(list(dice.loc[seed]), abs=0.00051)
        captions.append(reader.page.locator("#stage figcaption").nth(2).inner_text())
    assert captions[0] != captions[1]


def test_an_undefined_score_says_why(opened: Callable[..., Reader], volume_page: WrittenVolumes) -> None:
    reader = opened(volume_page.page)
    reader.page.select_option("#case-rule", "undefined")
    assert reader.column(CASE) == ["scan-3"]
    cell = reader.page.locator("#case-table td.undefined").first
    assert cell.inner_text() == "undefined"
    assert cell.get_attribute("title") == "neither mask holds the label: undefined"
