"""Gradients in bfloat16 are those of float32, up to rounding, also of convolutions of thin inputs."""

import pytest
import torch
from torch import nn

from unifocal.training.bfloat16 import thin_volumes_in_float32


def gradient(network: nn.Conv3d, image: torch.Tensor, *, is_bfloat16: bool) -> torch.Tensor:
    network.weight.grad = None
    with torch.autocast("cpu", torch.bfloat16, enabled=is_bfloat16):
        out = network(image)
    out.float().square().mean().backward()
    assert network.weight.grad is not None
    return network.weight.grad.clone()


@pytest.mark.parametrize("size", [(2, 4, 4), (2, 2, 2), (2, 16, 16), (1, 3, 3), (4, 4, 4)])
def test_weights_get_the_gradients_of_float32(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = nn.Conv3d(8, 8, 3, padding=1).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    image = torch.randn(2, 8, *size)
    wanted = gradient(network, image, is_bfloat16=False)
    with thin_volumes_in_float32(network):
        given = gradient(network, image, is_bfloat16=True)
    assert (given - wanted).abs().max() < 0.03 * wanted.abs().max()


def test_large_inputs_stay_in_bfloat16_and_nothing_is_left_behind() -> None:
    network = nn.Sequential(nn.Conv3d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1))
    before = dict(vars(network[0]))
    with thin_volumes_in_float32(network), torch.autocast("cpu", torch.bfloat16):
        assert network[0](torch.zeros(1, 2, 4, 4, 4)).dtype == torch.bfloat16
        assert network[0](torch.zeros(1, 2, 2, 4, 4)).dtype == torch.float32
    assert vars(network[0]) == before
    assert "forward" not in vars(network[0])
