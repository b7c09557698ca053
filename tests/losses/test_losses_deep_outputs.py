"""Deep supervision: which outputs a network may give, and what is refused."""

import pytest
import torch
from losses_deep import indices, logits, one_hot
from torch import Tensor, nn

from unifocal.losses import UnifiedFocalLoss
from unifocal.losses.deep_supervision import DeepSupervisionLoss

# One tensor


@pytest.mark.parametrize(
    ("output", "target"),
    [
        (logits(2, 3, 7), indices(2, 7)),
        (logits(2, 3, 8, 8), indices(2, 8, 8)),
        (logits(2, 3, 8, 8), indices(2, 1, 8, 8)),
        (logits(2, 3, 8, 8), one_hot(indices(2, 8, 8))),
        (logits(2, 3, 4, 8, 8), indices(2, 4, 8, 8)),
        (logits(2, 3, 4, 8, 8), indices(2, 1, 4, 8, 8)),
        (logits(2, 3, 4, 8, 8), one_hot(indices(2, 4, 8, 8))),
        (logits(2, 1, 4, 8, 8), indices(2, 4, 8, 8, classes=2).float()),
        (logits(2, 2, 4, 8, 8), indices(2, 4, 8, 8, classes=2)),
    ],
)
def test_one_tensor_of_logits_is_just_the_loss(output: Tensor, target: Tensor) -> None:
    loss = UnifiedFocalLoss()
    weight = torch.rand(2, *output.shape[2:])
    deep = DeepSupervisionLoss(loss, weights=[1, 0.5, 0.25])
    assert torch.equal(deep(output, target), loss(output, target))
    assert torch.equal(deep(output, target, weight), loss(output, target, weight))
    assert torch.equal(deep(output, [target, target], [weight, weight]), loss(output, target, weight))


@pytest.mark.parametrize(
    ("size", "channels", "target"),
    [
        ((8, 8), 3, indices(2, 8, 8)),
        ((8, 8), 3, indices(2, 1, 8, 8)),
        ((8, 8), 3, one_hot(indices(2, 8, 8))),
        ((8, 8), 3, one_hot(indices(2, 8, 8)).long()),
        ((8, 8), 1, indices(2, 1, 8, 8, classes=2).float()),
        ((4, 8, 8), 3, indices(2, 4, 8, 8)),
        ((4, 8, 8), 3, indices(2, 1, 4, 8, 8)),
        ((4, 8, 8), 3, one_hot(indices(2, 4, 8, 8))),
    ],
)
def test_stacked_outputs_are_a_list(size: tuple[int, ...], channels: int, target: Tensor) -> None:
    stacked = logits(2, 3, channels, *size)
    deep = DeepSupervisionLoss(UnifiedFocalLoss())
    assert torch.equal(deep(stacked, target), deep(list(stacked.unbind(1)), target))


def test_volumes_of_several_labels_are_just_the_loss() -> None:
    loss = UnifiedFocalLoss(activation="sigmoid")
    output, target = logits(2, 1, 4, 8, 8), indices(2, 4, 8, 8, classes=2)
    assert torch.equal(DeepSupervisionLoss(loss)(output, target), loss(output, target))
    with pytest.raises(ValueError, match=r"\(2, 5, 8, 8\).*\(2, 3, 4, 8, 8\)"):
        DeepSupervisionLoss(loss)(logits(2, 3, 4, 8, 8), indices(2, 5, 8, 8, classes=2))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_heads_of_one_channel_are_not_taken_for_volumes_of_one_slice(dtype: torch.dtype) -> None:
    output, target = logits(2, 2, 1, 8, 8), indices(2, 1, 8, 8, classes=2).to(dtype)
    loss = UnifiedFocalLoss()
    deep = DeepSupervisionLoss(loss)
    with pytest.raises(ValueError, match=r"\(2, 2, 1, 8, 8\).*unbind\(1\).*unsqueeze\(1\)"):
        deep(output, target)
    volume = deep(output, target.unsqueeze(1))
    assert torch.equal(volume, loss(output, target))
    heads = deep(output.unbind(1), target)
    torch.testing.assert_close(heads, (2 * loss(output[:, 0], target) + loss(output[:, 1], target)) / 3)
    assert heads.item() != pytest.approx(volume.item())
    assert torch.equal(deep(output, target.float()), heads)
    several = DeepSupervisionLoss(UnifiedFocalLoss(activation="sigmoid"))  # volumes would need a mask per channel
    assert torch.equal(several(output, target), several(output.unbind(1), target))
    single = logits(2, 1, 1, 8, 8)
    assert torch.equal(deep(single, target), loss(single, target))


def test_stacked_outputs_of_several_labels_are_a_list() -> None:
    stacked = logits(2, 4, 3, 8, 8)
    target = indices(2, 3, 8, 8, classes=2).float()
    deep = DeepSupervisionLoss(UnifiedFocalLoss(activation="sigmoid"))
    assert torch.equal(deep(stacked, target), deep(stacked.unbind(1), target))


@pytest.mark.parametrize("size", [(32, 32), (16, 16, 16)])
@pytest.mark.parametrize("channels", [1, 3])
def test_dynunet_in_both_modes(size: tuple[int, ...], channels: int) -> None:
    nets = pytest.importorskip("monai.networks.nets")
    network = nets.DynUNet(
        spatial_dims=len(size),
        in_channels=1,
        out_channels=channels,
        kernel_size=[3, 3, 3, 3],
        strides=[1, 2, 2, 2],
        upsample_kernel_size=[2, 2, 2],
        filters=[4, 4, 4, 4],
        deep_supervision=True,
        deep_supr_num=2,
    )
    image, target = torch.randn(2, 1, *size), indices(2, 1, *size, classes=max(2, channels))
    target = target.float() if channels == 1 else target
    loss = UnifiedFocalLoss()
    deep = DeepSupervisionLoss(loss)
    outputs = network(image)
    assert outputs.shape == (2, 3, channels, *size)
    value = deep(outputs, target)
    heads = [loss(outputs[:, i], target) for i in range(3)]
    torch.testing.assert_close(value, (4 * heads[0] + 2 * heads[1] + heads[2]) / 7)
    value.backward()
    assert all(head.conv.conv.weight.grad.any() for head in network.deep_supervision_heads)
    output = network.eval()(image)
    assert torch.equal(deep(output, target), loss(output, target))


# Errors


@pytest.mark.parametrize(
    ("loss", "weights", "error", "message"),
    [
        (None, None, TypeError, r"loss must be something to call"),
        (UnifiedFocalLoss, None, TypeError, r"loss must be something to call"),
        (nn.CrossEntropyLoss(), [1, -0.5], ValueError, r"weights\[1\] must lie in \[0, inf\), got -0.5"),
        (nn.CrossEntropyLoss(), [1, float("nan")], ValueError, r"weights\[1\] must lie in"),
        (nn.CrossEntropyLoss(), [0, 0], ValueError, r"weights needs a number above 0"),
        (nn.CrossEntropyLoss(), [], ValueError, r"weights needs a number above 0"),
        (nn.CrossEntropyLoss(), ["1"], TypeError, r"weights\[0\] must be a number"),
        (nn.CrossEntropyLoss(), 0.5, TypeError, r"weights needs one number per output, got 0.5"),
        (nn.CrossEntropyLoss(), "1", TypeError, r"weights needs one number per output, got '1'"),
    ],
)
def test_wrong_parameters_are_refused(loss: object, weights: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        DeepSupervisionLoss(loss, weights)


TWO = [torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 4, 4)]


@pytest.mark.parametrize(
    ("outputs", "target", "weight", "error", "message"),
    [
        (TWO[:1], indices(1, 8, 8), None, ValueError, r"weights has 2 values, but the network gave 1 outputs"),
        ([*TWO, TWO[1]], indices(1, 8, 8), None, ValueError, r"weights has 2 values, but the network gave 3 outputs"),
        ([], indices(1, 8, 8), None, ValueError, r"at least one tensor"),
        ({"out": TWO[0]}, indices(1, 8, 8), None, TypeError, r"list or tuple of tensors, got dict"),
        ([TWO[0], None], indices(1, 8, 8), None, TypeError, r"outputs\[1\] must be a tensor, got NoneType"),
        ([TWO[0], torch.zeros(3)], indices(1, 8, 8), None, ValueError, r"outputs\[1\] must have the shape"),
        (TWO, [indices(1, 8, 8)], None, ValueError, r"target is a list of 1, but the network gave 2 outputs"),
        (TWO, indices(1, 8, 8), [torch.ones(1, 8, 8)] * 3, ValueError, r"weight is a list of 3"),
        (TWO, indices(1, 4, 8), None, ValueError, r"target has the shape \(1, 4, 8\).*at least \(8, 8\)"),
        (TWO, indices(2, 9, 9), None, ValueError, r"target has the shape \(2, 9, 9\).*N = 1, C = 3"),
        (TWO, indices(1, 2, 9, 9), None, ValueError, r"target has the shape \(1, 2, 9, 9\)"),
        (TWO, indices(8), None, ValueError, r"target has the shape \(8,\)"),
        (TWO, indices(1, 8, 8), torch.ones(1, 8), ValueError, r"weight has the shape \(1, 8\)"),
        ([torch.zeros(1, 2, 4, 4, 4, 4)] * 2, torch.zeros(1, 2, 5, 4, 4, 4), None, ValueError, r"1 to 3 spatial axes"),
    ],
)
def test_what_does_not_fit_is_refused(
    outputs: list[Tensor], target: Tensor, weight: Tensor | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        DeepSupervisionLoss(nn.CrossEntropyLoss(), weights=[1, 0.5])(outputs, target, weight)
