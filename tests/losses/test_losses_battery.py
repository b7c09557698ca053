"""What every loss must do; a new member is tested the day it is registered."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_cases import Example, example, examples
from losses_oracle import oracle, row
from torch.nn import functional as F

from unifocal.losses import create, names

every_loss = pytest.mark.parametrize("name", names())
UNIFORM = [
    name
    for name in names()
    if all(len(set(values)) == 1 for values in (row(name, 3).rho, row(name, 3).alpha, row(name, 3).phi))
]


def assert_same(ours: torch.Tensor, expected: object, rtol: float = 1e-9) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), expected, rtol=rtol, atol=1e-12)


@every_loss
@settings(max_examples=25, deadline=None)
@given(case=examples(), smooth=st.sampled_from([1e-6, 1.0]), data=st.data())
def test_value_agrees_with_the_oracle(name: str, case: Example, smooth: float, data: st.DataObject) -> None:
    weights = data.draw(
        st.none() | st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=case.classes, max_size=case.classes)
    )
    include_background, batch = data.draw(st.booleans()), data.draw(st.booleans())
    ours = create(
        name,
        reduction="none",
        smooth=smooth,
        class_weights=weights,
        include_background=include_background,
        batch=batch,
    )(case.logits, case.target)
    expected = oracle(
        name,
        *case.flat(),
        smooth=smooth,
        class_weights=weights,
        include_background=include_background,
        batch=batch,
    )
    assert ours.shape == expected.shape
    # 1 - TI by subtraction, as the oracle has it, loses digits that a power below 1 brings out
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-7, atol=1e-7)


@every_loss
@settings(max_examples=10, deadline=None)
@given(case=examples(2, 4), seed=st.integers(0, 1000))
def test_soft_labels_agree_with_the_oracle(name: str, case: Example, seed: int) -> None:
    rng = np.random.default_rng(seed)
    soft = np.moveaxis(rng.dirichlet(np.ones(case.classes), case.target.shape), -1, 1)
    ours = create(name, reduction="none")(case.logits, torch.from_numpy(soft.copy()))
    flat = soft.reshape(*soft.shape[:2], -1)
    assert_same(ours, oracle(name, case.flat()[0], flat), rtol=1e-7)


@every_loss
def test_soft_labels_of_one_channel_agree_with_two(name: str) -> None:
    case = example(1)
    soft = torch.rand(2, 1, 4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    loss = create(name)
    two = torch.cat([torch.zeros_like(case.logits), case.logits], dim=1)
    expected = loss(two, torch.cat([1 - soft, soft], dim=1))
    assert_same(loss(case.logits, soft), expected.item())
    assert_same(loss(case.logits, soft[:, 0]), expected.item())


@every_loss
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_gradient_is_the_derivative(name: str, channels: int) -> None:
    case = example(channels, (3, 2), scale=1.5)
    target = case.target.clone()
    target[0] = 0  # all other classes are absent from the first sample
    loss = create(name, class_weights=[0.5, 2.0, 1.0, 1.0][: case.classes])
    logits = case.logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, target), (logits,))


@every_loss
@pytest.mark.parametrize("batch", [False, True])
def test_reductions(name: str, batch: bool) -> None:
    case = example()
    loss = {r: create(name, reduction=r, batch=batch)(case.logits, case.target) for r in ("none", "mean", "sum")}
    assert loss["none"].shape == ((1,) if batch else (2,))
    assert_same(loss["mean"], loss["none"].mean().item())
    assert_same(loss["sum"], loss["none"].sum().item())


@every_loss
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtypes(name: str, channels: int, dtype: torch.dtype) -> None:
    case = example(channels, dtype=torch.float32)
    logits = case.logits.to(dtype).requires_grad_()
    exact = logits.detach().double().requires_grad_()
    loss = create(name)
    value, expected = loss(logits, case.target), loss(exact, case.target)
    assert value.dtype == torch.float32
    assert expected.dtype == torch.float64
    assert_same(value, expected.item(), rtol=2e-6)
    value.backward()
    expected.backward()
    eps = torch.finfo(dtype).eps
    assert logits.grad is not None
    assert exact.grad is not None
    torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=4 * eps, atol=4e-7)


@every_loss
def test_half_sums_over_many_voxels(name: str) -> None:
    """Sums of a 100,000 voxels overflow float16 and stall in bfloat16."""
    case = example(2, (320, 320), samples=1, dtype=torch.float32)
    half = case.logits.bfloat16()
    loss = create(name)
    assert_same(loss(half, case.target), loss(half.double(), case.target).item(), rtol=1e-5)


@every_loss
def test_autocast_changes_nothing(name: str) -> None:
    case = example(dtype=torch.float32)
    loss = create(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(case.logits, case.target)
    assert inside.dtype == torch.float32
    assert inside.item() == loss(case.logits, case.target).item()


@every_loss
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_better_predictions_score_lower(name: str, channels: int) -> None:
    case = example(channels, scale=0.1)
    truth = F.one_hot(case.target, case.classes).movedim(-1, 1).double()
    direction = 2 * truth[:, 1:] - 1 if channels == 1 else truth
    loss = create(name)
    values = [loss(case.logits + step * direction, case.target).item() for step in np.linspace(-6, 6, 13)]
    assert all(worse > better for worse, better in pairwise(values))


@every_loss
def test_rare_classes_may_be_permuted(name: str) -> None:
    case, order = example(4), torch.tensor([0, 3, 1, 2])
    check_permutation(name, case, order)


@pytest.mark.parametrize("name", UNIFORM)
def test_all_classes_may_be_permuted(name: str) -> None:
    check_permutation(name, example(4), torch.tensor([2, 0, 3, 1]))


def check_permutation(name: str, case: Example, order: torch.Tensor) -> None:
    """Channel j of the new logits is channel order[j] of the old."""
    loss = create(name)
    target = torch.argsort(order)[case.target]
    permuted = loss(case.logits[:, order], target)
    assert_same(permuted, loss(case.logits, case.target).item())


@every_loss
def test_one_channel_is_two_classes_with_logits_0_and_z(name: str) -> None:
    case = example(1)
    two = torch.cat([torch.zeros_like(case.logits), case.logits], dim=1)
    loss = create(name)
    assert_same(loss(case.logits, case.target), loss(two, case.target).item())


@every_loss
@pytest.mark.parametrize("include_background", [True, False])
def test_sigmoid_is_the_mean_of_its_channels(name: str, include_background: bool) -> None:
    case = example(3)
    masks = torch.stack([case.target > 0, case.target > 1, case.target == 2], dim=1)
    shared = {"include_background": include_background}
    one, many = create(name, **shared), create(name, activation="sigmoid", **shared)
    expected = sum(one(case.logits[:, [c]], masks[:, [c]]) for c in range(3)) / 3
    assert_same(many(case.logits, masks), expected.item())
    assert_same(many(case.logits, masks.double()), expected.item())


@every_loss
def test_sigmoid_class_weights_weigh_the_channels(name: str) -> None:
    case = example(2)
    masks = torch.stack([case.target > 0, case.target == 0], dim=1)
    weighted = create(name, activation="sigmoid", class_weights=[1.0, 0.0])
    alone = create(name)(case.logits[:, :1], masks[:, :1])
    table = row(name, 2)
    if table.voxel_weight == 0:
        assert_same(weighted(case.logits, masks), alone.item())
    elif table.region_weight == 0:
        assert_same(weighted(case.logits, masks), alone.item() / 2)
    else:
        voxel = weighted(case.logits, masks) - alone
        region = create(name, class_weights=[1e-300, 1e-300])(case.logits[:, :1], masks[:, :1])
        assert_same(voxel, -(alone - region).item() / 2)


@every_loss
def test_targets_may_come_in_any_shape(name: str) -> None:
    case = example()
    loss = create(name)
    expected = loss(case.logits, case.target).item()
    hot = F.one_hot(case.target, 3).movedim(-1, 1)
    for target in (case.target[:, None], case.target.int(), case.target.byte(), hot, hot.float()):
        assert_same(loss(case.logits, target), expected)


@every_loss
def test_memory_layout_does_not_matter(name: str) -> None:
    case = example(3, (4, 6))
    loss = create(name)
    expected = loss(case.logits, case.target).item()
    last = case.logits.contiguous(memory_format=torch.channels_last)
    strided = case.logits.repeat_interleave(2, dim=-1)[..., ::2]
    target = case.target.transpose(1, 2).contiguous().transpose(1, 2)
    assert not strided.is_contiguous()
    for logits in (last, strided):
        logits.requires_grad_()
        value = loss(logits, target)
        assert_same(value, expected)
        value.backward()


@every_loss
def test_a_loss_is_plain_data(name: str) -> None:
    case = example()
    loss = create(name)
    expected = loss(case.logits, case.target).item()
    assert not loss.state_dict()
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert twin(case.logits, case.target).item() == expected
