"""A split file with one test part, drawn by chance as source B drew its own: a share of the images or patients.

python benchmarks/draw_split.py ../shared/data/cvc_clinicdb --by case --write docs/results/source_b/split_cvc_frames.csv

The names are sorted and permuted by `numpy.random.default_rng(seed)`; the first of them test, all others train.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from unifocal.data.datasets import Request, open_dataset


def drawn(names: list[str], share: float, seed: int) -> dict[str, str]:
    """The part of each name."""
    known = sorted(set(names))
    order = np.random.default_rng(seed).permutation(len(known))
    tested = {known[index] for index in order[: round(share * len(known))]}
    return {name: "test" if name in tested else "training" for name in known}


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--by", choices=["case", "patient"], default="patient")
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, required=True)
    given = parser.parse_args()
    cases = open_dataset(Request(given.data)).dataset.cases
    names = [case.name if given.by == "case" else case.patient for case in cases]
    parts = drawn(names, given.share, given.seed)
    pd.DataFrame(parts.items(), columns=[given.by, "part"]).to_csv(given.write, index=False)
    tested = sum(parts[name] == "test" for name in names)
    print(f"{tested} of {len(cases)} images of {len(set(names))} test")


if __name__ == "__main__":
    main()
