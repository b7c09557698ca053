"""What may happen to a file: cut, flipped, overwritten, its head exchanged, numbers in its head made absurd."""

import random
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from fuzz_samples import PICTURE, Sample

from unifocal.data.case import Case, Source

Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]

_HEAD = 400


def _truncate(data: bytes, chance: random.Random, _others: Sequence[bytes]) -> bytes:
    return data[: chance.randrange(len(data))]


def _flip(data: bytes, chance: random.Random, _others: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _flip_in_the_head(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    return _flip(data[:_HEAD], chance, others) + data[_HEAD:]


def _overwrite(data: bytes, chance: random.Random, _others: Sequence[bytes]) -> bytes:
    start, length = chance.randrange(len(data)), chance.randint(1, 24)
    fill = chance.choice([bytes(length), b"\xff" * length, chance.randbytes(length)])
    return data[:start] + fill[: len(data) - start] + data[start + length :]


def _exchange_heads(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    length = chance.choice([4, 16, 64, 132, 348])
    return chance.choice(others)[:length] + data[length:]


def _absurd_number(data: bytes, chance: random.Random, _others: Sequence[bytes]) -> bytes:
    number = struct.pack(chance.choice("<>") + "I", chance.choice([0, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000, 0x80000000]))
    number = number[: chance.choice([2, 4])]
    start = chance.randrange(max(1, min(len(data), _HEAD) - 4))
    return data[:start] + number + data[start + len(number) :]


def _absurd_digits(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Headers of text (NRRD, MetaImage) hold their numbers as digits."""
    places = [place for place, byte in enumerate(data[:_HEAD]) if chr(byte).isdigit()]
    if not places:
        return _absurd_number(data, chance, others)
    place = chance.choice(places)
    return data[:place] + chance.choice([b"99999999", b"-1", b"0", b"1e9", b"nan"]) + data[place + 1 :]


def _cut_out(data: bytes, chance: random.Random, _others: Sequence[bytes]) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.randint(1, 200) :]


def _double(data: bytes, chance: random.Random, _others: Sequence[bytes]) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start : start + chance.randint(1, 500)] + data[start:]


def _append(data: bytes, chance: random.Random, _others: Sequence[bytes]) -> bytes:
    return data + chance.randbytes(chance.randint(1, 2000))


MUTATIONS: tuple[Mutation, ...] = (
    _truncate, _flip, _flip_in_the_head, _overwrite, _exchange_heads, _absurd_number, _absurd_digits, _cut_out, _double,
    _append,
)  # fmt: skip


def mutants(samples: Sequence[Sample], folder: Path, count: int, *, seed: int = 2024) -> list[Case]:
    """Cases of which one file is spoiled each, `count` in all; the family of a case is its patient."""
    chance = random.Random(seed)
    contents = {file: file.read_bytes() for sample in samples for file in sample.files}
    everything = list(contents.values())
    cases = []
    for number in range(count):
        sample = samples[number % len(samples)]
        mutation = MUTATIONS[(number // len(samples)) % len(MUTATIONS)]
        place = folder / str(number)
        place.mkdir(parents=True)
        spoiled = chance.choice(sample.files)
        copies = tuple(place / file.name for file in sample.files)
        for file, copy in zip(sample.files, copies, strict=True):
            copy.write_bytes(mutation(contents[file], chance, everything) if file == spoiled else contents[file])
        source = sample.source(copies)
        name = f"{number} {mutation.__name__}"
        if sample.image is None:
            cases.append(Case(name, source, None, sample.family))
        else:
            cases.append(Case(name, sample.image, source, sample.family))
    return cases


def bombs(folder: Path) -> list[Case]:
    """Small files that promise, or hold, far more than they should."""
    folder.mkdir(parents=True)
    row, much = zlib.compress(bytes(23 * 32)), zlib.compress(bytes(10**8), 9)
    screen = struct.pack("<HHBBB", 65535, 65535, 0xF7, 0, 0) + bytes(768)
    files = {
        "huge.png": _png(60_000, 60_000, zlib.compress(bytes(10_000_000), 9)),
        "large.png": _png(9_000, 9_000, zlib.compress(bytes(9_001 * 9_000), 1)),
        "text.png": _png(31, 23, row, _chunk(b"zTXt", b"a\0\0" + much)),
        "profile.png": _png(31, 23, row, _chunk(b"iCCP", b"a\0\0" + much)),
        "many.png": _png(31, 23, much),
        "bomb.nii.gz": _gzip(_nifti_header((11, 9, 6)) + bytes(range(256)) * 10**5),
        "promise.nii.gz": _gzip(_nifti_header((30_000, 30_000, 30_000)) + bytes(10**6)),
        "below.nii.gz": _gzip(_nifti_header((600, 700, 700)) + bytes(10**6)),
        "bomb.nrrd": _nrrd("6 9 11", "gzip", _gzip(bytes(range(256)) * 10**5)),
        "promise.nrrd": _nrrd("60000 60000 60", "gzip", _gzip(bytes(10**6))),
        "promise.mha": _metaimage("60000 60000 60", bytes(1000)),
        "below.mha": _metaimage("600 700 700", zlib.compress(bytes(10**6)), compressed=True),
        "huge.gif": b"GIF89a" + screen + b"\x2c\0\0\0\0" + b"\xff" * 4,
        "huge.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**30, 2**30, 1, 24, 0, 0, 1, 1, 0, 0),
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [Case(name, Source.of(folder / name), None, "bomb") for name in files]


def tricks(folder: Path, secret: Path) -> list[Case]:
    """Headers that name data elsewhere, and HDF5 links out of the file. `secret` must not be read."""
    folder.mkdir(parents=True)
    cases = []
    names = [str(secret), f"../{secret.name}", f"./../{secret.name}", f"{folder.name}/../../{secret.name}", "/dev/zero",
             "LIST", "x%03d.raw 1 3 1", f"file://{secret}", "", ".", "\0", "a" * 5000, "trick0.mhd"]  # fmt: skip
    for number, name in enumerate(names):
        header = "NDims = 3\nDimSize = 11 9 6\nElementType = MET_SHORT\nElementSpacing = 1 1 1\nElementDataFile = "
        (folder / f"trick{number}.mhd").write_text(f"{header}{name}\n")
        nhdr = "NRRD0004\ntype: short\ndimension: 3\nsizes: 11 9 6\nencoding: raw\nendian: little\ndata file: "
        (folder / f"trick{number}.nhdr").write_text(f"{nhdr}{name}\n\n")
        cases += [
            Case(f"{name[:30]!r} {suffix}", Source.of(folder / f"trick{number}.{suffix}"), None, "trick")
            for suffix in ("mhd", "nhdr")
        ]
    return [*cases, *_links(folder, secret)]


def _links(folder: Path, secret: Path) -> list[Case]:
    import h5py

    cases = []
    for name, link in {
        "external": h5py.ExternalLink(str(secret.with_suffix(".mat")), "/image"),
        "soft": h5py.SoftLink("/nowhere"),
        "loop": h5py.SoftLink("/image"),
    }.items():
        path = folder / f"{name}.mat"
        with h5py.File(path, "w", userblock_size=512) as file:
            file["image"] = link
        cases.append(Case(name, Source.of(path), None, "trick"))
    path = folder / "storage.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("image", PICTURE.shape, np.uint8, external=[(str(secret), 0, PICTURE.size)])
    return [*cases, Case("external storage", Source.of(path), None, "trick")]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, packed: bytes, *more: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _gzip(content: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


def _nifti_header(shape: tuple[int, int, int]) -> bytes:
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    return bytes(header)


def _nrrd(sizes: str, encoding: str, data: bytes) -> bytes:
    text = f"NRRD0004\ntype: short\ndimension: 3\nsizes: {sizes}\nendian: little\nencoding: {encoding}\n\n"
    return text.encode() + data


def _metaimage(sizes: str, data: bytes, *, compressed: bool = False) -> bytes:
    packed = f"CompressedData = True\nCompressedDataSize = {len(data)}\n" if compressed else ""
    text = f"NDims = 3\n{packed}DimSize = {sizes}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    return text.encode() + data
