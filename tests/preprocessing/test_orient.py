"""Orienting volumes: nibabel's canonical order, back again, and in one pipeline with steps that resample."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from unifocal.preprocessing.pipeline import Pipeline
from unifocal.preprocessing.resampling import restore
from unifocal.preprocessing.sample import GeometryRecord, Sample

WAYS = [(order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]


def affine_of(order: tuple[int, ...], signs: tuple[int, ...], tilt: float = 0.0) -> NDArray[np.float64]:
    """(4, 4): axis k of the array runs along world axis `order[k]`, with steps of 1, 2 and 4 mm, a little tilted."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * (1.0, 2.0, 4.0)[axis]
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    return turn @ affine


@pytest.mark.parametrize(("order", "signs"), WAYS)
def test_it_is_nibabels_canonical_order_reversed(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).normal(size=(1, 4, 5, 6)).astype(np.float32)
    affine = affine_of(order, signs, tilt=0.3)
    result = Pipeline.from_declaration(["orient"]).apply(
        Sample(image, labels=(image[0] > 1).astype(np.uint8), spacing_mm=(1.0, 2.0, 4.0), affine=affine)
    )
    canonical = nib.as_closest_canonical(nib.Nifti1Image(image[0], affine))
    assert np.array_equal(result.image[0], np.transpose(canonical.get_fdata(dtype=np.float32)))
    assert result.spacing_mm == pytest.approx(tuple(canonical.header.get_zooms()[::-1]))
    assert result.labels is not None
    assert np.array_equal(result.labels, result.image[0] > 1)


@pytest.mark.parametrize(("order", "signs"), WAYS[::7])
def test_predictions_find_their_way_back_voxel_for_voxel(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    image = np.random.default_rng(1).normal(size=(1, 7, 9, 11)).astype(np.float32)
    image[:, 2:5, 3:7, 2:8] += 5
    labels = (image[0] > 3).astype(np.uint8)
    sample = Sample(image, labels=labels, spacing_mm=(1.0, 2.0, 4.0), affine=affine_of(order, signs))
    steps: list[object] = ["orient", {"crop_foreground": {}}, {"pad": {"multiple": 8}}]
    result = Pipeline.from_declaration(steps).apply(sample)
    assert result.labels is not None
    records = [GeometryRecord.from_plain(record.to_plain()) for record in result.geometry]
    assert np.array_equal(restore(result.labels, records, order="nearest"), labels)
    several = np.stack([result.labels, 1 - result.labels]).astype(np.float32)
    assert np.array_equal(restore(several, records)[0], labels)


def test_what_says_nothing_of_its_place_stays_as_it_is() -> None:
    image = np.random.default_rng(2).normal(size=(1, 3, 4, 5)).astype(np.float32)
    orient = Pipeline.from_declaration(["orient"])
    assert orient.apply(Sample(image)).image is image
    flat = Sample(image[:, 0], affine=np.eye(4)[:, 1:])
    assert orient.apply(flat).image is flat.image


def test_records_of_earlier_versions_are_still_read() -> None:
    plain = {"kind": "frame", "before": [4], "after": [2], "start": [1]}
    assert GeometryRecord.from_plain(plain) == GeometryRecord("frame", (4,), (2,), (1,))
