"""The Unified Focal loss in a plain PyTorch loop.

2D images, two classes, int64 masks, a small object on a large background; the loss may be computed under
bfloat16 autocast. Run with `python examples/pytorch_loop.py` or, where the processor computes in bfloat16
(elsewhere it takes minutes), `python examples/pytorch_loop.py --bf16`.
"""

import argparse

import torch
from torch import Tensor, nn

from unifocal.losses import UnifiedFocalLoss


def scans(count: int, size: int = 64) -> tuple[Tensor, Tensor]:
    """Noisy images (N, 1, H, W) of one small disc each, and their masks (N, H, W) of class indices, int64."""
    axis = torch.arange(size)
    centre, radius = torch.randint(8, size - 8, (count, 2, 1, 1)), torch.randint(3, 7, (count, 1, 1))
    masks = ((axis[:, None] - centre[:, 0]) ** 2 + (axis - centre[:, 1]) ** 2 <= radius**2).long()
    images = masks.unsqueeze(1) + 0.7 * torch.randn(count, 1, size, size)
    return images, masks


def main(steps: int = 80, *, bf16: bool = False) -> tuple[list[float], float]:
    """Train a small network; returns the loss of every step, and the Dice coefficient on unseen images."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 16, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 2, 1),  # two classes: background and object; no softmax, the loss takes logits
    )
    loss = UnifiedFocalLoss(delta=0.6, gamma=0.5)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    history = []
    for step in range(steps):
        images, masks = scans(8)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = network(images)
            value = loss(logits, masks)  # float32, whatever autocast says
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        history.append(value.item())
        if step % 10 == 0 or step == steps - 1:
            print(f"step {step:3d}  loss {history[-1]:.4f}")

    images, masks = scans(32)
    with torch.no_grad():
        found = network(images).argmax(1)
    dice = 2 * (found * masks).sum() / (found + masks).sum()
    print(f"Dice on unseen images {dice:.3f}")
    return history, dice.item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16 where autocast does")
    parser.add_argument("--steps", type=int, default=80, help="how many batches to train on")
    given = parser.parse_args()
    main(given.steps, bf16=given.bf16)
