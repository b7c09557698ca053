"""Gradients stay finite and right where probabilities are 0 or 1 to rounding."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from losses_cases import example
from losses_oracle import row
from torch import Tensor
from torch.nn import functional as F

from unifocal.losses import create, names
from unifocal.losses.formula import FLAT_BELOW, bounded_power, log_probabilities

every_loss = pytest.mark.parametrize("name", names())
STEEP = [
    ("focal", {"gamma": 0.1}),
    ("focal_tversky", {"gamma": 0.1}),
    ("focal_tversky", {"gamma": 3.0, "delta": 1.0}),
    ("hybrid_focal", {"focal_gamma": 0.3, "tversky_gamma": 0.2, "delta": 0.0}),
    ("unified_focal", {"gamma": 0.95}),
    ("unified_focal_symmetric", {"gamma": 0.95}),
]


def targets(channels: int) -> Tensor:
    """Mixed, all background, all of the last class."""
    mixed = torch.arange(16).reshape(4, 4) % max(2, channels)
    return torch.stack([mixed, torch.zeros_like(mixed), torch.full_like(mixed, mixed.max())])


def pattern(target: Tensor, channels: int, kind: str, size: float) -> Tensor:
    truth = F.one_hot(target, max(2, channels)).movedim(-1, 1).double()
    truth = truth[:, 1:] if channels == 1 else truth
    signs = {
        "right": 2 * truth - 1,
        "wrong": 1 - 2 * truth,
        "one_class": torch.ones_like(truth) * (torch.arange(channels) == 0)[:, None, None],
        "equal": torch.ones_like(truth),
        "negative": -torch.ones_like(truth),
    }
    return signs[kind] * size


@pytest.mark.parametrize(("name", "parameters"), [*((n, {}) for n in names()), *STEEP])
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_extreme_logits_give_finite_values_and_gradients(
    name: str, parameters: dict[str, float], channels: int, dtype: torch.dtype
) -> None:
    target, kinds = targets(channels), ("right", "wrong", "one_class", "equal", "negative")
    sizes = (0.0, 1.0, 17.0, 40.0, 88.0, 104.0, 1e4) + ((1e30,) if dtype != torch.float16 else ())
    every = torch.cat([pattern(target, channels, kind, size) for kind in kinds for size in sizes])
    logits = every.to(dtype).requires_grad_()
    loss = create(name, reduction="none", **parameters)
    values = loss(logits, target.repeat(len(kinds) * len(sizes), 1, 1))
    # as large as a mixed-precision scale; half that in float16, which ends at 65504
    scale = 65536 if dtype != torch.float16 else 32768
    (gradient,) = torch.autograd.grad(values.sum() * scale, logits)
    assert values.isfinite().all()
    assert gradient.isfinite().all()


@every_loss
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("size", [1.0, 8.0, 15.0, 30.0])
def test_float32_keeps_its_digits_where_predictions_are_nearly_perfect(name: str, channels: int, size: float) -> None:
    """A 1-p or 1-TI by subtraction, about 1e-8 off, would be seen here."""
    target = targets(channels)
    noise = example(channels, (4, 4), samples=3, scale=0.5).logits
    exact = (pattern(target, channels, "right", size) + noise).float().double().requires_grad_()
    single = exact.detach().float().requires_grad_()
    loss = create(name)
    expected, value = loss(exact, target), loss(single, target)
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-30)
    (right,) = torch.autograd.grad(expected, exact)
    (ours,) = torch.autograd.grad(value, single)
    torch.testing.assert_close(ours.double(), right, rtol=2e-4, atol=1e-6 * float(right.abs().max()) + 1e-36)


@every_loss
@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("true_class", [0, 1])
@pytest.mark.parametrize("size", [30.0, 200.0, 1e4])
def test_a_confidently_wrong_voxel_gets_its_full_gradient(
    name: str, channels: int, true_class: int, size: float
) -> None:
    table = row(name, max(2, channels))
    target = torch.tensor([[0, 1, true_class, 1]])
    predicted = torch.tensor([[0, 1, 1 - true_class, 1]])
    logits = pattern(predicted, channels, "right", size).float().requires_grad_()
    (gradient,) = torch.autograd.grad(create(name)(logits, target), logits)
    full = table.voxel_weight * table.alpha[true_class] / 4
    expected = torch.zeros(2)
    expected[true_class], expected[1 - true_class] = -full, full
    ours = gradient[0, :2, 2] if channels > 1 else gradient[0, :, 2]
    torch.testing.assert_close(ours, expected[-len(ours) :], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("classes", [1, 2, 3, 7])
@pytest.mark.parametrize("scale", [1.0, 20.0, 1000.0])
def test_both_log_probabilities_are_exact(classes: int, scale: float) -> None:
    logits = example(classes, (50,), scale=scale, dtype=torch.float32).logits[:, None]
    if classes == 1:
        logits = logits.transpose(1, 2)
    z = logits.double().numpy()[:, 0]
    z = np.concatenate([np.zeros_like(z), z], axis=1) if classes == 1 else z
    whole = np.logaddexp.reduce(z, axis=1)
    others = np.stack([np.logaddexp.reduce(np.delete(z, c, axis=1), axis=1) for c in range(z.shape[1])], axis=1)
    log_p, log_q = (x[:, 0].numpy() for x in log_probabilities(logits))
    np.testing.assert_allclose(log_p, z - whole[:, None], rtol=1e-5, atol=1e-6 * scale)
    np.testing.assert_allclose(log_q, others - whole[:, None], rtol=1e-5, atol=1e-6 * scale)
    assert (log_q <= 0).all()


@pytest.mark.parametrize("rho", [0.05, 0.5, 1.0, 2.0])
def test_power_has_the_right_limit_and_a_bounded_slope(rho: float) -> None:
    x = torch.tensor([0.0, 1e-40, 1e-30, FLAT_BELOW, 1e-20, 1e-3, 1.0], requires_grad=True)
    y = bounded_power(x, rho)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert y[0] == 0
    assert slope.max() <= max(rho, FLAT_BELOW ** (rho - 1)) * 1.001
    assert (y.diff() >= 0).all()
    torch.testing.assert_close(y[3:], x[3:] ** rho)
    torch.testing.assert_close(slope[4:], rho * x.detach()[4:] ** (rho - 1))


@pytest.fixture
def _other_defaults() -> Iterator[None]:
    torch.set_default_dtype(torch.float16)
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("implementation", ["fused", "formula"])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_default_dtype_and_device_of_torch_have_no_say(
    name: str, implementation: str, soft: bool, activation: str, request: pytest.FixtureRequest
) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 300, 300, generator=generator)
    target = (torch.rand(1, 2, 300, 300, generator=generator) > 0.6).long()
    target = 0.8 * target + 0.1 if soft else target if activation == "sigmoid" else target[:, 0]
    loss = create(name, implementation=implementation, activation=activation)
    expected = loss(logits, target)
    request.getfixturevalue("_other_defaults")
    assert torch.equal(loss(logits, target), expected)
