"""Ignored positions, weight maps and absent classes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_cases import example
from losses_oracle import row
from torch import Tensor
from torch.nn import functional as F

from unifocal.losses import create, names

every_loss = pytest.mark.parametrize("name", names())


def value_and_gradient(loss: torch.nn.Module, logits: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, *rest)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


@every_loss
@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("garbage", [0.0, 1e30, float("nan"), float("inf")])
def test_ignoring_equals_cropping(name: str, channels: int, garbage: float) -> None:
    case = example(channels, (12,))
    keep = torch.tensor([0, 2, 3, 7, 8, 11])
    drop = torch.tensor([1, 4, 5, 6, 9, 10])
    logits, target = case.logits.clone(), case.target.clone()
    logits[:, :, drop], target[:, drop] = garbage, 255
    value, gradient = value_and_gradient(create(name, ignore_index=255), logits, target)
    cropped, expected = value_and_gradient(create(name), case.logits[:, :, keep], case.target[:, keep])
    torch.testing.assert_close(value, cropped)
    torch.testing.assert_close(gradient[:, :, keep], expected)
    assert not gradient[:, :, drop].any()


@every_loss
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), channels=st.integers(1, 3), batch=st.booleans())
def test_a_weight_map_of_0_and_1_equals_ignoring(
    name: str, reduction: str, seed: int, channels: int, batch: bool
) -> None:
    case = example(channels, (3, 3), seed=seed)
    ignored = torch.rand(case.target.shape, generator=torch.Generator().manual_seed(seed)) < 0.4
    with_index = create(name, ignore_index=-1, reduction=reduction, batch=batch)(
        case.logits, case.target.masked_fill(ignored, -1)
    )
    loss = create(name, reduction=reduction, batch=batch)
    weight = (~ignored).float()
    torch.testing.assert_close(loss(case.logits, case.target, weight), with_index)
    torch.testing.assert_close(loss(case.logits, case.target, weight[:, None]), with_index)


@every_loss
def test_an_integer_weight_repeats_a_position(name: str) -> None:
    case = example(3, (4,), samples=1)
    repeats = torch.tensor([1, 3, 0, 2])
    repeated = create(name)(case.logits.repeat_interleave(repeats, 2), case.target.repeat_interleave(repeats, 1))
    weighted = create(name)(case.logits, case.target, repeats[None])
    torch.testing.assert_close(weighted, repeated)


@every_loss
@pytest.mark.parametrize("absent", ["penalise", "skip"])
def test_a_sample_that_is_ignored_altogether_is_not_there(name: str, absent: str) -> None:
    case = example()
    target = case.target.clone()
    target[1] = 9
    loss = create(name, ignore_index=9, absent=absent)
    value, gradient = value_and_gradient(loss, case.logits, target)
    alone, expected = value_and_gradient(create(name, absent=absent), case.logits[:1], case.target[:1])
    torch.testing.assert_close(value, alone)
    torch.testing.assert_close(gradient[:1], expected)
    value, gradient = value_and_gradient(loss, case.logits, torch.full_like(target, 9))
    assert value.item() == row(name, 3).constant
    assert not gradient.any()


@every_loss
def test_sigmoid_ignores_within_a_channel(name: str) -> None:
    case = example(2, (8,))
    masks = torch.stack([case.target > 0, case.target == 0], dim=1).long()
    ignored = torch.zeros_like(masks, dtype=torch.bool)
    ignored[:, 1, 4:] = True
    loss = create(name, activation="sigmoid", ignore_index=255)
    value = loss(case.logits, masks.masked_fill(ignored, 255))
    weighted = create(name, activation="sigmoid")(case.logits, masks, (~ignored).double())
    torch.testing.assert_close(value, weighted)
    table = row(name, 2)
    if table.voxel_weight == 0:
        one = create(name)
        halves = one(case.logits[:, :1], masks[:, :1]) + one(case.logits[:, 1:, :4], masks[:, 1:, :4])
        torch.testing.assert_close(value, halves / 2)


def test_cross_entropy_averages_over_all_positions_that_are_left() -> None:
    case = example(4, (6, 6))
    target = case.target.clone()
    target[0, :5] = 255
    ours = create("cross_entropy", ignore_index=255)(case.logits, target)
    torch.testing.assert_close(ours, F.cross_entropy(case.logits, target, ignore_index=255))


@pytest.mark.parametrize("delta", [0.3, 0.7])
@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_an_absent_class_is_penalised_by_the_formula(delta: float, gamma: float) -> None:
    logits = torch.tensor([[[1.0, -2.0, 0.5, -1.0]]], dtype=torch.float64)
    target = torch.zeros(1, 4, dtype=torch.int64)
    loss = create("focal_tversky", delta=delta, gamma=gamma, smooth=0.5, include_background=False)
    false_positives = torch.sigmoid(logits).sum()
    index = 0.5 / ((1 - delta) * false_positives + 0.5)
    torch.testing.assert_close(loss(logits, target), (1 - index) ** gamma)
    assert loss(logits - 100, target).item() < 1e-9


def test_an_absent_class_can_be_skipped() -> None:
    case = example(3, (10,))
    target = case.target.clone()
    target[0] = target[0].clamp(max=1)
    target[1] = 0
    loss = create("dice", absent="skip", reduction="none")(case.logits, target)
    g = F.one_hot(target, 3).movedim(-1, 1)
    p = case.logits.softmax(1)
    dice = 1 - (2 * (p * g).sum(2) + 2e-6) / ((p + g).sum(2) + 2e-6)
    torch.testing.assert_close(loss[0], dice[0, :2].mean())
    torch.testing.assert_close(loss[1], dice[1, 0])


def test_a_sample_without_any_counted_class_is_left_out_of_the_mean() -> None:
    case = example(2, (10,))
    target = case.target.clone()
    target[1] = 0
    keywords = {"absent": "skip", "include_background": False}
    assert target[0].any()
    both = create("dice", **keywords)(case.logits, target)
    torch.testing.assert_close(both, create("dice", **keywords)(case.logits[:1], target[:1]))
    assert create("dice", reduction="none", **keywords)(case.logits, target)[1].item() == 0
    present = create("dice", absent="skip", include_background=False, batch=True)
    everything = create("dice", include_background=False, batch=True)
    torch.testing.assert_close(present(case.logits, target), everything(case.logits, target))
