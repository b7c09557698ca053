"""A DICOM series goes in, a DICOM segmentation comes out where the object lies in the patient."""

from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from dicom_series import COLUMNS, ROWS, SPACING, STEP, Series, write_half_ball
from numpy.typing import NDArray

from unifocal.cli.app import run
from volume_files import save_known_model

NAMES = {1: "low", 2: "high tumour"}
THRESHOLDS = {"CT": {1: -400.0, 2: 120.0}, "MR": {1: 600.0, 2: 1120.0}}


def predict(model: Path, images: Path, out: Path, *flags: str) -> int:
    return run(["predict", "--model", str(model), "--images", str(images), "--out", str(out), *flags])


def labelled_places(path: Path) -> dict[str, NDArray[np.float64]]:
    """The places in the patient (mm) of the elements of every segment, by its name, from what the file's frames say."""
    ds = pydicom.dcmread(path)
    frames = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    names = {item.SegmentNumber: item.SegmentLabel for item in ds.SegmentSequence}
    shared = ds.SharedFunctionalGroupsSequence[0]
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names.values()}
    for frame, groups in zip(frames, ds.PerFrameFunctionalGroupsSequence, strict=True):
        cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
        spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(frame)
        places = origin + np.outer(rows, cosines[3:] * spacing[0]) + np.outer(columns, cosines[:3] * spacing[1])
        found[names[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber]].append(places)
    return {name: np.concatenate([np.empty((0, 3)), *parts]) for name, parts in found.items()}


def assert_same_places(found: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    """Every place of either has one of the other within a hundredth of the smallest distance between elements."""
    assert len(found) == len(expected) > 0
    distances = np.linalg.norm(found[:, None] - expected[None], axis=-1)
    assert max(distances.min(axis=0).max(), distances.min(axis=1).max()) < 0.01 * min(SPACING)


def assert_is_of(path: Path, series: Series) -> None:
    """All that a viewer needs to lay the segmentation over the series."""
    ds: Any = pydicom.dcmread(path)
    assert (ds.Rows, ds.Columns) == (ROWS, COLUMNS)
    filled = [(series.labels == label).any(axis=(1, 2)) for label in NAMES]
    assert ds.NumberOfFrames == sum(int(each.sum()) for each in filled)
    assert [item.SegmentLabel for item in ds.SegmentSequence] == list(NAMES.values())
    assert ds.FrameOfReferenceUID == series.frame
    shared = ds.SharedFunctionalGroupsSequence[0]
    assert np.allclose(shared.PlaneOrientationSequence[0].ImageOrientationPatient, series.cosines, atol=1e-6)
    measures = shared.PixelMeasuresSequence[0]
    assert np.allclose(measures.PixelSpacing, SPACING, atol=1e-6)
    assert float(measures.SpacingBetweenSlices) == pytest.approx(STEP, abs=1e-5)
    origins = dict(zip(series.instances, series.places[:, 0, 0], strict=True))
    for groups in ds.PerFrameFunctionalGroupsSequence:
        (derivation,) = groups.DerivationImageSequence
        (slice_,) = derivation.SourceImageSequence
        place = groups.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(place, origins[slice_.ReferencedSOPInstanceUID], atol=1e-4)
    (referenced,) = ds.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == series.uid != ds.SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence} == set(series.instances)
    assert ds.StudyInstanceUID != ds.SeriesInstanceUID
    places = labelled_places(path)
    for label, name in NAMES.items():
        assert_same_places(places[name], series.places[series.labels == label])


@pytest.mark.parametrize(("modality", "turn"), [("CT", 0), ("CT", 1), ("MR", 2)])
def test_the_segmentation_lies_where_the_object_lies(tmp_path: Path, modality: str, turn: int) -> None:
    series = write_half_ball(tmp_path / "scans" / "patient" / "series", modality=modality, turn=turn)
    model = save_known_model(tmp_path / "model", THRESHOLDS[modality], names=NAMES)
    assert predict(model, tmp_path / "scans", tmp_path / "out", "--probabilities") == 0
    assert [path.name for path in (tmp_path / "out" / "masks").iterdir()] == ["patient.dcm"]
    assert_is_of(tmp_path / "out" / "masks" / "patient.dcm", series)

    sizes = pd.read_csv(tmp_path / "out" / "sizes.csv")
    counts = [int((series.labels == label).sum()) for label in NAMES]
    assert sizes["unit"].tolist() == ["ml", "ml"]
    assert sizes["size"].tolist() == pytest.approx([n * np.prod(SPACING) * STEP / 1000 for n in counts], abs=2e-4)

    # NIfTI's axes run to the right and to the front.
    high = nib.load(tmp_path / "out" / "probabilities" / "patient_label2.nii.gz")
    places = nib.affines.apply_affine(high.affine, np.argwhere(high.get_fdata() > 0.5)) * (-1, -1, 1)
    assert_same_places(places, series.places[series.labels == 2])


def test_highdicom_maps_the_volume_back_to_the_series(tmp_path: Path) -> None:
    series = write_half_ball(tmp_path / "scans" / "p1", turn=1)
    model = save_known_model(tmp_path / "model", THRESHOLDS["CT"], names=NAMES)
    assert predict(model, tmp_path / "scans", tmp_path / "out") == 0
    segmentation = hd.seg.segread(tmp_path / "out" / "masks" / "p1.dcm")
    described = [segmentation.get_segment_description(number) for number in (1, 2)]
    assert [each.segment_label for each in described] == list(NAMES.values())
    assert {each.algorithm_type.value for each in described} == {"AUTOMATIC"}
    volume = segmentation.get_volume(combine_segments=True)
    indices = np.argwhere(volume.array > 0)
    places = volume.map_indices_to_reference(indices)
    for label in NAMES:
        of_label = volume.array[tuple(indices.T)] == label
        assert_same_places(places[of_label], series.places[series.labels == label])
    # Frame by frame, in the order of the slices that they refer to.
    per_slice = segmentation.get_pixels_by_source_instance(
        list(series.instances), combine_segments=True, assert_missing_frames_are_empty=True
    )
    assert np.array_equal(per_slice, series.labels)


def test_two_series_give_two_segmentations(tmp_path: Path) -> None:
    first = write_half_ball(tmp_path / "scans" / "p1" / "a")
    second = write_half_ball(tmp_path / "scans" / "p1" / "b", turn=2, slices=8)
    model = save_known_model(tmp_path / "model", THRESHOLDS["CT"], names=NAMES)
    assert predict(model, tmp_path / "scans", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out" / "masks").iterdir()) == ["p1_a.dcm", "p1_b.dcm"]
    assert_is_of(tmp_path / "out" / "masks" / "p1_a.dcm", first)
    assert_is_of(tmp_path / "out" / "masks" / "p1_b.dcm", second)


def test_a_series_given_itself_is_named_after_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = write_half_ball(tmp_path / "knee.2")
    model = save_known_model(tmp_path / "model", THRESHOLDS["CT"], names=NAMES)
    assert predict(model, tmp_path / "knee.2", tmp_path / "out") == 0
    assert_is_of(tmp_path / "out" / "masks" / "knee.2.dcm", series)
    monkeypatch.chdir(tmp_path / "knee.2")
    assert predict(model, Path(), tmp_path / "again") == 0
    assert [path.name for path in (tmp_path / "again" / "masks").iterdir()] == ["knee.2.dcm"]


def test_two_series_side_by_side_keep_names_of_their_own(tmp_path: Path) -> None:
    first = write_half_ball(tmp_path / "mixed")
    for path in sorted((tmp_path / "mixed").iterdir()):
        path.rename(path.with_name(f"a{path.name}"))
    second = write_half_ball(tmp_path / "mixed", turn=1)
    model = save_known_model(tmp_path / "model", THRESHOLDS["CT"], names=NAMES)
    assert predict(model, tmp_path / "mixed", tmp_path / "out") == 0
    written = sorted((tmp_path / "out" / "masks").iterdir())
    assert len(written) == 2
    by_series = {pydicom.dcmread(path).ReferencedSeriesSequence[0].SeriesInstanceUID: path for path in written}
    assert_is_of(by_series[first.uid], first)
    assert_is_of(by_series[second.uid], second)


def test_a_slice_cut_short_is_named_and_nothing_is_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_half_ball(tmp_path / "scans" / "good")
    write_half_ball(tmp_path / "scans" / "bad")
    broken = tmp_path / "scans" / "bad" / "IM0003.dcm"
    broken.write_bytes(broken.read_bytes()[:-200])
    model = save_known_model(tmp_path / "model", THRESHOLDS["CT"], names=NAMES)
    assert predict(model, tmp_path / "scans", tmp_path / "out") == 2
    said = capfd.readouterr().err
    assert "IM0003.dcm" in said
    assert "The other image is sound" in said
    assert not (tmp_path / "out").exists()
