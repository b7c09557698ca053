"""Values and gradients against the papers' formulas, voxel by voxel, and against other libraries' losses."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import monai.losses
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_cases import Example, example
from torch import Tensor
from torch.nn import functional as F

from unifocal.losses import create, names

Table = list[list[float]]
"""One number per class and voxel."""

# --- The papers' formulas for one sample: p and g are probabilities and targets per class and voxel. ---


def overlaps(p: Table, g: Table) -> list[tuple[float, float, float]]:
    """True positives, false negatives and false positives of every class."""
    found = []
    for row, truth in zip(p, g, strict=True):
        tp = fn = fp = 0.0
        for probability, label in zip(row, truth, strict=True):
            tp += probability * label
            fn += (1 - probability) * label
            fp += probability * (1 - label)
        found.append((tp, fn, fp))
    return found


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def dice_coefficient(p: Table, g: Table, smooth: float) -> float:
    """Twice the overlap over the sum of both sizes; `smooth` counts as a voxel of both."""
    scores = []
    for row, truth in zip(p, g, strict=True):
        overlap = math.fsum(a * b for a, b in zip(row, truth, strict=True))
        scores.append((2 * overlap + 2 * smooth) / (math.fsum(row) + math.fsum(truth) + 2 * smooth))
    return mean(scores)


def focal_tversky(p: Table, g: Table, smooth: float, delta: float, gammas: list[float]) -> float:
    indices = [(tp + smooth) / (tp + delta * fn + (1 - delta) * fp + smooth) for tp, fn, fp in overlaps(p, g)]
    return mean([(1 - index) ** gamma for index, gamma in zip(indices, gammas, strict=True)])


def focal(p: Table, g: Table, alphas: list[float], gammas: list[float]) -> float:
    total = 0.0
    for row, truth, alpha, gamma in zip(p, g, alphas, gammas, strict=True):
        for probability, label in zip(row, truth, strict=True):
            total -= alpha * label * (1 - probability) ** gamma * math.log(probability)
    return total / len(p[0])


def alphas(classes: int, alpha: float | None, rare: list[int] | None) -> list[float]:
    """alpha for the rare classes, 1 - alpha for the others."""
    if alpha is None:
        return [1.0] * classes
    named = range(1, classes) if rare is None else rare
    return [alpha if c in named else 1 - alpha for c in range(classes)]


def cross_entropy(p: Table, g: Table) -> float:
    return focal(p, g, [1.0] * len(p), [0.0] * len(p))


def compound(name: str, p: Table, g: Table, smooth: float, k: dict[str, Any]) -> float:
    """The losses that weigh a region term against a voxel term by `region_weight`."""
    classes = len(p)
    rare, delta = k["rare_classes"], k["delta"]
    if name == "hybrid_focal":
        region = focal_tversky(p, g, smooth, delta, [k["tversky_gamma"]] * classes)
        voxel = focal(p, g, alphas(classes, k["alpha"], rare), [k["focal_gamma"]] * classes)
    elif name == "unified_focal_symmetric":
        region = focal_tversky(p, g, smooth, delta, [1 - k["gamma"]] * classes)
        voxel = focal(p, g, alphas(classes, delta, rare), [k["gamma"]] * classes)
    else:
        assert name == "unified_focal"
        is_rare = [c in (range(1, classes) if rare is None else rare) for c in range(classes)]
        region = focal_tversky(p, g, smooth, delta, [1 - k["gamma"] if r else 1.0 for r in is_rare])
        voxel = focal(p, g, alphas(classes, delta, rare), [0.0 if r else k["gamma"] for r in is_rare])
    return k["region_weight"] * region + (1 - k["region_weight"]) * voxel


def published(name: str, p: Table, g: Table, smooth: float, k: dict[str, Any]) -> float:
    """The loss `name` of one sample with the parameters k."""
    classes = len(p)
    match name:
        case "cross_entropy":
            return cross_entropy(p, g)
        case "focal":
            return focal(p, g, alphas(classes, k["alpha"], k["rare_classes"]), [k["gamma"]] * classes)
        case "dice":
            return 1 - dice_coefficient(p, g, smooth)
        case "tversky":
            return focal_tversky(p, g, smooth, k["delta"], [1.0] * classes)
        case "focal_tversky":
            return focal_tversky(p, g, smooth, k["delta"], [k["gamma"]] * classes)
        case "combo":
            entropy = focal(p, g, alphas(classes, k["beta"], k["rare_classes"]), [0.0] * classes)
            return k["alpha"] * entropy - (1 - k["alpha"]) * dice_coefficient(p, g, smooth)
        case "dice_cross_entropy":
            return 1 - dice_coefficient(p, g, smooth) + cross_entropy(p, g)
        case _:
            return compound(name, p, g, smooth, k)


def softmax(z: Table) -> Table:
    """Probabilities per class and voxel."""
    total = [math.fsum(math.exp(row[i]) for row in z) for i in range(len(z[0]))]
    return [[math.exp(value) / total[i] for i, value in enumerate(row)] for row in z]


def brute_force(name: str, logits: Tensor, target: Tensor, smooth: float, parameters: dict[str, Any]) -> float:
    """The mean over the samples, in Python's own numbers."""
    values = []
    for z, labels in zip(logits.flatten(2).tolist(), target.flatten(1).tolist(), strict=True):
        one_hot = [[float(label == c) for label in labels] for c in range(len(z))]
        values.append(published(name, softmax(z), one_hot, smooth, parameters))
    return mean(values)


def central_differences(f: Callable[[Tensor], float], z: Tensor, step: float = 1e-5) -> Tensor:
    gradient = torch.empty_like(z)
    for where in itertools.product(*map(range, z.shape)):
        shift = torch.zeros_like(z)
        shift[where] = step
        gradient[where] = (f(z + shift) - f(z - shift)) / (2 * step)
    return gradient


share = st.floats(0.05, 0.95)
power = st.floats(0.0, 4.0)
OWN: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "cross_entropy": {},
    "focal": {"alpha": st.none() | share, "gamma": power},
    "dice": {},
    "tversky": {"delta": share},
    "focal_tversky": {"delta": share, "gamma": st.floats(0.1, 3.0)},
    "combo": {"alpha": share, "beta": st.none() | share},
    "dice_cross_entropy": {},
    "hybrid_focal": {
        "region_weight": share,
        "delta": share,
        "tversky_gamma": st.floats(0.1, 3.0),
        "focal_gamma": power,
        "alpha": st.none() | share,
    },
    "unified_focal": {"delta": share, "gamma": st.floats(0.0, 0.9), "region_weight": share},
    "unified_focal_symmetric": {"delta": share, "gamma": st.floats(0.0, 0.9), "region_weight": share},
}
TAKE_RARE = {"focal", "combo", "hybrid_focal", "unified_focal", "unified_focal_symmetric"}


@st.composite
def chosen(draw: st.DrawFn, name: str, classes: int) -> dict[str, Any]:
    """Parameters of the loss `name`."""
    parameters = draw(st.fixed_dictionaries(OWN[name]))
    if name in TAKE_RARE:
        some = st.lists(st.integers(0, classes - 1), min_size=1, max_size=classes, unique=True)
        parameters["rare_classes"] = draw(st.none() | some)
    return parameters


def value_and_gradient(loss: Callable[..., Tensor], logits: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, *rest)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("implementation", ["fused", "formula"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_value_and_gradient_are_those_of_the_paper(name: str, implementation: str, data: st.DataObject) -> None:
    case = example(
        data.draw(st.sampled_from([2, 4]), "classes"),
        data.draw(st.sampled_from([(2, 3), (3, 2), (2, 2, 2), (1, 3, 2)]), "spatial"),
        samples=data.draw(st.integers(1, 2), "samples"),
        scale=data.draw(st.sampled_from([0.3, 1.0, 2.0]), "scale"),
        seed=data.draw(st.integers(0, 2**32), "seed"),
    )
    smooth = data.draw(st.sampled_from([1e-6, 0.5]), "smooth")
    parameters = data.draw(chosen(name, case.classes), "parameters")
    loss = create(name, smooth=smooth, implementation=implementation, **parameters)
    value, gradient = value_and_gradient(loss, case.logits, case.target)

    def expected(logits: Tensor) -> float:
        return brute_force(name, logits, case.target, smooth, parameters)

    assert value.item() == pytest.approx(expected(case.logits), rel=1e-8, abs=1e-10)
    torch.testing.assert_close(gradient, central_differences(expected, case.logits), rtol=1e-6, atol=1e-8)


# --- Other libraries' losses ---

Shape = tuple[int, tuple[int, ...]]
SHAPES: list[Shape] = [(2, (9, 7)), (4, (6, 5)), (2, (4, 5, 3)), (4, (3, 4, 4))]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def labels(case: Example, *, soft: bool) -> Tensor:
    """One-hot or soft labels (N, C, *spatial)."""
    hot = F.one_hot(case.target, case.classes).movedim(-1, 1).double()
    noise = example(case.classes, tuple(case.target.shape[1:]), seed=99).logits.softmax(1)
    return 0.7 * hot + 0.3 * noise if soft else hot


def assert_alike(
    ours: Callable[..., Tensor], theirs: Callable[..., Tensor], factor: float, case: Example, target: Tensor
) -> None:
    """Ours is `factor` times theirs; MONAI turns to float32 here and there."""
    value, gradient = value_and_gradient(ours, case.logits, target)
    expected, slope = value_and_gradient(theirs, case.logits, target)
    torch.testing.assert_close(value, factor * expected.double(), rtol=2e-6, atol=1e-8)
    torch.testing.assert_close(gradient, factor * slope.double(), rtol=2e-5, atol=1e-9)


@every_shape
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize(
    ("name", "parameters", "monai_name", "monai_parameters"),
    [
        # they add smooth to 2T and to 2T + FN + FP
        ("dice", {"smooth": 0.01}, "DiceLoss", {"smooth_nr": 0.02, "smooth_dr": 0.02}),
        ("dice_cross_entropy", {"smooth": 0.01}, "DiceCELoss", {"smooth_nr": 0.02, "smooth_dr": 0.02}),
        (
            "tversky",
            {"delta": 0.8, "smooth": 0.01},
            "TverskyLoss",
            {"alpha": 0.2, "beta": 0.8, "smooth_nr": 0.01, "smooth_dr": 0.01},
        ),
    ],
)
def test_region_losses_are_those_of_monai(
    name: str,
    parameters: dict[str, float],
    monai_name: str,
    monai_parameters: dict[str, float],
    batch: bool,
    background: bool,
    soft: bool,
    shape: Shape,
) -> None:
    case = example(*shape)
    shared = {"include_background": background, "batch": batch}
    theirs = getattr(monai.losses, monai_name)(softmax=True, **shared, **monai_parameters)
    assert_alike(create(name, **parameters, **shared), theirs, 1, case, labels(case, soft=soft))


@every_shape
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("alpha", [None, 0.3, "per class"])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_is_that_of_monai_before_its_division_by_the_classes(
    gamma: float, alpha: float | str | None, soft: bool, shape: Shape
) -> None:
    case = example(*shape)
    weights = [0.2, 1.5, 0.7, 1.0][: case.classes] if alpha == "per class" else alpha
    theirs = monai.losses.FocalLoss(use_softmax=True, gamma=gamma, alpha=weights)
    assert_alike(create("focal", gamma=gamma, alpha=weights), theirs, case.classes, case, labels(case, soft=soft))


@every_shape
def test_class_weights_and_sums_are_those_of_monai(shape: Shape) -> None:
    case = example(*shape)
    weights = [0.5, 2.0, 1.0, 3.0][: case.classes]
    hot = labels(case, soft=False)
    smooth = {"smooth_nr": 0.02, "smooth_dr": 0.02}
    dice = monai.losses.DiceLoss(softmax=True, weight=weights, **smooth)
    # theirs divides by the number of classes, ours by the sum of the weights
    factor = case.classes / sum(weights)
    assert_alike(create("dice", smooth=0.01, class_weights=weights), dice, factor, case, hot)
    total = monai.losses.DiceLoss(softmax=True, reduction="sum", **smooth)
    assert_alike(create("dice", smooth=0.01, reduction="sum"), total, 1 / case.classes, case, hot)
    focal_loss = monai.losses.FocalLoss(use_softmax=True, weight=weights, reduction="sum")
    assert_alike(create("focal", class_weights=weights, reduction="sum"), focal_loss, 1, case, hot)


@every_shape
@pytest.mark.parametrize(
    ("name", "parameters", "monai_name", "monai_parameters", "factor"),
    [
        ("dice", {"smooth": 0.01}, "DiceLoss", {"smooth_nr": 0.02, "smooth_dr": 0.02}, 1),
        (
            "tversky",
            {"smooth": 0.01},
            "TverskyLoss",
            {"alpha": 0.3, "beta": 0.7, "smooth_nr": 0.01, "smooth_dr": 0.01},
            1,
        ),
        (
            "hybrid_focal",
            {"delta": 0.5, "tversky_gamma": 1.0, "focal_gamma": 1.5, "smooth": 0.01},
            "DiceFocalLoss",
            {"gamma": 1.5, "smooth_nr": 0.02, "smooth_dr": 0.02},
            0.5,
        ),
    ],
)
def test_losses_of_overlapping_labels_are_those_of_monai(
    name: str,
    parameters: dict[str, float],
    monai_name: str,
    monai_parameters: dict[str, float],
    factor: float,
    shape: Shape,
) -> None:
    """They know no background side of a channel."""
    case = example(*shape)
    masks = (example(*shape, seed=5).logits > 0).double()
    ours = create(name, activation="sigmoid", include_background=False, **parameters)
    assert_alike(ours, getattr(monai.losses, monai_name)(sigmoid=True, **monai_parameters), factor, case, masks)


@every_shape
@pytest.mark.parametrize("alpha", [None, 0.8])
def test_focal_of_overlapping_labels_is_that_of_monai(alpha: float | None, shape: Shape) -> None:
    case = example(*shape)
    masks = (example(*shape, seed=5).logits > 0).double()
    theirs = monai.losses.FocalLoss(gamma=1.5, alpha=alpha)
    assert_alike(create("focal", gamma=1.5, alpha=alpha, activation="sigmoid"), theirs, 1, case, masks)


@pytest.mark.parametrize("shape", [(2, (9, 7)), (2, (4, 5, 3))], ids=str)
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_monais_unified_focal_loss_takes_probabilities_and_halves_the_voxel_term(weight: float, shape: Shape) -> None:
    case = example(*shape)
    theirs = monai.losses.AsymmetricUnifiedFocalLoss(weight=weight, delta=0.6, gamma=0.4)
    region, voxel = (create("unified_focal", delta=0.6, gamma=0.4, region_weight=w, smooth=1e-7) for w in (1.0, 0.0))
    assert_alike(
        lambda z, g: (1 - weight) * region(z, g) + weight * voxel(z, g) / 2,
        lambda z, g: theirs(z.softmax(1), g),
        1,
        case,
        labels(case, soft=False),
    )


@every_shape
@pytest.mark.parametrize("soft", [False, True])
def test_gradients_of_cross_entropy_are_those_of_torch(soft: bool, shape: Shape) -> None:
    case = example(*shape, scale=10)
    target = labels(case, soft=True) if soft else case.target
    for ours, expected in zip(
        value_and_gradient(create("cross_entropy"), case.logits, target),
        value_and_gradient(F.cross_entropy, case.logits, target),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected)


@every_shape
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_gradients_of_binary_cross_entropy_are_those_of_torch(activation: str, shape: Shape) -> None:
    case = example(1 if activation == "softmax" else shape[0], shape[1], scale=10)
    target = example(case.logits.shape[1], shape[1], seed=7).logits.sigmoid()
    for ours, expected in zip(
        value_and_gradient(create("bce", activation=activation), case.logits, target),
        value_and_gradient(F.binary_cross_entropy_with_logits, case.logits, target),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected)
