"""The fused implementation against the plain formula, and what it leaves to the formula."""

import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_cases import example
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from unifocal.losses import create, names
from unifocal.losses.fused import pieces, soft_labels
from unifocal.losses.fused import sums as fused

every_loss = pytest.mark.parametrize("name", names())
SOME = ("unified_focal", "dice", "hybrid_focal", "cross_entropy")
some_losses = pytest.mark.parametrize("name", SOME)
ODD = {
    "focal": {"gamma": 0.7, "alpha": 0.8},
    "combo": {"alpha": 0.3, "beta": 0.8},
    "tversky": {"delta": 0.05},
    "hybrid_focal": {"delta": 0.2, "focal_gamma": 1.3, "tversky_gamma": 1.4, "alpha": 0.7},
    "unified_focal": {"delta": 0.8, "gamma": 0.3, "region_weight": 0.3},
    "unified_focal_symmetric": {"delta": 0.3, "gamma": 0.85, "region_weight": 0.6},
}
LABELS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.bool, torch.float32)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Several pieces, the last of another size, even in a small image."""
    monkeypatch.setattr(pieces, "FEWEST", 7)
    monkeypatch.setattr(soft_labels, "NUMBERS", 20)
    return


def both(name: str, parameters: dict[str, object]) -> tuple[torch.nn.Module, torch.nn.Module]:
    return create(name, **parameters), create(name, implementation="formula", **parameters)


def value_and_gradient(loss: torch.nn.Module, logits: Tensor, *rest: Tensor | None) -> tuple[Tensor, Tensor]:
    logits = logits.detach().requires_grad_()
    value = loss(logits, *rest)
    factors = torch.linspace(1, 2, value.numel(), dtype=value.dtype).view_as(value)
    (gradient,) = torch.autograd.grad((value * factors).sum(), logits)
    return value.detach(), gradient


def assert_alike(ours: tuple[Tensor, Tensor], plain: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(ours[0], plain[0], rtol=1e-6, atol=2e-7)
    assert ours[1].dtype == plain[1].dtype
    largest = float(plain[1].abs().max())
    torch.testing.assert_close(ours[1], plain[1], rtol=1e-5, atol=1e-6 * largest + 1e-12)


def assert_as_exact(name: str, parameters: dict[str, object], logits: Tensor, *rest: Tensor | None) -> None:
    """As near to the gradient in float64 as 1e-5, or, where rounding alone moves it further, as the formula.

    Such places exist: a class that a small image lacks has 1-TI near 1, and its gradient is what is left of
    nearly equal numbers.
    """
    ours, plain = (value_and_gradient(loss, logits, *rest) for loss in both(name, parameters))
    exact = value_and_gradient(both(name, parameters)[1], logits.double(), *rest)
    torch.testing.assert_close(ours[0].double(), exact[0], rtol=1e-6, atol=2e-7)
    assert ours[1].dtype == logits.dtype
    error, formulas = ((gradient.double() - exact[1]).abs() for _, gradient in (ours, plain))
    precision = max(1e-5, float(torch.finfo(logits.dtype).eps))
    allowed = precision * exact[1].abs() + 1e-5 * exact[1].abs().max() + 1e-13
    assert (error <= torch.maximum(allowed, 3 * formulas.max())).all(), (error - allowed).max()


def arranged(logits: Tensor, how: str) -> Tensor:
    """The same logits with other strides."""
    if how == "strided":
        return logits.repeat_interleave(2, dim=-1)[..., ::2]
    if how == "transposed":
        return logits.transpose(1, -1).contiguous().transpose(1, -1)
    if how == "channels_last" and logits.ndim == 4:
        return logits.contiguous(memory_format=torch.channels_last)
    return logits


@every_loss
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_fused_agrees_with_the_formula(name: str, data: st.DataObject) -> None:
    channels = data.draw(st.integers(1, 8), label="channels")
    activation = data.draw(st.sampled_from(["softmax", "sigmoid"]), label="activation")
    spatial = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3), label="spatial"))
    case = example(
        channels,
        spatial,
        samples=data.draw(st.integers(1, 3)),
        scale=data.draw(st.sampled_from([0.5, 3.0, 20.0])),
        seed=data.draw(st.integers(0, 10_000)),
        dtype=torch.float32,
    )
    generator = torch.Generator().manual_seed(1)
    classes = 2 if activation == "sigmoid" else case.classes
    target = case.target % classes
    if activation == "sigmoid":
        target = torch.randint(0, 2, case.logits.shape, generator=generator)
    dtype = data.draw(st.sampled_from([d for d in LABELS if d != torch.bool or classes == 2]), label="labels")
    shared: dict[str, object] = {
        "activation": activation,
        "reduction": data.draw(st.sampled_from(["none", "mean", "sum"])),
        "batch": data.draw(st.booleans()),
        "absent": data.draw(st.sampled_from(["penalise", "skip"])),
        "smooth": data.draw(st.sampled_from([1e-6, 1.0])),
    }
    target = target.to(dtype)
    if dtype != torch.bool and data.draw(st.booleans(), label="ignore"):
        shared["ignore_index"] = 100
        target = target.long().masked_fill(torch.rand(target.shape, generator=generator) < 0.3, 100).to(dtype)
    weight = None
    if data.draw(st.booleans(), label="weighted"):
        weight = torch.rand(case.target.shape, generator=generator).masked_fill(case.target == 1, 0)
    logits_dtype = data.draw(st.sampled_from([torch.float32, torch.float32, torch.bfloat16, torch.float16]))
    logits = arranged(
        case.logits.to(logits_dtype), data.draw(st.sampled_from(["", "strided", "transposed", "channels_last"]))
    )
    own = data.draw(st.sampled_from([{}, ODD.get(name, {})]), label="parameters")
    assert_as_exact(name, {**shared, **own}, logits, target, weight)


@every_loss
@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_soft_labels_agree_with_the_formula(name: str, channels: int, activation: str) -> None:
    case = example(channels, (5, 6), dtype=torch.float32)
    soft = torch.rand(case.logits.shape, generator=torch.Generator().manual_seed(0))
    if activation == "softmax" and channels > 1:
        soft = soft / soft.sum(dim=1, keepdim=True)
    weight = torch.rand(2, 5, 6, generator=torch.Generator().manual_seed(1))
    weight[0, :3] = 0
    ours, plain = both(name, {"activation": activation})
    for map_ in (None, weight):
        assert_alike(
            value_and_gradient(ours, case.logits, soft, map_), value_and_gradient(plain, case.logits, soft, map_)
        )


@every_loss
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_far_off_logits_agree_with_the_formula(name: str, channels: int) -> None:
    case = example(channels, (6, 6), dtype=torch.float32, scale=1.0)
    for scale in (30.0, 90.0, 1000.0):
        assert_as_exact(name, {}, case.logits * scale, case.target)


def test_sums_over_many_voxels_keep_their_digits() -> None:
    case = example(3, (300, 300), samples=1, dtype=torch.float32)
    for name in SOME:
        exact = create(name, implementation="formula")(case.logits.double(), case.target)
        torch.testing.assert_close(create(name)(case.logits, case.target).double(), exact, rtol=1e-6, atol=0)


@every_loss
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_second_backward_pass_gives_the_same(name: str, channels: int) -> None:
    case = example(channels, dtype=torch.float32)
    logits = case.logits.requires_grad_()
    value = create(name)(logits, case.target)
    (first,) = torch.autograd.grad(value, logits, retain_graph=True)
    first = first.clone()
    (second,) = torch.autograd.grad(value, logits, torch.tensor(3.0))
    torch.testing.assert_close(second, 3 * first)


@some_losses
def test_the_gradient_is_not_shared_with_anything(name: str) -> None:
    """Whoever changes a gradient in place changes nothing else."""
    case = example(2, dtype=torch.float32)
    logits = case.logits.requires_grad_()
    loss = create(name)
    value = loss(logits, case.target)
    value.backward(retain_graph=True)
    assert logits.grad is not None
    expected = logits.grad.clone()
    logits.grad.zero_()
    value.backward()
    torch.testing.assert_close(logits.grad, expected)


@some_losses
def test_logits_changed_before_the_backward_pass_are_noticed(name: str) -> None:
    case = example(2, dtype=torch.float32)
    logits = case.logits.requires_grad_()
    scaled = logits * 1.0
    value = create(name)(scaled, case.target)
    scaled.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


@some_losses
def test_evaluation_builds_no_graph(name: str) -> None:
    case = example(2, dtype=torch.float32)
    expected = create(name)(case.logits.clone().requires_grad_(), case.target)
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            value = create(name)(case.logits, case.target)
        assert not value.requires_grad
        assert value.item() == expected.item()


# What is left to the formula.


@every_loss
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_second_derivatives(name: str, channels: int) -> None:
    case = example(channels, (2, 2), samples=1)
    loss = create(name)
    assert torch.autograd.gradgradcheck(lambda z: loss(z, case.target), (case.logits.requires_grad_(),))


@some_losses
def test_a_penalty_on_the_gradient_trains_the_network(name: str) -> None:
    case = example(3)
    gradients = []
    for loss in both(name, {}):
        weight = torch.full((3, 3, 1, 1), 0.3, dtype=torch.float64).requires_grad_()
        image = case.logits.detach().clone().requires_grad_()
        value = loss(F.conv2d(image, weight), case.target)
        (slope,) = torch.autograd.grad(value, image, create_graph=True)
        (value + slope.square().sum()).backward()
        gradients.append(weight.grad)
    torch.testing.assert_close(*gradients)


@some_losses
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_torch_func(name: str, channels: int) -> None:
    case = example(channels, samples=3)
    loss = create(name)
    _, expected = value_and_gradient(loss, case.logits, case.target)
    torch.testing.assert_close(torch.func.grad(loss)(case.logits, case.target), expected)
    per_sample = torch.func.vmap(torch.func.grad(lambda z, y: loss(z[None], y[None])))(case.logits, case.target)
    alone = [value_and_gradient(loss, case.logits[[n]], case.target[[n]])[1][0] for n in range(3)]
    torch.testing.assert_close(per_sample, torch.stack(alone))
    _, tangent = torch.func.jvp(lambda z: loss(z, case.target), (case.logits,), (torch.ones_like(case.logits),))
    torch.testing.assert_close(tangent, expected.sum())
    hessian = torch.func.hessian(lambda z: loss(z, case.target[:1]))(case.logits[:1])
    assert hessian.shape == (*case.logits[:1].shape, *case.logits[:1].shape)


@some_losses
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("soft", [False, True])
def test_several_gradients_at_once(name: str, channels: int, soft: bool) -> None:
    case = example(channels, samples=3)
    target = case.logits.softmax(1).flip(2) if soft else case.target
    target = target.sigmoid() if soft and channels == 1 else target
    loss, plain = both(name, {"reduction": "none"})
    logits = case.logits.clone().requires_grad_()
    directions = torch.randn(4, 3, dtype=torch.float64)
    values = loss(logits, target)
    (batched,) = torch.autograd.grad(values, logits, directions, is_grads_batched=True, retain_graph=True)
    expected = [torch.autograd.grad(values, logits, each, retain_graph=True)[0] for each in directions]
    torch.testing.assert_close(batched, torch.stack(expected))
    assert not batched.requires_grad
    rows = torch.autograd.functional.jacobian(lambda z: loss(z, target), logits, vectorize=True)
    torch.testing.assert_close(rows, torch.autograd.functional.jacobian(lambda z: plain(z, target), logits))
    hessian = torch.autograd.functional.hessian(lambda z: loss(z, target).sum(), logits, vectorize=True)
    torch.testing.assert_close(hessian, torch.autograd.functional.hessian(lambda z: plain(z, target).sum(), logits))


@some_losses
def test_forward_mode(name: str) -> None:
    case = example(3)
    loss = create(name)
    _, gradient = value_and_gradient(loss, case.logits, case.target)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(case.logits, torch.ones_like(case.logits))
        tangent = forward_ad.unpack_dual(loss(dual, case.target)).tangent
    torch.testing.assert_close(tangent, gradient.sum())


@some_losses
@pytest.mark.parametrize("channels", [1, 3])
def test_torch_compile_in_one_graph(name: str, channels: int) -> None:
    case = example(channels, dtype=torch.float32)
    loss = create(name, ignore_index=255)
    target = case.target.masked_fill(case.target == 0, 255)
    expected = value_and_gradient(loss, case.logits, target)
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
        assert_alike(value_and_gradient(compiled, case.logits, target), expected)


@some_losses
def test_torch_jit_trace(name: str) -> None:
    case = example(2, dtype=torch.float32)
    loss = create(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(loss, (case.logits, case.target))
    other = example(2, dtype=torch.float32, seed=5)
    torch.testing.assert_close(traced(other.logits, other.target), loss(other.logits, other.target))


@some_losses
def test_gradients_reach_soft_labels_and_weights(name: str) -> None:
    case = example(2, (3, 3))
    labels = torch.rand(2, 2, 3, 3, dtype=torch.float64).requires_grad_()
    weight = torch.rand(2, 3, 3, dtype=torch.float64).requires_grad_()
    found = [
        torch.autograd.grad(loss(case.logits, labels, weight), (labels, weight)) for loss in both(name, {"smooth": 1.0})
    ]
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)
        assert ours.any()


@some_losses
@pytest.mark.parametrize("shape", [(2, 1, 5), (2, 5)])
def test_gradients_reach_floating_labels_that_happen_to_be_0_and_1(name: str, shape: tuple[int, ...]) -> None:
    case = example(1, (5,))
    labels = case.target.double().reshape(shape).requires_grad_()
    found = [torch.autograd.grad(loss(case.logits, labels), labels)[0] for loss in both(name, {"smooth": 1.0})]
    torch.testing.assert_close(*found)
    assert found[0].any()


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (create("dice"), True),
        (create("dice", implementation="formula"), False),
        (torch.func.grad(create("dice")), False),
    ],
)
def test_the_formula_is_used_where_it_must_be(
    situation: Callable[[Tensor, Tensor], Tensor], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    original = fused.walk.forward
    monkeypatch.setattr(fused.walk, "forward", lambda *a, **k: used.append(1) or original(*a, **k))
    case = example(2)
    situation(case.logits, case.target)
    assert bool(used) == expected


def test_subclasses_of_tensors_are_taken_for_tensors() -> None:
    class Image(Tensor):
        """As MONAI's MetaTensor."""

    case = example(3, dtype=torch.float32)
    logits, target = case.logits.as_subclass(Image).requires_grad_(), case.target.as_subclass(Image)
    value = create("dice")(logits, target)
    assert type(value) is Tensor
    value.backward()
    assert value.item() == create("dice")(case.logits, case.target).item()
