"""The same weights give the same numbers, however they lay in memory before."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from unifocal.inference import predict_probabilities
from unifocal.inference.volumes import predict_volume, predict_volume_indices
from unifocal.inference.windows import Windows
from unifocal.models import UNet

CHANCE = np.random.default_rng(0)
IMAGES = CHANCE.normal(size=(3, 1, 48, 48)).astype(np.float32)
VOLUME = CHANCE.normal(size=(1, 20, 24, 20)).astype(np.float32)
WINDOWS = Windows((16, 16, 16))
Predict = Callable[[nn.Module], NDArray[np.floating]]
WAYS: dict[str, tuple[int, Predict]] = {
    "images": (
        2,
        lambda network: np.stack(list(predict_probabilities(network, [(each, ()) for each in IMAGES], batch_size=2))),
    ),
    "volume": (3, lambda network: predict_volume(network, VOLUME, (), WINDOWS, 2)),
    "volume's classes": (3, lambda network: predict_volume_indices(network, VOLUME, (), WINDOWS, 2)),
}


def network(dimensions: int, layout: torch.memory_format) -> nn.Module:
    torch.manual_seed(0)
    made = UNet(1, 2, width=8, depth=2, dimensions=dimensions)
    return made.to(memory_format=layout)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("way", WAYS)
def test_the_layout_that_a_network_was_trained_or_read_in_changes_no_digit(way: str) -> None:
    dimensions, predict = WAYS[way]
    last = torch.channels_last if dimensions == 2 else torch.channels_last_3d
    first, other = network(dimensions, torch.contiguous_format), network(dimensions, last)
    np.testing.assert_array_equal(predict(first), predict(other))
    weights = [each for each in first.parameters() if each.ndim == dimensions + 2]
    assert weights
    assert all(each.is_contiguous(memory_format=last) for each in weights)
    assert not first.training


@pytest.mark.parametrize("way", WAYS)
def test_a_network_that_has_predicted_can_be_trained(way: str) -> None:
    dimensions, predict = WAYS[way]
    trained = network(dimensions, torch.contiguous_format)
    predict(trained)
    image = torch.from_numpy(IMAGES[:1] if dimensions == 2 else VOLUME[None, :, :16, :16, :16])
    trained.train()(image).sum().backward()
    assert all(each.grad is not None for each in trained.parameters())
