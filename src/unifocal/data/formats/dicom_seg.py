"""DICOM segmentations: frames of segments, put where they lie."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unifocal.data.formats.arrays import Array, Mask, check_size
from unifocal.data.formats.dicom_geometry import is_parallel
from unifocal.data.formats.dicom_header import (
    Header,
    Plane,
    find,
    frame_count,
    frame_groups,
    hash_patient,
    pixel_spacing,
    plane_of,
    read_header,
)
from unifocal.data.formats.dicom_pixels import decode_stored
from unifocal.data.formats.errors import UnreadableError, guarded, without_warnings
from unifocal.data.formats.geometry import LPS_TO_RAS, Affine, affine_from_columns, is_singular, spacing_of
from unifocal.data.scan import Scan
from unifocal.problems import Problem

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_SAME_MM = 0.01
_SAME_COSINE = 1e-3


def is_segmentation(header: Header) -> bool:
    """Whether a file is a DICOM segmentation or label map."""
    return str(header.get("SOPClassUID")) in _SEGMENTATIONS


def segment_names(path: Path) -> dict[int, str]:
    """The names of a segmentation's segments, by their number, which is their label.

    Raises:
        UnreadableError: If the file is no DICOM segmentation, or damaged.
    """
    with guarded(path), without_warnings():
        header = read_header(path, with_pixels=False)
        if not is_segmentation(header):
            raise UnreadableError(path, "is no DICOM segmentation", "Name its labels in the table or in dataset.json.")
        return {number: name for number, name in _segments(header).items() if number != 0}


def read_segmentation(header: Header, path: Path, like: Scan | None = None) -> Scan:
    """Put a segmentation's frames together: an element's label is the number of its segment, 0 where there is none.

    A fractional segmentation counts from half its maximum on. Slices without frames are empty.

    Args:
        header: The parsed file with its pixels.
        path: The file, for messages.
        like: The image, or a mask, whose slices the frames go onto; nothing is resampled. None: the volume reaches
            from the file's first frame to its last.

    Returns:
        uint8 or uint16 (slices, rows, columns), or (rows, columns) where the frames have no position, or `like` is
        2D. Where the frames do not lie on the slices of `like`, the file's own volume with a note of kind `geometry`.

    Raises:
        UnreadableError: If segments overlap (kind `segments-overlap`), frames are not parallel or name unknown
            segments, or positions are missing for more than one.
    """
    names = _segments(header)
    planes = [plane_of(header, frame) for frame in range(frame_count(header))]
    grid, note = _grid(header, planes, path), None
    if like is not None and grid.affine is not None:
        fitted = _fitted(grid, like)
        note = _misplaced(path) if fitted is None else None
        grid = fitted or grid
    frames = _labels(header, decode_stored(header, path))
    mask = _filled(frames, _numbers(header, path), grid, names, path)
    flat = grid.affine is None or grid.affine.shape[1] == 3
    spacing = pixel_spacing(header)[0] if grid.affine is None else spacing_of(grid.affine)
    return Scan(mask[0] if flat else mask, spacing, grid.affine, hash_patient(header), (note,) if note else ())


class _Grid:
    """The volume that frames go into, and the slice of each.

    Args:
        shape: (slices, rows, columns).
        slices: For each frame, its slice.
        affine: Where the volume lies; (4, 3) for a single slice that is 2D, None where unknown.
        planes: Of each frame; empty where unknown.
    """

    def __init__(
        self, shape: tuple[int, int, int], slices: Sequence[int], affine: Affine | None, planes: Sequence[Plane] = ()
    ) -> None:
        self.shape, self.slices, self.affine, self.planes = shape, slices, affine, planes


def _segments(header: Header) -> dict[int, str]:
    return {
        int(segment.SegmentNumber): str(segment.get("SegmentLabel") or f"segment {segment.SegmentNumber}")
        for segment in header.get("SegmentSequence") or []
    }


def _labels(header: Header, pixels: Array) -> Array:
    """Booleans for frames of one segment each; labels for a label map."""
    if str(header.get("SegmentationType")) == "LABELMAP":
        return pixels
    if str(header.get("SegmentationType")) == "FRACTIONAL":
        return np.asarray(2 * pixels.astype(np.uint16) >= int(header.get("MaximumFractionalValue") or 255))
    return np.asarray(pixels != 0)


def _numbers(header: Header, path: Path) -> list[int]:
    """The segment of each frame; empty for a label map, whose values are segments."""
    if str(header.get("SegmentationType")) == "LABELMAP":
        return []
    numbers = []
    for frame in range(frame_count(header)):
        number = find(frame_groups(header, frame), "SegmentIdentificationSequence", "ReferencedSegmentNumber")
        if number is None:
            what = f"does not say which segment its frame {frame + 1} shows"
            raise UnreadableError(path, what, "Export it again.")
        numbers.append(int(number))
    return numbers


def _grid(header: Header, planes: Sequence[Plane | None], path: Path) -> _Grid:
    rows, columns = int(header.Rows), int(header.Columns)
    known = [plane for plane in planes if plane is not None]
    spacing = pixel_spacing(header)[0]
    if not known or spacing is None:
        if len(planes) > max(len(_segments(header)), 1):
            what = "does not say where its frames lie"
            raise UnreadableError(path, what, "Export it with positions.", kind="dicom-no-position")
        return _Grid((1, rows, columns), [0] * len(planes), None)
    if len(known) < len(planes) or not all(is_parallel(known[0], plane) for plane in known):
        what = "has frames of different orientation, or some without a position"
        raise UnreadableError(path, what, "Export it on the slices of its image.", kind="dicom-series-mixed")
    heights = np.array([plane.position @ known[0].normal for plane in known])
    step = _step(header, heights)
    slices = np.rint((heights - heights.min()) / step).astype(int)
    if np.abs((heights - heights.min()) - slices * step).max() > max(2 * _SAME_MM, 0.02 * step):
        what = "has frames at uneven distances"
        raise UnreadableError(path, what, "Export it on the slices of its image.", kind="uneven-spacing")
    shape = (int(slices.max()) + 1, rows, columns)
    check_size(path, shape)
    first, last = known[int(heights.argmin())], known[int(heights.argmax())]
    # From first to last frame, so that a tilted gantry's shear is kept.
    across = (last.position - first.position) / slices.max() if slices.max() else first.normal * step
    steps = (across, first.along_rows * spacing[0], first.along_columns * spacing[1])
    affine = np.asarray(LPS_TO_RAS @ affine_from_columns(first.position.tolist(), *steps), np.float64)
    return _Grid(shape, slices.tolist(), affine, known)


def _step(header: Header, heights: NDArray[np.float64]) -> float:
    """The distance between slices: what the header says if all positions fit it, else the smallest gap."""
    gaps = np.diff(np.unique(heights))
    gaps = gaps[gaps > _SAME_MM]
    groups = frame_groups(header, 0)
    said = find(groups, "PixelMeasuresSequence", "SpacingBetweenSlices") or (
        None if len(gaps) else find(groups, "PixelMeasuresSequence", "SliceThickness")
    )
    step = abs(float(said)) if said else 0.0
    if step > 0 and (not len(gaps) or np.abs(gaps - np.rint(gaps / step) * step).max() <= 2 * _SAME_MM):
        return step
    return float(gaps.min()) if len(gaps) else 1.0


def _fitted(grid: _Grid, like: Scan) -> _Grid | None:
    """The grid of `like` with the frames on it, or None where they do not lie on its slices."""
    assert grid.affine is not None
    affine = like.affine
    if affine is None or like.array.shape[-2:] != grid.shape[1:] or is_singular(affine):
        return None
    spatial = like.array.shape[1 - affine.shape[1] :]  # images have channels before it, masks have none
    in_plane = np.abs(affine[:3, -3:-1] - grid.affine[:3, 1:3]) @ np.array([spatial[-2], spatial[-1]])
    if in_plane.max() > max(_SAME_MM, _SAME_COSINE * float(np.linalg.norm(affine[:3, -2]))):
        return None
    depth = spatial[0] if len(spatial) == 3 else 1
    slices = []
    for plane in grid.planes:
        position = LPS_TO_RAS[:3, :3] @ plane.position - affine[:3, -1]
        along = affine[:3, 0] if len(spatial) == 3 else np.zeros(3)
        index = int(np.rint(position @ along / (along @ along))) if len(spatial) == 3 else 0
        if np.linalg.norm(position - index * along) > _SAME_MM or not 0 <= index < depth:
            return None
        slices.append(index)
    return _Grid((depth, *grid.shape[1:]), slices, affine, grid.planes)


def _filled(frames: Array, numbers: Sequence[int], grid: _Grid, names: dict[int, str], path: Path) -> Mask:
    highest = max([*numbers, *names, int(frames.max())])
    if highest > 65535 or min([0, *numbers]) < 0:
        raise UnreadableError(path, f"numbers its segments up to {highest}", "Export it again.")
    mask = np.zeros(grid.shape, np.uint8 if highest < 256 else np.uint16)
    for index, (frame, slice_) in enumerate(zip(frames, grid.slices, strict=True)):
        target = mask[slice_]
        inside = frame != 0
        taken = target[inside]
        other = taken[(taken != 0) & (taken != (numbers[index] if numbers else 0))]
        if len(other):
            pair = (int(other[0]), numbers[index] if numbers else int(frame[inside].max()))
            raise _overlap(pair, names, path)
        target[inside] = numbers[index] if numbers else frame[inside]
    return mask


def _overlap(pair: tuple[int, int], names: dict[int, str], path: Path) -> UnreadableError:
    first, second = (f"{number} ({names.get(number, 'without a name')})" for number in pair)
    what = f"has segments that overlap: {first} and {second}; a mask has one label per element"
    remedy = "Name regions that are unions of labels, or export overlapping segments as files of their own."
    return UnreadableError(path, what, remedy, kind="segments-overlap")


def _misplaced(path: Path) -> Problem:
    what = "does not lie on the slices of its image, in position, orientation, spacing or size"
    return Problem(str(path), what, "Export it on the slices of its image; nothing is resampled here.", "geometry")
