"""Deep supervision where the size is no multiple of the stride: each output's position keeps to its own block."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from losses_deep import Recorder, indices, one_hot
from torch import Tensor
from torch.nn import functional as F

from unifocal.losses import CrossEntropyLoss, UnifiedFocalLoss
from unifocal.losses.deep_supervision import DeepSupervisionLoss
from unifocal.models import UNet


def received(target: Tensor, sizes: Sequence[Sequence[int]], weight: Tensor | None = None) -> list[tuple[Tensor, ...]]:
    recorder = Recorder()
    DeepSupervisionLoss(recorder)([torch.zeros(len(target), 3, *size) for size in sizes], target, weight)
    return [call[1:] for call in recorder.calls]


def blocks(length: int, stride: int) -> list[slice]:
    return [slice(start, min(start + stride, length)) for start in range(0, length, stride)]


@pytest.mark.parametrize("length", [5, 6, 9, 13, 31, 33, 49, 100, 129])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_indices_are_taken_at_the_centre_of_what_the_block_has_left(length: int, level: int) -> None:
    own = blocks(length, 2**level)
    ((got,),) = received(torch.arange(length)[None], [[len(own)]])
    if len(own) > 1:  # of a single block it cannot be said how long it is
        assert got.tolist() == [[(block.start + block.stop) // 2 for block in own]]


@pytest.mark.parametrize(("size", "strides"), [((13,), (4,)), ((9, 10), (4, 4)), ((5, 12, 7), (2, 2, 1)),
                                               ((129, 31), (8, 8))])  # fmt: skip
@pytest.mark.parametrize("weighted", [False, True])
def test_labels_are_averaged_over_what_the_block_has_left(
    size: tuple[int, ...], strides: tuple[int, ...], weighted: bool
) -> None:
    target = one_hot(indices(1, *size))
    generator = torch.Generator().manual_seed(2)
    weight = torch.rand(1, *size, generator=generator) if weighted else torch.ones(1, *size)
    own = [blocks(length, stride) for length, stride in zip(size, strides, strict=True)]
    small = [len(each) for each in own]
    (got,) = received(target, [small], weight if weighted else None)
    for place in np.ndindex(*small):
        block = (..., *(own[axis][at] for axis, at in enumerate(place)))
        count = weight[block].sum()
        expected = (target * weight)[block].flatten(2).sum(2) / count
        torch.testing.assert_close(got[0][(..., *place)], expected)
        if weighted:
            torch.testing.assert_close(got[1][(..., *place)][0], weight[block].mean())


def test_a_multiple_of_the_stride_and_another_size_are_as_before() -> None:
    ((multiple,), (other,), (one,)) = received(torch.arange(12)[None], [[3], [5], [1]])
    assert multiple.tolist() == [[2, 6, 10]]
    assert other.tolist() == [[1, 3, 6, 8, 10]]
    assert one.tolist() == [[6]]
    ((average,),) = received(one_hot(indices(1, 7)), [[3]])
    assert torch.equal(average, F.adaptive_avg_pool1d(one_hot(indices(1, 7)), 3))


def sizes_of(network: UNet, size: Sequence[int]) -> list[torch.Size]:
    return [output.shape[2:] for output in network(torch.zeros(1, 1, *size))]


@pytest.mark.parametrize("size", [(37, 50), (21, 18, 9)])
@pytest.mark.parametrize("soft", [False, True])
def test_a_u_nets_outputs_meet_the_target_that_lies_under_them(size: tuple[int, ...], soft: bool) -> None:
    """The same as an image that was padded beforehand, with what was added ignored."""
    strides = [(2,) * len(size)] * 3
    if len(size) == 3:
        strides = [(1, 2, 2), (2, 2, 2), (2, 2, 1)]
    network = UNet(1, 3, dimensions=len(size), width=2, depth=3, dropout=(), strides=strides, deep_supervision=2)
    target = indices(1, *size)
    whole = [-(-length // step) * step for length, step in zip(size, network.multiple, strict=True)]
    missing = [to - length for length, to in zip(size, whole, strict=True)]
    margins = [amount for end in reversed(missing) for amount in (0, end)]
    outputs = network(torch.randn(1, 1, *size))
    larger_outputs = [torch.zeros(1, 3, *each) for each in sizes_of(network, whole)]
    recorder, padded = Recorder(), Recorder()
    if soft:
        DeepSupervisionLoss(recorder)(outputs, one_hot(target))
        weight = F.pad(torch.ones(1, *size), margins)
        DeepSupervisionLoss(padded)(larger_outputs, F.pad(one_hot(target), margins), weight)
    else:
        DeepSupervisionLoss(recorder)(outputs, target)
        DeepSupervisionLoss(padded)(larger_outputs, F.pad(target, margins, value=255))
    for own, other in zip(recorder.calls, padded.calls, strict=True):
        place = (..., *(slice(0, length) for length in own[0].shape[2:]))
        expected = other[1][place]
        inside = expected != 255
        assert inside.double().mean() > 0.4
        torch.testing.assert_close(own[1][inside], expected[inside])


def test_values_gradients_and_ignored_positions_pass_through() -> None:
    target = indices(2, 13, 9)
    target[:, 4:8, :4] = 255
    outputs = [torch.randn(2, 3, *size).requires_grad_() for size in ((13, 9), (7, 5), (4, 3))]
    loss = UnifiedFocalLoss(ignore_index=255)
    value = DeepSupervisionLoss(loss)(outputs, target)
    rows, columns = torch.tensor([2, 6, 10, 12]), torch.tensor([2, 6, 8])
    coarsest = target[:, rows][:, :, columns]
    assert (coarsest[:, 1, 0] == 255).all()
    rows, columns = torch.tensor([1, 3, 5, 7, 9, 11, 12]), torch.tensor([1, 3, 5, 7, 8])
    middle = target[:, rows][:, :, columns]
    expected = (4 * loss(outputs[0], target) + 2 * loss(outputs[1], middle) + loss(outputs[2], coarsest)) / 7
    torch.testing.assert_close(value, expected)
    own, other = (torch.autograd.grad(each, outputs) for each in (value, expected))
    for one, two in zip(own, other, strict=True):
        torch.testing.assert_close(one, two)


def test_an_ignored_value_of_labels_stays() -> None:
    target = torch.tensor([[[0.0, 0.0, 255.0, 1.0, 1.0]]])
    loss = CrossEntropyLoss(ignore_index=255)
    output = torch.randn(1, 1, 3)
    torch.testing.assert_close(DeepSupervisionLoss(loss)([output], target), loss(output, target[..., [1, 3, 4]]))
