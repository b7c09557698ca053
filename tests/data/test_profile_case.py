"""One case in numbers, against loops over its elements."""

import itertools
import statistics
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from unifocal.data.case import Case, Source
from unifocal.data.coding import MaskCoding
from unifocal.data.profile.case import FOREGROUND, CaseProfile, Plan, Target, profile_case
from unifocal.data.profile.intensity import EDGES, contrast_of, intensity_of
from unifocal.data.profile.numbers import Spread, moments, weighted_quantiles
from unifocal.data.profile.summary import brain_ratio

Array = np.ndarray[Any, Any]


def half(labels: Array, /, *, size: tuple[int, ...]) -> Array:
    """Every second element of each axis, whatever the size."""
    small = labels[tuple(slice(None, None, 2) for _ in labels.shape)]
    assert small.shape == size
    return small


def picture_case(folder: Path, image: Array, mask: Array, view: Array | None = None) -> Case:
    sources = []
    for name, pixels in (("image", image), ("mask", mask), ("view", view)):
        if pixels is not None:
            Image.fromarray(pixels).save(folder / f"{name}.png")
            sources.append(Source.of(folder / f"{name}.png"))
    return Case("c", sources[0], sources[1], "p", field_of_view=sources[2] if view is not None else None)


def volume_case(folder: Path, image: Array, mask: Array, zooms: tuple[float, float, float]) -> Case:
    """`image` and `mask` are (slices, rows, columns), `zooms` too; NIfTI holds them the other way round."""
    sources = []
    for name, array in (("image", image), ("mask", mask)):
        nib.Nifti1Image(array.T, np.diag([*zooms[::-1], 1])).to_filename(folder / f"{name}.nii.gz")
        sources.append(Source.of(folder / f"{name}.nii.gz"))
    return Case("v", sources[0], sources[1], "p")


def slow_auc(inside: list[float], outside: list[float]) -> float:
    wins = sum((a > b) + 0.5 * (a == b) for a, b in itertools.product(inside, outside))
    return wins / (len(inside) * len(outside))


def near(mask: Array, foreground: Array, steps: int = 5) -> list[tuple[int, ...]]:
    """Background within so many steps across faces, by distances in the city-block metric that may go anywhere."""
    places = np.argwhere(mask)
    return [
        tuple(int(i) for i in place)
        for place in np.argwhere(~foreground)
        if np.abs(places - place).sum(axis=1).min() <= steps
    ]


@pytest.fixture
def two_labels(tmp_path: Path) -> tuple[CaseProfile, Array, Array, Array]:
    rng = np.random.default_rng(5)
    image = rng.integers(0, 200, (22, 26), dtype=np.uint8)
    mask = np.zeros(image.shape, np.uint8)
    mask[3:9, 4:10], mask[9:12, 4:8], mask[20, 25], mask[16, 1] = 1, 3, 1, 3
    image[mask > 0] += 55
    view = np.zeros_like(mask)
    view[2:21, 2:25] = 255
    case = picture_case(tmp_path, image, mask, view)
    plan = Plan(MaskCoding(), (Target("core", (3,)), Target("whole", (1, 3))), True, (11, 13), half)
    return profile_case(case, plan), image, mask, view


def test_shares_regions_and_field_of_view(two_labels: tuple[CaseProfile, Array, Array, Array]) -> None:
    found, _, mask, view = two_labels
    assert found.size == (22, 26)
    counts = {"core": int((mask == 3).sum()), "whole": int((mask > 0).sum()), FOREGROUND: int((mask > 0).sum())}
    assert {name: facts.elements for name, facts in found.targets.items()} == counts
    assert found.share("core") == counts["core"] / mask.size
    assert found.view == int((view > 0).sum())
    assert found.in_view == int(((view > 0) & (mask > 0)).sum())
    assert (found.spacing_mm, found.orientation, found.brain) == (None, "", None)


def test_regions_are_resized_as_labels_and_joined_then(two_labels: tuple[CaseProfile, Array, Array, Array]) -> None:
    found, _, mask, _ = two_labels
    assert found.resized_to == (11, 13)
    for name, values in (("core", [3]), ("whole", [1, 3])):
        assert found.targets[name].lesions.resized_elements == int(np.isin(mask[::2, ::2], values).sum())
    # The speck of label 1 at an odd place is gone, that of label 3 too.
    assert found.targets["whole"].lesions.vanished == 2
    assert found.targets["core"].lesions.vanished == 1


def test_intensity_and_contrast(two_labels: tuple[CaseProfile, Array, Array, Array]) -> None:
    found, image, mask, _ = two_labels
    values = image.ravel().astype(float).tolist()
    (intensity,) = found.intensity
    assert intensity.mean == pytest.approx(statistics.fmean(values))
    assert intensity.sd == pytest.approx(statistics.pstdev(values))
    assert (intensity.minimum, intensity.maximum) == (min(values), max(values))
    assert (intensity.p1, intensity.median, intensity.p99) == pytest.approx(tuple(np.percentile(values, [1, 50, 99])))
    for name, wanted in (("core", mask == 3), ("whole", mask > 0)):
        (contrast,) = found.targets[name].contrast
        inside, outside = image[wanted].astype(float).tolist(), image[mask == 0].astype(float).tolist()
        assert contrast.auc == pytest.approx(slow_auc(inside, outside))
        width = ((statistics.pvariance(inside) + statistics.pvariance(outside)) / 2) ** 0.5
        assert contrast.difference == pytest.approx((statistics.fmean(inside) - statistics.fmean(outside)) / width)


def test_near_is_within_five_steps(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    image = rng.integers(0, 256, (24, 24), dtype=np.uint8)
    mask = np.zeros(image.shape, np.uint8)
    mask[0:4, 10:13] = 255
    found = profile_case(
        picture_case(tmp_path, image, mask), Plan(MaskCoding(is_black_and_white=True), (Target("1", (1,)),), True)
    )
    rim = [float(image[place]) for place in near(mask > 0, mask > 0)]
    assert found.targets[FOREGROUND].contrast[0].auc_rim == pytest.approx(slow_auc(image[mask > 0].tolist(), rim))
    assert list(found.targets) == [FOREGROUND]


def test_a_volume_with_spacing(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(100, 20, (6, 9, 11)).astype(np.float32)
    mask = np.zeros(image.shape, np.uint8)
    mask[1:4, 2:5, 3:7], mask[5, 8, 10] = 2, 2
    case = volume_case(tmp_path, image, mask, (5.0, 0.5, 0.25))
    found = profile_case(case, Plan(MaskCoding(), (Target("lesion", (2,)),), True))
    assert found.size == (6, 9, 11)
    assert found.spacing_mm == pytest.approx((5.0, 0.5, 0.25))
    assert found.element_size == pytest.approx(0.625e-3)
    assert found.orientation == "SAR"
    assert found.targets[FOREGROUND].lesions.rows.tolist() == [[1, 1, 0], [36, 1, 0]]
    assert found.targets[FOREGROUND].lesions.touching == 1
    assert found.intensity[0].mean == pytest.approx(float(image.astype(float).mean()))


def test_volumes_are_resized_slice_by_slice_where_two_numbers_are_given(tmp_path: Path) -> None:
    image = np.random.default_rng(1).normal(0, 1, (3, 8, 8)).astype(np.float32)
    mask = np.zeros(image.shape, np.uint8)
    mask[1, 2:6, 2:6], mask[2, 7, 7] = 1, 1
    case = volume_case(tmp_path, image, mask, (1, 1, 1))
    found = profile_case(case, Plan(MaskCoding(), (Target("1", (1,)),), True, (4, 4), half))
    assert found.resized_to == (3, 4, 4)
    lesions = found.targets[FOREGROUND].lesions
    assert (lesions.resized_elements, lesions.resized_count, lesions.vanished) == (4, 1, 1)


def test_an_empty_mask_and_no_mask(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (12, 12), dtype=np.uint8)
    case = picture_case(tmp_path, image, np.zeros_like(image))
    plan = Plan(MaskCoding(), (Target("a", (1,)), Target("b", (2,))), True)
    found = profile_case(case, plan)
    assert [facts.elements for facts in found.targets.values()] == [0, 0, 0]
    assert all(facts.contrast == () and facts.histograms is None for facts in found.targets.values())
    assert found.outside is not None
    assert found.outside.sum() == pytest.approx(1)
    alone = profile_case(Case("c", case.image, None, "p"), plan)
    assert alone.targets == {}
    assert alone.intensity == found.intensity


def test_a_mask_that_fills_the_image_has_no_background(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (12, 12), dtype=np.uint8)
    found = profile_case(
        picture_case(tmp_path, image, np.ones_like(image)), Plan(MaskCoding(), (Target("1", (1,)),), True)
    )
    (contrast,) = found.targets[FOREGROUND].contrast
    assert np.isnan([contrast.outside, contrast.difference, contrast.auc, contrast.auc_rim]).all()


def test_histograms_are_shares_after_the_z_score(tmp_path: Path) -> None:
    image = np.zeros((10, 10), np.uint8)
    image[:5] = 200
    mask = np.zeros_like(image)
    mask[:2] = 1
    found = profile_case(picture_case(tmp_path, image, mask), Plan(MaskCoding(), (Target("1", (1,)),), True))
    inside = found.targets[FOREGROUND].histograms
    assert inside is not None
    # 200 is one standard deviation above the mean of 100.
    assert EDGES[int(inside[0].argmax())] == pytest.approx(1.0)
    assert inside.sum() == pytest.approx(1)


arrays = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1000, 1000, width=32))


@given(arrays, arrays, arrays)
def test_auc_is_the_share_of_pairs(inside: Array, outside: Array, rim: Array) -> None:
    contrast = contrast_of(inside, outside, rim)
    assert contrast.auc == pytest.approx(slow_auc(inside.tolist(), outside.tolist()))
    assert contrast.auc_rim == pytest.approx(slow_auc(inside.tolist(), rim.tolist()))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 6)), min_size=1, max_size=20))
def test_weighted_quantiles_are_those_of_the_long_list(pairs: list[tuple[int, int]]) -> None:
    values, counts = (np.array(column) for column in zip(*pairs, strict=True))
    quantiles = [0, 0.05, 0.25, 0.5, 0.9, 1]
    expected = np.quantile(np.repeat(values, counts), quantiles)
    assert weighted_quantiles(values, counts, quantiles) == pytest.approx(expected.tolist())


@given(hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-1e6, 1e6, width=32)))
def test_moments(values: Array) -> None:
    mean, square = moments(values)
    assert mean == pytest.approx(statistics.fmean(values.tolist()), rel=1e-9, abs=1e-6)
    assert square == pytest.approx(statistics.pvariance(values.tolist()), rel=1e-6, abs=1e-6)


def test_large_arrays_are_described_by_a_sample_that_is_always_the_same() -> None:
    values = np.random.default_rng(3).normal(50, 10, (1200, 1000)).astype(np.float32)
    first = intensity_of(values)
    assert first == intensity_of(values.copy())
    assert (first.minimum, first.maximum) == (values.min(), values.max())
    assert first.mean == pytest.approx(float(values.astype(np.float64).mean()))
    assert first.sd == pytest.approx(float(values.astype(np.float64).std()))
    assert (first.p1, first.median, first.p99) == pytest.approx(tuple(np.percentile(values, [1, 50, 99])), abs=0.3)


def test_a_spread_leaves_out_what_is_not_finite() -> None:
    assert Spread.of([]) is None
    assert Spread.of([float("nan")]) is None
    spread = Spread.of([1.0, float("nan"), 3.0])
    assert spread == Spread(2, 2.0, 1.0, 1.0, 1.5, 2.0, 2.5, 3.0)


def test_auc_of_many_values_is_close_to_the_truth() -> None:
    rng = np.random.default_rng(11)
    inside, outside = (rng.normal(mean, 1, 300_000).astype(np.float32) for mean in (1.0, 0.0))
    expected = statistics.NormalDist().cdf(1 / 2**0.5)
    assert contrast_of(inside, outside, outside[:100]).auc == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(("inside", "elements"), [(slice(2, 9), 7 * 12), (slice(0, 0), 0), (slice(None), 0)])
def test_a_brain_that_is_everything_or_nothing_was_not_found(tmp_path: Path, inside: slice, elements: int) -> None:
    def brain(image: Array) -> Array:
        mask = np.zeros(image.shape[1:], bool)
        mask[inside] = True
        return mask

    image = np.random.default_rng(0).integers(0, 255, (12, 12), dtype=np.uint8)
    mask = np.zeros_like(image)
    mask[4:6, 4:6] = 1
    case = picture_case(tmp_path, image, mask)
    found = profile_case(case, Plan(MaskCoding(), (Target("1", (1,)),), True, brain=brain))
    assert found.brain == elements
    assert np.isnan(brain_ratio(found)) if elements == 0 else brain_ratio(found) == 4 / elements
