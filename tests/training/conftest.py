"""Images and volumes to train on."""

import numpy as np
import pytest

from unifocal.training import Patches, Samples


@pytest.fixture(scope="module")
def samples() -> Samples:
    random = np.random.default_rng(0)
    classes = np.zeros((12, 32, 32), np.uint8)
    for mask in classes:
        row, column = random.integers(4, 20, 2)
        mask[row : row + 8, column : column + 8] = 1
    images = 2.0 * classes[:, None] + random.normal(size=(12, 1, 32, 32))
    return Samples.of_arrays(images.astype(np.float32), classes)


@pytest.fixture(scope="module")
def volumes() -> Patches:
    random = np.random.default_rng(0)
    pairs = []
    for _ in range(8):
        classes = np.zeros((14, 20, 11 + random.integers(0, 8)), np.uint8)
        place = random.integers(1, 6, 3)
        classes[tuple(slice(start, start + 5) for start in place)] = 1
        pairs.append(((2.0 * classes[None] + random.normal(size=(1, *classes.shape))).astype(np.float32), classes))
    return Patches(lambda case: pairs[case], (8, 8, 8), 1, 2, foreground_share=0.5, per_case=2)
