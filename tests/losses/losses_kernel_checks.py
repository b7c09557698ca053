"""Checks of the GPU kernels, run by `test_losses_kernels` in a process of its own.

On a GPU they run for real; without one, under Triton's interpreter, which has to be chosen before
anything imports Triton. The reference is plain PyTorch in float64 and shares no code with the package.
"""

import math

import pytest
import torch
from losses_kernel_reference import (
    DEVICE,
    DTYPES,
    LABEL_DTYPES,
    SLOPES,
    SUMS,
    VALUES,
    check,
    parameters,
    reference,
    run,
    upstream_of,
    voxels,
)

from unifocal.losses.fused import kernels
from unifocal.losses.targets import Voxels

MAKES_NANS = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 14, 33])
def test_any_number_of_classes(channels):
    # Not a multiple of any block, and more than one block for every number of classes.
    check(voxels(channels, 531 if channels < 3 else 300))


def test_problems_of_one_logit():
    check(voxels(1, 531, problems=3))


def test_problems_of_two_and_three_logits():
    check(voxels(2, 70, problems=3))
    check(voxels(3, 70, problems=3))


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_single_position(channels):
    check(voxels(channels, 1, samples=3))


@pytest.mark.parametrize("labels", LABEL_DTYPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_labels_of_any_dtype(labels, channels):
    of = voxels(channels, 70)
    of = of._replace(labels=(of.labels % 2).to(labels))
    counts, _ = check(of)
    assert (int(counts.low), int(counts.high)) == (0, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_logits_of_any_dtype(dtype, channels):
    of = voxels(channels, 70, dtype=dtype)
    check(of, slopes=max(SLOPES, torch.finfo(dtype).eps))


def test_float64_is_computed_in_float64():
    for channels in (1, 4):
        check(voxels(channels, 70, dtype=torch.float64), values=1e-14, slopes=1e-12)


@pytest.mark.parametrize(
    ("channels", "problems", "dtype"),
    [(1, 3, torch.float32), (2, 1, torch.float16), (3, 1, torch.bool), (3, 2, torch.float64)],
)
def test_weights(channels, problems, dtype):
    of = voxels(channels, 70, problems=problems)
    weight = torch.rand(2, problems, 70, generator=torch.Generator().manual_seed(3))
    weight[:, :, ::5] = 0
    check(of._replace(weight=weight.to(dtype).to(DEVICE)))
    check(of._replace(weight=weight[:, :1].to(dtype).to(DEVICE)))
    check(of._replace(weight=weight[:1, :1].to(dtype).to(DEVICE).expand(2, problems, 70)))


@pytest.mark.parametrize(
    ("ignored", "labels"),
    [(-100, torch.int64), (255, torch.uint8), (255, torch.int16), (-1, torch.int8), (1, torch.int32)],
)
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_ignored_positions_are_as_if_not_there(ignored, labels, channels, weighted):
    of = voxels(channels, 70, labels=labels)
    of.labels[:, :, 3::4] = ignored
    gone = of.labels == ignored
    of.logits.masked_fill_(gone.unsqueeze(2), math.nan)
    weight = torch.full((2, 1, 70), 0.75, device=DEVICE).masked_fill(gone, math.nan) if weighted else None
    of = of._replace(weight=weight, ignore_index=ignored)
    # A weight that is not a number says nothing about positions that are not there.
    expected = of if weight is None else of._replace(weight=weight.nan_to_num(1.0))
    alpha, phi = parameters(of)
    counts, gradient = run(of, alpha, phi, upstream_of(of))
    assert not gradient.masked_select(gone.unsqueeze(2)).any()
    others, same = check(expected)
    assert all(torch.equal(a, b) for a, b in zip(counts, others, strict=True))
    assert torch.equal(gradient, same)
    left = of.labels[~gone]
    assert (int(counts.low), int(counts.high)) == (int(left.min()), int(left.max()))


@pytest.mark.parametrize("ignored", [-100, 300])
def test_an_ignored_value_that_the_dtype_does_not_hold(ignored):
    check(voxels(3, 70, labels=torch.uint8)._replace(ignore_index=ignored))


@MAKES_NANS
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_logits_without_weight_have_no_effect(channels, bad):
    of = voxels(channels, 70)
    weight = torch.ones(2, 1, 70, device=DEVICE)
    weight[:, :, ::3] = 0
    _, clean = check(of._replace(weight=weight))
    of.logits[..., ::3] = bad
    _, gradient = check(of._replace(weight=weight))
    assert torch.equal(clean, gradient)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_any_strides(channels):
    of = voxels(channels, 96, problems=2)
    of = of._replace(weight=torch.rand(2, 2, 96, generator=torch.Generator().manual_seed(4)).to(DEVICE))
    same, expected = check(of)
    n, k, c, m = of.logits.shape
    layouts = {
        "channels last": of.logits.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2),
        "positions first": of.logits.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0),
        "sliced": torch.full((n + 1, k + 2, c + 1, 2 * m), math.nan, device=DEVICE)[1:, 1:-1, 1:, ::2].copy_(of.logits),
    }
    labels = torch.full((k, n, 3 * m), 99, device=DEVICE)[:, :, 1::3].permute(1, 0, 2).copy_(of.labels)
    weight = of.weight.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    for name, logits in layouts.items():
        strided = Voxels(logits, labels, weight, None)
        counts, gradient = run(strided, *parameters(of), upstream_of(of))
        assert torch.equal(gradient, expected), name
        assert all(torch.equal(a, b) for a, b in zip(counts, same, strict=True)), name
        if name != "sliced":
            assert gradient.stride() == logits.stride(), name


def test_classes_far_apart_in_memory():
    of = voxels(3, 70, samples=1, dtype=torch.bfloat16)
    counts, gradient = run(of, *parameters(of), upstream_of(of))
    # 4 GiB of which only a few pages are ever touched; the third class lies beyond 2**31.
    far = torch.empty((1 << 31) + 70, dtype=torch.bfloat16, device=DEVICE).as_strided((1, 1, 3, 70), (1, 1, 1 << 30, 1))
    others, same = run(of._replace(logits=far.copy_(of.logits)), *parameters(of), upstream_of(of))
    assert torch.equal(same, gradient)
    assert all(torch.equal(a, b) for a, b in zip(counts, others, strict=True))


@pytest.mark.parametrize("channels", [1, 3])
def test_expanded_input(channels):
    of = voxels(channels, 70, samples=1)
    of = of._replace(weight=torch.rand(1, 1, 1, device=DEVICE))
    same = Voxels(
        of.logits.expand(3, -1, -1, -1), of.labels.expand(3, -1, -1), of.weight.expand(3, -1, 70), of.ignore_index
    )
    check(same)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_logits_of_any_size(channels):
    of = voxels(channels, 70)
    far = of.logits[..., ::2].sign()
    of.logits[..., ::2] = 100 * far
    check(of)
    of.logits[..., ::2] = 1e4 * far
    _, gradient = check(of)
    # Where the reference fails: all is lost in a double beside 1e29. Nothing of the gradient may change any more.
    of.logits[..., ::2] = 1e29 * far
    counts, beyond = run(of, *parameters(of), upstream_of(of))
    assert torch.equal(beyond, gradient)
    assert all(part.isfinite().all() for part in counts[:5])


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("margin", [8.0, 16.0, 30.0])
def test_small_errors_keep_their_digits(channels, margin):
    of = voxels(channels, 70)
    own = of.labels.unsqueeze(2) == torch.arange(of.classes, device=DEVICE)[:, None]
    logits = margin * (own if channels > 1 else 2 * own[:, :, 1:] - 1).float()
    of = of._replace(logits=logits + torch.linspace(0, 0.5, 70, device=DEVICE))
    if channels == 1:
        of = of._replace(logits=logits * torch.linspace(1, 1.1, 70, device=DEVICE))
    alpha = torch.ones(1, of.classes, dtype=torch.float64)
    for phi in (0.0, 0.5, 2.0):
        upstream = kernels.Upstream(voxel=torch.tensor([1.0, 2.0], device=DEVICE))
        counts, gradient = run(of, alpha, phi * alpha, upstream)
        sums, expected = reference(of, alpha, phi * alpha, upstream)
        assert float(sums["voxel"].amax()) < 0.2
        # A power has the error of its logarithm, -30 or so, times the exponent.
        rtol = SLOPES if phi else 2 * VALUES
        torch.testing.assert_close(counts.voxel.cpu().double(), sums["voxel"], rtol=rtol, atol=1e-36)
        torch.testing.assert_close(gradient.cpu().double(), expected, rtol=SLOPES, atol=1e-36)
    counts = kernels.sums(of, alpha, alpha, region=True, voxel=False)
    sums, _ = reference(of, alpha, alpha, upstream)
    for name in ("missed", "false"):
        torch.testing.assert_close(getattr(counts, name).cpu().double(), sums[name], rtol=2 * VALUES, atol=0.0)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("phi", [0.0, 0.001, 0.5, 1.0, 2.0])
def test_no_error_at_all(channels, phi):
    of = voxels(channels, 70)
    own = of.labels.unsqueeze(2) == torch.arange(of.classes, device=DEVICE)[:, None]
    of = of._replace(logits=500.0 * (own if channels > 1 else 2 * own[:, :, 1:] - 1).float())
    alpha = torch.ones(1, of.classes, dtype=torch.float64)
    counts, gradient = run(of, alpha, phi * alpha, upstream_of(of))
    assert not counts.voxel.any()
    assert not counts.missed.any()
    assert not counts.false.any()
    assert torch.equal(counts.true.sum(dim=2), torch.full((2, 1), 70.0, device=DEVICE))
    assert not gradient.any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("on_device", [False, True])
def test_without_any_focusing(channels, on_device):
    of = voxels(channels, 70)
    alpha, phi = parameters(of)
    alpha, phi = alpha.float(), torch.zeros_like(phi)
    upstream = upstream_of(of)
    place = DEVICE if on_device else "cpu"
    counts, gradient = run(of, alpha.to(place), phi.to(place), upstream)
    sums, expected = reference(of, alpha.double(), phi, upstream)
    torch.testing.assert_close(counts.voxel.cpu().double(), sums["voxel"], rtol=VALUES, atol=0.0)
    torch.testing.assert_close(gradient.cpu().double(), expected, rtol=SLOPES, atol=SLOPES / 10)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("term", ["region", "voxel"])
def test_one_term_only(channels, term):
    of = voxels(channels, 70)
    alpha, phi = parameters(of)
    both = upstream_of(of)
    upstream = both._replace(voxel=None) if term == "region" else kernels.Upstream(voxel=both.voxel)
    counts, gradient = run(of, alpha, phi, upstream)
    sums, expected = reference(of, alpha, phi, upstream)
    for name in SUMS:
        value = sums[name] if (name == "voxel") == (term == "voxel") else torch.zeros_like(sums[name])
        torch.testing.assert_close(getattr(counts, name).cpu().double(), value, rtol=VALUES, atol=0.0)
    torch.testing.assert_close(gradient.cpu().double(), expected, rtol=SLOPES, atol=SLOPES / 10)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_absent_classes(channels):
    for label in (0, 1):
        of = voxels(channels, 70)
        of.labels[0] = label
        counts, gradient = check(of)
        absent = torch.arange(of.classes, device=DEVICE) != label
        assert not counts.true[0, 0, absent].any()
        assert not counts.missed[0, 0, absent].any()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_several_blocks_per_program(channels, monkeypatch):
    of = voxels(channels, 3100 if channels < 3 else 1500)
    one_each, _ = check(of)
    monkeypatch.setattr(kernels, "PROGRAMS", 2)
    monkeypatch.setattr(kernels, "MOST_BLOCKS", 3)
    several, _ = check(of)
    assert (int(several.low), int(several.high)) == (int(one_each.low), int(one_each.high))


@pytest.mark.parametrize("channels", [1, 3])
def test_equal_input_gives_equal_bits(channels):
    of = voxels(channels, 1100)
    first, second = (run(of, *parameters(of), upstream_of(of)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first[0], second[0], strict=True))
    assert torch.equal(first[1], second[1])


def test_long_sums_keep_their_digits(monkeypatch):
    # Equal addends round in the same direction: the worst that a sum can be given.
    monkeypatch.setattr(kernels, "PROGRAMS", 1)
    positions = 1 << 17
    logits = torch.full((1, 1, 1, positions), 0.7, device=DEVICE)
    of = Voxels(logits, torch.ones(1, 1, positions, dtype=torch.bool, device=DEVICE), None, None)
    counts = kernels.sums(of, torch.ones(1, 2), torch.zeros(1, 2), region=True, voxel=True)
    z = float(logits[0, 0, 0, 0])
    p = 1 / (1 + math.exp(-z))
    assert float(counts.true[0, 0, 1]) == pytest.approx(positions * p, rel=2e-6)
    assert float(counts.voxel[0]) == pytest.approx(-positions * math.log(p), rel=2e-6)
    assert float(counts.positions[0]) == positions


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int64])
@pytest.mark.parametrize("channels", [1, 3])
def test_labels_that_are_no_class_are_told(dtype, channels):
    of = voxels(channels, 70, labels=dtype)
    of.labels[0, 0, 11] = wrong = 127
    counts, gradient = run(of, *parameters(of), upstream_of(of))
    assert (int(counts.low), int(counts.high)) == (0, wrong)
    assert gradient.isfinite().all()
    if dtype.is_signed:
        of.labels[1, 0, 69] = -128
        counts, _ = run(of, *parameters(of), upstream_of(of))
        assert (int(counts.low), int(counts.high)) == (-128, wrong)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_labels_that_are_no_whole_number_are_told(dtype):
    of = voxels(3, 70, labels=dtype)
    of.labels[0, 0, 11] = 0.5
    counts, _ = run(of, *parameters(of), upstream_of(of))
    assert int(counts.low) < 0
    check(of._replace(labels=of.labels.round()))


def test_labels_beyond_32_bits_are_told():
    of = voxels(3, 70)
    of.labels[0, 0, 11] = 1 << 32
    counts, _ = run(of, *parameters(of), upstream_of(of))
    assert int(counts.high) == 1 << 32


def test_nothing_that_counts():
    of = voxels(3, 70)._replace(ignore_index=7)
    of.labels.fill_(7)
    counts, gradient = run(of, *parameters(of), upstream_of(of))
    assert int(counts.low) > int(counts.high)
    assert not any(part.any() for part in counts[:5])
    assert not gradient.any()


@MAKES_NANS
@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_weights_that_are_none_are_told(bad):
    of = voxels(3, 70)
    weight = torch.ones(2, 1, 70, device=DEVICE)
    weight[1, 0, 5] = bad
    counts, _ = run(of._replace(weight=weight), *parameters(of), upstream_of(of))
    assert counts.positions.isfinite().tolist() == [True, False]


def test_parameters_are_copied_to_a_gpu_once():
    logits, alpha = torch.empty(1, device="meta"), torch.tensor([[0.4, 0.6]])
    there = kernels._beside(logits, alpha, torch.float64)
    assert (there.device, there.dtype, there.numel()) == (logits.device, torch.float64, 2)
    assert kernels._beside(logits, alpha.clone(), torch.float64) is there
    assert kernels._beside(logits, alpha, torch.float32).dtype == torch.float32
    assert kernels._beside(logits, 2 * alpha, torch.float64) is not there


def test_an_upstream_of_any_strides():
    of = voxels(3, 70)
    upstream = upstream_of(of)
    row = torch.tensor([0.3, -0.2, 0.5], device=DEVICE).expand(2, 1, 3)
    _, expected = run(of, *parameters(of), upstream._replace(true=row.clone()))
    _, gradient = run(of, *parameters(of), upstream._replace(true=row))
    assert torch.equal(gradient, expected)


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
def test_a_cuda_graph_can_record_the_calls():
    of = voxels(3, 5000)
    arguments = *parameters(of), upstream_of(of)
    run(of, *arguments)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        counts, gradient = run(of, *arguments)
    of.logits.copy_(voxels(3, 5000, seed=5).logits)
    graph.replay()
    others, expected = run(of, *arguments)
    assert torch.equal(gradient, expected)
    assert all(torch.equal(a, b) for a, b in zip(counts, others, strict=True))


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
def test_offsets_beyond_32_bits():
    positions = (1 << 30) + 700
    logits = torch.empty(1, 1, 3, positions, dtype=torch.bfloat16, device=DEVICE).normal_()
    labels = torch.randint(0, 3, (1, 1, positions), dtype=torch.uint8, device=DEVICE)
    whole = Voxels(logits, labels, None, None)
    alpha, phi = parameters(whole)
    upstream = upstream_of(whole)
    counts, gradient = run(whole, alpha, phi, upstream)
    parts = [Voxels(a, b, None, None) for a, b in zip(logits.split(1 << 28, 3), labels.split(1 << 28, 2), strict=True)]
    pieces = [run(part, alpha, phi, upstream) for part in parts]
    for name in (*SUMS, "positions"):
        total = sum(getattr(piece, name).double() for piece, _ in pieces)
        torch.testing.assert_close(getattr(counts, name).double(), total, rtol=VALUES, atol=0.0)
    assert torch.equal(gradient[..., -700:], pieces[-1][1][..., -700:])
