"""ReLU and dropout in one: who is dropped, how often, independently of whom, and what goes back."""

import pytest
import torch
from scipy import stats
from torch import Tensor

from unifocal.models import dropped_relu
from unifocal.models.dropped_relu import DroppedReLU

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
LAYOUTS = {3: torch.contiguous_format, 4: torch.channels_last, 5: torch.channels_last_3d}


def image(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape).to(dtype).contiguous(memory_format=LAYOUTS[len(shape)])


def kept(rate: float, *shape: int) -> Tensor:
    """Where elements that are positive stay so."""
    return DroppedReLU(rate)(torch.ones(shape)) > 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3, 17), (3, 5, 16, 9), (2, 4, 3, 5, 8)])
def test_it_drops_or_scales_what_relu_leaves(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = image(*shape, dtype=dtype)
    rectified = x.relu()
    y = DroppedReLU(0.3)(x.clone(memory_format=torch.preserve_format))
    assert y.dtype == dtype
    assert y.stride() == x.stride()
    positive = y > 0
    assert positive.any()
    assert not positive.all()
    torch.testing.assert_close(y, torch.where(positive, (rectified.double() / 0.7).to(dtype), 0), rtol=1e-2, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_is_that_of_relu_and_the_same_mask(dtype: torch.dtype) -> None:
    x = image(2, 8, 16, 16, dtype=dtype).requires_grad_()
    y = DroppedReLU(0.2)(x * 1)
    upstream = image(2, 8, 16, 16, dtype=dtype)
    (gradient,) = torch.autograd.grad(y, x, upstream)
    expected = torch.where(y > 0, upstream.double() * 1.25, 0)
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-2, atol=0)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.3, 0.5, 0.9])
def test_the_share_of_the_dropped_is_the_rate(rate: float) -> None:
    dropped = (~kept(rate, 4_000_000)).sum().item()
    assert stats.binomtest(int(dropped), 4_000_000, rate).pvalue > 1e-4


def test_the_mean_stays() -> None:
    y = DroppedReLU(0.1)(torch.ones(4_000_000))
    assert y.double().mean().item() == pytest.approx(1, abs=1e-3)


def test_elements_are_dropped_independently_of_each_other() -> None:
    piece = dropped_relu._PIECE
    mask = kept(0.5, 8 * piece).double() - 0.5
    # Neighbours, the lanes of one random number, the numbers after one another of one generator.
    for lag in (1, 2, 3, 4, 5, 7, 8, 64, 1000, piece, piece + 1, 2 * piece, 3 * piece):
        correlation = 4 * (mask[:-lag] * mask[lag:]).mean().item()
        assert abs(correlation) < 5 / (len(mask) - lag) ** 0.5, lag


def test_runs_of_eight_are_as_frequent_as_chance_has_them() -> None:
    bits = kept(0.5, 8 * 400_000).view(-1, 8).int()
    counts = (bits * 2 ** torch.arange(8)).sum(dim=1).bincount(minlength=256)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4


@pytest.mark.parametrize("threads", [1, 2])
def test_the_seed_decides_whatever_the_threads(threads: int) -> None:
    before = torch.get_num_threads()
    torch.manual_seed(3)
    expected = kept(0.3, 1_000_003)
    try:
        torch.set_num_threads(threads)
        torch.manual_seed(3)
        assert torch.equal(kept(0.3, 1_000_003), expected)
    finally:
        torch.set_num_threads(before)
    assert not torch.equal(kept(0.3, 1_000_003), expected)


def test_nan_is_not_hidden() -> None:
    y = DroppedReLU(0.1)(torch.full((1000,), float("nan")))
    assert y.isnan().sum() > 800


def test_other_layouts_and_dtypes_are_left_to_pytorch() -> None:
    apart = torch.randn(4, 6, 8, 8)[:, ::2]
    for x in (apart, torch.randn(4, 6, dtype=torch.float64)):
        y = DroppedReLU(0.5)(x.clone(memory_format=torch.preserve_format))
        positive = y > 0
        torch.testing.assert_close(y, torch.where(positive, 2 * x.relu(), 0))
        assert 0 < positive.float().mean() < 0.5


def test_in_evaluation_it_is_relu() -> None:
    x = torch.randn(3, 4, 5, 5)
    assert torch.equal(DroppedReLU(0.5).eval()(x.clone()), x.relu())
    assert torch.equal(DroppedReLU(0)(x.clone()), x.relu())


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="dropout rate"):
        DroppedReLU(rate)
