"""What segmenting volumes costs beside the network itself, and how much memory it takes.

python benchmarks/inference.py --write docs/results/volumes_inference.md
python benchmarks/inference.py --only memory --overlap 0.5

Time: prepared volumes through `predict_volume`, against the network alone on as many windows, in turns in one process.
Memory: the peak of a fresh process that reads a file, prepares it, segments it and writes the mask.
"""

import argparse
import gc
import math
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from report import circumstances, table
from resident import in_fresh_process
from speed import Times

from unifocal.inference.volumes import predict_volume
from unifocal.inference.windows import Windows, window_starts
from unifocal.models import NetworkSpec, save_bundle

PARTS = ("time", "windows", "memory")
AIM, LIMIT = 1.1, 6.0
CASES = {
    "160x192x160, 1 channel, 3 classes": ((1, 160, 192, 160), (96, 96, 96), 3),
    "96x128x128, 4 channels, 3 classes": ((4, 96, 128, 128), (64, 64, 64), 3),
    "35x51x35, 1 channel, 3 classes": ((1, 35, 51, 35), (40, 56, 40), 3),
}


def count_windows(spatial: tuple[int, ...], windows: Windows) -> int:
    """How many windows cover an image."""
    axes = zip(spatial, windows.size, strict=True)
    return math.prod(len(window_starts(extent, size, windows.overlap)) for extent, size in axes)


def network_for(channels: int, outputs: int) -> torch.nn.Module:
    """The network that volumes get by default."""
    torch.manual_seed(0)
    return NetworkSpec("volumes", channels, outputs, 3, {}).build().eval()


def timing(rounds: int, overlap: float) -> str:
    """`predict_volume` against the bare network."""
    rows = []
    for title, (shape, size, outputs) in CASES.items():
        image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        windows = Windows(size, overlap)
        network = network_for(shape[0], outputs)
        count = count_windows(shape[1:], windows)
        part = torch.randn(1, shape[0], *size)

        def bare(network: torch.nn.Module = network, part: torch.Tensor = part, count: int = count) -> None:
            with torch.inference_mode():
                for _ in range(count):
                    network(part)

        def whole(
            network: torch.nn.Module = network,
            image: np.ndarray = image,
            windows: Windows = windows,
            outputs: int = outputs,
        ) -> None:
            predict_volume(network, image, (), windows, outputs)

        found = _in_turns({"bare": bare, "whole": whole}, max(rounds, 1 if count > 9 else 5 * rounds))
        ratio = found["whole"].median / found["bare"].median
        verdict = "met" if ratio <= AIM else "missed"
        rows.append(
            [
                title,
                "x".join(map(str, size)),
                str(count),
                str(found["bare"]),
                str(found["whole"]),
                f"{ratio:.3f} ({verdict})",
            ]
        )
    head = ["volume", "window", "windows", "network alone, s", "`predict_volume`, s", f"ratio, aim {AIM:g}"]
    told = (
        f"The default network for volumes in float32, windows of one, overlap {overlap:g}, Gaussian weights; from a "
        "prepared volume to its probabilities. The network alone takes one and the same window as often, with nothing "
        "around it. Medians and quartiles over rounds in turns."
    )
    return f"## Time\n\n{told}\n\n{table(head, rows)}"


def _in_turns(contenders: dict[str, Callable[[], None]], rounds: int) -> dict[str, Times]:
    runs: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    for turn in range(-1, rounds):
        for name, work in contenders.items():
            start = time.perf_counter()
            work()
            if turn >= 0:
                runs[name].append(time.perf_counter() - start)
    return {name: Times(found) for name, found in runs.items()}


def peak_of_windows(threads: int) -> str:
    """The memory of one window in the network, by its size."""
    rows = []
    _, start = in_fresh_process(_one_window, 32, threads)
    for side in (32, 64, 96, 128, 160):
        _, peak = in_fresh_process(_one_window, side, threads)
        rows.append([f"{side}x{side}x{side}", f"{peak:.2f}", f"{peak - start:.2f}"])
    head = ["window", "peak, GiB", "more, GiB"]
    told = (
        "The default network, 1 channel, 3 classes, float32; the peak of the resident memory of a fresh process. "
        f"Imports, network and a window of 32x32x32 take {start:.2f} GiB of it."
    )
    return f"## Memory of a window\n\n{told}\n\n{table(head, rows)}"


def _one_window(side: int, threads: int) -> None:
    torch.set_num_threads(threads)
    network = network_for(1, 3)
    image = torch.randn(1, 1, side, side, side)
    with torch.inference_mode():
        network(image)


def memory(shape: tuple[int, int, int], overlap: float, threads: int, width: int) -> str:
    """`unifocal predict` on one large file."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write_model(place / "model.safetensors", width)
        rows = []
        for title, spacing in (("its own grid", None), ("resampled from 0.8 mm to 1 mm", 0.8)):
            images = place / f"images-{spacing}"
            images.mkdir()
            _write_volume(images / "large.nii.gz", shape, spacing or 1.0)
            code, seconds, peak = _predict(
                place / "model.safetensors", images, place / f"out-{spacing}", overlap, threads
            )
            if code:
                message = f"predict ended with {code}"
                raise RuntimeError(message)
            verdict = "met" if peak <= LIMIT else "missed"
            rows.append([title, f"{seconds / 60:.1f}", f"{peak:.2f} ({verdict})"])
    head = ["volume", "minutes", f"peak, GiB, aim {LIMIT:g}"]
    told = (
        f"`unifocal predict` on a NIfTI file of {'x'.join(map(str, shape))} int16, 3 classes, network of width {width},"
        f" windows of 96x96x96, overlap {overlap:g}: reading, preparing, segmenting, back to the file's grid, mask, "
        "picture. The peak is of the resident memory of all its processes together, looked at twice a second, pages "
        "that they share counted once. The network's own part is in the table above."
    )
    return f"## Memory of a large volume\n\n{told}\n\n{table(head, rows)}"


def _write_model(path: Path, width: int) -> None:
    spec = NetworkSpec("volumes", 1, 3, 3, {"width": width})
    torch.manual_seed(0)
    details = {
        "unifocal": "benchmark", "loss": "none", "labels": [1, 2], "regions": {}, "label_names": {},
        "black_and_white": False,
        "grid": {"size": [96, 96, 96], "spacing_mm": [1.0, 1.0, 1.0]}, "inference": {}, "training": {},
        "pipeline": [
            {"channels": {"count": 1}}, {"orient": {}}, {"resample": {"spacing_mm": [1.0, 1.0, 1.0]}}, {"z_score": {}},
        ],
    }  # fmt: skip
    save_bundle(path, spec.build(), spec, details=details)


def _write_volume(path: Path, shape: tuple[int, int, int], spacing: float) -> None:
    import nibabel as nib

    rows = np.add.outer(*(100 * np.sin(np.arange(n) / 9.0) for n in shape[:2]))
    volume = (rows[..., None] + np.arange(shape[2])).astype(np.int16)
    nib.save(nib.Nifti1Image(volume, np.diag([spacing, spacing, spacing, 1.0])), path)


def _predict(model: Path, images: Path, out: Path, overlap: float, threads: int) -> tuple[int, float, float]:
    """Exit code, seconds, and the peak of all its processes in GiB."""
    import os
    import subprocess

    command = [sys.executable, "-c", "from unifocal.cli.entry import main; main()", "predict", "--model", str(model),
               "--images", str(images), "--out", str(out), "--set", f"inference.overlap={overlap}",
               "--set", f"cache.folder={out.parent / 'cache'}"]  # fmt: skip
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": str(threads)}) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(_shared_fairly, _family(process.pid))))
            time.sleep(0.5)
    return process.returncode, time.perf_counter() - start, peak / (1 << 30)


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [each for child in task.read_text().split() for each in _family(int(child))]
        except OSError:
            continue
    return found


def _shared_fairly(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 600))
    parser.add_argument("--width", type=int, default=16, help="of the network that segments the large volume")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sections = {
        "time": lambda: timing(given.rounds, given.overlap),
        "windows": lambda: peak_of_windows(given.threads),
        "memory": lambda: memory(tuple(given.shape), given.overlap, given.threads, given.width),
    }
    command = shlex.join(["python", "benchmarks/inference.py", *sys.argv[1:]])
    parts = ["# Segmenting volumes: time and memory\n", circumstances(command)]
    for name in given.only:
        parts.append(sections[name]())
        print(parts[-1], flush=True)
    if given.write:
        given.write.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
