"""DICOM segmentations written by highdicom, held against what was put in and against highdicom's own reading."""

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from formats_dicom import AXIAL, dataset, oblique_cosines, positions, write_series
from highdicom.seg import SegmentationTypeValues
from pydicom.sr.codedict import codes
from pydicom.uid import RLELossless, generate_uid

from unifocal.data.case import Source
from unifocal.data.formats.dicom_seg import segment_names
from unifocal.data.formats.dicom_series import find_series
from unifocal.data.read import UnreadableError, read_image, read_mask

Array = np.ndarray[Any, Any]
NAMES = ("kidney", "tumour")


def labels(slices: int = 6) -> Array:
    """Kidney 1 and tumour 2 on the inner slices."""
    mask = np.zeros((slices, 8, 10), np.uint8)
    mask[1:5, 2:6, 3:8] = 1
    mask[2:4, 3:5, 4:6] = 2
    return mask


def description(number: int) -> hd.seg.SegmentDescription:
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=NAMES[number - 1],
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )


def write_segmentation(path: Path, images: list[Path], mask: Array, kind: str = "BINARY", **options: Any) -> Path:
    """`mask` is labels (slices, rows, columns), or one channel per segment in the last axis."""
    segments = mask.shape[3] if mask.ndim == 4 else 2
    hd.seg.Segmentation(
        source_images=[pydicom.dcmread(image) for image in images],
        pixel_array=mask,
        segmentation_type=SegmentationTypeValues(kind),
        segment_descriptions=[description(number + 1) for number in range(segments)],
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="unifocal",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        **options,
    ).save_as(path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    volume = np.random.default_rng(0).integers(0, 200, (6, 8, 10)).astype(np.int16)
    return write_series(tmp_path / "ct", volume, cosines=oblique_cosines(6))


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_labels_lie_on_the_slices_of_their_image(tmp_path: Path, images: list[Path], kind: str) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", images, labels(), kind)
    scan = read_image(Source.of(*images, joined="slices"))
    mask = read_mask(path, like=scan)
    np.testing.assert_array_equal(mask.array, labels())
    assert mask.array.dtype == np.uint8
    np.testing.assert_array_equal(mask.affine, scan.affine)  # type: ignore[arg-type]
    assert (mask.patient, mask.notes) == (scan.patient, ())
    assert segment_names(path) == {1: "kidney", 2: "tumour"}


def test_the_segmentation_alone_spans_its_own_slices(tmp_path: Path, images: list[Path]) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", images, labels())
    mask, scan = read_mask(path), read_image(Source.of(*images, joined="slices"))
    reference = hd.seg.segread(path).get_volume(combine_segments=True)
    assert mask.affine is not None
    assert scan.affine is not None
    np.testing.assert_allclose((scan.affine @ [1, 0, 0, 1])[:3], mask.affine[:3, 3], atol=1e-9)
    np.testing.assert_array_equal(mask.array, labels()[1:5])
    np.testing.assert_allclose(mask.spacing_mm, (2.5, 0.7, 0.5), rtol=1e-6)
    for index in np.argwhere(mask.array == 2):
        place = (mask.affine @ [*index, 1])[:3] * (-1, -1, 1)
        there = np.rint(reference.map_reference_to_indices(place[None]))[0].astype(int)
        assert reference.array[tuple(there)] == 2


def test_slices_between_frames_are_empty(tmp_path: Path, images: list[Path]) -> None:
    mask = labels()
    mask[2:4] = 0
    path = write_segmentation(tmp_path / "seg.dcm", images, mask)
    assert pydicom.dcmread(path).NumberOfFrames == 2
    np.testing.assert_array_equal(read_mask(path).array, mask[1:5])
    scan = read_image(Source.of(*images, joined="slices"))
    np.testing.assert_array_equal(read_mask(path, like=scan).array, mask)


def test_fractions_count_from_half_on(tmp_path: Path, images: list[Path]) -> None:
    fractions = np.zeros((6, 8, 10), np.float64)
    fractions[1:4, 2, 2:7] = [0.1, 0.49, 0.502, 0.75, 1]
    path = write_segmentation(
        tmp_path / "seg.dcm", images, fractions[..., None], "FRACTIONAL", max_fractional_value=250,
        fractional_type=hd.seg.SegmentationFractionalTypeValues.PROBABILITY,
    )  # fmt: skip
    scan = read_image(Source.of(*images, joined="slices"))
    np.testing.assert_array_equal(read_mask(path, like=scan).array, fractions >= 0.5)


def test_compressed_segmentations(tmp_path: Path, images: list[Path]) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", images, labels(), "LABELMAP", transfer_syntax_uid=RLELossless)
    np.testing.assert_array_equal(read_mask(path).array.max(axis=(1, 2)), labels().max(axis=(1, 2))[1:5])


def test_overlapping_segments_are_named(tmp_path: Path, images: list[Path]) -> None:
    both = np.stack([labels() > 0, labels() == 2], axis=-1).astype(np.uint8)
    path = write_segmentation(tmp_path / "seg.dcm", images, both)
    with pytest.raises(UnreadableError, match=r"1 \(kidney\) and 2 \(tumour\).*regions") as caught:
        read_mask(path)
    assert caught.value.problems[0].kind == "segments-overlap"


@pytest.mark.parametrize("change", ["shifted", "turned", "smaller"])
def test_another_image_s_slices_are_a_note_and_nothing_is_resampled(
    tmp_path: Path, images: list[Path], change: str
) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", images, labels())
    cosines = AXIAL if change == "turned" else oblique_cosines(6)
    shape = (6, 7, 10) if change == "smaller" else (6, 8, 10)
    where = positions(6, cosines, 2.5) + (0.3 if change == "shifted" else 0)
    other = write_series(tmp_path / "other", np.ones(shape, np.int16), cosines=cosines, where=where)
    mask = read_mask(path, like=read_image(Source.of(*other, joined="slices")))
    assert [(note.kind, note.is_warning) for note in mask.notes] == [("geometry", False)]
    np.testing.assert_array_equal(mask.array, read_mask(path).array)


def test_a_single_slice(tmp_path: Path, images: list[Path]) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", images[2:3], labels()[2:3])
    assert read_mask(path).array.shape == (1, 8, 10)
    flat = read_mask(path, like=read_image(images[2]))
    np.testing.assert_array_equal(flat.array, labels()[2])
    assert flat.affine is not None
    assert flat.affine.shape == (4, 3)
    other = read_mask(path, like=read_image(images[3]))
    assert [note.kind for note in other.notes] == ["geometry"]


def test_a_segmentation_is_no_image_and_a_source_of_its_own(tmp_path: Path, images: list[Path]) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", images, labels())
    with pytest.raises(UnreadableError, match="is a segmentation"):
        read_image(path)
    sources, problems = find_series([path, *images])
    assert ([source.paths for source in sources], problems) == ([(path,), tuple(images)], [])
    with pytest.raises(UnreadableError, match="no DICOM segmentation"):
        segment_names(images[0])


def test_damage_gives_a_mask_or_the_one_error(tmp_path: Path, images: list[Path]) -> None:
    path = write_segmentation(tmp_path / "seg.dcm", images, labels())
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for at in random.integers(132, len(whole), 60):
        path.write_bytes(whole[:at] + random.bytes(3) + whole[at + 3 :])
        for read in (read_mask, segment_names):
            try:
                read(path)
            except UnreadableError:
                continue
    path.write_bytes(whole[:-200])
    with pytest.raises(UnreadableError):
        read_mask(path)


def test_frames_that_name_no_segment_are_refused(tmp_path: Path, images: list[Path]) -> None:
    ds = pydicom.dcmread(write_segmentation(tmp_path / "seg.dcm", images, labels()))
    del ds.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence
    ds.save_as(tmp_path / "seg.dcm")
    with pytest.raises(UnreadableError, match="which segment"):
        read_mask(tmp_path / "seg.dcm")
    assert dataset(labels()[0]).Rows == 8
