"""The family's identities, torch's own losses, and the authors' published definitions."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from losses_cases import Example, example, examples
from numpy.typing import NDArray
from torch.nn import functional as F

from unifocal.losses import create

Array = NDArray[np.float64]
Named = tuple[str, dict[str, object]]
IDENTITIES: list[tuple[Named, float, Named, float]] = [
    (("focal", {"gamma": 0}), 1, ("cross_entropy", {}), 0),
    (("tversky", {"delta": 0.5}), 1, ("dice", {}), 0),
    (("focal_tversky", {"gamma": 1}), 1, ("tversky", {}), 0),
    (("focal_tversky", {"gamma": 1, "delta": 0.5}), 1, ("dice", {}), 0),
    (("combo", {"alpha": 0}), 1, ("dice", {}), -1),
    (("combo", {"alpha": 1}), 1, ("cross_entropy", {}), 0),
    (("combo", {}), 0.5, ("dice_cross_entropy", {}), -0.5),
    (("combo", {"alpha": 1, "beta": 0.7}), 1, ("focal", {"gamma": 0, "alpha": 0.7}), 0),
    (("hybrid_focal", {"region_weight": 1}), 1, ("focal_tversky", {}), 0),
    (("hybrid_focal", {"region_weight": 0}), 1, ("focal", {}), 0),
    (("hybrid_focal", {"region_weight": 0, "alpha": 0.8}), 1, ("focal", {"alpha": 0.8}), 0),
    (
        ("hybrid_focal", {"delta": 0.5, "tversky_gamma": 1, "focal_gamma": 0}),
        0.5,
        ("dice_cross_entropy", {}),
        0,
    ),
]
for unified in ("unified_focal", "unified_focal_symmetric"):
    plain = {"gamma": 0, "delta": 0.5}
    IDENTITIES += [
        ((unified, {**plain, "region_weight": 1}), 1, ("dice", {}), 0),
        ((unified, {**plain, "region_weight": 0}), 0.5, ("cross_entropy", {}), 0),
        ((unified, {"gamma": 0, "delta": 0.7, "region_weight": 1}), 1, ("tversky", {}), 0),
        (
            (unified, {"gamma": 0, "delta": 0.7, "region_weight": 0}),
            1,
            ("focal", {"gamma": 0, "alpha": 0.7}),
            0,
        ),
    ]
IDENTITIES += [
    (
        ("unified_focal_symmetric", {"gamma": 0.25, "delta": 0.7, "region_weight": 1}),
        1,
        ("focal_tversky", {}),
        0,
    ),
    (
        ("unified_focal_symmetric", {"gamma": 0.6, "delta": 0.8, "region_weight": 0}),
        1,
        ("focal", {"gamma": 0.6, "alpha": 0.8}),
        0,
    ),
    (
        ("unified_focal", {"gamma": 0.6, "delta": 0.8, "region_weight": 0}),
        1,
        ("focal", {"gamma": [0.6, 0.0, 0.0], "alpha": [0.2, 0.8, 0.8]}),
        0,
    ),
    (
        ("unified_focal", {"gamma": 0.6, "delta": 0.8, "region_weight": 1}),
        1,
        ("focal_tversky", {"gamma": [1.0, 0.4, 0.4], "delta": [0.8] * 3}),
        0,
    ),
    (
        ("unified_focal", {"delta": [0.6] * 3, "gamma": [0.5] * 3, "rare_classes": [1, 2]}),
        1,
        ("unified_focal", {}),
        0,
    ),
    (("unified_focal", {"symmetric": True}), 1, ("unified_focal_symmetric", {}), 0),
    (("cross_entropy", {"class_weights": [0.1, 2, 3]}), 1, ("focal", {"gamma": 0, "alpha": [0.1, 2, 3]}), 0),
]


@pytest.mark.parametrize(("left", "factor", "right", "offset"), IDENTITIES)
@pytest.mark.parametrize("shared", [{}, {"include_background": False, "batch": True}])
def test_identity(left: Named, factor: float, right: Named, offset: float, shared: dict[str, object]) -> None:
    case = example(3, (5, 4))
    ours = create(left[0], **left[1], **shared)(case.logits, case.target)
    other = create(right[0], **right[1], **shared)(case.logits, case.target)
    torch.testing.assert_close(ours, factor * other + offset)


@settings(max_examples=20, deadline=None)
@given(case=examples(2))
def test_cross_entropy_is_that_of_torch(case: Example) -> None:
    loss = create("cross_entropy")
    torch.testing.assert_close(loss(case.logits, case.target), F.cross_entropy(case.logits, case.target))
    soft = torch.softmax(case.logits.flip(1) / 3, dim=1)
    torch.testing.assert_close(loss(case.logits, soft), F.cross_entropy(case.logits, soft))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_binary_cross_entropy_is_that_of_torch(activation: str) -> None:
    channels = 1 if activation == "softmax" else 4
    logits = example(channels).logits
    target = torch.rand(logits.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours = create("bce", activation=activation)(logits, target)
    torch.testing.assert_close(ours, F.binary_cross_entropy_with_logits(logits, target))


def test_class_weights_of_cross_entropy_are_those_of_torch_before_its_division() -> None:
    case, weights = example(3), [0.2, 1.0, 5.0]
    ours = create("cross_entropy", class_weights=weights)(case.logits, case.target)
    tensor = torch.tensor(weights, dtype=torch.float64)
    theirs = F.cross_entropy(case.logits, case.target, tensor, reduction="none")
    torch.testing.assert_close(ours, theirs.mean())


def test_alpha_of_one_number_is_the_alpha_t_of_the_focal_paper() -> None:
    z = torch.tensor([-1.0, 0.3, 2.0, -0.5], dtype=torch.float64)
    y = torch.tensor([1, 0, 1, 0])
    p_t = torch.where(y == 1, torch.sigmoid(z), torch.sigmoid(-z))
    alpha_t = torch.where(y == 1, 0.25, 0.75)
    expected = (-alpha_t * (1 - p_t) ** 2 * p_t.log()).mean()
    for activation in ("softmax", "sigmoid"):
        loss = create("focal", alpha=0.25, activation=activation)
        torch.testing.assert_close(loss(z[None, None], y[None, None]), expected)


def test_named_rare_classes_take_the_rare_part() -> None:
    case = example(3)
    named = create("unified_focal", rare_classes=[2])(case.logits, case.target)
    order = [1, 0, 2]
    swapped = create("unified_focal", rare_classes=[2])(case.logits[:, order], torch.tensor(order)[case.target])
    torch.testing.assert_close(named, swapped)
    assert not torch.isclose(named, create("unified_focal")(case.logits, case.target))


def test_one_value_per_class_goes_with_its_class() -> None:
    case = example(3)
    delta, gamma, order = [0.3, 0.6, 0.9], [0.1, 0.5, 0.8], [0, 2, 1]
    one = create("unified_focal", delta=delta, gamma=gamma)(case.logits, case.target)
    other = create("unified_focal", delta=[delta[i] for i in order], gamma=[gamma[i] for i in order])(
        case.logits[:, order], torch.tensor(order)[case.target]
    )
    torch.testing.assert_close(one, other)


def test_one_value_per_channel_under_sigmoid() -> None:
    case = example(2)
    masks = torch.stack([case.target > 0, case.target == 0], dim=1)
    delta, gamma = [0.3, 0.8], [0.2, 0.7]
    both = create("unified_focal", activation="sigmoid", delta=delta, gamma=gamma)
    alone = [
        create("unified_focal", delta=delta[c], gamma=gamma[c])(case.logits[:, [c]], masks[:, [c]]) for c in range(2)
    ]
    torch.testing.assert_close(both(case.logits, masks), (alone[0] + alone[1]) / 2)


# The definitions of the authors' Keras code for 2D and two classes, from probabilities and
# one-hot labels (N, H, W, 2), clipped at 1e-7.


def keras_index(y: Array, p: Array, delta: float) -> Array:
    tp, fn, fp = ((a * b).sum(axis=(1, 2)) for a, b in ((y, p), (y, 1 - p), (1 - y, p)))
    return np.asarray((tp + 1e-6) / (tp + delta * fn + (1 - delta) * fp + 1e-6))


def keras_voxels(y: Array, p: Array, weights: list[float], powers: list[float]) -> float:
    return float(np.mean(np.sum(-y * np.log(p) * weights * (1 - p) ** powers, axis=-1)))


def keras_combo(y: Array, p: Array) -> float:
    return 0.5 * keras_voxels(y, p, [0.5, 0.5], [0, 0]) - 0.5 * float(keras_index(y, p, 0.5).mean())


def keras_symmetric(y: Array, p: Array) -> float:
    region = ((1 - keras_index(y, p, 0.6)) ** (1 - 0.5)).mean()
    return 0.5 * float(region) + 0.5 * keras_voxels(y, p, [0.4, 0.6], [0.5, 0.5])


def keras_asymmetric(y: Array, p: Array) -> float:
    index = keras_index(y, p, 0.6)
    foreground = (1 - index[:, 1]) * (1 - index[:, 1]) ** -0.5
    region = np.stack([1 - index[:, 0], foreground], axis=-1).mean()
    return 0.5 * float(region) + 0.5 * keras_voxels(y, p, [0.4, 0.6], [0.5, 0])


KERAS: list[tuple[str, dict[str, float], Callable[[Array, Array], float]]] = [
    ("dice", {}, lambda y, p: float((1 - keras_index(y, p, 0.5)).mean())),
    ("tversky", {}, lambda y, p: float((1 - keras_index(y, p, 0.7)).mean())),
    ("focal_tversky", {}, lambda y, p: float(((1 - keras_index(y, p, 0.7)) ** 0.75).mean())),
    ("focal", {}, lambda y, p: keras_voxels(y, p, [1, 1], [2, 2])),
    ("combo", {"beta": 0.5}, keras_combo),
    ("unified_focal_symmetric", {}, keras_symmetric),
    ("unified_focal", {}, keras_asymmetric),
]


@pytest.mark.parametrize(("name", "parameters", "published"), KERAS)
@pytest.mark.parametrize("seed", range(3))
def test_values_are_those_of_the_authors_code(
    name: str,
    parameters: dict[str, float],
    published: Callable[[Array, Array], float],
    seed: int,
) -> None:
    case = example(2, (6, 7), seed=seed)
    p = case.logits.softmax(1).movedim(1, -1).numpy().clip(1e-7, 1 - 1e-7)
    y = F.one_hot(case.target, 2).double().numpy()
    ours = create(name, **parameters)(case.logits, case.target).item()
    assert ours == pytest.approx(published(y, p), rel=1e-6)
