"""What the metrics say of themselves holds for what `score_case` yields."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from metric_oracles import Case, by_metric, drawn_cases

from unifocal.metrics import METRICS, score_case
from unifocal.metrics.overlap import OVERLAP_METRICS
from unifocal.metrics.surface import SURFACE_METRICS

DIRECTED = [name for name, metric in METRICS.items() if metric.direction]
PRIMARY = [
    "dice",
    "iou",
    "precision",
    "recall",
    "specificity",
    "accuracy",
    "balanced_accuracy",
    "volumetric_similarity",
    "relative_size_error",
    "hausdorff",
    "hd95",
    "hd95_pooled",
    "assd",
    "nsd",
    "lesion_recall",
    "lesion_precision",
    "lesion_f1",
    "ece",
    "brier",
    "average_precision",
]


def probabilities_for(mask: Any, sure: float) -> Any:
    return np.where(mask > 0, sure, 1 - sure)[None]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_what_it_means(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.title
    assert metric.definition.endswith(".")
    assert "  " not in metric.definition
    assert metric.range[0] < metric.range[1]
    assert metric.unit in {"", "mm", "px", "mm2", "ml"}
    assert (metric.direction is None) == (metric.unit not in {"", "mm"} or name.startswith("lesions_"))
    assert metric.source or metric.family in {"count", "size"}
    assert metric.margin is None or (
        metric.direction is not None and metric.range == (0, 1) and 0 < metric.margin < 0.1
    )


def test_the_order_of_tables() -> None:
    assert DIRECTED == PRIMARY
    assert list(METRICS)[: len(PRIMARY)] == PRIMARY
    titles = [metric.title for metric in METRICS.values()]
    assert len(set(titles)) == len(titles)


def test_families() -> None:
    assert [name for name, metric in METRICS.items() if metric.family == "overlap"] == list(OVERLAP_METRICS)
    assert [name for name, metric in METRICS.items() if metric.family == "surface"] == list(SURFACE_METRICS)
    assert all((metric.family == "lesion") == name.startswith("lesion") for name, metric in METRICS.items())


@pytest.mark.parametrize(("shape", "other"), [((6, 7), "volume_"), ((4, 5, 6), "area_")])
def test_every_metric_is_given_and_no_other_in_their_order(shape: tuple[int, ...], other: str) -> None:
    truth, prediction = np.random.default_rng(0).integers(0, 2, (2, *shape))
    found = score_case(truth, prediction, labels=[1], probabilities=probabilities_for(prediction, 0.8))
    assert [score.metric for score in found] == [name for name in METRICS if not name.startswith(other)]
    without = [score.metric for score in score_case(truth, prediction)]
    assert without == [s.metric for s in found if METRICS[s.metric].family != "probability"]


@given(drawn_cases())
@settings(max_examples=60)
def test_values_stay_in_their_range_and_undefined_ones_give_a_reason(case: Case) -> None:
    truth, prediction, spacing = case
    probabilities = np.stack([(prediction == label) * 0.7 + 0.1 for label in (0, 1, 2, 7)])
    scores = score_case(truth, prediction, spacing, labels=[1, 2, 7], probabilities=probabilities)
    assert len({(score.label, score.metric) for score in scores}) == len(scores)
    for score in scores:
        metric = METRICS[score.metric]
        assert score.unit == metric.unit
        if score.value is None:
            assert score.reason
        else:
            assert metric.range[0] <= score.value <= metric.range[1] + 1e-12
            assert math.isfinite(score.value)
            assert type(score.value) is float


@pytest.mark.parametrize("name", DIRECTED)
@pytest.mark.parametrize("shape", [(20, 20), (12, 12, 12)])
def test_perfect_is_best_and_worse_is_worse(name: str, shape: tuple[int, ...]) -> None:
    truth = np.zeros(shape, int)
    truth[(slice(3, 7),) * truth.ndim] = 1
    truth[(slice(9, 11),) * truth.ndim] = 1
    worse, bad = truth.copy(), np.zeros(shape, int)
    worse[(slice(3, 5),) * truth.ndim] = 0
    worse[(slice(9, 11),) * truth.ndim] = 0
    worse[0, -1] = 1
    bad[-1, 0] = 1
    bad[0, -1] = 1
    values = []
    for prediction, sure in ((truth, 1.0), (worse, 0.9), (bad, 0.6)):
        given_probabilities = probabilities_for(prediction, sure)
        found = score_case(truth, prediction, labels=[1], probabilities=given_probabilities, tolerance=0)
        value = by_metric(found, 1)[name].value
        assert value is not None
        values.append(value)
    higher = METRICS[name].direction == "higher"
    assert values[0] == (1 if higher else 0)
    assert (values[0] > values[1] > values[2]) if higher else (values[0] < values[1] < values[2])


def test_units_are_elements_where_the_spacing_is_unknown() -> None:
    mask = np.ones((2, 3, 4), int)
    for score in score_case(mask, mask):
        assert score.unit == ("px" if METRICS[score.metric].unit else "")
    assert by_metric(score_case(mask, mask), 1)["volume_truth"].value == 24
    assert by_metric(score_case(mask, mask, (2, 2, 2.5)), 1)["volume_truth"].value == pytest.approx(0.24)
