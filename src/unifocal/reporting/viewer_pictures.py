"""Pictures small enough to embed: grey values to 8 bits, lossy compression."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from unifocal.data.scan import Scan
from unifocal.reporting.viewer_masks import Bytes
from unifocal.reporting.viewer_slices import Plane


@dataclass(frozen=True)
class Greys:
    """What the 256 grey values of a case's pictures stand for, the same in every plane.

    Attributes:
        lowest: The image's value that becomes 0; None where pictures have colours or there are none.
        highest: The one that becomes 255.
        window: The grey values shown black and white at first.
        is_colour: Whether the image has red, green and blue.
    """

    lowest: float | None = None
    highest: float | None = None
    window: tuple[int, int] = (0, 255)
    is_colour: bool = False

    @property
    def known(self) -> dict[str, Any]:
        """As the page holds it."""
        range_ = None if self.lowest is None or self.highest is None else [_short(self.lowest), _short(self.highest)]
        return {"colour": self.is_colour, "range": range_, "window": list(self.window)}


def slices_of(base: Scan, plane: Plane, chosen: Sequence[int]) -> NDArray[Any]:
    """(slices, rows, columns) of an image's first channel."""
    return np.asarray(np.nan_to_num(plane.stack(base.array[0])[list(chosen)]))


def greys_of(base: Scan | None, slices: NDArray[Any], lesion: NDArray[Any]) -> Greys:
    """What grey values stand for: percentiles of everything, and all of the lesion.

    Args:
        base: The image; None where there is none.
        slices: (slices, rows, columns), those of the plane shown first.
        lesion: Values where the truth is, on all slices shown; one too small to move percentiles must not end up
            beyond them.
    """
    if base is None or _has_colours(base):
        return Greys(is_colour=base is not None)
    lowest, low, high, highest = np.percentile(slices, [0.1, 0.5, 99.5, 99.9]).tolist()
    if lesion.size:
        least, few, most, greatest = np.percentile(lesion, [0, 2, 98, 100]).tolist()
        lowest, low, high, highest = min(lowest, least), min(low, few), max(high, most), max(highest, greatest)
    span = max(highest - lowest, 1e-6)
    window = (max(0, round(255 * (low - lowest) / span)), min(255, round(255 * (high - lowest) / span)))
    return Greys(lowest, highest, window if high > low else (0, 255))


def draw_pictures(
    base: Scan | None, plane: Plane, chosen: Sequence[int], greys: Greys, detail: tuple[int, int]
) -> list[str | None]:
    """A picture of each chosen slice as a data link; None where there is no image.

    Args:
        base: The image.
        plane: How slices are taken.
        chosen: Their numbers.
        greys: What its grey values stand for.
        detail: The longest side in pixels, and the quality of the compression.
    """
    if base is None:
        return [None] * len(chosen)
    if greys.lowest is None or greys.highest is None:
        scaled = _stretched(np.nan_to_num(base.array), 0.0, _white(base.array))
        return [_picture(np.moveaxis(scaled, 0, -1), plane.aspect, detail)]
    scaled = _stretched(slices_of(base, plane, chosen), greys.lowest, greys.highest)
    return [_picture(part, plane.aspect, detail) for part in scaled]


def picture_size(size: tuple[int, ...], aspect: float, side: int) -> tuple[int, int]:
    """(rows, columns) that a picture is drawn with: as many as there are, or as fit into square pixels.

    Args:
        size: (rows, columns) of the slice.
        aspect: A pixel's height over its width.
        side: How many square pixels its longest side may have.
    """
    rows, columns = size
    scale = side / max(rows * aspect, columns)
    return max(1, round(rows * min(1.0, scale * aspect))), max(1, round(columns * min(1.0, scale)))


def _has_colours(base: Scan) -> bool:
    return base.array.shape[0] == 3 and base.array.ndim == 3


def _white(channels: NDArray[Any]) -> float:
    highest = float(np.nanmax(channels))
    return 255.0 if 1.0 < highest <= 255.0 else max(highest, 1e-6)


def _stretched(values: NDArray[Any], low: float, high: float) -> Bytes:
    scale = 255.0 / max(high - low, 1e-6)
    return np.clip((values - low) * scale, 0, 255).round().astype(np.uint8)


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _picture(pixels: Bytes, aspect: float, detail: tuple[int, int]) -> str:
    """A data link to a small copy of a picture."""
    side, quality = detail
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    height, width = picture_size(pixels.shape[:2], aspect, side)
    if (width, height) != picture.size:
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    return encode_picture(picture, quality)


def encode_picture(picture: Image.Image, quality: int) -> str:
    """A picture as a data link, compressed with loss where Pillow can."""
    buffer = io.BytesIO()
    kind = "webp" if features.check("webp") else "png"
    picture.save(buffer, format=kind, **({"quality": quality, "method": 1} if kind == "webp" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
