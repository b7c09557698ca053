"""How well predicted probabilities agree with the truth."""

import numpy as np
from numpy.typing import NDArray


def brier(truth: NDArray[np.bool_], probability: NDArray[np.floating]) -> float:
    """The Brier score of one label: the mean squared error of its probability (Brier 1950).

    Args:
        truth: Where the label is.
        probability: The label's predicted probability, of the same shape.
    """
    return float(np.mean(np.square(probability.astype(np.float64) - truth)))
