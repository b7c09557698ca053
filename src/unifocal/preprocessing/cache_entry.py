"""A prepared case, and the one file that holds it: header, checksums, compressed tiles.

    magic | CRC-32 of the header's rest | file's length | lengths of JSON and table | JSON | table | tiles

The JSON holds the key, the facts and how each array is cut; the table a length and a CRC-32 per tile. Header and tiles
are checked each time they are read, so damage is found wherever and whenever it happened.
"""

import itertools
import json
import math
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unifocal.preprocessing.cache_tiles import Body, DamagedError, TiledArray, Tiling, compress

FORMAT = b"unifocal"
_MARK = struct.Struct("<8sI")
_LENGTHS = struct.Struct("<QII")
_FIXED = _MARK.size + _LENGTHS.size
_TABLE = np.dtype([("length", "<u4"), ("checksum", "<u4")])

ArrayName = Literal["image", "classes"]
Renew = Callable[[], "CachedCase"]


@dataclass(frozen=True)
class PreparedCase:
    """What preparing a case yields.

    Attributes:
        image: (channels, *spatial), float32.
        classes: (*spatial), uint8: class indices; None where there is no mask (prediction).
        facts: What else is to be kept, as JSON can say it: spacing, how to get back to native space. Tuples come back
            as lists, and keys as text.
    """

    image: NDArray[Any]
    classes: NDArray[Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = {"image": (self.image, np.float32), "classes": (self.classes, np.uint8)}
        wrong = [name for name, (array, dtype) in wanted.items() if array is not None and array.dtype != dtype]
        if wrong or (self.classes is not None and self.classes.shape != self.image.shape[1:]):
            message = "a prepared case is a float32 image (channels, *spatial) and uint8 classes (*spatial)"
            raise ValueError(message)


@dataclass(frozen=True)
class CachedCase:
    """A prepared case that lies in the cache, memory-mapped; it holds a file open until it is dropped.

    Attributes:
        image: (channels, *spatial), float32; `image[...]` is the whole array.
        classes: (*spatial), uint8; None where there is no mask.
        facts: As the case was prepared, as JSON says it; the caller's own.
    """

    image: TiledArray
    classes: TiledArray | None
    facts: dict[str, Any]


def pack(key: str, case: PreparedCase) -> bytes:
    """The content of a case's file.

    Raises:
        TypeError: If JSON cannot say the facts.
    """
    arrays = {"image": case.image} | ({} if case.classes is None else {"classes": case.classes})
    tilings = {name: Tiling.of(array, whole_axes=int(name == "image")) for name, array in arrays.items()}
    tiles = [tile for name, array in arrays.items() for tile in compress(array, tilings[name])]
    said = {
        "key": key,
        "facts": dict(case.facts),
        "arrays": {name: asdict(tiling) for name, tiling in tilings.items()},
    }
    text = json.dumps(said).encode()
    table = np.array([(len(tile), zlib.crc32(tile)) for tile in tiles], _TABLE).tobytes()
    length = _FIXED + len(text) + len(table) + sum(map(len, tiles))
    header = _LENGTHS.pack(length, len(text), len(table)) + text + table
    return b"".join([_MARK.pack(FORMAT, zlib.crc32(header)), header, *tiles])


def unpack(key: str, content: memoryview, renew: Renew) -> CachedCase:
    """A view of a case's file.

    Args:
        key: Whose file it should be.
        content: The file, memory-mapped or read.
        renew: Makes the case again when a tile turns out to be damaged, which shows only when it is read.

    Raises:
        DamagedError: If it is no such file, is cut short, or its header is not what was written.
    """
    if len(content) < _FIXED:
        raise DamagedError
    magic, checksum = _MARK.unpack_from(content)
    length, text_length, table_length = _LENGTHS.unpack_from(content, _MARK.size)
    first = _FIXED + text_length + table_length
    if magic != FORMAT or length != len(content) or first > length:
        raise DamagedError
    if zlib.crc32(content[_MARK.size : first]) != checksum:
        raise DamagedError
    said = json.loads(bytes(content[_FIXED : _FIXED + text_length]))
    if said["key"] != key:
        raise DamagedError
    table = np.frombuffer(content, _TABLE, table_length // _TABLE.itemsize, _FIXED + text_length)
    lengths, checksums = table["length"].tolist(), table["checksum"].tolist()
    places = list(zip(itertools.accumulate(lengths, initial=first), lengths, checksums, strict=False))
    return CachedCase(facts=said["facts"], **_views(said["arrays"], Body(content, places), renew))


def _views(arrays: Mapping[ArrayName, Mapping[str, Any]], body: Body, renew: Renew) -> dict[ArrayName, Any]:
    views: dict[ArrayName, Any] = {"image": None, "classes": None}
    start = 0
    for name, said in arrays.items():
        tiling = Tiling(said["dtype"], tuple(said["shape"]), tuple(said["tile"]))
        stop = start + math.prod(tiling.grid)
        views[name] = TiledArray(tiling, body._replace(places=body.places[start:stop]), _renewed(renew, name))
        start = stop
    return views


def _renewed(renew: Renew, name: ArrayName) -> Callable[[], Body]:
    def body() -> Body:
        array: TiledArray = getattr(renew(), name)
        return array.body

    return body
