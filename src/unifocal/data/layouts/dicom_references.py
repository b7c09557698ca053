"""What DICOM headers say of images and of the segmentations that were drawn on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from unifocal.data.case import Source
from unifocal.data.formats.dicom_header import hash_patient, read_header
from unifocal.data.formats.dicom_seg import is_segmentation
from unifocal.data.formats.errors import guarded, without_warnings


@dataclass(frozen=True)
class DicomImage:
    """A series, or a file of many frames.

    Attributes:
        source: Its files.
        series: SeriesInstanceUID, "" where none is said.
        patient: A one-way hash, "" where nobody is named.
        modality: As DICOM abbreviates it.
    """

    source: Source
    series: str
    patient: str
    modality: str


@dataclass(frozen=True)
class Segmentation:
    """A segmentation, and what it was drawn on.

    Attributes:
        path: The file.
        series: The first SeriesInstanceUID that it refers to, "" where it names none.
        instances: The SOPInstanceUIDs that it refers to.
        said: SeriesDescription and ContentLabel.
        labels: The segments' names by their numbers.
    """

    path: Path
    series: str
    instances: frozenset[str]
    said: str
    labels: Mapping[int, str]


class ReferredImages:
    """The images, to be found by what a segmentation refers to."""

    def __init__(self, images: Sequence[DicomImage]) -> None:
        self.images = images

    @cached_property
    def _by_instance(self) -> dict[str, list[int]]:
        """Which images hold an instance; reads every header once more, and is for segmentations that need it."""
        found: dict[str, list[int]] = {}
        for number, image in enumerate(self.images):
            for path in image.source.paths:
                found.setdefault(_instance(path), []).append(number)
        return found

    def of(self, segmentation: Segmentation) -> list[int]:
        """The images, by their places, that a segmentation may belong to: one where all is well.

        Raises:
            UnreadableError: If the header of an image that must be told by its instances cannot be read.
        """
        named = segmentation.series
        fitting = [number for number, image in enumerate(self.images) if named and image.series == named]
        if len(fitting) == 1 or (named and not fitting):
            return fitting
        referred = {number for each in segmentation.instances for number in self._by_instance.get(each, ())}
        return sorted(referred & set(fitting) if named else referred)


def facts_of(source: Source) -> DicomImage | Segmentation:
    """What the header of a source's first file says.

    Raises:
        UnreadableError: If it is no DICOM file, damaged, or holds no image.
    """
    path = source.paths[0]
    with guarded(path), without_warnings():
        header = read_header(path, with_pixels=False)
        if not is_segmentation(header):
            series, modality = (str(header.get(key) or "") for key in ("SeriesInstanceUID", "Modality"))
            return DicomImage(source, series, hash_patient(header), modality)
        referred = (header.get("ReferencedSeriesSequence") or [{}])[0]
        instances = {str(each.value) for each in header.iterall() if each.keyword == "ReferencedSOPInstanceUID"}
        said = (str(header.get(key) or "") for key in ("SeriesDescription", "ContentLabel"))
        labels = {
            int(segment.SegmentNumber): str(segment.get("SegmentLabel") or f"segment {segment.SegmentNumber}")
            for segment in header.get("SegmentSequence") or []
            if int(segment.SegmentNumber)
        }
        series = str(referred.get("SeriesInstanceUID") or "")
        return Segmentation(path, series, frozenset(instances), ", ".join(filter(None, said)), labels)


def _instance(path: Path) -> str:
    with guarded(path), without_warnings():
        return str(read_header(path, with_pixels=False).get("SOPInstanceUID") or "")
