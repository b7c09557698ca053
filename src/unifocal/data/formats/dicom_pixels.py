"""The pixels of a DICOM file: decoded, in colour or in the units that its header gives them."""

from pathlib import Path
from typing import Any

import numpy as np

from unifocal.data.formats.arrays import Array, as_image
from unifocal.data.formats.dicom_header import Header, find, frame_count, frame_groups
from unifocal.data.formats.errors import UnreadableError
from unifocal.data.formats.itk_library import read_with_itk


def decode_stored(header: Header, path: Path) -> Array:
    """Decode all frames as they are stored.

    Args:
        header: The parsed file with its pixels.
        path: The file, for messages, and for the libraries that read from disk.

    Returns:
        (frames, rows, columns) or (frames, rows, columns, samples); YBR colours are converted to RGB.

    Raises:
        UnreadableError: If the pixels are damaged or cut short, or no library knows their compression.
    """
    pixels = _decode(header, path)
    frames, samples = frame_count(header), int(header.get("SamplesPerPixel") or 1)
    shape = (frames, int(header.Rows), int(header.Columns)) + ((samples,) if samples > 1 else ())
    if pixels.size != np.prod(shape, dtype=np.int64):
        what = f"holds {pixels.size} numbers where its header promises {' x '.join(map(str, shape))}"
        raise UnreadableError(path, what, "Copy it again from its source.")
    return pixels.reshape(shape)


def to_image(pixels: Array, header: Header) -> Array:
    """From stored values to the image's own: a palette's colours, or the rescaled values.

    MONOCHROME1, where the lowest value is white, is turned round before rescaling: a stored value v becomes lowest +
    highest - v of what the stored bits can hold, so that all slices of a series are turned alike.

    Args:
        pixels: (frames, rows, columns) or (frames, rows, columns, 3), from `decode_stored`.
        header: The parsed file.

    Returns:
        float32 (channels, frames, rows, columns).
    """
    photometric = str(header.get("PhotometricInterpretation") or "MONOCHROME2")
    if photometric == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        colours = apply_color_lut(pixels, header)
        return as_image(np.moveaxis(colours[..., :3], -1, 0))
    if pixels.ndim == 4:
        return as_image(np.moveaxis(pixels, -1, 0))
    image = np.empty((1, *pixels.shape), np.float32)
    for frame, stored in enumerate(pixels):
        turned = _turned(stored, header) if photometric == "MONOCHROME1" else stored
        image[0, frame] = _rescaled(turned, header, frame)
    return image


def _decode(header: Header, path: Path) -> Array:
    from pydicom.pixels.decoders.base import get_decoder

    syntax = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    if syntax is None:
        syntax = _guessed_syntax(header)
        header.file_meta.TransferSyntaxUID = syntax
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    if decoder is not None and decoder.is_available:
        return np.asarray(header.pixel_array)
    return _by_gdcm(header, path, getattr(syntax, "name", str(syntax)))


def _guessed_syntax(header: Header) -> Any:
    """A file without a meta header is uncompressed."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    is_implicit, is_little = header.original_encoding
    if not is_little:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian


def _by_gdcm(header: Header, path: Path, syntax: str) -> Array:
    """What pydicom cannot decode here, through SimpleITK's GDCM; it applies the rescaling, which is taken back."""
    try:
        pixels: Array = read_with_itk(path, "GDCMImageIO")[1]
    except RuntimeError:
        what = f"is compressed in a way that cannot be read here, or damaged ({syntax})"
        remedy = "Export it without compression, or as JPEG-LS, JPEG 2000 or RLE."
        raise UnreadableError(path, what, remedy, kind="dicom-transfer-syntax") from None
    slope, intercept = _slope_and_intercept(header, 0)
    if (slope, intercept) != (1.0, 0.0):
        pixels = np.rint((pixels - intercept) / slope).astype(np.int32)
    return pixels


def _turned(stored: Array, header: Header) -> Array:
    bits = int(header.get("BitsStored") or header.BitsAllocated)
    lowest_and_highest = -1 if int(header.get("PixelRepresentation") or 0) else 2**bits - 1
    return lowest_and_highest - stored.astype(np.int64)


def _rescaled(stored: Array, header: Header, frame: int) -> Array:
    if header.get("ModalityLUTSequence"):
        from pydicom.pixels.processing import apply_modality_lut

        return np.asarray(apply_modality_lut(stored, header))
    slope, intercept = _slope_and_intercept(header, frame)
    return stored if (slope, intercept) == (1.0, 0.0) else stored * slope + intercept


def _slope_and_intercept(header: Header, frame: int) -> tuple[float, float]:
    groups = frame_groups(header, frame)
    slope = find(groups, "PixelValueTransformationSequence", "RescaleSlope")
    intercept = find(groups, "PixelValueTransformationSequence", "RescaleIntercept")
    return (1.0 if slope is None else float(slope)), (0.0 if intercept is None else float(intercept))
