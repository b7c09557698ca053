"""How fast the losses are, how much memory they take, and whether they scale; see README.md.

python benchmarks/losses.py                                         speed
python benchmarks/losses.py --memory                                memory
python benchmarks/losses.py --scaling                               time per voxel up to 512 x 512 x 512
python benchmarks/losses.py --everything --write docs/results/losses_speed.md
"""

import argparse
import shlex
import sys
import time
import warnings
from pathlib import Path

import torch
from contenders import DTYPES, members
from memory import memory
from report import circumstances
from scaling import SIDES, scaling
from speed import speed

from unifocal.losses import names

SHAPES = [(2, 2, 512, 512), (2, 2, 96, 96, 96), (2, 3, 80, 160, 160), (1, 14, 96, 96, 96)]


def shape(text: str) -> tuple[int, ...]:
    sizes = tuple(map(int, text.split(",")))
    if len(sizes) < 3 or min(sizes) < 1 or sizes[1] < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form N,C,H,W or N,C,D,H,W with 2 classes or more")
    return sizes


def several(text: str) -> list[str]:
    chosen = text.split(",")
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        raise argparse.ArgumentTypeError(f"no such loss: {', '.join(unknown)}; there are {', '.join(names())}")
    return chosen


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--speed", action="store_true", help="measure speed (also if nothing else is named)")
    parser.add_argument("--memory", action="store_true", help="measure memory")
    parser.add_argument("--scaling", action="store_true", help="measure the time per voxel of cubes")
    parser.add_argument("--everything", action="store_true", help="all three")
    parser.add_argument("--shapes", type=shape, nargs="+", default=SHAPES, help="N,C,H,W or N,C,D,H,W; several")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="sides of the cubes for --scaling")
    parser.add_argument("--losses", type=several, help="names, separated by commas; all if not given")
    parser.add_argument("--repeats", type=int, default=21, help="rounds")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--write", type=Path, help="Markdown file to write; printed if not given")
    given = parser.parse_args()
    if given.repeats < 1 or given.threads < 1:
        parser.error("--repeats and --threads must be at least 1")
    if given.everything or not (given.memory or given.scaling):
        given.speed = True
    return given


def main() -> None:
    given = arguments()
    warnings.simplefilter("ignore")  # of other libraries, about themselves
    torch.set_num_threads(given.threads)
    dtype, chosen = DTYPES[given.dtype], members(given.losses)
    start = time.perf_counter()
    parts = []
    if given.speed:
        found = speed(given.shapes, chosen, repeats=given.repeats, dtype=dtype, device=given.device)
        parts += ["## Speed\n", found]
    if given.memory or given.everything:
        parts += ["## Memory\n", memory(given.shapes, chosen, dtype=given.dtype, device=given.device)]
    if given.scaling or given.everything:
        parts += ["## Time per voxel\n", scaling(given.sides, repeats=given.repeats, dtype=dtype, device=given.device)]
    command = f"python benchmarks/losses.py {shlex.join(sys.argv[1:])}".strip()
    head = circumstances(command, device=given.device, dtype=given.dtype)
    took = f"Took {time.perf_counter() - start:.0f} s.\n"
    text = "\n".join(["# Speed and memory of the losses\n", head, took, *parts]).rstrip() + "\n"
    if given.write:
        given.write.write_text(text, encoding="utf-8")
        print(f"Written: {given.write}")
    else:
        print(text)


if __name__ == "__main__":
    main()
