"""What Pillow leaves undone for PNG: a whole file is told from a damaged one, and 16 bits of colour are kept."""

import struct
import tempfile
import zlib
from pathlib import Path

from unifocal.data.formats.arrays import Array, check_size
from unifocal.data.formats.errors import COPY_AGAIN, UnreadableError
from unifocal.data.formats.itk_library import read_with_itk

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _GREY_AND_ALPHA = 0, 4


def check_png(data: bytes, path: Path) -> bool:
    """Walk the chunks: Pillow takes no notice of a missing end or of a wrong checksum of the pixels.

    Returns:
        Whether it has colours of 16 bits, which `decode_deep_colour` reads and Pillow cuts to 8.

    Raises:
        UnreadableError: If the file is damaged, cut short, or holds 16 bits of grey with transparency.
    """
    position, kind, has_deep_colour = len(SIGNATURE), b"", False
    while kind != b"IEND":
        head = data[position : position + 8]
        if len(head) < 8:
            raise UnreadableError(path, "is cut short", COPY_AGAIN, kind="truncated")
        length, kind = struct.unpack(">I4s", head)
        body, end = data[position + 4 : position + 8 + length], position + 12 + length
        if end > len(data):
            raise UnreadableError(path, "is cut short", COPY_AGAIN, kind="truncated")
        is_critical = kind[:1].isupper()
        if is_critical and zlib.crc32(body) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnreadableError(path, "is damaged (a checksum is wrong)", COPY_AGAIN)
        if kind == b"IHDR":
            has_deep_colour = _has_deep_colour(body[4:], path)
        position = end
    return has_deep_colour


def decode_deep_colour(data: bytes, path: Path) -> Array:
    """Decode a PNG with colours of 16 bits: (rows, columns, 3 or 4).

    The bytes go through a temporary file: ITK reads nothing else.

    Raises:
        UnreadableError: If it is too large.
        RuntimeError: If it is damaged.
    """
    columns, rows = struct.unpack(">II", data[16:24])
    check_size(path, (rows, columns, 4))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "picture.png"
        copy.write_bytes(data)
        pixels: Array = read_with_itk(copy, "PNGImageIO")[1]
    return pixels


def _has_deep_colour(header: bytes, path: Path) -> bool:
    bits, colour_type = header[8:10]
    if bits == 16 and colour_type == _GREY_AND_ALPHA:
        what = "is a PNG with transparency at 16 bits, which cannot be read without loss"
        raise UnreadableError(path, what, "Save it without transparency, as TIFF, or with 8 bits per channel.")
    return bool(bits == 16 and colour_type != _GREY)
