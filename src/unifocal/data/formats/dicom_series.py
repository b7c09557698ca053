"""Which DICOM files belong together."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from unifocal.data.case import Source
from unifocal.data.formats.dicom_header import Plane, frame_count, plane_of, read_header
from unifocal.data.formats.dicom_seg import is_segmentation
from unifocal.data.formats.errors import UnreadableError, guarded, without_warnings
from unifocal.problems import Problem


@dataclass(frozen=True)
class _Slice:
    path: Path
    plane: Plane | None
    instance: int


def find_series(paths: Iterable[Path]) -> tuple[list[Source], list[Problem]]:
    """Group DICOM files by the series that their headers name; pixels are not read.

    Multi-frame files and segmentations are sources of their own. A file called DICOMDIR is passed over.

    Args:
        paths: The files, in any order.

    Returns:
        The sources in the order of their first files, slices sorted along the normal of their planes (by instance
        number where a position is missing); and a problem for each file that cannot be read: a warning where it holds
        no image (kind `dicom-no-image`), else an error.
    """
    groups: dict[str, list[_Slice]] = {}
    problems: list[Problem] = []
    for path in paths:
        if path.name.upper() == "DICOMDIR":
            continue
        try:
            key, slice_ = _slice(path)
        except UnreadableError as error:
            problems += [replace(each, is_warning=each.kind == "dicom-no-image") for each in error.problems]
        else:
            groups.setdefault(key, []).append(slice_)
    return [_source(slices) for slices in groups.values()], problems


def _slice(path: Path) -> tuple[str, _Slice]:
    """A file, and what it shares with the others of its series."""
    with guarded(path), without_warnings():
        header = read_header(path, with_pixels=False)
        stands_alone = frame_count(header) > 1 or is_segmentation(header)
        # Without a name for its series, a file cannot be said to belong with others.
        key = str(path) if stands_alone else str(header.get("SeriesInstanceUID") or path)
        return key, _Slice(path, plane_of(header), _instance(header.get("InstanceNumber")))


def _instance(said: object) -> int:
    try:
        return int(str(said))
    except ValueError:
        return 0


def _source(slices: list[_Slice]) -> Source:
    if len(slices) == 1:
        return Source.of(slices[0].path)
    first = slices[0].plane
    heights = [
        None if first is None or each.plane is None else float(each.plane.position @ first.normal) for each in slices
    ]
    if None in heights:
        keys = [(float(each.instance), each.path.name) for each in slices]
    else:
        keys = [(height or 0.0, each.path.name) for height, each in zip(heights, slices, strict=True)]
    order = sorted(range(len(slices)), key=keys.__getitem__)
    return Source.of(*(slices[index].path for index in order), joined="slices")
