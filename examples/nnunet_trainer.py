"""The Unified Focal loss in nnU-Net v2: a trainer whose only change is its loss.

nnU-Net finds a trainer by its class name, in its own folder `nnunetv2/training/nnUNetTrainer` or (newer versions) in
the folders that the environment variable `nnUNet_extTrainer` names. Put this file there, then

    nnUNetv2_train DATASET 3d_fullres 0 -tr nnUNetTrainerUnifiedFocal

What nnU-Net gives its loss: under deep supervision a list of logits (N, C, *spatial_i), the finest first, and a list of
targets of the same sizes. A target holds class indices (N, 1, *spatial), int16 (float32 in older versions), where the
ignore label, if there is one, is the number after the last class. In region-based training it holds one channel per
region (N, R, *spatial), boolean, and one more, the last, that is true where the ignore label is.

Without nnU-Net, `python examples/nnunet_trainer.py` trains a toy network on batches of this form.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unifocal.losses import DeepSupervisionLoss, UnifiedFocalLoss

try:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer as Trainer
except ModuleNotFoundError:
    Trainer = object


class LastChannelIgnored(nn.Module):
    """A loss of regions (N, R, *spatial) whose target's channel R + 1 says what to ignore."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss where the last channel is 0."""
        value: Tensor = self.loss(logits, target[:, :-1], weight=(target[:, -1:] == 0).float())
        return value


def build_loss(
    *, regions: bool, ignore_label: int | None, batch_dice: bool, outputs: int | None, distributed: bool = False
) -> nn.Module:
    """The Unified Focal loss for nnU-Net's logits and targets.

    Args:
        regions: Whether the training is region-based: overlapping labels, a sigmoid per channel.
        ignore_label: The label that marks unlabelled voxels; None for none.
        batch_dice: Whether the plans want the batch to count as one sample.
        outputs: How many outputs deep supervision has; None without it.
        distributed: Whether `DistributedDataParallel` is in use.
    """
    loss: nn.Module
    if regions:
        loss = UnifiedFocalLoss(delta=0.6, gamma=0.5, activation="sigmoid", batch=batch_dice)
        loss = loss if ignore_label is None else LastChannelIgnored(loss)
    else:
        loss = UnifiedFocalLoss(delta=0.6, gamma=0.5, ignore_index=ignore_label, batch=batch_dice)
    if outputs is None:
        return loss
    weights = [0.5**i for i in range(outputs)]
    if outputs > 1:
        # As nnU-Net does: the coarsest output does not count, but DistributedDataParallel needs all parameters.
        weights[-1] = 1e-6 if distributed else 0.0
    return DeepSupervisionLoss(loss, [weight / sum(weights) for weight in weights])


class nnUNetTrainerUnifiedFocal(Trainer):  # noqa: N801
    """nnU-Net's trainer with the Unified Focal loss."""

    def _build_loss(self) -> nn.Module:
        return build_loss(
            regions=self.label_manager.has_regions,
            ignore_label=self.label_manager.ignore_label,
            batch_dice=self.configuration_manager.batch_dice,
            outputs=len(self._get_deep_supervision_scales()) if self.enable_deep_supervision else None,
            distributed=self.is_ddp,
        )


class ToyNetwork(nn.Module):
    """Three resolutions, and like nnU-Net's networks a list of logits, the finest first."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(1 if i == 0 else 12, 12, 5, padding=2) for i in range(3))
        self.heads = nn.ModuleList(nn.Conv2d(12, classes, 1) for _ in range(3))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 1, H, W) to logits of the sizes 1, 1/2 and 1/4."""
        features = []
        for i, block in enumerate(self.blocks):
            x = F.relu(block(x if i == 0 else F.max_pool2d(x, 2)))
            features.append(x)
        for i in (1, 0):
            features[i] = features[i] + F.interpolate(features[i + 1], scale_factor=2.0)
        return [head(feature) for head, feature in zip(self.heads, features, strict=True)]


def batch(count: int, ignore_label: int, size: int = 64) -> tuple[Tensor, list[Tensor]]:
    """Noisy images of one disc each, and targets (N, 1, H, W) of three sizes, unlabelled on the left."""
    axis = torch.arange(size)
    centre, radius = torch.randint(12, size - 12, (count, 2, 1, 1)), torch.randint(4, 9, (count, 1, 1))
    target = ((axis[:, None] - centre[:, 0]) ** 2 + (axis - centre[:, 1]) ** 2 <= radius**2).short().unsqueeze(1)
    images = target + 0.7 * torch.randn(target.shape)
    target[..., :8] = ignore_label
    return images, [target[..., step // 2 :: step, step // 2 :: step] for step in (1, 2, 4)]


def dice(logits: Sequence[Tensor], targets: Sequence[Tensor], ignore_label: int) -> float:
    """The Dice coefficient of the finest output, where there are labels."""
    found, true = logits[0].argmax(1, keepdim=True) == 1, targets[0] == 1
    found = found & (targets[0] != ignore_label)
    return (2 * (found & true).sum() / (found.sum() + true.sum())).item()


def main(steps: int = 60) -> tuple[list[float], float]:
    """Train; returns the loss of every step, and the Dice coefficient on unseen images."""
    torch.manual_seed(0)
    network = ToyNetwork(classes=2)
    loss = build_loss(regions=False, ignore_label=2, batch_dice=False, outputs=3)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.95, nesterov=True)
    history = []
    for step in range(steps):
        images, targets = batch(8, ignore_label=2)
        value = loss(network(images), targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        history.append(value.item())
        if step % 10 == 0 or step == steps - 1:
            print(f"step {step:3d}  loss {history[-1]:.4f}")
    images, targets = batch(32, ignore_label=2)
    with torch.no_grad():
        score = dice(network(images), targets, ignore_label=2)
    print(f"Dice on unseen images {score:.3f}")
    return history, score


if __name__ == "__main__":
    main()
