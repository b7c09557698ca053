"""Instance normalisation in both memory layouts, against PyTorch's own and the definition."""

import pytest
import torch
from torch import nn

from unifocal.models.instance_norm import InstanceNorm2d, InstanceNorm3d

CASES = {
    2: (InstanceNorm2d, nn.InstanceNorm2d, torch.channels_last, (7, 5)),
    3: (InstanceNorm3d, nn.InstanceNorm3d, torch.channels_last_3d, (4, 6, 5)),
}


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("cases", [1, 3])
@pytest.mark.parametrize("is_last", [True, False])
def test_values_and_gradients_are_pytorchs_own(dimensions: int, cases: int, *, is_last: bool) -> None:
    own, reference, layout, size = CASES[dimensions]
    norms = [own(4, affine=True).double(), reference(4, affine=True).double()]
    for norm in norms:
        norm.weight.data = torch.tensor([0.5, 1.0, -2.0, 3.0], dtype=torch.float64)
        norm.bias.data = torch.tensor([0.0, 1.0, 2.0, -1.0], dtype=torch.float64)
    image = 3 + torch.randn(cases, 4, *size, dtype=torch.float64)
    towards = torch.randn_like(image)
    images = [image.clone(memory_format=layout) if is_last else image.clone(), image.clone()]
    outcomes = []
    for norm, given in zip(norms, images, strict=True):
        given.requires_grad_()
        result = norm(given)
        (result * towards).sum().backward()
        outcomes.append((result, given.grad, norm.weight.grad, norm.bias.grad))
    for found, expected in zip(*outcomes, strict=True):
        assert torch.allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_channel_of_every_case_gets_mean_0_and_variance_1(dimensions: int) -> None:
    own, _, layout, size = CASES[dimensions]
    image = (5 * torch.randn(3, 4, *size) + torch.arange(12.0).reshape(3, 4, *[1] * dimensions)).to(
        memory_format=layout
    )
    flat = own(4, affine=True)(image).flatten(2)
    assert torch.allclose(flat.mean(2), torch.zeros(3, 4), atol=1e-5)
    assert torch.allclose(flat.var(2, unbiased=False), torch.ones(3, 4), atol=1e-3)


def test_the_layout_stays() -> None:
    image = torch.randn(2, 4, 4, 6, 5).to(memory_format=torch.channels_last_3d)
    assert InstanceNorm3d(4, affine=True)(image).is_contiguous(memory_format=torch.channels_last_3d)
