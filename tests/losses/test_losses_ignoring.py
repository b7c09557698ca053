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


@every_loss
@pytest.mark.parametrize("implementation", ["fused", "formula"])
@pytest.mark.parametrize("absent", ["penalise", "skip"])
@pytest.mark.parametrize("how", ["ignored", "weight 0", "soft"])
def test_a_channel_that_is_ignored_altogether_is_not_there(
    name: str, implementation: str, absent: str, how: str
) -> None:
    case = example(3, (3, 4))
    masks = torch.stack([case.target > 1, case.target == 0, case.target == 1], dim=1).long()
    labels = 0.9 * masks if how == "soft" else masks
    loss = create(name, activation="sigmoid", absent=absent, implementation=implementation)
    expected, slopes = value_and_gradient(loss, case.logits[:, :2], labels[:, :2])
    if how == "ignored":
        loss = create(name, activation="sigmoid", absent=absent, implementation=implementation, ignore_index=255)
        masks[:, 2] = 255
        value, gradient = value_and_gradient(loss, case.logits, masks)
    else:
        weight = torch.ones_like(case.logits)
        weight[:, 2] = 0
        value, gradient = value_and_gradient(loss, case.logits, labels, weight)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient[:, :2], slopes)
    assert not gradient[:, 2].any()


@pytest.mark.parametrize("implementation", ["fused", "formula"])
@pytest.mark.parametrize("batch", [False, True])
def test_a_channel_is_left_out_only_of_the_samples_that_ignore_it(implementation: str, batch: bool) -> None:
    case = example(2, (9,))
    masks = torch.stack([case.target, 1 - case.target], dim=1)
    masks[0, 1] = 255
    shared = {"activation": "sigmoid", "ignore_index": 255, "implementation": implementation}
    value = create("dice", batch=batch, **shared)(case.logits, masks)
    one = create("dice", batch=batch, **shared)
    if batch:
        expected = (one(case.logits[:, :1], masks[:, :1]) + one(case.logits[1:, 1:], masks[1:, 1:])) / 2
    else:
        expected = (one(case.logits[:1, :1], masks[:1, :1]) + one(case.logits[1:], masks[1:])) / 2
    torch.testing.assert_close(value, expected)


@every_loss
@pytest.mark.parametrize("implementation", ["fused", "formula"])
@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("wrong", [255, -1])
@pytest.mark.parametrize("is_float", [False, True])
def test_a_label_of_weight_0_may_be_anything(
    name: str, implementation: str, channels: int, wrong: int, is_float: bool
) -> None:
    case = example(channels, (5, 4))
    weight = torch.ones(2, 5, 4, dtype=torch.float64)
    weight[:, 2:4] = 0
    weight[:, 4] = 0.5
    target = case.target.double() if is_float else case.target
    loss = create(name, implementation=implementation)
    expected, slopes = value_and_gradient(loss, case.logits, target, weight)
    value, gradient = value_and_gradient(loss, case.logits, target.masked_fill(weight == 0, wrong), weight)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, slopes)
    # Beside an ignored value.
    ignoring = create(name, implementation=implementation, ignore_index=77)
    target, weight[:, 4] = target.masked_fill(weight == 0.5, 77), 0.25
    expected = create(name)(case.logits[:, :, :2], target[:, :2])
    torch.testing.assert_close(ignoring(case.logits, target.masked_fill(weight == 0, wrong), weight), expected)
    weight[0, 2, 0], target[0, 2, 0] = 1, wrong
    with pytest.raises(ValueError, match=f"{wrong}"):
        ignoring(case.logits, target, weight)


@every_loss
@pytest.mark.parametrize("implementation", ["fused", "formula"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wrong", [255.0, -1.0, float("nan")])
def test_a_soft_label_of_weight_0_may_be_anything(name: str, implementation: str, channels: int, wrong: float) -> None:
    case = example(channels, (12,))
    labels = torch.rand(2, channels, 12, dtype=torch.float64)
    labels = labels / labels.sum(1, keepdim=True) if channels > 1 else labels
    weight = torch.ones(2, 1, 12)
    weight[..., ::3] = 0
    loss = create(name, implementation=implementation)
    expected = value_and_gradient(loss, case.logits, labels, weight)
    found = value_and_gradient(loss, case.logits, labels.masked_fill(weight == 0, wrong), weight)
    torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match="must lie in"):
        loss(case.logits, labels.masked_fill(weight > 0, wrong), weight)


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
