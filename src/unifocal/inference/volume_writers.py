"""Masks and probabilities of volumes, in the format of the image that they belong to and where it lies."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unifocal.data.case import Source
from unifocal.data.read import kind_of

_ITK_ENDINGS = {".nhdr": ".nrrd", ".mhd": ".mha"}


def write_volume_mask(
    folder: Path, name: str, mask: NDArray[np.integer[Any]], source: Source, labels: Mapping[int, str]
) -> Path:
    """Write a mask beside which nobody has to ask where it lies: in its image's format, with its header.

    NIfTI gives NIfTI with the same affine and header; NRRD and MetaImage give the same with origin, spacing and
    directions; a DICOM series gives a DICOM segmentation that refers to its slices. Other images give NIfTI without a
    place.

    Args:
        folder: Where to.
        name: Of the file, without an ending.
        mask: (slices, rows, columns) labels on the image's own grid, 0 for background.
        source: The image's files.
        labels: The name of each label, for formats that hold names.

    Returns:
        The file; it appears complete or not at all.

    Raises:
        ValueError: If the mask does not have the image's size.
    """
    stored = mask.astype(np.uint8 if mask.max(initial=0) <= 255 else np.uint16)
    kind = "dicom" if source.joined == "slices" else kind_of(source.path)
    if kind == "dicom":
        return _whole(folder / f"{name}.dcm", lambda path: _write_segmentation(path, stored, source, labels))
    return write_volume_like(folder, name, stored, source)


def write_volume_like(folder: Path, name: str, values: NDArray[Any], source: Source) -> Path:
    """Write numbers (slices, rows, columns) as NIfTI, NRRD or MetaImage where an image lies."""
    kind = None if source.joined == "slices" else kind_of(source.path)
    if kind == "itk":
        ending = source.path.suffix.lower()
        target = folder / f"{name}{_ITK_ENDINGS.get(ending, ending)}"
        return _whole(target, lambda path: _write_itk(path, values, source.path))
    reference = source.path if kind == "nifti" else None
    return _whole(folder / f"{name}.nii.gz", lambda path: _write_nifti(path, values, reference, source))


def _whole(target: Path, write: Callable[[Path], None]) -> Path:
    """Write under another name in a folder of its own, then move: the ending, which formats go by, stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        write(aside / target.name)
        os.replace(aside / target.name, target)  # noqa: PTH105 - beside the file that was made, as one step
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def _write_nifti(path: Path, values: NDArray[Any], reference: Path | None, source: Source) -> None:
    import nibabel as nib

    # Our axes are reversed from nibabel's.
    data = np.asfortranarray(values.transpose())
    if reference is None:
        affine = _affine(source)
        image: Any = nib.Nifti1Image(data, None if affine is None else affine[:, [2, 1, 0, 3]])
    else:
        original: Any = nib.load(reference)
        _check_size(tuple(reversed(original.shape[:3])), values.shape, reference)
        header = original.header.copy()
        header.set_data_dtype(values.dtype)
        header["scl_slope"], header["scl_inter"] = 1, 0
        header["cal_min"], header["cal_max"] = 0, 0
        kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
        image = kind(data, original.affine, header)
        # The image would otherwise choose codes of its own for where it lies.
        image.header["qform_code"], image.header["sform_code"] = header["qform_code"], header["sform_code"]
    nib.save(image, path)


def _affine(source: Source) -> NDArray[np.float64] | None:
    """What the readers say of a volume's place; None where they say nothing."""
    from unifocal.data.read import read_image

    affine = read_image(source).affine
    return None if affine is None or affine.shape != (4, 4) else affine


def _write_itk(path: Path, values: NDArray[Any], reference: Path) -> None:
    import SimpleITK as sitk  # noqa: N813 - the name that its users know

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(reference))
    reader.ReadImageInformation()
    size = tuple(int(length) for length in reader.GetSize()[:3])
    _check_size(tuple(reversed(size)), values.shape, reference)
    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    axes, all_axes = 3, reader.GetDimension()
    image.SetSpacing(reader.GetSpacing()[:axes])
    image.SetOrigin(reader.GetOrigin()[:axes])
    direction = np.array(reader.GetDirection()).reshape(all_axes, all_axes)[:axes, :axes]
    image.SetDirection(direction.ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=True)


def _write_segmentation(path: Path, mask: NDArray[Any], source: Source, labels: Mapping[int, str]) -> None:
    import highdicom as hd
    import pydicom
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    from unifocal import __version__

    slices = [pydicom.dcmread(each) for each in source.paths]
    frames = int(slices[0].get("NumberOfFrames") or len(slices))
    _check_size((frames, int(slices[0].Rows), int(slices[0].Columns)), mask.shape, source.path)
    algorithm = hd.AlgorithmIdentificationSequence(
        name="unifocal", version=__version__, family=codes.DCM.ArtificialIntelligence
    )
    # Segments are numbered from 1 without gaps; a label keeps its number only where labels do so too.
    segments = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=labels.get(label, f"label {label}")[:64],
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, label in enumerate(sorted(labels), start=1)
    ]
    numbered = np.zeros(mask.shape, np.uint8)
    for number, label in enumerate(sorted(labels), start=1):
        numbered[mask == label] = number
    affine = _affine(source)
    placed: Any = numbered
    if affine is not None:
        # Placed by its geometry, not by the order of frames. DICOM's x and y run the other way.
        placed = hd.Volume(
            numbered,
            np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine,
            coordinate_system="PATIENT",
            frame_of_reference_uid=slices[0].FrameOfReferenceUID,
        )
    hd.seg.Segmentation(
        source_images=slices,
        pixel_array=placed,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=int(slices[0].get("SeriesNumber") or 0) + 1000,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="unifocal",
        manufacturer_model_name="unifocal",
        software_versions=__version__,
        device_serial_number="0",
        series_description="Segmentation by unifocal",
        omit_empty_frames=bool(numbered.any()),
    ).save_as(path)


def _check_size(expected: tuple[int, ...], found: tuple[int, ...], reference: Path) -> None:
    if expected != found:
        message = f"the volume is {found}, and its image {reference} {expected} (slices, rows, columns)"
        raise ValueError(message)
