"""Errors that say what came and what was expected."""

import pytest
import torch

from unifocal.losses import UnifiedFocalLoss, create

IMAGE = torch.zeros(2, 3, 4, 4)
LABELS = torch.zeros(2, 4, 4, dtype=torch.int64)
MASKS = torch.zeros(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("logits", "target", "keywords", "message"),
    [
        (IMAGE, LABELS[:, :3], {}, r"\(2, 3, 4\).*\(2, 4, 4\) or \(2, 1, 4, 4\)"),
        (IMAGE, LABELS[:1], {}, r"target has the shape \(1, 4, 4\)"),
        (IMAGE, MASKS[:, :2], {}, r"\(2, 2, 4, 4\).*\(2, 3, 4, 4\)"),
        (IMAGE, LABELS + 3, {}, "indices 3 to 3.*3 classes, 0 to 2"),
        (IMAGE, LABELS - 1, {}, "indices -1 to -1"),
        (IMAGE, LABELS.float() - 1, {}, "indices -1 to -1"),
        (IMAGE, LABELS + 0.5, {}, "whole numbers.*0.5"),
        (IMAGE, LABELS * float("nan"), {}, "indices nan"),
        (IMAGE, LABELS + 255, {"ignore_index": -1}, "255.*ignore_index is -1"),
        (IMAGE, MASKS + 1.5, {}, r"\[0, 1\].*1.5"),
        (IMAGE, MASKS - 0.5, {}, "-0.5"),
        (IMAGE, MASKS * float("nan"), {}, "nan"),
        (IMAGE, MASKS, {"ignore_index": 255}, "class indices.*weight="),
        (IMAGE, LABELS, {"activation": "sigmoid"}, r"sigmoid.*\(2, 3, 4, 4\)"),
        (IMAGE[:, :1], LABELS + 2, {}, r"\[0, 1\], got 2"),
        (IMAGE[:0], LABELS[:0], {}, r"\(0, 3, 4, 4\)"),
        (IMAGE[0, 0, 0], LABELS, {}, r"\(N, C, \*spatial\).*\(4,\)"),
        (IMAGE, LABELS, {"class_weights": [1, 2]}, "class_weights has 2 values.*3, one per class"),
        (IMAGE[:, :1], LABELS, {"class_weights": [1]}, "two classes, background and foreground"),
        (IMAGE, MASKS, {"activation": "sigmoid", "class_weights": [1, 2]}, "one per channel"),
        (IMAGE, LABELS, {"delta": [0.5, 0.5]}, "delta has 2 values"),
        (IMAGE, LABELS, {"gamma": [0.5] * 4}, "gamma has 4 values"),
        (IMAGE, LABELS, {"rare_classes": [3]}, r"\[3\].*0 to 2"),
        (IMAGE, LABELS, {"class_weights": [1, 0, 0], "include_background": False}, "no class"),
    ],
)
def test_a_call_with_values_that_do_not_fit(
    logits: torch.Tensor, target: torch.Tensor, keywords: dict[str, object], message: str
) -> None:
    loss = create("unified_focal", **keywords)
    with pytest.raises(ValueError, match=message):
        loss(logits, target)


def test_a_call_with_the_wrong_dtypes() -> None:
    with pytest.raises(TypeError, match=r"floating point.*int64"):
        create("dice")(IMAGE.long(), LABELS)
    with pytest.raises(TypeError, match="complex64"):
        create("dice")(IMAGE, LABELS.to(torch.complex64))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.ones(2, 4), r"weight has the shape \(2, 4\)"),
        (torch.ones(2, 3, 4, 4), r"\(2, 3, 4, 4\).*\(2, 1, 4, 4\)"),
        (-torch.ones(2, 4, 4), "not negative"),
        (torch.full((2, 4, 4), float("nan")), "finite"),
    ],
)
def test_a_weight_map_that_does_not_fit(weight: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create("dice")(IMAGE, LABELS, weight)


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("tversky", {"delta": 1.5}, r"delta must lie in \[0, 1\], got 1.5"),
        ("tversky", {"delta": [0.5, -1]}, r"delta\[1\] must lie in \[0, 1\]"),
        ("tversky", {"delta": []}, "one number per class"),
        ("focal", {"gamma": -1}, "gamma must lie in"),
        ("focal", {"gamma": float("nan")}, "gamma must lie in"),
        ("focal", {"gamma": float("inf")}, "gamma must lie in"),
        ("focal", {"alpha": 2}, r"alpha must lie in \[0, 1\]"),
        ("focal", {"alpha": [2, 1], "activation": "sigmoid"}, r"alpha\[0\] must lie in \[0, 1\]"),
        ("focal_tversky", {"gamma": 0}, r"gamma must lie in \(0, inf\)"),
        ("unified_focal", {"gamma": 1}, r"gamma must lie in \[0, 1\)"),
        ("unified_focal", {"region_weight": 2}, "region_weight"),
        ("unified_focal", {"rare_classes": []}, "at least one"),
        ("unified_focal", {"rare_classes": [1], "activation": "sigmoid"}, "sigmoid"),
        ("combo", {"beta": 3}, "beta"),
        ("dice", {"smooth": 0}, "smooth must lie in"),
        ("dice", {"reduction": "median"}, "'none', 'mean', 'sum', got 'median'"),
        ("dice", {"activation": "relu"}, "'softmax', 'sigmoid'"),
        ("dice", {"absent": "no"}, "'penalise', 'skip'"),
        ("dice", {"class_weights": [-1, 1]}, r"class_weights\[0\]"),
    ],
)
def test_parameters_out_of_range(name: str, keywords: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create(name, **keywords)


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("tversky", {"delta": "0.5"}, "delta must be a number.*'0.5'"),
        ("tversky", {"delta": True}, "delta must be a number"),
        ("tversky", {"delta": None}, "delta must be a number"),
        ("unified_focal", {"symmetric": 1}, "symmetric must be True or False"),
        ("unified_focal", {"rare_classes": "12"}, "sequence of integers"),
        ("unified_focal", {"rare_classes": 1}, "sequence of integers"),
        ("dice", {"batch": "yes"}, "batch must be True or False, got 'yes'"),
        ("dice", {"ignore_index": 1.5}, "ignore_index must be an integer"),
        ("dice", {"class_weights": 2.0}, "one number per class"),
    ],
)
def test_parameters_of_the_wrong_type(name: str, keywords: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        create(name, **keywords)


def test_a_misspelt_keyword_of_a_class() -> None:
    with pytest.raises(TypeError, match=r"UnifiedFocalLoss.*'region_wight'.*'region_weight'"):
        UnifiedFocalLoss(region_wight=1.0)  # type: ignore[call-arg]


def test_values_may_be_tensors() -> None:
    tensors = {"class_weights": torch.tensor([1.0, 2.0, 3.0]), "delta": torch.tensor(0.25)}
    lists = {"class_weights": [1, 2, 3], "delta": 0.25}
    values = [create("tversky", **kw)(IMAGE, LABELS).item() for kw in (tensors, lists)]
    assert values[0] == values[1]


def test_unsigned_targets_do_not_wrap_around() -> None:
    target = torch.full((2, 4, 4), 255, dtype=torch.uint8)
    with pytest.raises(ValueError, match="255"):
        create("dice", ignore_index=-1)(IMAGE[:, :1], target)
