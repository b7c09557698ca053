"""Pictures small enough to embed: grey values to 8 bits, lossy compression."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from unifocal.data.scan import Scan
from unifocal.reporting.viewer_masks import Bytes
from unifocal.reporting.viewer_slices import Plane


def draw_pictures(
    base: Scan | None, plane: Plane, chosen: Sequence[int], lesion: NDArray[np.bool_], detail: tuple[int, int]
) -> tuple[list[str | None], dict[str, Any]]:
    """A picture of each chosen slice as a data link, and what its grey values stand for.

    Args:
        base: The image; None where there is none.
        plane: How slices are taken.
        chosen: Their numbers.
        lesion: (slices, rows, columns), of the chosen slices: where the truth is; its grey values are kept.
        detail: The longest side in pixels, and the quality of the compression.
    """
    if base is None:
        return [None] * len(chosen), {"colour": False, "range": None, "window": [0, 255]}
    channels = base.array
    if channels.shape[0] == 3 and channels.ndim == 3:
        scaled, _ = _stretched(np.nan_to_num(channels), 0.0, _white(channels))
        return [_picture(np.moveaxis(scaled, 0, -1), detail)], {"colour": True, "range": None, "window": [0, 255]}
    slices = np.nan_to_num(plane.stack(channels[0])[list(chosen)])
    lowest, low, high, highest = _grey_range(slices, lesion)
    scaled, span = _stretched(slices, lowest, highest)
    window = [max(0, round(255 * (low - lowest) / span)), min(255, round(255 * (high - lowest) / span))]
    known = {"colour": False, "range": [_short(lowest), _short(highest)], "window": window if high > low else [0, 255]}
    return [_picture(part, detail) for part in scaled], known


def _grey_range(slices: NDArray[Any], lesion: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """The lowest grey value kept, those shown black and white at first, and the highest kept.

    Percentiles of everything; a lesion too small to move them must not end up beyond them.
    """
    lowest, low, high, highest = np.percentile(slices, [0.1, 0.5, 99.5, 99.9]).tolist()
    if lesion.any():
        least, few, most, greatest = np.percentile(slices[lesion], [0, 2, 98, 100]).tolist()
        lowest, low, high, highest = min(lowest, least), min(low, few), max(high, most), max(highest, greatest)
    return lowest, low, high, highest


def _white(channels: NDArray[Any]) -> float:
    highest = float(np.nanmax(channels))
    return 255.0 if 1.0 < highest <= 255.0 else max(highest, 1e-6)


def _stretched(values: NDArray[Any], low: float, high: float) -> tuple[Bytes, float]:
    span = max(high - low, 1e-6)
    return np.clip((values - low) * (255.0 / span), 0, 255).round().astype(np.uint8), span


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _picture(pixels: Bytes, detail: tuple[int, int]) -> str:
    """A data link to a small copy of a picture."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    side, quality = detail
    scale = side / max(picture.size)
    if scale < 1:
        width, height = (max(1, round(length * scale)) for length in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    return encode_picture(picture, quality)


def encode_picture(picture: Image.Image, quality: int) -> str:
    """A picture as a data link, compressed with loss where Pillow can."""
    buffer = io.BytesIO()
    kind = "webp" if features.check("webp") else "png"
    picture.save(buffer, format=kind, **({"quality": quality, "method": 1} if kind == "webp" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
