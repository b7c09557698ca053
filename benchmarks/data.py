"""How fast data come in: checking, feeding 2D training from the cache, patches of cached volumes, memory.

.venv/bin/python benchmarks/data.py DATA                 # DATA holds brain_t1ce, drive, ... as folders
.venv/bin/python benchmarks/data.py DATA --only feed patch --write docs/results/data_speed.md
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import data_check
import numpy as np
import torch
from monai.data import PersistentDataset
from PIL import Image
from report import circumstances, table

from unifocal.config.schema import PreprocessingConfig
from unifocal.data.check import check_data, sound
from unifocal.data.coding import MaskCoding
from unifocal.data.datasets import Request, open_dataset
from unifocal.experiments.plan import Grid, image_pipeline
from unifocal.experiments.prepare import Prepared, prepare
from unifocal.experiments.recipe import Recipe
from unifocal.preprocessing.cache import Cache, PreparedCase
from unifocal.preprocessing.pipeline import Pipeline

PATCH = 96
GB = 10**9


def checking(data: Path, rounds: int) -> str:
    """Every folder: checking against a bare parallel decode."""
    workers = os.cpu_count() or 1
    folders = [path for path in sorted(data.iterdir()) if path.is_dir()]
    head = "| data | cases | MB | decoding | reading and checking | ratio | all, with start | ratio |"
    rows = [data_check.measure(folder, workers, rounds) for folder in folders]
    told = (
        f"{workers} processes, median of {rounds} rounds, seconds, files in the system's cache. The peer decodes the "
        "same files with the same libraries in as many processes and does nothing else. *All* has the start of the "
        "processes and the comparison of all cases."
    )
    return "\n".join(["## Checking", "", told, "", head, "| --- " + "| ---: " * 7 + "|", *rows])


def feeding(data: Path, rounds: int) -> str:
    """Whole 128x128 samples of `brain_t1ce`, as training takes them, on one core."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = _prepared(data / "brain_t1ce", Path(folder) / "ours")
        samples, count = prepared.samples(foreground_share=0, per_case=1), len(prepared.cases)
        items = [{"image": image, "label": label} for image, label in map(prepared.arrays, range(count))]
        peer = PersistentDataset(items, transform=lambda item: item, cache_dir=Path(folder) / "monai")
        contenders: dict[str, Callable[[int], object]] = {
            "unifocal: `Samples[i]` from the cache": samples.__getitem__,
            "MONAI: `PersistentDataset[i]`": peer.__getitem__,
        }
        speeds = {name: [] for name in contenders}
        for _ in range(rounds + 1):
            for name, fetch in contenders.items():
                start = time.perf_counter()
                for index in range(count):
                    fetch(index)
                speeds[name].append(count / (time.perf_counter() - start))
    medians = {name: statistics.median(values[1:]) for name, values in speeds.items()}
    slowest = list(medians.values())[1]
    rows = [[name, f"{speed:,.0f}", f"{speed / slowest:.1f}"] for name, speed in medians.items()]
    told = f"{count} images of `brain_t1ce` at 128x128 with their labels, one thread, median of {rounds} rounds, warm."
    return "\n".join(["## Feeding 2D training", "", told, "", table(["", "images/s", "ratio"], rows)])


def patches(data: Path, rounds: int) -> str:
    """Random patches of a cached volume, image and labels."""
    case = open_dataset(Request(folder=data / "brats2015")).dataset.cases[0]
    recipe = Recipe(case, Pipeline.from_declaration(["z_score"]), (4,), MaskCoding(keep=(4,)))
    made = recipe.prepare()
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder), 10 * GB)
        stored = Path(folder) / "volume.npz"
        np.savez_compressed(stored, image=made.image, classes=made.classes)
        key = recipe.key()
        cache.fetch(key, lambda: made)
        contenders: dict[str, Callable[[tuple[slice, ...]], object]] = {
            "unifocal: patch from the cache": lambda place: _patch(cache, key, made, place),
            "NumPy: from a compressed `npz`": lambda place: _from_npz(stored, place),
        }
        times = {name: [] for name in contenders}
        for place in _places(made.image.shape[1:], 20 * rounds):
            for name, fetch in contenders.items():
                start = time.perf_counter()
                fetch(place)
                times[name].append(1000 * (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in times.items()}
    rows = [
        [
            name,
            f"{medians[name]:.1f}",
            f"{np.percentile(values, 95):.1f}",
            f"{medians[name] / max(medians.values()):.3f}",
        ]
        for name, values in times.items()
    ]
    shape = " x ".join(map(str, made.image.shape[1:]))
    told = (
        f"Random patches ({PATCH} along each axis) with their labels of a volume of {shape}, opened anew; one thread."
    )
    return "\n".join(["## Patches of volumes", "", told, "", table(["", "median ms", "95 % below", "ratio"], rows)])


def memory(_data: Path, _rounds: int) -> str:
    """The checking process' own memory, and a feeding one's, over 10,000 cases."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (1_000, 10_000):
            place = Path(folder) / str(count)
            _write_small_cases(place, count)
            reading = open_dataset(Request(folder=place))
            before = _resident_mb()
            check_data(reading)
            rows.append(["checking", f"{count:,}", f"{_resident_mb() - before:.0f}"])
        prepared = _prepared(Path(folder) / "10000", Path(folder) / "cache", size=(32, 32))
        for count in (1_000, 10_000):
            before = _resident_mb()
            for index in range(count):
                prepared.arrays(index)
            rows.append(["feeding", f"{count:,}", f"{_resident_mb() - before:.0f}"])
    told = "Growth of this process' resident memory, in MB, over a pass through so many small cases of noise."
    return "\n".join(["## Memory", "", told, "", table(["", "cases", "growth, MB"], rows)])


SECTIONS = {"check": checking, "feed": feeding, "patch": patches, "memory": memory}


def _write_small_cases(folder: Path, count: int) -> None:
    random = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for case in range(count):
        image = random.integers(0, 255, (32, 32), dtype=np.uint8)
        mask = np.zeros((32, 32), np.uint8)
        mask[4:12, 4:12] = 255
        Image.fromarray(image).save(folder / "images" / f"{case}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{case}.png")


def _prepared(folder: Path, cache_folder: Path, size: tuple[int, int] = (128, 128)) -> Prepared:
    checked = sound(check_data(open_dataset(Request(folder=folder))))
    cache = Cache(cache_folder, 10 * GB)
    pipeline = image_pipeline(PreprocessingConfig(size=size), checked.channels, size)
    recipes = [Recipe(case, pipeline, checked.labels, checked.coding) for case in checked.dataset.cases]
    shape, keys = prepare(recipes, cache, advance=lambda: None)
    return Prepared(
        cache, checked.dataset.cases, keys, pipeline, Grid(shape[1:]), shape[0], checked.labels, checked.coding
    )


def _patch(cache: Cache, key: str, made: PreparedCase, place: tuple[slice, ...]) -> None:
    case = cache.fetch(key, lambda: made)
    assert case.classes is not None
    case.image[:, *place]
    case.classes[place]


def _from_npz(path: Path, place: tuple[slice, ...]) -> None:
    with np.load(path) as stored:
        np.ascontiguousarray(stored["image"][:, *place])
        np.ascontiguousarray(stored["classes"][place])


def _places(shape: tuple[int, ...], count: int) -> Iterator[tuple[slice, ...]]:
    random = np.random.default_rng(0)
    for _ in range(count):
        corner = [int(random.integers(side - PATCH + 1)) for side in shape]
        yield tuple(slice(start, start + PATCH) for start in corner)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder of data sets: brain_t1ce, brats2015, ...")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, help="a page to write the results to")
    given = parser.parse_args()
    torch.set_num_threads(1)
    packages = ("unifocal", "blosc2", "pillow", "nibabel", "monai", "numpy")
    page = [f"# Speed of data\n\n{circumstances('python ' + ' '.join(sys.argv), packages=packages)}"]
    for name in given.only:
        page.append(SECTIONS[name](given.data, given.rounds))
        print(page[-1], flush=True)
        if given.write:
            given.write.write_text("\n\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
