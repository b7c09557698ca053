"""Checks of the GPU kernels where weights are 0, run by `test_losses_kernels` with those of `losses_kernel_checks`."""

import pytest
import torch
from losses_kernel_reference import DEVICE, check, parameters, run, upstream_of, voxels


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("labels", [torch.int64, torch.uint8, torch.float32])
def test_labels_without_weight_have_no_effect(channels, labels):
    of = voxels(channels, 70)
    of = of._replace(labels=of.labels.to(labels))
    weight = torch.full((2, 1, 70), 0.75, device=DEVICE)
    weight[:, :, ::3] = 0
    sums, clean = check(of._replace(weight=weight))
    wrong = of._replace(labels=of.labels.clone(), weight=weight)
    wrong.labels[..., ::3] = 255
    others, gradient = run(wrong, *parameters(of), upstream_of(of))
    assert torch.equal(clean, gradient)
    assert all(torch.equal(a, b) for a, b in zip(sums, others, strict=True))
    wrong.weight[..., 3] = 1
    counts, _ = run(wrong, *parameters(of), upstream_of(of))
    assert int(counts.high) == 255
