"""Volumes in three planes as readers look at them in Chromium: plane by plane, all together, by mouse and keyboard."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser_pages import Reader, Written, WrittenTurned, browser, flat_page, opened, planes_page
from numpy.typing import NDArray
from turned_volumes import SHAPE, SPACING, WORLD, Turned

from unifocal.reporting import viewer
from unifocal.reporting.page import render
from unifocal.reporting.study import read_study

__all__ = ["browser", "flat_page", "opened", "planes_page"]

MAGENTA, GREEN, ORANGE = (255, 0, 200), (0, 215, 80), (255, 140, 40)
PLANES = ("axial", "coronal", "sagittal")
SLIDERS = ("slice", "slice-1", "slice-2")
TOPS = """(at) => [...document.querySelectorAll(`#stage canvas[data-plane="${at}"]`)]
    .map((canvas) => canvas.parentElement.getBoundingClientRect().top)"""
OTHER_LAYERS = ("truePositives", "truth", "prediction")


def _begin(opened: Callable[..., Reader], page: Path) -> Reader:
    """The whole image, errors in full colour, nothing else on it."""
    reader = opened(page)
    reader.click("#zoom-whole")
    reader.set_range("#opacity", 100)
    for layer in OTHER_LAYERS:
        reader.page.set_checked(f"#layer-{layer}", checked=False)
    reader.page.focus("#stage")
    return reader


def _press(reader: Reader, keys: str) -> None:
    for key in keys.split():
        reader.page.keyboard.press(key)
    reader.settle()


def _size(plane: str) -> tuple[int, int]:
    """Rows and columns of a plane's slices."""
    across, down = (axis for axis in range(3) if axis != WORLD[plane])
    return SHAPE[down], SHAPE[across]


def _spot(plane: str, voxel: tuple[int, int, int]) -> tuple[int, int]:
    """Where a voxel (to the right, to the front, to the head) stands: head or front up, right or front at the left."""
    across, down = (axis for axis in range(3) if axis != WORLD[plane])
    return SHAPE[down] - 1 - voxel[down], SHAPE[across] - 1 - voxel[across]


def _index(reader: Reader, plane: str) -> int:
    """The file's slice that a plane shows."""
    return int(reader.page.inner_text(f"#{SLIDERS[PLANES.index(plane)]}-value").split(" of ")[0]) - 1


def _indices(reader: Reader) -> list[int]:
    return [_index(reader, plane) for plane in PLANES]


def _wrong(turned: Turned, plane: str, index: int, method: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Too many and missed of label 1."""
    wanted, given = (turned.shown(array == 1, plane, index) for array in (turned.truth, turned.predictions[method]))
    return given & ~wanted, wanted & ~given


def _check_colours(reader: Reader, turned: Turned, plane: str, method: int) -> int:
    """Each colour where it belongs; returns how many were looked for."""
    looked = 0
    reader.know_size(*_size(plane))
    for mask, colour in zip(_wrong(turned, plane, _index(reader, plane), method), (MAGENTA, GREEN), strict=True):
        for row, column in np.argwhere(mask)[:: max(1, mask.sum() // 3)]:
            assert reader.pixel(method, row, column, PLANES.index(plane)) == colour
            looked += 1
    return looked


def _click(reader: Reader, what: str, plane: str, voxel: tuple[int, int, int]) -> None:
    canvas = reader.page.locator(f'#stage canvas[data-what="{what}"][data-plane="{PLANES.index(plane)}"]')
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    (row, column), (rows, columns) = _spot(plane, voxel), _size(plane)
    canvas.click(position={"x": (column + 0.5) / columns * box["width"], "y": (row + 0.5) / rows * box["height"]})
    reader.settle()


def test_pictures_have_no_control_of_planes(opened: Callable[..., Reader], flat_page: Written) -> None:
    reader = opened(flat_page.page)
    assert not reader.page.locator("#plane-row").is_visible()
    before = reader.page.inner_text("#stage")
    reader.page.focus("#stage")
    _press(reader, "v x c")
    assert reader.page.inner_text("#stage") == before
    assert "slice" not in before


def test_each_plane_is_shown_alone(opened: Callable[..., Reader], planes_page: WrittenTurned) -> None:
    reader, turned = _begin(opened, planes_page.page), planes_page.turned
    looked = 0
    for position, plane in enumerate(PLANES):
        assert reader.page.locator("input[name=plane]:checked").get_attribute("value") == plane
        assert [reader.page.locator(f"#{slider}").is_visible() for slider in SLIDERS] == [
            place == position for place in range(3)
        ]
        assert reader.page.inner_text(f"#{SLIDERS[position]}-name") == f"{plane.capitalize()} slice"
        assert f"Slices are {plane}; of {SHAPE[WORLD[plane]]}" in reader.page.inner_text("#viewer-note")
        canvas = reader.page.locator("#stage canvas").first.bounding_box()
        assert canvas is not None
        across, down = (axis for axis in range(3) if axis != WORLD[plane])
        seen = SHAPE[down] * SPACING[down] / (SHAPE[across] * SPACING[across])
        assert canvas["height"] / canvas["width"] == pytest.approx(seen, rel=0.03)
        looked += sum(_check_colours(reader, turned, plane, method) for method in (0, 1))
        too_many, missed = _wrong(turned, plane, _index(reader, plane), 1)
        caption = reader.page.locator("#stage figcaption").last.inner_text()
        assert f"wrong in this {plane} slice: {too_many.sum()} px too many, {missed.sum()} px missed" in caption
        before = _index(reader, plane)
        _press(reader, "ArrowDown")
        assert _index(reader, plane) > before
        looked += sum(_check_colours(reader, turned, plane, method) for method in (0, 1))
        _press(reader, "v")
    assert looked > 20
    assert reader.page.locator("input[name=plane]:checked").get_attribute("value") == "all three"
    _press(reader, "v")
    assert reader.page.locator("input[name=plane]:checked").get_attribute("value") == "axial"


def test_all_planes_stand_together_with_lines_where_they_cut(
    opened: Callable[..., Reader], planes_page: WrittenTurned
) -> None:
    reader, turned = _begin(opened, planes_page.page), planes_page.turned
    reader.page.check("input[name=plane][value='all three']")
    reader.settle()
    shown = "[...document.querySelectorAll('#stage canvas')].map((c) => `${c.dataset.what} ${c.dataset.plane}`)"
    assert reader.page.evaluate(shown) == [f"{what} {at}" for what in ("image", "truth", 0, 1) for at in range(3)]
    indices = {plane: _index(reader, plane) for plane in PLANES}
    voxel = [turned.place(plane, indices[plane]) for plane in ("sagittal", "coronal", "axial")]
    for position, plane in enumerate(PLANES):
        reader.know_size(*_size(plane))
        row, column = _spot(plane, (voxel[0], voxel[1], voxel[2]))
        for what in ("image", "truth", 0):
            assert reader.pixel(what, row, 0, position) == reader.pixel(what, 0, column, position) == ORANGE
            assert reader.pixel(what, row, column, position) != ORANGE
            assert ORANGE not in (reader.pixel(what, row - 2, 0, position), reader.pixel(what, 0, column - 2, position))
        label = reader.page.locator(f"canvas[data-what='0'][data-plane='{position}']").get_attribute("aria-label")
        assert label is not None
        assert f"{plane} slice {indices[plane] + 1}" in label
        assert np.ptp(reader.page.evaluate(TOPS, position)) < 1
    reader.page.focus("#stage")
    _press(reader, "c")
    assert reader.pixel(0, row, 0, 2) != ORANGE
    assert all(_check_colours(reader, turned, plane, 1) for plane in PLANES)


@pytest.mark.parametrize("layout", ["all", "one"])
def test_a_click_in_one_plane_moves_the_others(
    opened: Callable[..., Reader], planes_page: WrittenTurned, layout: str
) -> None:
    reader, turned = _begin(opened, planes_page.page), planes_page.turned
    reader.page.check(f"#layout-{layout}")
    reader.page.check("input[name=plane][value='all three']")
    reader.settle()
    start = _indices(reader)

    def expected(voxel: tuple[int, int, int]) -> list[int]:
        return [turned.place(plane, voxel[WORLD[plane]]) for plane in PLANES]

    voxel = (11, 15, 6)
    _click(reader, "0", "axial", voxel)
    assert _indices(reader) == [start[0], *expected(voxel)[1:]]
    other = (13, 15, 5)
    _click(reader, "0", "coronal", other)
    assert _indices(reader) == expected(other)
    status = reader.page.inner_text("#viewer-status")
    assert all(f"{plane} slice {index + 1}" in status for plane, index in zip(PLANES, _indices(reader), strict=True))
    # Nothing lies this far to the front but a false positive further on: the nearest slice there is.
    _click(reader, "0", "axial", (13, 29, 5))
    assert turned.place("coronal", _index(reader, "coronal")) == 30
    _click(reader, "0", "axial", (29, 37, 5))
    assert turned.place("sagittal", _index(reader, "sagittal")) == 22
    assert turned.place("coronal", _index(reader, "coronal")) == 32


def test_planes_move_by_keyboard_and_sliders(opened: Callable[..., Reader], planes_page: WrittenTurned) -> None:
    reader = _begin(opened, planes_page.page)
    _press(reader, "o v v v")
    assert reader.page.locator("#stage canvas").count() == 3
    start = _indices(reader)
    active = reader.page.locator("label.slider.active").inner_text()
    assert active.startswith("Sagittal")
    _press(reader, "x ArrowDown")
    assert _indices(reader) == [start[0] + 1, *start[1:]]
    _press(reader, "x ArrowUp ArrowUp")
    assert _indices(reader) == [start[0] + 1, start[1] - 2, start[2]]
    reader.set_range("#slice-2", 0)
    assert _index(reader, "sagittal") < start[2]
    assert reader.page.locator("label.slider.active").inner_text().startswith("Sagittal")
    _press(reader, "n")
    assert reader.page.locator("#stage canvas").count() == 3
    assert _indices(reader) == start


def test_a_label_is_chosen_in_all_planes(opened: Callable[..., Reader], planes_page: WrittenTurned) -> None:
    reader, turned = _begin(opened, planes_page.page), planes_page.turned
    reader.page.check("input[name=plane][value='all three']")
    reader.page.select_option("#case-label", "2")
    reader.settle()
    for plane in PLANES:
        truth = turned.shown(turned.truth == 2, plane, _index(reader, plane))
        words = reader.page.locator("#stage figure").nth(1).inner_text()
        assert f"{plane} slice: {f'{truth.sum()} px' if truth.any() else 'empty'}" in words


def test_a_page_without_room_for_planes_says_so(
    opened: Callable[..., Reader], planes_page: WrittenTurned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "LADDER", tuple(replace(detail, others=0) for detail in viewer.LADDER))
    path = tmp_path / "report.html"
    view, analysis = read_study(planes_page.turned.folder), planes_page.turned.analysis
    path.write_text(render(view, analysis, {}, []), encoding="utf-8")
    reader = opened(path)
    assert not reader.page.locator("#plane-row").is_visible()
    assert "two other planes did not fit" in reader.page.inner_text("#viewer-note")
    assert reader.page.locator("#slice").is_visible()
