"""What an NRRD or MetaImage header promises, read before ITK sets memory aside for it and opens what it names."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from unifocal.data.formats.errors import COPY_AGAIN, UnreadableError

_LONGEST_HEADER = 1 << 20
_NRRD_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(
        ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4
    ),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), 8),
    **dict.fromkeys(("int64", "int64_t", "ulonglong", "unsigned long long", "unsigned long long int"), 8),
    **dict.fromkeys(("uint64", "uint64_t", "double"), 8),
}
_META_TYPES = {"char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "float": 4, "double": 8}
_META_TYPES |= {"long": 4, "ulong": 4, "long_long": 8, "ulong_long": 8}
_NRRD_COMPRESSED = {"gzip", "gz"}
_NRRD_PLAIN = {"raw"}


@dataclass(frozen=True)
class Promise:
    """What a header says.

    Attributes:
        shape: Length of every axis, channels included, as the header orders them.
        item_size: Bytes per number.
        data_path: Where the numbers are: the header's own file, or one beside or below it.
        offset: At which byte of that file they begin.
        compressed: `gzip`, `zlib`, or "" where they are stored plainly.
        compressed_size: How many compressed bytes there are; None: to the end of the file.
        has_spacing: Whether the header gives the distance between elements.
        has_orientation: Whether it gives the place in the patient.
    """

    shape: tuple[int, ...]
    item_size: int
    data_path: Path
    offset: int
    compressed: str
    compressed_size: int | None
    has_spacing: bool
    has_orientation: bool


def read_promise(path: Path) -> Promise:
    """Read the header of an NRRD (`.nrrd`, `.nhdr`) or MetaImage file (`.mha`, `.mhd`); its beginning tells which.

    Raises:
        UnreadableError: If it is neither, lacks a field, names a file outside its own folder (kind `path-outside`), or
            spreads its data over several files.
        OSError: If the system does not give the file.
    """
    with path.open("rb") as file:
        start = file.read(_LONGEST_HEADER)
    if not start:
        raise UnreadableError(path, "is empty (0 bytes)", COPY_AGAIN)
    return _nrrd(start, path) if start.startswith(b"NRRD000") else _meta(start, path)


def _nrrd(start: bytes, path: Path) -> Promise:
    end = re.search(rb"\r?\n\r?\n", start)
    # A detached header may end with the file.
    header = start[: end.start()] if end else start
    fields: dict[str, str] = {}
    for line in header.decode("latin-1").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):
            _add(fields, "".join(name.lower().split()), value.strip(), path)
    try:
        shape = tuple(int(length) for length in fields["sizes"].split())
        item_size = _NRRD_TYPES[" ".join(fields["type"].lower().split())]
        encoding = fields["encoding"].lower()
        skipped = [int(fields.get(name, 0)) for name in ("lineskip", "byteskip")]
    except (KeyError, ValueError) as error:
        raise _bad_header(path, error) from None
    if encoding not in _NRRD_COMPRESSED | _NRRD_PLAIN:
        what = f"stores its data in the encoding {encoding!r}, which is not supported"
        raise UnreadableError(path, what, "Save it as NRRD with gzip or raw encoding.")
    if skipped != [0, 0]:
        what = "skips lines or bytes before its data, which is not supported"
        raise UnreadableError(path, what, "Save it as one .nrrd file.")
    other = fields.get("datafile")
    if other is None and end is None:
        raise UnreadableError(path, "is cut short", COPY_AGAIN, kind="truncated")
    return Promise(
        shape=shape,
        item_size=item_size,
        data_path=path if other is None else _beside(path, other),
        offset=0 if other is not None or end is None else end.end(),
        compressed="gzip" if encoding in _NRRD_COMPRESSED else "",
        compressed_size=None,
        has_spacing="spacedirections" in fields or "spacings" in fields,
        has_orientation="spacedirections" in fields and _is_anatomical(fields.get("space", "")),
    )


def _is_anatomical(space: str) -> bool:
    """Whether the NRRD field `space` names the patient's axes: `RAS`, or `left-posterior-superior`, and so on."""
    return bool(re.fullmatch(r"[rl][ap]s|(right|left)-(anterior|posterior)-superior", space.lower()))


def _meta(start: bytes, path: Path) -> Promise:
    fields: dict[str, str] = {}
    position = 0
    while "elementdatafile" not in fields:
        end = start.find(b"\n", position)
        line = start[position : end if end >= 0 else len(start)].decode("latin-1")
        match = re.match(r"\s*([^=:]*[^=:\s])\s*[=:]\s*(.*)", line)
        if match is None or (end < 0 and match[1].lower() != "elementdatafile"):
            what = "is not an NRRD or MetaImage file, or its header is damaged"
            raise UnreadableError(path, what, "Copy it again, or save it as .nii.gz or .nrrd.")
        _add(fields, match[1].lower(), match[2].strip(), path)
        position = end + 1
    try:
        shape = tuple(int(length) for length in fields["dimsize"].split())
        channels = int(fields.get("elementnumberofchannels", 1))
        item_size = _META_TYPES[fields["elementtype"].lower().removeprefix("met_").removesuffix("_array")]
        if len(shape) != int(fields["ndims"]):
            raise ValueError(f"NDims is {fields['ndims']}, but DimSize has {len(shape)} numbers")
        size = int(fields["compresseddatasize"]) if "compresseddatasize" in fields else None
        header_size = int(fields.get("headersize", 0))
    except (KeyError, ValueError) as error:
        raise _bad_header(path, error) from None
    if fields.get("binarydata", "true").lower() not in ("true", "1") or header_size:
        what = "stores its data as text, or behind a header of another format, which is not supported"
        raise UnreadableError(path, what, "Save it as one .mha file.")
    other = fields["elementdatafile"]
    is_local = other.upper() == "LOCAL"
    return Promise(
        shape=(channels, *shape) if channels != 1 else shape,
        item_size=item_size,
        data_path=path if is_local else _beside(path, other),
        offset=position if is_local else 0,
        compressed="zlib" if fields.get("compresseddata", "false").lower() in ("true", "1") else "",
        compressed_size=size,
        has_spacing="elementspacing" in fields or "elementsize" in fields,
        has_orientation=not fields.keys().isdisjoint({"transformmatrix", "orientation", "rotation"}),
    )


def _add(fields: dict[str, str], name: str, value: str, path: Path) -> None:
    # Two answers to one question: which of them ITK takes is not to be relied on.
    if name in fields:
        raise _bad_header(path, f"it says {name!r} twice")
    fields[name] = value


def _bad_header(path: Path, reason: object) -> UnreadableError:
    said = f"{reason} is missing or unknown" if isinstance(reason, KeyError) else str(reason)
    return UnreadableError(path, f"has a header that makes no sense ({said})", "Export it again.")


def _beside(path: Path, name: str) -> Path:
    """The file that a header names, if it lies in the header's folder or below it."""
    if name.upper().startswith("LIST") or "%" in name:
        what = f"spreads its data over several files ({name}), which is not supported"
        raise UnreadableError(path, what, "Save it as one .nrrd or .mha file.", kind="data-in-many-files")
    parts = PureWindowsPath(name).parts
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or ".." in parts or "\0" in name:
        what = f"names a data file outside its own folder ({name})"
        remedy = "Put the data file beside it and name it without a folder, or save it as one .nrrd or .mha file."
        raise UnreadableError(path, what, remedy, kind="path-outside")
    return path.parent / name
