"""The formula on a GPU, for hard labels: one kernel forward, one back, and nothing else of full size.

With y the true class of a voxel, p its probability, q that of the wrong classes (their sum, never 1-p)
and f = -log p, the forward pass adds up p, q and alpha_y * q**phi_y * f. With r_c the loss' gradient in
FP_c, a_c that in T_c less that in FN_c, v that in the voxel term's sum and w the voxel's weight, the
backward pass is

    h = v * alpha_y * q**phi_y * (1 + phi_y * p/q * f)      s = sum_{j != y} p_j r_j + p a_y
    dz_c = w p_c (h + r_c - s) for c != y                   dz_y = w (p (a_y - s) - q h)

with nothing nearly equal subtracted, as in `many_classes`. For two classes only the difference of their
logits matters, and r_c - s is p (r_c - a_y). Every program walks over some blocks of one row, which is one
problem of a sample, adds up lane by lane, and writes one result. PyTorch adds these up in a fixed order.
"""

# ruff: noqa: C901, PLR0913, PLR0915, PLR0917
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-not-found,import-untyped"

from functools import lru_cache
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from unifocal.losses.targets import Voxels

if tuple(int(part) for part in triton.__version__.split(".")[:2]) < (3, 3):
    raise ImportError(f"needs Triton 3.3 or newer, found {triton.__version__}")

LEAST = tl.constexpr(1e-37)
"""Probabilities are not taken for smaller than this where something is divided by them."""
FAR = tl.constexpr(2**31 - 1)
"""Above every label, and its negative below."""

PROGRAMS = 2048
"""As many keep any GPU busy; of more blocks than that, a program gets several."""

MOST_BLOCKS = 64
"""Blocks of a program at most: a lane adds up so many values one by one."""

# Known to be aligned, pointers would make a thread load several positions at once and the warps share out the
# classes, with an exchange between them for every block; and every mixture would be another kernel to compile.
_OPTIONS: dict[str, Any] = {
    "do_not_specialize": ["problems", "positions", "parts", "blocks"],
    "do_not_specialize_on_alignment": ["logits", "labels", "weight", "gradient", "true", "missed", "false", "voxel"],
}


class Counts(NamedTuple):
    """Sums over the voxels, in float32 or wider, and what is needed to check labels and weights.

    Attributes:
        true: T, (N, K, C); 0 if the region term is not wanted, as the next two.
        missed: FN, (N, K, C).
        false: FP, (N, K, C).
        voxel: The voxel term's sum over positions and problems, (N,); 0 if it is not wanted.
        positions: The sum of the weights over positions and problems, (N,); not finite if a weight is
            negative, infinite or not a number.
        low: The smallest label that is not ignored and has weight, (); above `high` if there is none. A label that
            is no whole number counts as one below all others.
        high: The largest, ().
    """

    true: Tensor
    missed: Tensor
    false: Tensor
    voxel: Tensor
    positions: Tensor
    low: Tensor
    high: Tensor


class Upstream(NamedTuple):
    """The loss' gradient in the sums of the same names; None where the loss has no such term."""

    true: Tensor | None = None
    missed: Tensor | None = None
    false: Tensor | None = None
    voxel: Tensor | None = None


@triton.jit
def _place(problems, parts):
    """The sample, the problem, and the part of their positions that this program works on."""
    row = tl.program_id(0) // parts
    part = tl.program_id(0) % parts
    return (row // problems).to(tl.int64), (row % problems).to(tl.int64), part.to(tl.int64)


@triton.jit
def _two_classes(margin):
    """p, q, -log p and -log q, from the true class' logit less the other one's."""
    e = tl.exp(-tl.abs(margin))
    z = 1 + e
    r = 1 / z
    log_z = tl.log(z) + (e - (z - 1)) * r  # The second term is what rounding took from 1 + e.
    right = margin >= 0
    p = tl.where(right, r, e * r)
    q = tl.where(right, e * r, r)
    return p, q, log_z - tl.minimum(margin, 0), log_z + tl.maximum(margin, 0)


@triton.jit
def _many_classes(tile, own):
    """The probabilities of the wrong classes, 0 for the true one; p, q, -log p and -log q."""
    t = tile - tl.max(tile, 0)[None, :]
    t_own = tl.sum(tl.where(own, t, 0), 0)
    e = tl.where(own, 0, tl.exp(t))
    e_own = tl.exp(t_own)
    others = tl.sum(e, 0)
    x = others + (e_own - 1)
    z = 1 + x
    r = 1 / z
    log_z = tl.log(z) + (x - (z - 1)) * r
    q = others * r
    return e * r[None, :], e_own * r, q, log_z - t_own, -tl.log(tl.maximum(q, LEAST))


@triton.jit
def _labels(labels, weight, labels_m, weight_m, at, inside, IGNORED: tl.constexpr, REAL: tl.constexpr):
    """The labels at some positions, which of them count, and the weights."""
    y = tl.load(labels + at * labels_m, mask=inside, other=0)
    if y.dtype.is_floating():
        y = tl.where(y == y.to(tl.int32).to(tl.float32), y.to(tl.int32), -FAR)
    elif y.dtype != tl.int64:
        y = y.to(tl.int32)
    counted = inside
    if IGNORED is not None:
        counted = counted & (y != IGNORED)
    w = counted.to(REAL)
    if weight is not None:
        given = tl.load(weight + at * weight_m, mask=counted, other=0).to(REAL)
        w = tl.where(given >= 0, given, float("nan"))
        counted = counted & (given != 0)
    return y, counted, w


@triton.jit
def _probabilities(
    logits, logits_c, logits_m, at, inside, c, y, w,
    CLASSES: tl.constexpr, CHANNELS: tl.constexpr, GUARDED: tl.constexpr,
):  # fmt: skip
    """Where the true class stands in a tile (C, M) and the wrong ones' probabilities; p, q, -log p and -log q.

    Logits count as 0 where the weight is 0. For two classes there is no tile.
    """
    if CLASSES == 2:
        z = tl.load(logits + at * logits_m, mask=inside, other=0).to(w.dtype)
        if CHANNELS == 2:
            z = tl.load(logits + logits_c + at * logits_m, mask=inside, other=0).to(w.dtype) - z
        if GUARDED:
            z = tl.where(w > 0, z, 0)
        p, q, f, minus_log_q = _two_classes(tl.where(y == 0, -z, z))
        own, wrong = y, q
    else:
        real = (c < CLASSES)[:, None]
        z = logits + c.to(tl.int64)[:, None] * logits_c + at[None, :] * logits_m
        z = tl.load(z, mask=real & inside[None, :], other=0).to(w.dtype)
        if GUARDED:
            z = tl.where((w > 0)[None, :], z, 0)
        own = c[:, None] == y[None, :]
        wrong, p, q, f, minus_log_q = _many_classes(tl.where(real, z, -float("inf")), own)
    return own, wrong, p, q, f, minus_log_q


@triton.jit(**_OPTIONS)
def _sums_kernel(
    partial, extremes, alpha, phi, logits, labels, weight, logits_stride, labels_stride, weight_stride,
    positions, problems, parts, blocks, CLASSES: tl.constexpr, CHANNELS: tl.constexpr, ROWS: tl.constexpr,
    BLOCK: tl.constexpr, IGNORED: tl.constexpr, REGION: tl.constexpr, VOXEL: tl.constexpr,
):  # fmt: skip
    """One part of a row: positions, voxel term, T, FN and FP to `partial`, the labels' range to `extremes`."""
    REAL: tl.constexpr = partial.dtype.element_ty
    GUARDED: tl.constexpr = weight is not None or IGNORED is not None
    n, k, part = _place(problems, parts)
    logits += n * logits_stride[0] + k * logits_stride[1]
    labels += n * labels_stride[0] + k * labels_stride[1]
    if weight is not None:
        weight += n * weight_stride[0] + k * weight_stride[1]
    c = tl.arange(0, ROWS)
    count, cost = tl.zeros((BLOCK,), REAL), tl.zeros((BLOCK,), REAL)
    if CLASSES == 2:
        true_0, true_1 = tl.zeros((BLOCK,), REAL), tl.zeros((BLOCK,), REAL)
        missed_0, missed_1 = tl.zeros((BLOCK,), REAL), tl.zeros((BLOCK,), REAL)
    else:
        true = tl.zeros((ROWS, BLOCK), REAL)
        missed = tl.zeros((ROWS, BLOCK), REAL)
        false = tl.zeros((ROWS, BLOCK), REAL)
    low = tl.full((BLOCK,), FAR, extremes.dtype.element_ty)
    high = tl.full((BLOCK,), -FAR, extremes.dtype.element_ty)
    for block in range(blocks):
        at = (part * blocks + block) * BLOCK + tl.arange(0, BLOCK)
        inside = at < positions
        y, counted, w = _labels(labels, weight, labels_stride[2], weight_stride[2], at, inside, IGNORED, REAL)
        low = tl.where(counted, tl.minimum(low, y), low)
        high = tl.where(counted, tl.maximum(high, y), high)
        y = tl.minimum(tl.maximum(y, 0), CLASSES - 1).to(tl.int32)
        own, wrong, p, q, f, minus_log_q = _probabilities(
            logits, logits_stride[2], logits_stride[3], at, inside, c, y, w, CLASSES, CHANNELS, GUARDED
        )
        count += w
        if VOXEL:
            value = w * tl.load(alpha + k * CLASSES + y) * f
            if phi is not None:
                value *= tl.exp(-tl.load(phi + k * CLASSES + y) * minus_log_q)
            cost += value
        if REGION:
            if CLASSES == 2:
                true_0 += tl.where(y == 0, w * p, 0)
                true_1 += tl.where(y == 0, 0, w * p)
                missed_0 += tl.where(y == 0, w * q, 0)
                missed_1 += tl.where(y == 0, 0, w * q)
            else:
                true += tl.where(own, (w * p)[None, :], 0)
                missed += tl.where(own, (w * q)[None, :], 0)
                false += w[None, :] * wrong
    program = tl.program_id(0)
    tl.store(extremes + program, tl.min(low, 0))
    tl.store(extremes + tl.num_programs(0) + program, tl.max(high, 0))
    partial += (n * problems + k) * (2 + 3 * CLASSES) * parts + part
    tl.store(partial, tl.sum(count, 0))
    tl.store(partial + parts, tl.sum(cost, 0))
    partial += 2 * parts
    if REGION:
        if CLASSES == 2:
            tl.store(partial, tl.sum(true_0, 0))
            tl.store(partial + parts, tl.sum(true_1, 0))
            tl.store(partial + 2 * parts, tl.sum(missed_0, 0))
            tl.store(partial + 3 * parts, tl.sum(missed_1, 0))
            tl.store(partial + 4 * parts, tl.sum(missed_1, 0))
            tl.store(partial + 5 * parts, tl.sum(missed_0, 0))
        else:
            tl.store(partial + c * parts, tl.sum(true, 1), mask=c < CLASSES)
            tl.store(partial + (CLASSES + c) * parts, tl.sum(missed, 1), mask=c < CLASSES)
            tl.store(partial + (2 * CLASSES + c) * parts, tl.sum(false, 1), mask=c < CLASSES)


@triton.jit(**_OPTIONS)
def _gradient_kernel(
    gradient, gradient_stride, true, missed, false, voxel, alpha, phi,
    logits, labels, weight, logits_stride, labels_stride, weight_stride,
    positions, problems, parts, blocks, CLASSES: tl.constexpr, CHANNELS: tl.constexpr, ROWS: tl.constexpr,
    BLOCK: tl.constexpr, IGNORED: tl.constexpr, REGION: tl.constexpr, VOXEL: tl.constexpr,
):  # fmt: skip
    """The gradient at one part of a row."""
    REAL: tl.constexpr = alpha.dtype.element_ty
    GUARDED: tl.constexpr = weight is not None or IGNORED is not None
    n, k, part = _place(problems, parts)
    logits += n * logits_stride[0] + k * logits_stride[1]
    labels += n * labels_stride[0] + k * labels_stride[1]
    gradient += n * gradient_stride[0] + k * gradient_stride[1]
    if weight is not None:
        weight += n * weight_stride[0] + k * weight_stride[1]
    c = tl.arange(0, ROWS)
    if REGION:
        true += (n * problems + k) * CLASSES
        missed += (n * problems + k) * CLASSES
        false += (n * problems + k) * CLASSES
        r = tl.load(false + c, mask=c < CLASSES, other=0)
    if VOXEL:
        v = tl.load(voxel + n)
    for block in range(blocks):
        at = (part * blocks + block) * BLOCK + tl.arange(0, BLOCK)
        inside = at < positions
        y, _, w = _labels(labels, weight, labels_stride[2], weight_stride[2], at, inside, IGNORED, REAL)
        y = tl.minimum(tl.maximum(y, 0), CLASSES - 1).to(tl.int32)
        own, wrong, p, q, f, minus_log_q = _probabilities(
            logits, logits_stride[2], logits_stride[3], at, inside, c, y, w, CLASSES, CHANNELS, GUARDED
        )
        h = tl.zeros((BLOCK,), REAL)
        if VOXEL:
            h += v * tl.load(alpha + k * CLASSES + y)
            if phi is not None:
                focus = tl.load(phi + k * CLASSES + y)
                h *= tl.exp(-focus * minus_log_q) * (1 + focus * p * f / tl.maximum(q, LEAST))
        if REGION:
            a = tl.load(true + y) - tl.load(missed + y)
        if CLASSES == 2:
            if REGION:
                h += p * (tl.load(false + 1 - y) - a)
            d = tl.where(y == 0, w * q * h, -w * q * h)
            tl.store(gradient + (CHANNELS - 1) * gradient_stride[2] + at * gradient_stride[3], d, mask=inside)
            if CHANNELS == 2:
                tl.store(gradient + at * gradient_stride[3], -d, mask=inside)
        else:
            of_own = q * h
            of_wrong = wrong * h[None, :]
            if REGION:
                likely = p > 0.5
                s = tl.sum(wrong * r[:, None], 0) + tl.where(likely, -q, p) * a
                of_own += p * (s - tl.where(likely, 0, a))
                of_wrong += wrong * (r[:, None] - (tl.where(likely, a, 0) + s)[None, :])
            target = gradient + c.to(tl.int64)[:, None] * gradient_stride[2] + at[None, :] * gradient_stride[3]
            d = tl.where(own, -of_own[None, :], of_wrong)
            d = w[None, :] * (d - tl.where(wrong > 0.5, tl.sum(d, 0)[None, :], 0))
            tl.store(target, d, mask=(c < CLASSES)[:, None] & inside[None, :])


def sums(voxels: Voxels, alpha: Tensor, phi: Tensor, *, region: bool, voxel: bool) -> Counts:
    """The sums of the formula over all positions.

    Args:
        voxels: Logits, hard labels and weights, on a GPU. Labels that are no class are safe but make the sums
            meaningless: see `Counts.low`.
        alpha: Weight of each class in the voxel term (K, C).
        phi: Its focusing exponent (K, C). Values on the CPU are copied to the GPU when they are first seen;
            after that nothing waits for the GPU, and CUDA graphs can record the call.
        region: Whether T, FN and FP are wanted.
        voxel: Whether the voxel term is wanted.
    """
    arguments, programs = _arguments(voxels, alpha, phi)
    shape = *voxels.logits.shape[:2], 2 + 3 * voxels.classes, arguments["parts"]
    partial = torch.empty(shape, dtype=voxels.dtype, device=voxels.logits.device)
    integer = torch.int64 if voxels.labels.dtype == torch.int64 else torch.int32
    extremes = torch.empty(2, programs, dtype=integer, device=voxels.logits.device)
    with torch.cuda.device_of(voxels.logits):
        _sums_kernel[(programs,)](partial, extremes, REGION=region, VOXEL=voxel, **arguments)
    if not region:
        partial[:, :, 2:] = 0
    total = partial.sum(dim=3)
    positions, cost = total[:, :, :2].sum(dim=1).unbind(1)
    true, missed, false = total[:, :, 2:].unflatten(2, (3, -1)).unbind(2)
    return Counts(true, missed, false, cost, positions, extremes[0].amin(), extremes[1].amax())


def gradient(voxels: Voxels, alpha: Tensor, phi: Tensor, upstream: Upstream) -> Tensor:
    """The loss' gradient in the logits.

    Args:
        voxels: What `sums` was given.
        alpha: The same.
        phi: The same.
        upstream: The loss' gradient in T, FN and FP, each (N, K, C), and in the voxel term's sum (N,).

    Returns:
        (N, K, C, M) or, for one logit, (N, K, 1, M), with the logits' dtype and, if they are dense, strides.
    """
    arguments, programs = _arguments(voxels, alpha, phi)
    result = torch.empty_like(voxels.logits)
    tables = [None if part is None else part.to(voxels.dtype).contiguous() for part in upstream]
    terms = {"REGION": upstream.false is not None, "VOXEL": upstream.voxel is not None}
    with torch.cuda.device_of(result):
        _gradient_kernel[(programs,)](result, result.stride(), *tables, **terms, **arguments)
    return result


def _arguments(voxels: Voxels, alpha: Tensor, phi: Tensor) -> tuple[dict[str, Any], int]:
    """What both kernels are given, and the number of programs."""
    logits, labels, weight, ignore_index = voxels
    samples, problems, channels, positions = logits.shape
    labels = _bytes(labels)
    weight = None if weight is None else _bytes(weight).expand(samples, problems, positions)
    rows = triton.next_power_of_2(voxels.classes)
    # More would not fit the registers: every thread has three sums for each class of its positions.
    block = 1024 // rows if rows <= 8 else max(1, 2048 // rows)
    every = triton.cdiv(positions, block)
    blocks = min(max(1, samples * problems * every // PROGRAMS), MOST_BLOCKS, every)
    parts = triton.cdiv(every, blocks)
    plain = phi.device.type == "cpu" and not phi.any()
    arguments = {
        "alpha": _beside(logits, alpha, voxels.dtype),
        "phi": None if plain else _beside(logits, phi, voxels.dtype),
        "logits": logits,
        "labels": labels,
        "weight": weight,
        "logits_stride": logits.stride(),
        "labels_stride": labels.stride(),
        "weight_stride": (labels if weight is None else weight).stride(),
        "positions": positions,
        "problems": problems,
        "parts": parts,
        "blocks": blocks,
        "CLASSES": voxels.classes,
        "CHANNELS": channels,
        "ROWS": rows,
        "BLOCK": block,
        "IGNORED": ignore_index,
        "num_warps": 4,
        "enable_fp_fusion": True,
    }
    return arguments, samples * problems * parts


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor


def _beside(logits: Tensor, values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values per class, on the device of the logits."""
    if values.device == logits.device:
        return values.to(dtype).contiguous()
    return _copied(tuple(values.flatten().tolist()), dtype, logits.device)


@lru_cache(maxsize=4096)
def _copied(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Values on a GPU; copied once, since the CPU waits for the GPU with every copy."""
    return torch.tensor(values, dtype=dtype, device=device)
