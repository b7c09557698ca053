"""DICOM segmentations that hold few of their image's slices, on the way into training."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from formats_dicom import write_series
from test_dicom_segmentations import write_segmentation

from unifocal.data.case import Case, Source
from unifocal.data.check.examine import examine
from unifocal.data.coding import MaskCoding
from unifocal.data.datasets import Request, open_dataset
from unifocal.data.read import read_image, read_mask
from unifocal.experiments import prepare as preparing
from unifocal.experiments.recipe import Recipe
from unifocal.preprocessing.cache import Cache
from unifocal.preprocessing.pipeline import Pipeline
from unifocal.problems import InputError
from unifocal.reporting.study import StudyView
from unifocal.reporting.viewer_files import read_prediction

SHAPE = (12, 8, 10)
STEPS: list[Any] = [{"channels": {"count": 1}}, "orient", "z_score"]


def lesion() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Label 1 on slices 5 to 7 of 12."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[5:8, 2:6, 3:8] = 1
    return mask


@pytest.fixture
def case(tmp_path: Path) -> Case:
    rng = np.random.default_rng(0)
    images = write_series(tmp_path / "d" / "ct", rng.integers(0, 200, SHAPE).astype(np.int16))
    write_segmentation(tmp_path / "d" / "seg.dcm", images, lesion())
    return open_dataset(Request(folder=tmp_path / "d")).dataset.cases[0]


def recipe(case: Case, steps: list[Any] = STEPS) -> Recipe:
    return Recipe(case, Pipeline.from_declaration(steps), (1,), MaskCoding())


def test_a_segmentation_of_few_slices_is_put_where_it_lies(case: Case) -> None:
    np.testing.assert_array_equal(recipe(case).truth(), lesion())
    prepared = recipe(case).prepare()
    assert prepared.classes is not None
    assert prepared.classes.shape == SHAPE
    assert prepared.classes.sum() == lesion().sum()


def test_resampling_does_not_stretch_a_segmentation_over_the_volume(case: Case) -> None:
    spacing = examine(case).spacing_mm
    assert spacing is not None
    finer = [spacing[0] / 2, *spacing[1:]]
    prepared = recipe(case, [*STEPS[:2], {"resample": {"spacing_mm": finer}}]).prepare()
    assert prepared.classes is not None
    slices = np.flatnonzero(prepared.classes.any(axis=(1, 2)))
    assert slices.min() in {8, 9, 10, 11}
    assert slices.max() in {12, 13, 14, 15}
    assert len(slices) == 6


def test_a_segmentation_as_field_of_view_is_put_where_it_lies(case: Case) -> None:
    seen = replace(case, field_of_view=case.mask)
    assert not examine(seen).problems
    image = recipe(seen, [{"channels": {"count": 1}}, {"z_score": {"inside": "mask"}}]).prepare().image[0]
    np.testing.assert_allclose(image[lesion() > 0].mean(), 0, atol=1e-5)


def test_a_mask_of_another_size_is_refused_before_any_step(tmp_path: Path) -> None:
    import nibabel as nib

    for name, shape in (("image", (10, 8, 12)), ("mask", (10, 8, 6))):
        nib.save(nib.Nifti1Image(np.ones(shape, np.uint8), np.eye(4)), tmp_path / f"{name}.nii")
    case = Case("c", Source.of(tmp_path / "image.nii"), Source.of(tmp_path / "mask.nii"), "c")
    steps = [{"channels": {"count": 1}}, {"resample": {"spacing_mm": [1, 1, 1]}}]
    with pytest.raises(InputError, match=r"image\.nii: its mask mask\.nii has 6 x 8 x 10 .* 12 x 8 x 10"):
        recipe(case, steps).prepare()
    with pytest.raises(InputError, match=r"image\.nii: its field of view .* 6 x 8 x 10"):
        recipe(replace(case, mask=None, field_of_view=case.mask), steps).prepare()


def test_cached_segmentations_from_before_are_not_used_and_all_other_cases_are(
    case: Case,
) -> None:
    other = replace(case, mask=None)
    before = [Cache.key(*told(each), pipeline=recipe(each).pipeline.identity) for each in (case, other)]
    assert recipe(case).key() != before[0]
    assert recipe(other).key() == before[1]


def told(case: Case) -> list[Any]:
    """What version 0.1 named a prepared case by."""
    from unifocal.data.read import digest

    sources = [source for source in (case.image, case.mask) if source is not None]
    return [repr((len(sources), True, case.spacing_mm, (1,), MaskCoding())), *map(digest, sources)]


@pytest.mark.parametrize("error", [ValueError("shapes differ"), ZeroDivisionError("by zero")])
def test_whatever_a_case_cannot_be_prepared_for_is_told_as_a_problem(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: Recipe) -> None:
        raise error

    def fails_at_once(_: Callable[..., Any], work: list[Any], **__: Any) -> list[Any]:
        return [preparing.Failed("error", str(error))] * len(work)

    monkeypatch.setattr(Recipe, "prepare", fail)
    monkeypatch.setattr(preparing, "map_isolated", fails_at_once)
    with pytest.raises(InputError, match=str(error)) as raised:
        preparing.prepare([recipe(case)] * 2, Cache(tmp_path / "cache", 10**8), advance=lambda: None)
    assert [problem.kind for problem in raised.value.problems] == ["not-prepared"] * 2


def test_a_predicted_segmentation_is_shown_where_it_lies(case: Case, tmp_path: Path) -> None:
    """Predictions of DICOM images are segmentations, too, without the slices in which nothing was found."""
    found = lesion()
    found[5] = 0
    assert case.mask is not None
    write_segmentation(tmp_path / "found.dcm", case.image.paths, found)
    truth = read_mask(case.mask, read_image(case.image))
    study = StudyView(tmp_path, {}, pd.DataFrame(), pd.DataFrame(), (), ())
    with patch.object(StudyView, "prediction_of", lambda *_: Source.of(tmp_path / "found.dcm")):
        shown, trouble = read_prediction(study, "dice", case.name, truth)
    assert trouble == ""
    assert shown is not None
    np.testing.assert_array_equal(shown, found)
