"""Arrays in compressed tiles: a slice decompresses the tiles it touches, each after its checksum."""

import itertools
import math
import mmap
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Window = tuple[int, int]

_TILE_BYTES = 1 << 17
"""A tile before compression: 32x32x32 float32. Smaller ones cost calls, larger ones what a patch only grazes."""


class DamagedError(Exception):
    """A stored entry is not what was written."""


@dataclass(frozen=True)
class Tiling:
    """How an array is cut.

    Attributes:
        dtype: Of the array, as NumPy writes it: `<f4`.
        shape: Of the array.
        tile: Of its tiles; those at the far edges may be smaller.
    """

    dtype: str
    shape: tuple[int, ...]
    tile: tuple[int, ...]

    @classmethod
    def of(cls, array: NDArray[Any], *, whole_axes: int) -> "Tiling":
        """A tiling in even pieces, as close to cubes as the shape allows.

        Args:
            array: Of numbers or truth values.
            whole_axes: So many leading axes are not cut (an image's channels).
        """
        tile = list(array.shape)
        budget = _TILE_BYTES // array.itemsize // max(1, math.prod(array.shape[:whole_axes]))
        axes = sorted(range(whole_axes, array.ndim), key=array.shape.__getitem__)
        for left, axis in zip(range(len(axes), 0, -1), axes, strict=True):
            length = array.shape[axis]
            pieces = math.ceil(length / max(1, int(budget ** (1 / left) + 1e-9)))
            tile[axis] = math.ceil(length / max(1, pieces))
            budget //= max(1, tile[axis])
        return cls(array.dtype.str, array.shape, tuple(max(1, side) for side in tile))

    @property
    def grid(self) -> tuple[int, ...]:
        """The number of tiles along each axis."""
        return tuple(-(-length // side) for length, side in zip(self.shape, self.tile, strict=True))

    def box(self, place: Sequence[int]) -> tuple[Window, ...]:
        """(start, stop) along each axis of the tile at a place of the grid."""
        return tuple(
            (step * side, min((step + 1) * side, length))
            for step, side, length in zip(place, self.tile, self.shape, strict=True)
        )


def compress(array: NDArray[Any], tiling: Tiling) -> list[bytes]:
    """The tiles of an array, each a blosc2 chunk, in the grid's C order."""
    import blosc2  # type: ignore[import-untyped]

    settings: dict[str, Any] = {
        "codec": blosc2.Codec.LZ4,
        "clevel": 1,
        "filters": [blosc2.Filter.SHUFFLE],
        "filters_meta": [0],
        "typesize": array.itemsize,
        "nthreads": 1,
    }
    return [
        blosc2.compress2(np.ascontiguousarray(array[tuple(itertools.starmap(slice, tiling.box(place)))]), **settings)
        for place in np.ndindex(tiling.grid)
    ]


class Body(NamedTuple):
    """Where the tiles of an array are.

    Attributes:
        content: The file, memory-mapped or read.
        places: Per tile, in the grid's C order, its first byte, length and CRC-32.
    """

    content: memoryview
    places: Sequence[tuple[int, int, int]]


class TiledArray:
    """An array that stays compressed where it lies; `array[...]` reads it, `array[:, 8:16]` only what it touches.

    Takes integers, slices and `...`, as NumPy does, and returns an array of the caller's own, never a shared one.

    Args:
        tiling: How it is cut.
        body: Its tiles.
        renew: Makes them again when one turns out to be damaged.
    """

    def __init__(self, tiling: Tiling, body: Body, renew: Callable[[], Body]) -> None:
        self.shape = tiling.shape
        self.dtype: np.dtype[Any] = np.dtype(tiling.dtype)
        self.ndim = len(self.shape)
        self._tiling = tiling
        self.body = body
        self._renew = renew

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001
        return np.asarray(self[...], dtype)

    def __getitem__(self, index: Any) -> Any:
        windows, rest = _plan(index, self.shape)
        try:
            block = self._read(windows)
        except DamagedError:
            self.body = self._renew()
            block = self._read(windows)
        return block[rest]

    def _read(self, windows: Sequence[Window]) -> NDArray[Any]:
        tiling = self._tiling
        whole = self.body.content.obj
        # To touch what someone cut off a mapped file would end the process.
        if isinstance(whole, mmap.mmap) and whole.size() < len(self.body.content):
            raise DamagedError
        block = np.empty([stop - start for start, stop in windows], self.dtype)
        if block.shape == tiling.shape == tiling.tile:
            self._decompress(0, block)
            return block
        scratch = np.empty(math.prod(tiling.tile), self.dtype)
        steps = _steps(tiling.grid)
        ranges = [range(lo // side, -(-hi // side)) for (lo, hi), side in zip(windows, tiling.tile, strict=True)]
        for place in itertools.product(*ranges):
            box = tiling.box(place)
            sides = [stop - start for start, stop in box]
            tile = scratch[: math.prod(sides)].reshape(sides)
            self._decompress(sum(map(int.__mul__, place, steps)), tile)
            both = list(zip(windows, box, strict=True))
            source = tuple(slice(max(lo - start, 0), min(hi, stop) - start) for (lo, hi), (start, stop) in both)
            target = tuple(slice(max(start - lo, 0), min(hi, stop) - lo) for (lo, hi), (start, stop) in both)
            block[target] = tile[source]
        return block

    def _decompress(self, number: int, tile: NDArray[Any]) -> None:
        import blosc2

        start, length, checksum = self.body.places[number]
        chunk = self.body.content[start : start + length]
        # The decompressor writes as many bytes as the chunk says, so that must be known to be right.
        if zlib.crc32(chunk) != checksum or blosc2.get_cbuffer_sizes(chunk)[0] != tile.nbytes:
            raise DamagedError
        blosc2.decompress2(chunk, dst=tile, nthreads=1)


def _steps(grid: Sequence[int]) -> list[int]:
    return [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]


def _plan(index: Any, shape: Sequence[int]) -> tuple[list[Window], tuple[int | slice, ...]]:
    """What to read along each axis, and what to take of it."""
    given = index if isinstance(index, tuple) else (index,)
    dots = [place for place, item in enumerate(given) if item is Ellipsis]
    left = len(shape) - len(given) + len(dots)
    if len(dots) > 1 or left < 0:
        message = f"{len(given)} indices do not fit {len(shape)} axes"
        raise IndexError(message)
    first = dots[0] if dots else len(given)
    full = (*given[:first], *[slice(None)] * left, *given[first + 1 :])
    planned = [_plan_axis(item, length) for item, length in zip(full, shape, strict=True)]
    return [window for window, _ in planned], tuple(rest for _, rest in planned)


def _plan_axis(item: Any, length: int) -> tuple[Window, int | slice]:
    if not isinstance(item, slice):
        if isinstance(item, bool | np.ndarray):
            message = "only integers, slices and ... are indices here"
            raise TypeError(message)
        place = range(length)[item]
        return (place, place + 1), 0
    chosen = range(*item.indices(length))
    if not chosen:
        return (0, 0), slice(None)
    low, high = sorted((chosen[0], chosen[-1]))
    return (low, high + 1), slice(None, None, chosen.step)
