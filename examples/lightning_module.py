"""The Unified Focal loss in a Lightning module.

2D images with three classes (background, disc, ring), masks (N, 1, H, W) of uint8 with an unlabelled
border that the loss ignores. Run with `python examples/lightning_module.py`.
"""

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from unifocal.losses import UnifiedFocalLoss

UNLABELLED = 255


def scans(count: int, size: int = 48) -> TensorDataset:
    """Noisy images (N, 1, H, W) of a disc in a ring, and their masks (N, 1, H, W), unlabelled at the border."""
    axis = torch.arange(size)
    centre, radius = torch.randint(12, size - 12, (count, 2, 1, 1)), torch.randint(3, 6, (count, 1, 1))
    distance = ((axis[:, None] - centre[:, 0]) ** 2 + (axis - centre[:, 1]) ** 2).sqrt()
    masks = ((distance <= radius + 3).byte() * 2 - (distance <= radius).byte()).unsqueeze(1)
    images = masks + 0.5 * torch.randn(count, 1, size, size)
    masks[:, :, :4] = masks[:, :, -4:] = UNLABELLED
    return TensorDataset(images, masks)


class Segmentation(lightning.LightningModule):
    """A small network, trained with the Unified Focal loss."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 16, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 3, 1),
        )
        self.loss = UnifiedFocalLoss(delta=0.6, gamma=0.5, ignore_index=UNLABELLED)
        self.history: list[float] = []

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:  # noqa: ARG002
        """The loss of one batch."""
        images, masks = batch
        value: Tensor = self.loss(self.network(images), masks)
        self.history.append(value.item())
        return value

    def on_train_epoch_end(self) -> None:
        """Say how the training goes."""
        print(f"epoch {self.current_epoch}  loss {self.history[-1]:.4f}")

    def validation_step(self, batch: list[Tensor], index: int) -> None:  # noqa: ARG002
        """The Dice coefficient of each class but the background, where there are labels."""
        images, masks = batch
        found, labelled = self.network(images).argmax(1, keepdim=True), masks != UNLABELLED
        for label, name in ((1, "dice_disc"), (2, "dice_ring")):
            a, b = (found == label) & labelled, masks == label
            self.log(name, 2 * (a & b).sum() / (a.sum() + b.sum()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def main(epochs: int = 8) -> tuple[list[float], float]:
    """Train; returns the loss of every step, and the lower of the two Dice coefficients on unseen images."""
    lightning.seed_everything(0, verbose=False)
    module = Segmentation()
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    training, unseen = DataLoader(scans(128), batch_size=8, shuffle=True), DataLoader(scans(32), batch_size=32)
    trainer.fit(module, training, unseen)
    scores = {name: value.item() for name, value in trainer.callback_metrics.items()}
    for name, dice in scores.items():
        print(f"{name} on unseen images {dice:.3f}")
    return module.history, min(scores.values())


if __name__ == "__main__":
    main()
