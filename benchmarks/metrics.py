"""How long scoring takes, beside other libraries in the same run.

python benchmarks/metrics.py --write docs/results/metrics_speed.md
python benchmarks/metrics.py --rounds 3 --only surfaces volumes

All contenders take turns in one process on one thread; medians and quartiles. MedPy is built into benchmarks/.peers.
"""

import argparse
import gc
import multiprocessing
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import peers
import torch
from mask_pairs import PICTURE, VOLUME, Pair, atlas_pair, picture_pairs, volume_pairs
from report import circumstances, table
from speed import Times

from unifocal.metrics import nearest, score_case, surface_distances
from unifocal.metrics.probability import probability_scores
from unifocal.metrics.regions import bounding_box
from unifocal.metrics.surface import boundary

PARTS = ("surfaces", "ways", "volumes", "pictures", "probabilities", "bootstrap")
AIMS = {"surface-distance": 0.5, "MONAI": 0.2, "MedPy": 0.05}
OURS = "unifocal: all five"
SPACING = (1.0, 1.0, 1.0)
WAYS = {
    "as chosen": {},
    "k-d tree alone": {"_FEW": 10**12, "_DENSE": 0},
    "look around, then tree": {"_DENSE": 0},
    "distance transform alone": {"_FEW": 10**12, "_DENSE": 10**12},
}


def in_turns(
    contenders: Mapping[str, Callable[[], object]], rounds: int, seldom: Iterable[str] = ()
) -> dict[str, Times]:
    """Milliseconds: A B C A B C after one unmeasured round; the seldom ones in every third round."""
    runs: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    gc.disable()
    for turn in range(-1, rounds):
        for name, work in contenders.items():
            if turn <= 0 or turn % 3 == 0 or name not in seldom:
                start = time.perf_counter()
                work()
                if turn >= 0:
                    runs[name].append(1e3 * (time.perf_counter() - start))
    gc.enable()
    return {name: Times(found) for name, found in runs.items()}


def surfaces(rounds: int, shape: tuple[int, int, int]) -> str:
    """All of unifocal's surface metrics against one HD95 of each peer."""
    rows = []
    for title, pair in volume_pairs(shape).items():
        truth, prediction = (mask > 0 for mask in pair)
        contenders = _contenders(truth, prediction)
        found = in_turns(contenders, rounds, seldom=("MONAI", "MedPy"))
        ours = found[OURS].median
        cells = [title, str(found[OURS])]
        for peer, aim in AIMS.items():
            if peer in found:
                ratio = ours / found[peer].median
                cells += [str(found[peer]), f"{ratio:.3f} ({'met' if ratio <= aim else 'missed'})"]
            else:
                cells += ["could not be built", ""]
        rows.append(cells)
    head = ["pair", f"{OURS}, ms", *(cell for peer, aim in AIMS.items() for cell in (f"{peer}, ms", f"aim {aim:g}"))]
    told = (
        "Hausdorff distance, `hd95`, `hd95_pooled`, `assd` and `nsd` together from two boolean volumes of "
        f"{shape[0]}x{shape[1]}x{shape[2]}, against one HD95 of each peer: surface-distance's two calls, MONAI's "
        "`compute_hausdorff_distance(percentile=95)` on tensors that are already there, MedPy's `hd95`."
    )
    return f"## Surfaces\n\n{told}\n\n{table(head, rows)}"


def _contenders(truth: np.ndarray, prediction: np.ndarray) -> dict[str, Callable[[], object]]:
    import monai.metrics
    import surface_distance

    p, t = (torch.from_numpy(mask[None, None]).float() for mask in (prediction, truth))

    def deepmind() -> float:
        found = surface_distance.compute_surface_distances(truth, prediction, SPACING)
        return surface_distance.compute_robust_hausdorff(found, 95)

    contenders: dict[str, Callable[[], object]] = {
        OURS: lambda: surface_distances(truth, prediction, SPACING).scores(2.0),
        "surface-distance": deepmind,
        "MONAI": lambda: monai.metrics.compute_hausdorff_distance(
            p, t, include_background=True, percentile=95, spacing=SPACING
        ),
    }
    medpy = peers.medpy_metrics()
    if medpy is not None:
        contenders["MedPy"] = lambda: medpy.hd95(prediction, truth, SPACING)
    return contenders


def ways(rounds: int, shape: tuple[int, int, int]) -> str:
    """Why the nearest boundary is searched as it is."""
    everything = np.ones(shape, np.uint8)
    pairs = volume_pairs(shape)
    pairs["lesion, all predicted"] = (pairs["one lesion"][0], everything)
    rows = []
    for title, pair in pairs.items():
        edges = [boundary(mask) for mask in _cropped(pair)]

        def both(settings: Mapping[str, int], edges: list[np.ndarray] = edges) -> None:
            kept = {name: getattr(nearest, name) for name in settings}
            vars(nearest).update(settings)
            nearest.nearest_distances(edges[0], edges[1], SPACING)
            nearest.nearest_distances(edges[1], edges[0], SPACING)
            vars(nearest).update(kept)

        found = in_turns({name: lambda s=s: both(s) for name, s in WAYS.items()}, max(1, rounds // 3))
        rows.append([title, *(str(np.count_nonzero(edge)) for edge in edges), *map(str, found.values())])
    head = ["pair", "boundary of truth", "of prediction", *(f"{name}, ms" for name in WAYS)]
    return f"## Ways to the nearest boundary\n\nBoth directions, within the box of both masks.\n\n{table(head, rows)}"


def _cropped(pair: Pair) -> list[np.ndarray]:
    box = bounding_box(pair[0] | pair[1])
    assert box is not None
    return [np.ascontiguousarray(mask[box]) > 0 for mask in pair]


def volumes(rounds: int, shape: tuple[int, int, int]) -> str:
    """`score_case` as a whole, in 3D."""
    pairs = volume_pairs(shape) | {"atlas of 100 labels": atlas_pair(100, shape)}
    work = {title: lambda pair=pair: score_case(*pair, SPACING) for title, pair in pairs.items()}
    found = in_turns(work, rounds)
    rows = [[title, str(times)] for title, times in found.items()]
    told = (
        f"All metrics of masks, lesions included; uint8, {shape[0]}x{shape[1]}x{shape[2]}, one thread. Aim: one lesion "
        "in under 60 ms."
    )
    return f"## `score_case` in 3D\n\n{told}\n\n{table(['pair', 'ms'], rows)}"


_PICTURES: list[Pair] = []


def _score_picture(number: int) -> float:
    truth, prediction = _PICTURES[number % len(_PICTURES)]
    start = time.perf_counter()
    score_case(truth, prediction, (0.5, 0.5))
    return 1e3 * (time.perf_counter() - start)


def pictures(rounds: int, shape: tuple[int, int], count: int = 1000) -> str:
    """`score_case` of many 2D pairs, on one core and in two processes."""
    _PICTURES[:] = picture_pairs(min(count, 200), shape)
    alone = Times([_score_picture(number) for number in range(count)])
    totals: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(max(1, rounds // 3)):
        for workers, runs in totals.items():
            with multiprocessing.get_context("fork").Pool(workers) as pool:
                start = time.perf_counter()
                pool.map(_score_picture, range(count), chunksize=10)
                runs.append(time.perf_counter() - start)
    rows = [[f"{workers} process{'es' * (workers > 1)}", str(Times(runs))] for workers, runs in totals.items()]
    told = (
        f"{count} pairs of {shape[0]}x{shape[1]} ({len(_PICTURES)} different ones: three in five with one lesion, one "
        "in five with several, one in five vessel-like texture), uint8, all metrics of masks. One pair takes "
        f"{alone} ms on one core. Aim: under 10 s on 2 cores."
    )
    return f"## `score_case` in 2D\n\n{told}\n\n{table(['', 's'], rows)}"


def probabilities(rounds: int, shape: tuple[int, int]) -> str:
    """Calibration error, Brier score and average precision of one picture's probabilities, beside scikit-learn's."""
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import average_precision_score, brier_score_loss

    random = np.random.default_rng(0)
    truth = np.zeros(shape, bool)
    truth[shape[0] // 3 : shape[0] // 2, shape[1] // 3 : shape[1] // 2] = True
    probability = (1 / (1 + np.exp(4 - 6.0 * truth - random.normal(0, 2, shape)))).astype(np.float32)

    def theirs() -> None:
        flat = truth.ravel(), probability.ravel()
        calibration_curve(*flat, n_bins=15)
        brier_score_loss(*flat)
        average_precision_score(*flat)

    found = in_turns({"unifocal": lambda: probability_scores(truth, probability), "scikit-learn": theirs}, rounds)
    ours, other = found.values()
    told = (
        f"`ece`, `brier` and `average_precision` of {shape[0]}x{shape[1]} probabilities in float32, beside "
        "scikit-learn's `calibration_curve`, `brier_score_loss` and `average_precision_score`."
    )
    head = ["", "unifocal, ms", "scikit-learn, ms", "ratio"]
    row = ["one lesion", str(ours), str(other), f"{ours.median / other.median:.3f}"]
    return f"## Probabilities\n\n{told}\n\n{table(head, [row])}"


def bootstrap(rounds: int) -> str:
    """The statistics' own benchmark."""
    import bootstrap

    found = bootstrap.measure(rounds=rounds)
    rows = [[name, f"{value:.3g}"] for name, value in found.items()]
    told = "10,000 resamples of 300 patients x 8 losses x 10 metrics (`benchmarks/bootstrap.py`). Aim: under 10 s."
    return f"## Bootstrap\n\n{told}\n\n{table(['', 'value'], rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--volume", type=int, nargs=3, default=VOLUME, help="sizes of the volumes")
    parser.add_argument("--picture", type=int, nargs=2, default=PICTURE, help="sizes of the pictures")
    parser.add_argument("--pictures", type=int, default=1000, help="how many")
    parser.add_argument("--write", type=Path, help="Markdown file to write; printed if not given")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be at least 1")
    warnings.simplefilter("ignore")  # of other libraries, about themselves
    torch.set_num_threads(1)
    volume, picture = tuple(given.volume), tuple(given.picture)
    measured = {
        "surfaces": lambda: surfaces(given.rounds, volume),
        "ways": lambda: ways(given.rounds, volume),
        "volumes": lambda: volumes(given.rounds, volume),
        "pictures": lambda: pictures(given.rounds, picture, given.pictures),
        "probabilities": lambda: probabilities(given.rounds, picture),
        "bootstrap": lambda: bootstrap(min(given.rounds, 3)),
    }
    parts = [measured[name]() for name in PARTS if name in given.only]
    command = f"python benchmarks/metrics.py {shlex.join(sys.argv[1:])}".strip()
    packages = ("unifocal", "numpy", "scipy", "scikit-learn", "monai", "surface-distance", "medpy")
    told = f"Median (quartiles) of {given.rounds} rounds in which all take turns; MONAI and MedPy in every third."
    text = "\n".join(["# Speed of the metrics\n", circumstances(command, packages=packages), f"{told}\n", *parts])
    if given.write:
        given.write.write_text(text.rstrip() + "\n", encoding="utf-8")
        print(f"Written: {given.write}")
    else:
        print(text)


if __name__ == "__main__":
    main()
