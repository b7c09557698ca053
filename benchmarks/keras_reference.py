"""Compares the losses with the Keras functions that the authors of the Unified Focal loss published.

Their file is not part of this project. Save it from https://github.com/mlyg/unified-focal-loss and run, in an
environment with tensorflow-cpu and torch:

    PYTHONPATH=src python benchmarks/keras_reference.py --authors loss_functions.py

Values and gradients in the logits are compared on the same tensors: theirs through `tf.nn.softmax` and a
`GradientTape`, ours by autograd. Prints Markdown tables.
"""

import argparse
import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import torch

from unifocal.losses import create

IMPORTS = "import numpy as np\nimport tensorflow as tf\nfrom tensorflow.keras import backend as K\n"
EPSILON = 1e-7
"""What Keras clips probabilities to, and what the authors' unified functions take for `smooth`."""


@dataclass(frozen=True)
class Pair:
    """One of the authors' functions, and what it is called here.

    Attributes:
        theirs: Name and parameters of their function.
        ours: Name and parameters for `create`.
        scale: Theirs is `scale` times ours plus `offset`.
        offset: See `scale`.
    """

    theirs: tuple[str, dict[str, Any]]
    ours: tuple[str, dict[str, Any]]
    scale: float = 1.0
    offset: float = 0.0

    @property
    def title(self) -> tuple[str, str]:
        """Both names, and what is added or multiplied."""
        ours = call(*self.ours)
        ours = f"{self.scale:g}·{ours}" if abs(self.scale) != 1 else ours
        ours = f"{self.offset:g} - {ours}" if self.scale < 0 else ours
        return call(*self.theirs), ours


def call(name: str, parameters: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in parameters.items())})"


SMALL = {"smooth": EPSILON}
PAIRS = [
    Pair(("dice_loss", {}), ("dice", {})),
    Pair(("dice_loss", {"delta": 0.3}), ("tversky", {"delta": 0.3})),
    Pair(("dice_coefficient", {}), ("dice", {}), scale=-1, offset=1),
    Pair(("tversky_loss", {}), ("tversky", {})),
    Pair(("focal_tversky_loss", {}), ("focal_tversky", {})),
    Pair(("focal_loss", {}), ("focal", {})),
    Pair(("focal_loss", {"gamma_f": 0.0}), ("cross_entropy", {})),
    Pair(("focal_loss", {"alpha": 0.25}), ("focal", {"alpha": [0.25, 0.25]})),
    Pair(("focal_loss", {"alpha": [0.3, 0.7]}), ("focal", {"alpha": 0.7})),
    Pair(("combo_loss", {}), ("combo", {"beta": 0.5})),
    Pair(("combo_loss", {"alpha": 0.3, "beta": 0.7}), ("combo", {"alpha": 0.3, "beta": 0.3})),
    Pair(("combo_loss", {"beta": None}), ("combo", {})),
    Pair(("combo_loss", {"alpha": None, "beta": None}), ("dice_cross_entropy", {}), offset=-1),
    Pair(("symmetric_focal_loss", {}), ("focal", {"alpha": 0.7})),
    Pair(("asymmetric_focal_loss", {}), ("focal", {"alpha": 0.7, "gamma": [2.0, 0.0]})),
    Pair(("symmetric_focal_tversky_loss", {}), ("focal_tversky", {"gamma": 0.25, **SMALL})),
    Pair(("asymmetric_focal_tversky_loss", {}), ("focal_tversky", {"gamma": [1.0, 0.25], **SMALL})),
    Pair(("sym_unified_focal_loss", {}), ("unified_focal_symmetric", SMALL)),
    Pair(("sym_unified_focal_loss", {"weight": None}), ("unified_focal_symmetric", SMALL), scale=2),
    Pair(("asym_unified_focal_loss", {}), ("unified_focal", SMALL)),
    Pair(("asym_unified_focal_loss", {}), ("unified_focal", {})),
    Pair(
        ("asym_unified_focal_loss", {"weight": 0.3, "delta": 0.8, "gamma": 0.2}),
        ("unified_focal", {"region_weight": 0.3, "delta": 0.8, "gamma": 0.2, **SMALL}),
    ),
    Pair(("asym_unified_focal_loss", {"weight": None}), ("unified_focal", SMALL), scale=2),
]

DEFAULTS = list({pair.theirs[0]: pair for pair in reversed(PAIRS) if not pair.theirs[1]}.values())[::-1]
"""One pair for each of their functions."""


@dataclass(frozen=True)
class Case:
    """Logits (N, 2, H, W) and class indices (N, H, W)."""

    title: str
    logits: np.ndarray = field(repr=False)
    target: np.ndarray = field(repr=False)

    @property
    def clipped(self) -> float:
        """The share of voxels whose probabilities Keras clips."""
        difference = np.abs(self.logits[:, 1] - self.logits[:, 0])
        return float((1 / (1 + np.exp(difference)) < EPSILON).mean())


def cases(seed: int) -> list[Case]:
    """Two-class images from easy to hopeless."""
    rng = np.random.default_rng(seed)
    shape = (3, 40, 48)

    def logits(scale: float, target: np.ndarray | None = None, margin: float = 0.0) -> np.ndarray:
        z = rng.normal(0, scale, (shape[0], 2, *shape[1:]))
        if target is not None:
            z += margin * (np.stack([target == 0, target == 1], axis=1) - 0.5)
        return z

    half = rng.integers(0, 2, shape)
    rare = (rng.random(shape) < 0.01).astype(np.int64)
    absent = rare.copy()
    absent[0] = 0
    wrong = np.where(rng.random(shape) < 0.02, 1 - rare, rare)
    return [
        Case("balanced", logits(1.0), half),
        Case("1 % foreground", logits(2.0), rare),
        Case("1 %, mostly right", logits(1.0, wrong, 6.0), rare),
        Case("no foreground in one image", logits(1.0, wrong, 4.0), absent),
        Case("saturated, 2 % wrong", logits(2.0, wrong, 60.0), rare),
        Case("saturated, all right", logits(2.0, rare, 60.0), rare),
    ]


def authors_functions(path: Path) -> tuple[ModuleType, list[str]]:
    """Their file as a module, and what had to be mended before Python would read it."""
    source, mended = path.read_text(encoding="utf-8"), []
    fixed = re.sub(r'(def loss_function\([^)]*\):\n) {4}(""")', r"\1        \2", source)
    if fixed != source:
        mended.append("a docstring of asymmetric_focal_loss was indented too little")
    if "import tensorflow" not in fixed:
        mended.append("the imports were missing")
        fixed = IMPORTS + fixed
    module = ModuleType("authors")
    exec(compile(fixed, str(path), "exec"), module.__dict__)
    return module, mended


def theirs(module: ModuleType, pair: Pair, case: Case, dtype: str) -> tuple[float, np.ndarray]:
    """Value and gradient, laid out as the logits, of one of their functions."""
    name, parameters = pair.theirs
    function = getattr(module, name)(**parameters)
    z = tf.constant(np.moveaxis(case.logits, 1, -1), dtype=dtype)
    y = tf.one_hot(case.target, 2, dtype=dtype)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = function(y, tf.nn.softmax(z))
    return float(value), np.moveaxis(tape.gradient(value, z).numpy(), -1, 1).astype(np.float64)


def ours(pair: Pair, case: Case, dtype: str) -> tuple[float, np.ndarray]:
    """Value and gradient, laid out as the logits, of the member that stands for it."""
    logits = torch.tensor(case.logits, dtype=getattr(torch, dtype), requires_grad=True)
    value = pair.scale * create(pair.ours[0], **pair.ours[1])(logits, torch.from_numpy(case.target)) + pair.offset
    (gradient,) = torch.autograd.grad(value, logits)
    return value.item(), gradient.double().numpy()


@dataclass(frozen=True)
class Difference:
    """How far theirs lies from ours, at most.

    Attributes:
        value: Absolute difference of the values.
        relative: The same, divided by our value.
        gradient: Absolute difference of the gradients.
        gradient_relative: The same, divided by the largest entry of our gradient.
    """

    value: float
    relative: float
    gradient: float
    gradient_relative: float


def difference(module: ModuleType, pair: Pair, every: list[Case], dtype: str) -> Difference:
    """The largest differences over all cases."""
    found = []
    for case in every:
        their_value, their_gradient = theirs(module, pair, case, dtype)
        our_value, our_gradient = ours(pair, case, dtype)
        value = abs(their_value - our_value)
        gradient = np.abs(their_gradient - our_gradient).max()
        found.append((value, value / abs(our_value), gradient, gradient / np.abs(our_gradient).max()))
    return Difference(*(float(column.max()) for column in np.array(found).T))


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def difference_table(module: ModuleType, every: list[Case]) -> str:
    """Values and gradients of every function, in both precisions."""
    head = ["theirs", "ours"]
    rows = [[f"`{title}`" for title in pair.title] for pair in PAIRS]
    for dtype in ("float64", "float32"):
        head += [f"value, {dtype}", f"gradient, {dtype}"]
        for pair, row in zip(PAIRS, rows, strict=True):
            d = difference(module, pair, every, dtype)
            row += [f"{d.value:.0e} ({d.relative:.0e})", f"{d.gradient:.0e} ({d.gradient_relative:.0e})"]
    return table(head, rows)


def value_table(module: ModuleType, every: list[Case], dtype: str) -> str:
    """Both values, side by side, for the default parameters."""
    head = ["theirs", *(f"{case.title}: {whose}" for case in every for whose in ("theirs", "ours"))]
    rows = []
    for pair in DEFAULTS:
        values = [v for case in every for v in (theirs(module, pair, case, dtype)[0], ours(pair, case, dtype)[0])]
        rows.append([f"`{pair.title[0]}`", *(f"{value:.6g}" for value in values)])
    return table(head, rows)


def wrong_voxel_table(module: ModuleType) -> str:
    """The gradient in the foreground's logit at the one voxel of 16 that is confidently wrong."""
    target = np.zeros((1, 4, 4), dtype=np.int64)
    target[0, 0, 0] = 1
    pairs = [Pair(("focal_loss", {"gamma_f": 0.0}), ("cross_entropy", {})), Pair(("focal_loss", {}), ("focal", {}))]
    pairs += [Pair(("asym_unified_focal_loss", {}), ("unified_focal", SMALL))]
    rows = []
    for size in (4.0, 8.0, 16.0, 17.0, 32.0):
        logits = np.stack([np.full((1, 4, 4), size), np.zeros((1, 4, 4))], axis=1)
        case = Case("", logits, target)
        gradients = [
            g[0, 1, 0, 0] for p in pairs for g in (theirs(module, p, case, "float32")[1], ours(p, case, "float32")[1])
        ]
        rows.append([f"{size:g}", *(f"{gradient:.4g}" for gradient in gradients)])
    head = [
        f"`{name}`: {whose}"
        for name in ("focal_loss(gamma_f=0)", "focal_loss()", "asym_unified_focal_loss()")
        for whose in ("theirs", "ours")
    ]
    return table(["difference of the logits", *head], rows)


def perfect_table(module: ModuleType, seed: int) -> str:
    """Both values in float32 where every voxel is right and saturated."""
    rng = np.random.default_rng(seed)
    rows = []
    for share in (0.5, 0.0):
        target = (rng.random((2, 64, 64)) < share).astype(np.int64)
        case = Case("", 40.0 * np.stack([target == 0, target == 1], axis=1), target)
        for delta in (0.6, 0.4):
            row = [f"{100 * share:.0f} %", f"{delta:g}"]
            for name, member, smooth in (
                ("focal_tversky_loss", "focal_tversky", {}),
                ("sym_unified_focal_loss", "unified_focal_symmetric", SMALL),
                ("asym_unified_focal_loss", "unified_focal", SMALL),
            ):
                pair = Pair((name, {"delta": delta}), (member, {"delta": delta, **smooth}))
                row += [f"{f[0]:.3g}" for f in (theirs(module, pair, case, "float32"), ours(pair, case, "float32"))]
            rows.append(row)
    names = ("focal Tversky", "symmetric unified", "asymmetric unified")
    return table(["foreground", "delta", *(f"{name}: {whose}" for name in names for whose in ("theirs", "ours"))], rows)


def volume_table(module: ModuleType, seed: int) -> str:
    """Volumes (2, 2, 6, 7, 8): the value, and the share of voxels with any gradient from the voxel term."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, (2, 6, 7, 8))
    case = Case("volume", rng.normal(0, 1, (2, 2, 6, 7, 8)), target)
    rows = []
    for pair in DEFAULTS:
        if "sym" not in pair.theirs[0]:
            continue
        row = [f"`{pair.title[0]}`"]
        for value, gradient in (theirs(module, pair, case, "float64"), ours(pair, case, "float64")):
            row += [f"{value:.6g}", f"{100 * (np.abs(gradient).max(axis=1) > 0).mean():.0f} %"]
        rows.append(row)
    return table(["theirs", "their value", "voxels with a gradient", "our value", "voxels with a gradient"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare with the authors' Keras functions.")
    parser.add_argument("--authors", type=Path, required=True, help="their loss_functions.py")
    parser.add_argument("--seeds", type=int, default=5, help="random tensors per kind of case")
    arguments = parser.parse_args()
    module, mended = authors_functions(arguments.authors)
    every = [case for seed in range(arguments.seeds) for case in cases(seed)]
    plain = [case for case in every if not case.clipped]
    saturated = [case for case in every if case.clipped]
    print(f"{arguments.authors.name}: SHA-256 {hashlib.sha256(arguments.authors.read_bytes()).hexdigest()}")
    print(f"Mended: {'; '.join(mended) or 'nothing'}")
    print(
        f"tensorflow {tf.__version__}, keras {tf.keras.__version__}, torch {torch.__version__}, numpy {np.__version__}"
    )
    print("Differences are absolute, in brackets relative; the largest over all cases and seeds.\n")
    print(f"## No probability is clipped: {len(plain)} cases\n\n{difference_table(module, plain)}")
    print(f"## Probabilities are clipped, float32\n\n{value_table(module, saturated[:2], 'float32')}")
    print(f"## One voxel of 16 is wrong\n\n{wrong_voxel_table(module)}")
    print(f"## Every voxel is right\n\n{perfect_table(module, seed=0)}")
    print(f"## Volumes\n\n{volume_table(module, seed=0)}")


if __name__ == "__main__":
    main()
