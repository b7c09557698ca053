"""Small sound files of every format, written by other libraries than read them where there are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pydicom
import scipy.io
import SimpleITK
import tifffile
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, generate_uid

from real_images import REAL
from unifocal.data.case import Source

Array = NDArray[Any]


@dataclass(frozen=True)
class Sample:
    """The files of one image or mask, and of a mask the image it belongs to.

    Of several files, all are named by a series of slices, and the first alone by a header with its data beside it.
    """

    family: str
    files: tuple[Path, ...]
    image: Source | None = None
    is_series: bool = False

    def source(self, files: tuple[Path, ...]) -> Source:
        """What a case names of these copies of the files."""
        return Source.of(*files, joined="slices") if self.is_series else Source.of(files[0])


def _random() -> np.random.Generator:
    return np.random.default_rng(5)


PICTURE = _random().integers(0, 256, (23, 31), np.uint8)
COLOUR = _random().integers(0, 256, (23, 31, 3), np.uint8)
VOLUME = (_random().normal(size=(6, 9, 11)) * 300).astype(np.int16)


def _pillow(pixels: Array, mode: str | None = None, **options: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        image = Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(path, **options)

    return write


def _nifti(array: Array, kind: Any = nib.Nifti1Image) -> Callable[[Path], object]:
    return lambda path: nib.save(kind(array.T, np.diag([2.0, 1.5, 1.0, 1.0])), path)


def _itk(array: Array, *, compressed: bool = False) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing((0.7, 0.8, 2.0))
        SimpleITK.WriteImage(image, str(path), useCompression=compressed)

    return write


def dicom(
    path: Path, pixels: Array, *, syntax: str = ExplicitVRLittleEndian, number: int = 0, series: str = ""
) -> None:
    """A CT slice."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax if syntax != RLELossless else ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series or generate_uid(), generate_uid()
    dataset.PatientID, dataset.Modality, dataset.InstanceNumber = "P1", "CT", number
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 2.5 * number], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.RescaleSlope, dataset.RescaleIntercept = [0.8, 0.7], 1, -1024
    dataset.SliceThickness = 2.5
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.PixelData = pixels.astype("<i2").tobytes()
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def _matlab73(path: Path) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        group.create_dataset("image", data=VOLUME[0].T, compression="gzip")
        group.create_dataset("tumorMask", data=(VOLUME[0].T > 0).astype(np.uint8))
        group.create_dataset("label", data=np.array([[1.0]]))
        group.create_dataset("PID", data=np.array([[ord(letter)] for letter in "100360"], np.uint16))


def _segmentation(path: Path) -> None:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    slices = []
    for number in range(3):
        dicom(path, VOLUME[number], number=number, series="1.2.3")
        one = pydicom.dcmread(path)
        one.FrameOfReferenceUID, one.PatientName, one.StudyID, one.AccessionNumber = "1.2.4", "", "", ""
        one.PatientBirthDate = one.PatientSex = one.StudyDate = one.StudyTime = ""
        one.StudyInstanceUID, one.SeriesNumber = "1.2.5", 1
        slices.append(one)
    description = hd.seg.SegmentDescription(
        1,
        "lesion",
        codes.SCT.MorphologicallyAbnormalStructure,
        codes.SCT.Lesion,
        hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    mask = (VOLUME[:3] > 200).astype(np.uint8)
    made = hd.seg.Segmentation(
        slices, mask, hd.seg.SegmentationTypeValues.BINARY, [description], generate_uid(), 2, generate_uid(), 1,
        "maker", "model", "1", "serial",
    )  # fmt: skip
    made.save_as(path)


def _image_of(folder: Path, name: str, write: Callable[[Path], object]) -> tuple[Path, ...]:
    path = folder / name
    write(path)
    detached = {".hdr": ".img", ".img": ".hdr", ".mhd": ".raw", ".nhdr": ".raw"}
    other = detached.get(path.suffix)
    return (path,) if other is None else (path, path.with_suffix(other))


_IMAGES: dict[str, Callable[[Path], object]] = {
    "grey.png": _pillow(PICTURE),
    "colour.png": _pillow(COLOUR),
    "palette.png": _pillow(PICTURE, "P"),
    "deep.png": _pillow(PICTURE.astype(np.uint16) * 257),
    "colour.jpg": _pillow(COLOUR, quality=80),
    "progressive.jpg": _pillow(PICTURE, progressive=True, quality=80),
    "plain.tif": _pillow(COLOUR),
    "packed.tif": _pillow(PICTURE, compression="tiff_lzw"),
    "float.tif": lambda path: tifffile.imwrite(path, VOLUME[0].astype(np.float32), compression="zlib"),
    "pages.tif": lambda path: tifffile.imwrite(path, VOLUME, photometric="minisblack"),
    "grey.bmp": _pillow(PICTURE),
    "colour.bmp": _pillow(COLOUR),
    "grey.gif": _pillow(PICTURE),
    "colour.webp": _pillow(COLOUR, lossless=True),
    "lossy.webp": _pillow(COLOUR, quality=70),
    "one.nii": _nifti(VOLUME),
    "two.nii": _nifti(VOLUME, nib.Nifti2Image),
    "packed.nii.gz": _nifti(VOLUME),
    "channels.nii.gz": _nifti(np.stack([VOLUME, VOLUME])),
    "pair.hdr": _nifti(VOLUME, nib.Nifti1Pair),
    "plain.nrrd": _itk(VOLUME),
    "packed.nrrd": _itk(VOLUME, compressed=True),
    "detached.nhdr": _itk(VOLUME),
    "plain.mha": _itk(VOLUME),
    "packed.mha": _itk(VOLUME, compressed=True),
    "detached.mhd": _itk(VOLUME),
    "explicit.dcm": lambda path: dicom(path, VOLUME[0]),
    "implicit.dcm": lambda path: dicom(path, VOLUME[0], syntax=ImplicitVRLittleEndian),
    "packed.dcm": lambda path: dicom(path, VOLUME[0], syntax=RLELossless),
    "old.mat": lambda path: scipy.io.savemat(path, {"image": VOLUME[0]}, do_compression=True),
    "plain.mat": lambda path: scipy.io.savemat(path, {"image": VOLUME[0]}),
    "cheng.mat": _matlab73,
}
_MASKS: dict[str, Callable[[Path], object]] = {
    "mask.png": _pillow((PICTURE > 128).astype(np.uint8) * 255),
    "mask.gif": _pillow(PICTURE > 128),
    "mask.nii.gz": _nifti((VOLUME > 0).astype(np.uint8)),
    "mask.nrrd": _itk((VOLUME > 0).astype(np.uint8)),
    "seg.dcm": _segmentation,
    "mask.mat": _matlab73,
}


def write_samples(folder: Path) -> list[Sample]:
    """Images and masks, one file (or header and data) per format and way to store it."""
    images, masks, series = folder / "images", folder / "masks", folder / "series"
    for place in (images, masks, series):
        place.mkdir(parents=True)
    samples = [Sample(name, _image_of(images, name, write)) for name, write in _IMAGES.items()]
    slices = tuple(series / f"{number}.dcm" for number in range(3))
    for number, path in enumerate(slices):
        dicom(path, VOLUME[number], number=number, series="1.2.3")
    samples.append(Sample("series", slices, is_series=True))
    of = {"mask.png": "grey.png", "mask.gif": "grey.png", "mask.nii.gz": "one.nii", "mask.nrrd": "plain.nrrd",
          "mask.mat": "cheng.mat"}  # fmt: skip
    for name, write in _MASKS.items():
        image = Source.of(images / of[name]) if name in of else Source.of(*slices, joined="slices")
        samples.append(Sample(name, _image_of(masks, name, write), image))
    return samples


def real_samples() -> list[Sample]:
    """A few small real files, where the public data sets are."""
    names = (
        "brain_t1ce/images/0009.png",
        "drive/test/mask/01_test_mask.gif",
        "msd_hippocampus/imagesTr/hippocampus_001.nii.gz",
    )
    return [Sample(f"real {Path(name).name}", (REAL / name,)) for name in names if (REAL / name).is_file()]
