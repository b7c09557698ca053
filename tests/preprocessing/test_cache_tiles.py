"""Slices of compressed arrays are NumPy's slices, and cost what they touch."""

import itertools
import zlib
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unifocal.preprocessing import cache_tiles
from unifocal.preprocessing.cache_tiles import Body, DamagedError, TiledArray, Tiling, compress

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=9)
DTYPES = st.sampled_from([np.float32, np.uint8, np.int16, np.float64, np.bool_])


def never() -> NoReturn:
    raise AssertionError("made again without need")


def tiled(array: np.ndarray, *, whole_axes: int = 0, renew: Any = never) -> TiledArray:
    tiling = Tiling.of(array, whole_axes=whole_axes)
    tiles = compress(array, tiling)
    starts = itertools.accumulate(map(len, tiles), initial=0)
    places = [(start, len(tile), zlib.crc32(tile)) for start, tile in zip(starts, tiles, strict=False)]
    return TiledArray(tiling, Body(memoryview(b"".join(tiles)), places), renew)


@pytest.fixture(params=[1, 64, 1 << 17], autouse=True)
def tile_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(cache_tiles, "_TILE_BYTES", request.param)
    return int(request.param)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), SHAPES, DTYPES, st.integers(0, 1))
def test_slices_are_numpys(
    tile_bytes: int, data: st.DataObject, shape: tuple[int, ...], dtype: Any, whole: int
) -> None:
    array = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    stored = tiled(array, whole_axes=whole)
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=False))
    found = stored[index]
    np.testing.assert_array_equal(found, array[index])
    assert found.dtype == array.dtype
    assert np.shape(found) == array[index].shape
    np.testing.assert_array_equal(np.asarray(stored), array)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SHAPES, DTYPES, st.integers(0, 1))
def test_tiles_cover_the_array_once(shape: tuple[int, ...], dtype: Any, whole: int) -> None:
    array = np.zeros(shape, dtype)
    tiling = Tiling.of(array, whole_axes=whole)
    covered = np.zeros(shape, int)
    for place in np.ndindex(tiling.grid):
        covered[tuple(slice(*window) for window in tiling.box(place))] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize(
    "index", [4, -5, (0, 0, 0), (..., ...), None, [0, 1], 1.0, (0, "x"), np.array([True] * 4), np.array(1), True]
)
def test_other_indices_are_refused(index: Any) -> None:
    with pytest.raises((IndexError, TypeError)):
        tiled(np.zeros((4, 3), np.float32))[index]


def test_what_is_read_belongs_to_the_reader() -> None:
    stored = tiled(np.zeros((4, 3), np.float32))
    stored[...][:] = 7
    assert not stored[...].any()


def test_a_patch_decompresses_what_it_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_tiles, "_TILE_BYTES", 1 << 17)
    stored = tiled(np.zeros((1, 128, 128, 128), np.float32), whole_axes=1)
    read = []
    decompress = TiledArray._decompress

    def counted(self: TiledArray, number: int, tile: np.ndarray) -> None:
        read.append(tile.size)
        decompress(self, number, tile)

    monkeypatch.setattr(TiledArray, "_decompress", counted)
    stored[:, 64:96, 32:64, :32]
    assert sum(read) == 32**3
    read.clear()
    stored[:, 40:60, 40:60, 40:60]
    assert sum(read) == 32**3
    read.clear()
    stored[0, 31:33, 31:33, 31:33]
    assert sum(read) == 8 * 32**3


@pytest.mark.parametrize(
    ("shape", "whole", "tile"),
    [
        ((1, 128, 128), 1, (1, 128, 128)),
        ((1, 155, 240, 240), 1, (1, 31, 30, 30)),
        ((4, 155, 240, 240), 1, (4, 20, 20, 20)),
        ((1, 20, 512, 512), 1, (1, 20, 40, 40)),
    ],
)
def test_tiles_are_near_cubes(
    shape: tuple[int, ...], whole: int, tile: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_tiles, "_TILE_BYTES", 1 << 17)
    found = Tiling.of(np.broadcast_to(np.float32(0), shape), whole_axes=whole).tile
    assert np.prod(found) * 4 <= 1 << 17
    assert all(abs(side - wanted) <= 5 for side, wanted in zip(found, tile, strict=True))


def test_a_damaged_tile_is_made_again_and_an_undamaged_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_tiles, "_TILE_BYTES", 64)
    array = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    good = tiled(array)
    content = bytearray(good.body.content)
    content[good.body.places[-1][0] + 5] ^= 16
    made = []
    stored = tiled(array, renew=lambda: made.append(1) or good.body)
    stored.body = good.body._replace(content=memoryview(content))
    np.testing.assert_array_equal(stored[:4, :4], array[:4, :4])
    assert not made
    np.testing.assert_array_equal(stored[-1], array[-1])
    np.testing.assert_array_equal(stored[...], array)
    assert len(made) == 1


def test_no_wrong_array_where_making_again_does_not_help() -> None:
    array = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    body = tiled(array).body
    damaged = body._replace(content=memoryview(bytes(len(body.content))))
    stored = tiled(array, renew=lambda: damaged)
    stored.body = damaged
    with pytest.raises(DamagedError):
        stored[...]
