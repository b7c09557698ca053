"""Deep supervision: the sum over the outputs, and what reaches the loss at each."""

import itertools

import pytest
import torch
from losses_deep import Recorder, indices, logits, one_hot
from torch import Tensor, nn
from torch.nn import functional as F

from unifocal.losses import CrossEntropyLoss, UnifiedFocalLoss
from unifocal.losses.deep_supervision import DeepSupervisionLoss


def received(target: Tensor, outputs: list[Tensor], weight: Tensor | None = None) -> list[tuple[Tensor, ...]]:
    recorder = Recorder()
    DeepSupervisionLoss(recorder)(outputs, target, weight)
    return [call[1:] for call in recorder.calls]


# The sum


def test_it_is_the_weighted_sum_of_the_outputs_losses() -> None:
    outputs = [logits(2, 3, 16, 12), logits(2, 3, 8, 6), logits(2, 3, 4, 3)]
    target = indices(2, 16, 12)
    loss = UnifiedFocalLoss()
    deep = DeepSupervisionLoss(loss)(outputs, target)
    gradients = torch.autograd.grad(deep, outputs)
    expected = (4 * loss(outputs[0], target) + 2 * loss(outputs[1], target[:, 1::2, 1::2])) / 7
    expected = expected + loss(outputs[2], target[:, 2::4, 2::4]) / 7
    torch.testing.assert_close(deep, expected)
    for got, wanted in zip(gradients, torch.autograd.grad(expected, outputs), strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_without_weights_it_keeps_the_losses_scale(count: int) -> None:
    outputs = [torch.zeros(1, 3, 32 // 2**i) for i in range(count)]
    deep = DeepSupervisionLoss(nn.CrossEntropyLoss())(outputs, indices(1, 32))
    assert deep.item() == pytest.approx(torch.log(torch.tensor(3.0)).item())


@pytest.mark.parametrize("weights", [[3, 0.5], (3.0, 0.5), torch.tensor([3.0, 0.5])])
def test_weights_are_used_as_they_are(weights: list[float]) -> None:
    outputs = [torch.zeros(1, 3, 8), torch.zeros(1, 3, 4)]
    deep = DeepSupervisionLoss(CrossEntropyLoss(), weights)(outputs, indices(1, 8))
    assert deep.item() == pytest.approx(3.5 * torch.log(torch.tensor(3.0)).item())


def test_an_output_of_weight_0_is_not_computed() -> None:
    outputs = [logits(1, 3, 8), logits(1, 3, 4), logits(1, 3, 2)]
    recorder = Recorder()
    DeepSupervisionLoss(recorder, weights=[1, 0, 0.25])(outputs, indices(1, 8)).backward()
    assert [call[0].shape[-1] for call in recorder.calls] == [8, 2]
    assert outputs[1].grad is None


def test_reduction_none_gives_one_loss_per_sample() -> None:
    outputs = [logits(3, 2, 8, 8), logits(3, 2, 4, 4)]
    target = indices(3, 8, 8, classes=2)
    deep = DeepSupervisionLoss(UnifiedFocalLoss(reduction="none"))
    losses = deep(outputs, target)
    assert losses.shape == (3,)
    for n in range(3):
        alone = deep([output[n : n + 1] for output in outputs], target[n : n + 1])
        torch.testing.assert_close(losses[n : n + 1], alone)


# Class indices


SIZES = [(1, 1), (2, 1), (3, 1), (10, 4), (12, 4), (7, 3), (8, 2), (9, 4), (15, 6), (16, 5), (13, 13)]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("channels", [(), (1,)])
def test_indices_are_taken_where_nearest_exact_takes_them(dims: int, channels: tuple[int, ...]) -> None:
    for pairs in itertools.islice(itertools.product(SIZES, repeat=dims), 0, None, 7):
        full, small = zip(*pairs, strict=True)
        target = indices(2, *channels, *full, classes=100)
        ((got,),) = received(target, [torch.zeros(2, 100, *small)])
        expected = F.interpolate(target.reshape(2, 1, *full).double(), small, mode="nearest-exact").long()
        assert torch.equal(got, expected.reshape(got.shape)), (full, small)


def test_the_centre_of_an_odd_block_and_behind_that_of_an_even_block() -> None:
    ((odd,), (even,), (uneven,)) = received(torch.arange(12)[None], [torch.zeros(1, 12, n) for n in (4, 3, 5)])
    assert odd.tolist() == [[1, 4, 7, 10]]
    assert even.tolist() == [[2, 6, 10]]
    assert uneven.tolist() == [[1, 3, 6, 8, 10]]


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_indices_keep_their_dtype(dtype: torch.dtype) -> None:
    target = indices(1, 8, 8, classes=2).to(dtype)
    ((got,),) = received(target, [torch.zeros(1, 2, 4, 4)])
    assert got.dtype == dtype
    assert torch.equal(got, target[:, 1::2, 1::2])


def test_large_integers_stay_exact() -> None:
    target = torch.full((1, 9), 2**62 + 1)
    ((got,),) = received(target, [torch.zeros(1, 3, 2)])
    assert got.tolist() == [[2**62 + 1] * 2]


@pytest.mark.parametrize("ignore_index", [255, -100])
def test_ignored_positions_have_no_effect_at_any_size(ignore_index: int) -> None:
    ignored = torch.zeros(1, 16, 16, dtype=torch.bool)
    ignored[:, 3:11, 5:13] = True
    target = indices(1, 16, 16).masked_fill(ignored, ignore_index)
    outputs = [logits(1, 3, 16, 16), logits(1, 3, 5, 5)]
    deep = DeepSupervisionLoss(UnifiedFocalLoss(ignore_index=ignore_index))
    deep(outputs, target).backward()
    for output, positions in zip(outputs, (torch.arange(16), torch.tensor([1, 4, 8, 11, 14])), strict=True):
        left_out = ignored[:, positions][:, :, positions].unsqueeze(1).expand_as(output)
        assert left_out.any()
        assert (output.grad[left_out] == 0).all()
        assert (output.grad[~left_out] != 0).all()


# One-hot and soft labels


@pytest.mark.parametrize(("full", "small"), [((8,), (3,)), ((9, 8), (4, 3)), ((8, 7, 9), (2, 3, 4))])
def test_averages_of_labels_remain_probabilities(full: tuple[int, ...], small: tuple[int, ...]) -> None:
    target = one_hot(indices(2, *full))
    ((got,),) = received(target, [torch.zeros(2, 3, *small)])
    assert got.shape == (2, 3, *small)
    torch.testing.assert_close(got.sum(1), torch.ones(2, *small))
    assert ((got > 0) & (got < 1)).any()


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float16, torch.float32, torch.float64])
def test_labels_are_averaged_over_their_block(dtype: torch.dtype) -> None:
    target = one_hot(indices(2, 8, 12)).to(dtype)
    ((got,),) = received(target, [torch.zeros(2, 3, 4, 4)])
    expected = target.double().reshape(2, 3, 4, 2, 4, 3).mean(dim=(3, 5))
    wide = torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(got, expected.to(wide))


def test_one_channel_of_floating_point_is_a_label_and_of_integers_an_index() -> None:
    mask = torch.tensor([[0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1]])
    output = torch.zeros(1, 1, 4)
    for shaped in (mask, mask[:, None]):
        ((index,), (label,)) = received(shaped, [output]) + received(shaped.float(), [output])
        assert index.flatten().tolist() == [0, 1, 0, 1]
        torch.testing.assert_close(label, torch.tensor([1 / 3, 2 / 3, 0, 1]).reshape(label.shape))


def test_labels_of_a_loss_with_ignore_index_are_not_averaged() -> None:
    target = torch.tensor([[[0.0, 0.0, 255.0, 1.0, 1.0, 0.0]]])
    output = torch.zeros(1, 1, 2)
    got = DeepSupervisionLoss(CrossEntropyLoss(ignore_index=255))([output], target)
    torch.testing.assert_close(got, torch.log(torch.tensor(2.0)))
    for activation in ("softmax", "sigmoid"):
        loss = CrossEntropyLoss(ignore_index=255, activation=activation)
        ignored = torch.full((1, 1, 6), 255.0)
        ignored[..., 5] = 1.0
        alone = DeepSupervisionLoss(loss)([logits(1, 1, 2)], ignored)
        torch.testing.assert_close(alone, loss(logits(1, 1, 2)[..., 1:], torch.ones(1, 1, 1)))


# Weight maps


def test_the_weight_of_an_index_is_that_of_its_position() -> None:
    weight = torch.arange(12.0)[None]
    (got,) = received(torch.arange(12)[None], [torch.zeros(1, 12, 3)], weight)
    assert [part.tolist() for part in got] == [[[2, 6, 10]], [[2.0, 6.0, 10.0]]]


@pytest.mark.parametrize("weight_axes", [3, 4])
def test_labels_are_averaged_by_weight(weight_axes: int) -> None:
    target = one_hot(indices(2, 8, 12))
    weight = torch.rand(2, 8, 12, generator=torch.Generator().manual_seed(2))
    weight[:, :2, :3] = 0
    given = weight if weight_axes == 3 else weight[:, None]
    ((labels, small),) = received(target, [torch.zeros(2, 3, 4, 4)], given)
    blocks = weight.reshape(2, 1, 4, 2, 4, 3)
    expected = (target.reshape(2, 3, 4, 2, 4, 3) * blocks).sum((3, 5)) / blocks.sum((3, 5)).clamp(min=1e-30)
    torch.testing.assert_close(labels, expected)
    torch.testing.assert_close(small, blocks.mean((3, 5)).reshape(small.shape))
    assert labels.isfinite().all()


@pytest.mark.parametrize("soft", [False, True])
def test_positions_of_weight_0_are_at_no_size_there(soft: bool) -> None:
    outputs = [logits(1, 3, 12, 12), logits(1, 3, 6, 6), logits(1, 3, 5, 4)]
    weight = (torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    target = indices(1, 12, 12)
    other = torch.where(weight > 0, target, (target + 1) % 3)
    deep = DeepSupervisionLoss(UnifiedFocalLoss())
    targets = [one_hot(t) if soft else t for t in (target, other)]
    assert not torch.equal(*targets)
    first, second = (deep(outputs, given, weight) for given in targets)
    assert first.item() == second.item()
    assert first.item() != deep(outputs, targets[0]).item()


@pytest.mark.parametrize("shape", [(2, 6), (2, 1, 6)])
def test_one_channels_labels_are_averaged_by_weight(shape: tuple[int, ...]) -> None:
    target = torch.tensor([[0.0, 1, 1, 0, 0, 1]] * 2).reshape(shape)
    weight = torch.tensor([[1.0, 1, 0, 0, 0, 0]] * 2)
    ((labels, small),) = received(target, [torch.zeros(2, 1, 2)], weight)
    torch.testing.assert_close(labels, torch.tensor([[0.5, 0.0]] * 2).reshape(*shape[:-1], 2))
    torch.testing.assert_close(small, torch.tensor([[0.5, 0.0]] * 2))


# Lists


def test_lists_give_every_output_its_own() -> None:
    outputs = [logits(1, 3, 8), logits(1, 3, 4)]
    targets, weights = [indices(1, 8), indices(1, 4, seed=9)], (torch.rand(1, 8), torch.rand(1, 4))
    recorder = Recorder()
    DeepSupervisionLoss(recorder)(outputs, targets, weights)
    for i in range(2):
        assert all(torch.equal(a, b) for a, b in zip(recorder.calls[i][1:], (targets[i], weights[i]), strict=True))


def test_a_target_of_the_outputs_size_reaches_the_loss_as_it_is() -> None:
    target = torch.rand(1, 7, 8)
    ((got,),) = received(target, [torch.zeros(1, 3, 8)])
    assert got is target


def test_labels_and_weights_of_the_outputs_size_reach_the_loss_as_they_are() -> None:
    target, weight = torch.rand(1, 3, 8), torch.tensor([[0.0, 1, 2, 3, 4, 5, 6, 7]])
    (got,) = received(target, [torch.zeros(1, 3, 8)], weight)
    assert got[0] is target
    assert got[1] is weight


def test_target_and_weight_map_may_be_of_different_sizes() -> None:
    target, weight = one_hot(indices(1, 8)), torch.arange(16.0)[None]
    (got,) = received(target, [torch.zeros(1, 3, 4)], weight)
    torch.testing.assert_close(got[0], target.reshape(1, 3, 4, 2).mean(3))
    torch.testing.assert_close(got[1], weight.reshape(1, 4, 4).mean(2))


@pytest.mark.parametrize("soft", [False, True])
def test_a_full_weight_map_goes_with_a_list_of_targets(soft: bool) -> None:
    small = indices(1, 4, seed=9)
    targets = [one_hot(t) if soft else t for t in (indices(1, 8), small)]
    weight = torch.arange(8.0)[None]
    recorder = Recorder()
    DeepSupervisionLoss(recorder)([logits(1, 3, 8), logits(1, 3, 4)], targets, weight)
    assert torch.equal(recorder.calls[1][1], targets[1])
    assert recorder.calls[1][2].tolist() == [[0.5, 2.5, 4.5, 6.5] if soft else [1, 3, 5, 7]]


# Other losses, other tensors


def test_any_loss_can_be_wrapped() -> None:
    outputs = [logits(2, 3, 8, 8), logits(2, 3, 4, 4)]
    target = indices(2, 8, 8)
    deep = DeepSupervisionLoss(nn.CrossEntropyLoss())(outputs, target)
    torch.testing.assert_close(deep, DeepSupervisionLoss(CrossEntropyLoss())(outputs, target))
    torch.testing.assert_close(deep, DeepSupervisionLoss(F.cross_entropy)(outputs, target))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_logits_of_other_dtypes(dtype: torch.dtype) -> None:
    outputs = [logits(2, 3, 8, 8), logits(2, 3, 4, 4)]
    deep = DeepSupervisionLoss(UnifiedFocalLoss())
    target = one_hot(indices(2, 8, 8)).to(dtype)
    value = deep([output.to(dtype) for output in outputs], target)
    assert value.item() == pytest.approx(deep(outputs, target).item(), rel=1e-2)


def test_metatensors_may_be_given() -> None:
    data = pytest.importorskip("monai.data")
    outputs = [logits(2, 3, 8, 8), logits(2, 3, 4, 4)]
    target = indices(2, 1, 8, 8)
    deep = DeepSupervisionLoss(UnifiedFocalLoss())
    assert deep(outputs, data.MetaTensor(target)).item() == deep(outputs, target).item()


def test_it_shows_its_loss_and_weights() -> None:
    shown = repr(DeepSupervisionLoss(UnifiedFocalLoss(delta=0.7), weights=[1, 0.5]))
    assert "weights=(1.0, 0.5)" in shown
    assert "UnifiedFocalLoss(delta=0.7" in shown
