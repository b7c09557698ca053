"""What reading a case may take: modules, time and memory; and what is said of those that take more."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from unifocal.data.case import Case
from unifocal.data.workers import Failed
from unifocal.problems import Problem

_BASE_SECONDS = 10.0
_SECONDS_PER_MEGABYTE = 1.0
_BASE_MEMORY = 2 * 1024**3
# A compressed scan may be a tenth of its size in memory, twice: as stored and as float32.
_MEMORY_PER_BYTE = 20
_BYTES_AT_ONCE = 1_000_000
_DETACHED = {".hdr", ".img", ".mhd", ".nhdr"}

_HEAVY = {
    "nibabel": (".nii", ".gz", ".hdr", ".img"),
    "SimpleITK": (".nrrd", ".nhdr", ".mha", ".mhd"),
    "pydicom": (".dcm", ".dicom", ".ima", ""),
    "h5py": (".mat",),
    "PIL.Image": (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"),
    "tifffile": (".tif", ".tiff"),
}


def seconds_for(case: Case) -> float:
    """10 s, and one for each megabyte of the case's files, for slow disks."""
    return _BASE_SECONDS + _SECONDS_PER_MEGABYTE * file_bytes(case) / 1e6


def memory_for(case: Case) -> int:
    """2 GB, and 20 times the size of the case's files."""
    return _BASE_MEMORY + _MEMORY_PER_BYTE * file_bytes(case)


def file_bytes(case: Case) -> int:
    """The size of a case's files together; what cannot be asked counts nothing."""
    return sum(_size(path) for path in files(case))


def files(case: Case) -> Iterator[Path]:
    """All files of a case that it names, and those beside a detached header under its name."""
    for source in (case.image, case.mask, case.field_of_view, *case.other_masks.values()):
        for path in () if source is None else source.paths:
            yield path
            if path.suffix.lower() in _DETACHED:
                yield from (path.with_suffix(other) for other in (".img", ".raw", ".zraw", ".img.gz", ".raw.gz"))


def heavy_modules(cases: Sequence[Case]) -> list[str]:
    """The libraries that will read the cases, by the first files' extensions: loading them is no case's time."""
    suffixes = {path.suffix.lower() for case in cases[:50] for path in files(case)}
    return [name for name, known in _HEAVY.items() if not suffixes.isdisjoint(known)]


def cases_at_once(cases: Sequence[Case]) -> int:
    """How many cases to send a process together: up to 8 small ones, for sending costs as much as reading a slice."""
    first = cases[:50]
    mean = sum(map(file_bytes, first)) / max(len(first), 1)
    return max(1, min(8, int(_BYTES_AT_ONCE / max(mean, 1)), len(cases) // 32))


def describe_failure(case: Case, failed: Failed) -> Problem:
    """What is said where reading ended without a result."""
    beside = "" if case.mask is None else f", or its mask {case.mask.path.name},"
    again = "Copy it again from its source, or save it in another format."
    match failed.reason:
        case "crashed":
            kind, what = "reader-crashed", f"{beside} makes the library that reads it crash ({failed.detail})"
        case "memory":
            kind = "too-much-memory"
            what = f"{beside} needs more than {memory_for(case) / 1e9:.1f} GB of memory to read"
        case "timeout":
            kind, what = "too-slow", f"{beside} takes longer than {failed.detail} to read"
        case _:
            kind, what = "unreadable", f"{beside} cannot be read ({failed.detail})"
    return Problem(str(case.image), what.removeprefix(", ").lstrip(), again, kind)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0
