"""Segmenting in less precision: asked for, close to float32, and nothing else changes."""

import numpy as np
import pytest
import torch

from unifocal.inference import predict_probabilities
from unifocal.inference.precision import in_precision
from unifocal.models import UNet


def probabilities(precision: str) -> np.ndarray:
    torch.manual_seed(0)
    network = UNet(1, 1, width=8, depth=2)
    images = np.random.default_rng(0).normal(size=(3, 1, 32, 32)).astype(np.float32)
    stream = [(image, ()) for image in images]
    return np.stack(list(predict_probabilities(in_precision(network, precision), stream, batch_size=2)))  # type: ignore[arg-type]


def test_bfloat16_rounds_and_float32_does_not() -> None:
    exact, rounded = probabilities("float32"), probabilities("bfloat16")
    assert rounded.dtype == np.float32
    assert not np.array_equal(exact, rounded)
    np.testing.assert_allclose(rounded, exact, atol=0.02)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_logits_are_float32(precision: str) -> None:
    network = in_precision(UNet(1, 2, width=4, depth=1), precision).eval()  # type: ignore[arg-type]
    assert network(torch.zeros(1, 1, 8, 8)).dtype == torch.float32
    assert not network.training
    assert not any(module.training for module in network.modules())
