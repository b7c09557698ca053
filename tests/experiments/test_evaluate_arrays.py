"""`unifocal.evaluate`: masks in memory."""

import doctest
import subprocess
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

import unifocal
from unifocal.experiments import arrays
from unifocal.metrics import score_case
from unifocal.problems import InputError

SPACING = (3.0, 1.0, 0.5)


def volume(seed: int) -> np.ndarray:
    """Labels 1 and 4 in a small volume."""
    random = np.random.default_rng(seed)
    return random.choice([0, 1, 4], size=(6, 7, 8), p=[0.6, 0.3, 0.1])


def masks(first: int, count: int = 4) -> dict[str, np.ndarray]:
    return {f"case {number}": volume(first + number) for number in range(count)}


def test_its_example_runs() -> None:
    result = doctest.testmod(arrays)
    assert result.attempted > 5
    assert result.failed == 0


def test_scores_are_those_of_score_case() -> None:
    truths, a, b = masks(0), masks(10), masks(20)
    patients = {name: f"p{number // 2}" for number, name in enumerate(truths)}
    found = unifocal.evaluate(
        truths, {"a": a, "b": b}, spacing_mm=SPACING, patients=patients, tolerance=1.0, resamples=200
    )
    table = found.scores.set_index(["loss", "case", "label", "metric"])
    for method, predicted in (("a", a), ("b", b)):
        for case, truth in truths.items():
            for score in score_case(truth, predicted[case], SPACING, [1, 4], tolerance=1.0):
                row = table.loc[(method, case, score.label, score.metric)]
                assert row["value"] == pytest.approx(score.value, nan_ok=True)
                assert (row["unit"], row["reason"], row["patient"]) == (score.unit, score.reason, patients[case])
    assert len(found.analysis.ranking) == 2
    assert set(found.analysis.summary["n_patients"]) <= {0, 2}
    assert found.analysis.verdict.metric == "dice"


def test_sequences_one_method_and_a_spacing_per_case() -> None:
    truths, predicted = list(masks(0).values()), list(masks(10).values())
    named = dict(enumerate(truths))
    alone = unifocal.evaluate(truths, predicted, spacing_mm={str(n): SPACING for n in named}, resamples=200)
    assert set(alone.scores["loss"]) == {"prediction"}
    assert sorted(set(alone.scores["case"])) == ["0", "1", "2", "3"]
    by_name = unifocal.evaluate(truths, {"prediction": predicted}, spacing_mm=SPACING, resamples=200)
    assert by_name.scores.equals(alone.scores)
    in_pixels = unifocal.evaluate(masks(0), masks(10), labels=[4], resamples=200)
    assert set(in_pixels.scores["label"]) == {4}
    assert set(in_pixels.scores["unit"]) == {"", "px"}


def test_probabilities_and_their_metrics() -> None:
    truths, predicted = masks(0), masks(10)
    random = np.random.default_rng(0)
    maps = {case: random.dirichlet([1, 1, 1], truth.shape).transpose(3, 0, 1, 2) for case, truth in truths.items()}
    found = unifocal.evaluate(truths, predicted, probabilities=maps, metric="brier", margin=0.1, resamples=200)
    value = found.scores.query("metric == 'brier' and label == 4 and case == 'case 1'")["value"].item()
    assert value == pytest.approx(np.mean((maps["case 1"][2] - (truths["case 1"] == 4)) ** 2))
    assert found.analysis.verdict.metric == "brier"


def test_masks_are_not_changed() -> None:
    truths, predicted = masks(0), masks(10)
    before = [array.copy() for array in (*truths.values(), *predicted.values())]
    for array in (*truths.values(), *predicted.values()):
        array.flags.writeable = False
    unifocal.evaluate(truths, predicted, resamples=200)
    for array, copy in zip((*truths.values(), *predicted.values()), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_every_fault_names_its_method_and_case() -> None:
    truths, good, bad = masks(0), masks(10), masks(20)
    bad["case 1"] = bad["case 1"][:3]
    bad["case 2"] = bad["case 2"].astype(float)
    with pytest.raises(ValueError, match="bad, case case 1") as caught:
        unifocal.evaluate(truths, {"good": good, "bad": bad})
    assert isinstance(caught.value, InputError)
    assert [problem.where for problem in caught.value.problems] == ["bad, case case 1", "bad, case case 2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"truths": {}}, "no case"),
        ({"predictions": {"a": {}}}, "case 0"),
        ({"predictions": {"a": masks(10, 5)}}, "case 4"),
        ({"patients": ["p"]}, "patients"),
        ({"patients": {"case 0": "p"}}, "lack 3 of 4"),
        ({"spacing_mm": {"case 0": SPACING}}, "spacing_mm"),
        ({"probabilities": {"stranger": masks(0)}}, "stranger"),
        ({"truths": {c: m * 0 for c, m in masks(0).items()}, "predictions": masks(0, 4)}, ""),
        ({"metric": "true_positives"}, "true_positives"),
        ({"metric": "brier"}, "brier"),
        ({"spacing_mm": (1, 1)}, "spacing"),
        ({"labels": [0]}, "labels"),
    ],
)
def test_bad_input_is_named(change: dict[str, object], words: str) -> None:
    given = {"truths": masks(0), "predictions": masks(10), "resamples": 200} | change
    if words:
        with pytest.raises(ValueError, match=words):
            unifocal.evaluate(given.pop("truths"), given.pop("predictions"), **given)
    else:
        unifocal.evaluate(given.pop("truths"), given.pop("predictions"), **given)


def test_background_alone_is_refused() -> None:
    empty = {case: mask * 0 for case, mask in masks(0).items()}
    with pytest.raises(InputError, match="background alone"):
        unifocal.evaluate(empty, empty)


def test_the_package_stays_light_and_evaluating_needs_no_torch() -> None:
    code = (
        "import sys, unifocal\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)\n"
        "assert callable(unifocal.evaluate)\n"
        "import unifocal.experiments.evaluate, unifocal.experiments.rebuild\n"
        "assert 'torch' not in sys.modules\n"
        "try:\n    unifocal.evaluat\nexcept AttributeError as error:\n    assert 'evaluat' in str(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Lazy(Mapping[str, np.ndarray]):
    """Masks that are made when they are asked for, as files would be read."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __getitem__(self, case: str) -> np.ndarray:
        return volume(self.first + int(case.split()[1]))

    def __iter__(self) -> Iterator[str]:
        return iter([f"case {number}" for number in range(4)])

    def __len__(self) -> int:
        return 4


def test_masks_may_be_made_when_they_are_asked_for() -> None:
    lazy = unifocal.evaluate(Lazy(0), Lazy(10), resamples=200)
    assert lazy.scores.equals(unifocal.evaluate(masks(0), masks(10), resamples=200).scores)


def test_masks_of_255_against_masks_of_1_are_no_bad_prediction() -> None:
    truths = {name: (mask == 1).astype(np.uint8) for name, mask in masks(0).items()}
    scaled = {name: mask * 255 for name, mask in truths.items()}
    with pytest.raises(InputError, match=r"predictions of b: hold no label of the truths \(1\), but 255"):
        unifocal.evaluate(truths, {"a": truths, "b": scaled}, resamples=100)
    asked = unifocal.evaluate(truths, {"a": truths, "b": scaled}, labels=[1], resamples=100)
    assert (asked.scores.query("loss == 'b' and metric == 'dice'")["value"] == 0).all()
    empty = {name: np.zeros_like(mask) for name, mask in truths.items()}
    assert unifocal.evaluate(truths, empty, resamples=100).analysis.ranking["mean"].tolist() == [0]


def test_the_verdict_rests_on_the_label_asked_for() -> None:
    for label in (1, 4):
        found = unifocal.evaluate(masks(0), {"a": masks(10), "b": masks(20)}, label=label, resamples=100)
        assert found.analysis.verdict.label == label
        assert f"Dice of label {label} " in found.analysis.verdict.sentence
