"""How fast the cache of prepared cases is, on noise-like data that compresses as badly as scans do, or on real ones.

.venv/bin/python benchmarks/cache_speed.py
.venv/bin/python benchmarks/cache_speed.py --image scan.nii.gz --mask labels.nii.gz
"""

import argparse
import itertools
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unifocal.preprocessing.cache import Cache, PreparedCase

SLICE = (128, 128)
VOLUME = (155, 240, 240)
PATCH = 96
GB = 10**9


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        slices_per_s: Whole cached 128x128 cases read, image and classes, median over rounds.
        slices_made_per_s: The same on a miss, without the time that making takes.
        patch_ms: Median of random 96x96x96 patches of a cached volume, opened, image and classes.
        patch_ms_95: Their 95th percentile.
        volume_ms: The whole volume.
        ratio: Stored bytes over the arrays' bytes, slices and volume.
        growth_mb: Growth of the peak memory over the reading of `entries` different cases, after the first tenth.
        entries: So many.
    """

    slices_per_s: float
    slices_made_per_s: float
    patch_ms: float
    patch_ms_95: float
    volume_ms: float
    ratio: tuple[float, float]
    growth_mb: float
    entries: int


def synthetic(shape: tuple[int, ...], seed: int = 0) -> PreparedCase:
    """A z-scored image whose neighbours resemble each other, empty around the object, and a small lesion."""
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    smooth = sum(np.roll(noise, 1, axis) for axis in range(len(shape))) + noise
    distances = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij", sparse=True)
    inside = sum(distance**2 for distance in distances) < 0.6
    image = np.where(inside, smooth, -1).astype(np.float32)
    classes = np.zeros(shape, np.uint8)
    classes[tuple(slice(side // 3, side // 2) for side in shape)] = 1
    return PreparedCase(image[None], classes, {"spacing_mm": [1.0] * len(shape)})


def measure(folder: Path, slices: list[PreparedCase], volume: PreparedCase, *, entries: int, rounds: int) -> Figures:
    """Measure in a folder that is empty.

    Args:
        folder: Where the cache goes.
        slices: 2D cases; `entries` keys share them.
        volume: A 3D case larger than the patch.
        entries: Number of different 2D cases in the cache.
        rounds: How often all of them are read.
    """
    cache = Cache(folder, 100 * GB)
    keys = [cache.key(str(number), pipeline="slices") for number in range(entries)]
    made = _seconds(lambda: _fill(cache, keys, slices))
    size = cache.size_bytes()
    _read(cache, keys[: entries // 10])
    peak = _peak_mb()
    times = [_seconds(lambda: _read(cache, keys)) for _ in range(rounds)]
    growth = _peak_mb() - peak

    key = cache.key("volume", pipeline="volumes")
    cache.fetch(key, lambda: volume)
    random = np.random.default_rng(0)
    patches = [_seconds(lambda: _patch(cache, key, random)) for _ in range(200)]
    whole = [_seconds(lambda: _read(cache, [key])) for _ in range(5)]
    return Figures(
        slices_per_s=entries / statistics.median(times),
        slices_made_per_s=entries / made,
        patch_ms=1e3 * statistics.median(patches),
        patch_ms_95=1e3 * float(np.quantile(patches, 0.95)),
        volume_ms=1e3 * statistics.median(whole),
        ratio=(
            size / entries / statistics.mean(map(_bytes, slices)),
            (cache.size_bytes() - size) / _bytes(volume),
        ),
        growth_mb=growth,
        entries=entries,
    )


def _fill(cache: Cache, keys: list[str], slices: list[PreparedCase]) -> None:
    for key, case in zip(keys, itertools.cycle(slices), strict=False):
        cache.fetch(key, lambda case=case: case)


def _missing() -> PreparedCase:
    message = "a case that was kept is not there"
    raise LookupError(message)


def _read(cache: Cache, keys: list[str]) -> None:
    for key in keys:
        case = cache.fetch(key, _missing)
        assert case.classes is not None
        case.image[...]
        case.classes[...]


def _patch(cache: Cache, key: str, random: np.random.Generator) -> None:
    case = cache.fetch(key, _missing)
    assert case.classes is not None
    corner = [int(random.integers(side - PATCH + 1)) for side in case.classes.shape]
    place = tuple(slice(start, start + PATCH) for start in corner)
    case.image[:, *place]
    case.classes[place]


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _bytes(case: PreparedCase) -> int:
    return case.image.nbytes + (0 if case.classes is None else case.classes.nbytes)


def _scored(path: Path, mask: Path) -> PreparedCase:
    import nibabel as nib

    image = np.asarray(nib.load(path).dataobj).T.astype(np.float32)
    labels = np.asarray(nib.load(mask).dataobj).T.astype(np.uint8)
    return PreparedCase(((image - image.mean()) / image.std())[None], labels)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="a NIfTI volume to take patches from, and 128x128 slices")
    parser.add_argument("--mask", type=Path, help="its labels")
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.image:
        volume = _scored(options.image, options.mask)
        middle = range(volume.image.shape[1] // 4, 3 * volume.image.shape[1] // 4)
        crop = (slice(56, 184), slice(56, 184))
        slices = [PreparedCase(volume.image[:, z, *crop].copy(), volume.classes[z, *crop].copy()) for z in middle]
    else:
        volume, slices = synthetic(VOLUME), [synthetic(SLICE, seed) for seed in range(16)]
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), slices, volume, entries=options.entries, rounds=options.rounds)
    print(
        f"whole 128x128 cases: {found.slices_per_s:,.0f}/s read, {found.slices_made_per_s:,.0f}/s compressed, written"
    )
    print(f"random {PATCH}^3 patch: {found.patch_ms:.1f} ms, 95 % below {found.patch_ms_95:.1f} ms")
    print(f"whole volume: {found.volume_ms:.0f} ms")
    print("stored size over array size: slices {:.2f}, volume {:.2f}".format(*found.ratio))
    print(f"peak memory grew by {found.growth_mb:.1f} MB over {found.entries:,} different cases")


if __name__ == "__main__":
    main()
