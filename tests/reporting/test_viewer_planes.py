"""The three planes of a volume in the page: the right slices, the right way up, and no case less for them."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from many_cases import write_many_cases
from numpy.typing import NDArray
from PIL import Image
from turned_volumes import SHAPE, SPACING, WORLD, Turned, write_turned

from unifocal.reporting import viewer
from unifocal.reporting.study import read_study
from unifocal.reporting.viewer import LADDER, ViewerData, gather
from unifocal.reporting.viewer_case import LoadedCase, load_case
from unifocal.reporting.viewer_encode import Detail, encode_case
from unifocal.reporting.viewer_pictures import picture_size
from unifocal.reporting.viewer_slices import Plane, planes_of
from unifocal.reporting.viewer_stack import Stack
from unifocal.statistics import analyse

Array = NDArray[Any]
ONE_AND_THREE = (replace(LADDER[-1], others=0), LADDER[-1])
FINE = Detail(side=512, quality=95, slices=99, others=99, every_seed=True)


def _load(turned: Turned) -> LoadedCase:
    study = read_study(turned.folder)
    row = {str(key): value for key, value in study.cases.to_dict("records")[0].items()}
    loaded = load_case(study, row, [1, 2], [])
    assert isinstance(loaded, LoadedCase)
    return loaded


def _planes(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [content, *(content["others"] or [])]


def _mask(text: str, shape: tuple[int, ...]) -> Array:
    """Runs, read one byte after the other."""
    flat, numbers = np.zeros(int(np.prod(shape)), dtype=np.uint8), iter(base64.b64decode(text))
    at = 0
    for label in numbers:
        length, shift = 0, 0
        for byte in numbers:
            length += (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        flat[at : at + length] = label
        at += length
    return flat.reshape(shape)


def _greys(link: str) -> Array:
    with Image.open(io.BytesIO(base64.b64decode(link.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGB"))[..., 1].astype(float)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL", "IRP"])
def test_each_plane_holds_the_right_slices_the_right_way_up(tmp_path: Path, codes: str) -> None:
    turned = write_turned(tmp_path, codes)
    content = encode_case(_load(turned), FINE, [1, 2])
    planes = _planes(content)
    assert [plane["plane"] for plane in planes] == ["axial", "coronal", "sagittal"]
    low, high = content["range"]
    for plane in planes:
        world = WORLD[plane["plane"]]
        across, down = (axis for axis in range(3) if axis != world)
        assert (plane["count"], plane["size"]) == (SHAPE[world], [SHAPE[down], SHAPE[across]])
        assert plane["aspect"] == SPACING[down] / SPACING[across]
        stacks = [turned.truth, *turned.predictions]
        held = np.any(stacks, axis=tuple(axis + 1 for axis in range(3) if axis != world)).any(axis=0).sum()
        assert len(plane["slices"]) == plane["held"] == held
        for part in plane["slices"]:
            texts = [part["truth"], *(coded for (coded,) in part["masks"])]
            for text, stack in zip(texts, stacks, strict=True):
                wanted = turned.shown(stack, plane["plane"], part["index"])
                assert (_mask(text, wanted.shape) == wanted).all()
            wanted = (turned.shown(turned.image, plane["plane"], part["index"]) - low) * 255 / (high - low)
            assert np.abs(_greys(part["picture"]) - wanted.clip(0, 255)).mean() < 4
        wrong = [
            sum((turned.shown(stack, plane["plane"], part["index"]) != _truth(turned, plane, part)).sum()
                for stack in turned.predictions)
            for part in plane["slices"]
        ]  # fmt: skip
        assert wrong[plane["start"]] == max(wrong) > 0


def _truth(turned: Turned, plane: dict[str, Any], part: dict[str, Any]) -> Array:
    return turned.shown(turned.truth, plane["plane"], part["index"])


@pytest.mark.parametrize("codes", ["LPS", "SAL"])
def test_axes_and_flips_lead_from_one_plane_to_another(tmp_path: Path, codes: str) -> None:
    """A row or column of one plane is a slice of another, as the page's lines and clicks take it."""
    content = encode_case(_load(write_turned(tmp_path, codes)), FINE, [1, 2])
    planes = _planes(content)
    for plane in planes:
        seen = {part["index"]: _mask(part["truth"], tuple(plane["size"])) for part in plane["slices"]}
        for direction in (1, 2):
            (other,) = (each for each in planes if each["axes"][0] == plane["axes"][direction])
            for part in other["slices"]:
                truth = _mask(part["truth"], tuple(other["size"]))
                line = other["count"] - 1 - part["index"] if plane["flips"][direction] else part["index"]
                mine = sum(int((np.take(mask, line, axis=direction - 1) > 0).sum()) for mask in seen.values())
                assert mine == (truth > 0).sum()


def test_thinned_planes_keep_their_worst_slice(tmp_path: Path) -> None:
    turned = write_turned(tmp_path, "LPS")
    loaded = _load(turned)
    content = encode_case(loaded, replace(FINE, slices=3, others=4), [1, 2])
    whole = _planes(encode_case(loaded, FINE, [1, 2]))
    for plane, every, most in zip(_planes(content), whole, (3, 4, 4), strict=True):
        assert len(plane["slices"]) == most
        assert plane["slices"][plane["start"]]["index"] == every["slices"][every["start"]]["index"]
        full = {part["index"]: part for part in every["slices"]}
        for part in plane["slices"]:
            assert part["truth"] == full[part["index"]]["truth"]
            assert part["masks"] == full[part["index"]]["masks"]


def test_windows_are_square_for_the_eye_and_hold_the_lesion(tmp_path: Path) -> None:
    turned = write_turned(tmp_path, "PIR")
    for plane in _planes(encode_case(_load(turned), FINE, [1, 2])):
        top, bottom, left, right = plane["windows"][1]
        height, width = (bottom - top) * plane["aspect"], right - left
        rows, columns = plane["size"]
        assert 0 <= top < bottom <= rows
        assert 0 <= left < right <= columns
        # Only the image's edge makes a side shorter; rounding adds at most a pixel at each end.
        assert abs(height - width) <= 2 * max(plane["aspect"], 1) or rows == bottom - top or columns == right - left
        lesion = sum((_mask(part["truth"], (rows, columns)) == 2).sum() for part in plane["slices"])
        inside = (_mask(part["truth"], (rows, columns))[top:bottom, left:right] == 2 for part in plane["slices"])
        assert sum(part.sum() for part in inside) == lesion == (turned.truth == 2).sum()


def test_what_has_no_other_planes_says_so() -> None:
    assert [plane.order for plane in planes_of((5, 6), None, None)] == [(0, 1)]
    assert len(planes_of((1, 6, 7), (3.0, 1.0, 1.0), None)) == 1
    assert len(planes_of((6, 1, 7), None, np.eye(4))) == 1
    planes = planes_of((4, 6, 7), (1.0, 1.0, 10.0), None)
    names = ["across the third axis", "across the first axis", "across the second axis"]
    assert [plane.name for plane in planes] == names
    assert [plane.aspect for plane in planes] == [1.0, 0.1, 0.1]


@settings(max_examples=60, deadline=None)
@given(
    stored=arrays(np.int16, (4, 5, 6), elements=st.integers(0, 4), fill=st.just(0)),
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(st.just(False), st.booleans(), st.booleans()),
    labels=st.sampled_from([((1,), (2,)), ((3,),), ((1, 2, 4), (2, 4), (4,))]),
    moved=st.integers(-2, 2),
)
def test_a_turned_mask_is_the_whole_mask_turned(
    stored: Array,
    order: list[int],
    flips: tuple[bool, bool, bool],
    labels: tuple[tuple[int, ...], ...],
    moved: int,
) -> None:
    plane = Plane((order[0], order[1], order[2]), flips, 1.0, "")
    is_overlapping = len(labels) == 3

    def dense(array: Array) -> Array:
        numbered = sum(
            np.isin(array, values) * (2**place if is_overlapping else place + 1) for place, values in enumerate(labels)
        )
        turned = np.asarray(numbered).transpose(order)
        for axis in (1, 2):
            turned = np.flip(turned, axis) if flips[axis] else turned
        return turned

    other = np.roll(stored, moved, axis=2)
    stack, truth = Stack.read(stored, labels).seen_in(plane), Stack.read(other, labels).seen_in(plane)
    whole, wanted = dense(stored), dense(other)
    assert stack.shape == whole.shape
    assert all((stack[index] == whole[index]).all() for index in range(len(whole)))
    assert (stack.held == whole.any(axis=(1, 2))).all()
    assert (stack.sizes == (whole > 0).sum(axis=(1, 2))).all()
    assert (stack.wrong(truth) == (whole != wanted).sum(axis=(1, 2))).all()
    for number, values in enumerate(labels, start=1):
        is_label = np.isin(stored, values).transpose(order)
        projected = is_label.any(axis=0)
        for axis in (0, 1):
            projected = np.flip(projected, axis) if flips[axis + 1] else projected
        assert (stack.projected(number) == projected).all()


def _content(data: ViewerData) -> list[dict[str, Any]]:
    return [json.loads(text) for _, text in data.cases]


def test_planes_never_cost_a_case_and_the_worst_have_them_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = write_turned(tmp_path, cases=6)
    study = read_study(tmp_path)
    least = len(gather(study, turned.analysis, 0).index)
    small, large = (len(viewer._as_json(encode_case(_load(turned), part, [1, 2]))) for part in ONE_AND_THREE)
    found = []
    for share in (3 * small, 6 * small + large, 6 * large + 100):
        data = gather(study, turned.analysis, least + share)
        assert sum(len(text) for _, text in data.cases) <= share
        with monkeypatch.context() as patch:
            patch.setattr(viewer, "LADDER", tuple(replace(detail, others=0) for detail in LADDER))
            alone = gather(study, turned.analysis, least + share)
        assert [number for number, _ in data.cases] == [number for number, _ in alone.cases]
        assert all(content["others"] is None for content in _content(alone))
        found.append([content["others"] is not None for content in _content(data)])
    few, some, all_ = found
    assert len(few) < 6
    assert some == sorted(some, reverse=True)
    assert 0 < sum(some) < 6
    assert all_ == [True] * 6


def test_pictures_have_no_other_planes(tmp_path: Path) -> None:
    scores = write_many_cases(tmp_path, 2, 64, losses=("a", "b"))
    data = gather(read_study(tmp_path), analyse(scores, resamples=50), 1_000_000)
    assert [content["others"] for content in _content(data)] == [[], []]


@pytest.mark.parametrize(
    ("size", "aspect", "side", "expected"),
    [
        ((600, 400), 1.0, 300, (300, 200)),
        ((30, 40), 1.0, 300, (30, 40)),
        ((40, 512), 10.0, 256, (40, 256)),
        ((512, 40), 0.1, 256, (256, 40)),
        ((3, 2000), 0.5, 200, (1, 200)),
    ],
)
def test_pictures_shrink_by_what_is_seen(
    size: tuple[int, int], aspect: float, side: int, expected: tuple[int, int]
) -> None:
    assert picture_size(size, aspect, side) == expected
