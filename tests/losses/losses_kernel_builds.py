"""Compiles the GPU kernels without a GPU, and prints as JSON what the assembler says of each.

Run by `test_losses_kernels` as a program, with the compute capabilities to compile for, an empty
TRITON_CACHE_DIR and TRITON_DUMP_PTXAS_LOG=1. The package's own functions are called with tensors that
have no memory, so a case may be as large as it likes.
"""

import contextlib
import io
import json
import re
import sys
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from unifocal.losses.fused import kernels
from unifocal.losses.targets import Voxels

CASES: dict[str, dict[str, Any]] = {
    "one logit, three problems, weights": {"shape": (2, 3, 1, 128**3), "weighted": True},
    "two classes, bfloat16, a mask of floats, cross entropy": {
        "shape": (2, 1, 2, 512 * 512),
        "dtype": torch.bfloat16,
        "labels": torch.float32,
        "phi": 0.0,
        "region": False,
    },
    "two classes": {"shape": (2, 1, 2, 512 * 512), "labels": torch.bool},
    "three classes": {"shape": (2, 1, 3, 128**3)},
    "three classes, float16, ignoring": {
        "shape": (2, 1, 3, 127**3),
        "dtype": torch.float16,
        "labels": torch.int64,
        "weighted": True,
        "ignore_index": -100,
    },
    "fourteen classes, beyond 32 bits, channels last": {"shape": (2, 1, 14, 1024**3), "channels_last": True},
    "sixty classes, Dice": {"shape": (2, 1, 60, 128**3), "voxel": False},
}


class NoGPU:
    """The driver of a GPU that is not there."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def call(
    shape: tuple[int, ...],
    *,
    dtype: torch.dtype = torch.float32,
    labels: torch.dtype = torch.uint8,
    weighted: bool = False,
    ignore_index: int | None = None,
    phi: float = 2.0,
    region: bool = True,
    voxel: bool = True,
    channels_last: bool = False,
) -> None:
    """Call both functions of the package."""
    samples, problems, channels, positions = shape
    logits = torch.empty(shape, dtype=dtype, device="meta")
    if channels_last:
        logits = torch.empty(samples, problems, positions, channels, device="meta").transpose(2, 3)
    weight = torch.empty(samples, 1, positions, device="meta") if weighted else None
    target = torch.empty(samples, problems, positions, dtype=labels, device="meta")
    of = Voxels(logits, target, weight, ignore_index)
    alpha = torch.ones(problems, of.classes)
    kernels.sums(of, alpha, phi * alpha, region=region, voxel=voxel)
    per_class = torch.empty(samples, problems, of.classes, device="meta") if region else None
    per_voxel = torch.empty(samples, device="meta") if voxel else None
    kernels.gradient(of, alpha, phi * alpha, kernels.Upstream(per_class, per_class, per_class, per_voxel))


def main() -> None:
    launch, built, reports = JITFunction.run, [], []

    def only_compile(kernel: JITFunction, *arguments: Any, warmup: bool, **keywords: Any) -> None:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            launch(kernel, *arguments, warmup=True, **keywords)
        registers = re.search(r"Used (\d+) registers", said.getvalue())[1]
        spilled = re.search(r"(\d+) bytes spill stores", said.getvalue())[1]
        built.append({"kernel": kernel.fn.__name__, "registers": int(registers), "spilled": int(spilled)})

    JITFunction.run = only_compile
    for capability in map(int, sys.argv[1:]):
        driver.set_active(NoGPU(capability))
        for kernel in (kernels._sums_kernel, kernels._gradient_kernel):
            kernel.device_caches.clear()
        for case, arguments in CASES.items():
            built.clear()
            call(**arguments)
            reports += [{"case": case, "capability": capability, **report} for report in built]
    print(json.dumps(reports))


if __name__ == "__main__":
    main()
