"""Input that cannot be scored is refused, saying what came and what was expected."""

from typing import Any

import numpy as np
import pytest

from unifocal.metrics import score_case

MASK = np.eye(4, dtype=int)
HALF = np.full((2, 4, 4), 0.5)


@pytest.mark.parametrize(
    ("truth", "prediction", "options", "message"),
    [
        (MASK, MASK[:3], {}, r"\(4, 4\).*\(3, 4\)"),
        (MASK * 1.0, MASK, {}, "truth is of type float64"),
        (MASK, MASK.astype(complex), {}, "prediction is of type complex128"),
        (MASK, -MASK, {}, "prediction holds the label -1"),
        (MASK[0], MASK[0], {}, r"truth has shape \(4,\)"),
        (MASK[:0], MASK[:0], {}, r"truth has shape \(0, 4\)"),
        (MASK[None, None], MASK[None, None], {}, "2D or 3D"),
        (MASK, MASK, {"spacing_mm": (1.0,)}, "expected 2 numbers"),
        (MASK, MASK, {"spacing_mm": (1.0, 0.0)}, "above 0"),
        (MASK, MASK, {"spacing_mm": (1.0, float("nan"))}, "above 0"),
        (MASK, MASK, {"labels": [0, 1]}, r"\[0, 1\].*above 0"),
        (MASK, MASK, {"labels": [1, 1]}, "distinct"),
        (MASK, MASK, {"labels": [1.5]}, "integers"),
        (MASK, MASK, {"tolerance": -1.0}, "tolerance is -1"),
        (MASK, MASK, {"tolerance": float("nan")}, "tolerance is nan"),
        (MASK, MASK, {"probabilities": HALF}, "without labels"),
        (
            MASK,
            MASK,
            {"probabilities": HALF, "labels": [1, 2]},
            r"\(2, 4, 4\); expected \(3, 4, 4\)",
        ),
        (MASK, MASK, {"probabilities": HALF[0], "labels": [1]}, r"\(2, 4, 4\) or \(1, 4, 4\)"),
        (MASK, MASK, {"probabilities": HALF * 3, "labels": [1]}, "1.5"),
        (MASK, MASK, {"probabilities": HALF * np.nan, "labels": [1]}, "nan"),
    ],
)
def test_refused(truth: Any, prediction: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_case(truth, prediction, **options)


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        score_case(MASK * 1.0, -MASK[:3], (1.0, -1.0, 2.0), [0], HALF, tolerance=-1.0)
    lines = str(caught.value).splitlines()
    wrong = [
        "truth is of type float64",
        "prediction holds the label -1",
        "(4, 4), prediction (3, 4)",
        "expected 2 numbers",
        "numbers above 0",
        "labels are [0]",
        "tolerance is -1.0",
    ]
    assert all(text in line for text, line in zip(wrong, lines, strict=True)), lines


def test_mistakes_of_the_probabilities_come_with_the_others() -> None:
    with pytest.raises(ValueError, match="labels are") as caught:
        score_case(MASK, MASK, labels=[1, 1], probabilities=HALF)
    assert "expected (3, 4, 4)" in str(caught.value)
