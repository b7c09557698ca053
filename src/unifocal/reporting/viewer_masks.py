"""Masks as short text: runs of equal labels."""

import base64

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def encode_runs(mask: Bytes) -> str:
    """A mask as base64 of its runs in row-major order, without loss.

    Each run is one byte with its label and its length as a little-endian base-128 number; zeros at the end
    are left out.

    Args:
        mask: (rows, columns).
    """
    flat = mask.ravel()
    filled = np.flatnonzero(flat)
    if not len(filled):
        return ""
    flat = flat[: filled[-1] + 1]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(np.concatenate([starts, [len(flat)]]))
    groups = 1 + sum((lengths >= 128**power).astype(np.int64) for power in range(1, 5))
    ends = np.cumsum(1 + groups)
    coded = np.zeros(int(ends[-1]), dtype=np.uint8)
    first = ends - groups - 1
    coded[first] = flat[starts]
    for group in range(int(groups.max())):
        has = groups > group
        continues = (groups[has] > group + 1).astype(np.int64) << 7
        coded[first[has] + 1 + group] = (lengths[has] >> (7 * group) & 127) | continues
    return base64.b64encode(coded.tobytes()).decode("ascii")


def reduce_mask(mask: Bytes, factor: int) -> Bytes:
    """A mask with blocks of factor x factor pixels made one, which has the block's highest label: nothing vanishes."""
    if factor == 1:
        return mask
    rows, columns = (-length % factor for length in mask.shape)
    padded = np.pad(mask, ((0, rows), (0, columns)))
    height, width = (length // factor for length in padded.shape)
    reduced: Bytes = padded.reshape(height, factor, width, factor).max(axis=(1, 3))
    return reduced
