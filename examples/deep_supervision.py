"""Deep supervision of MONAI's `DynUNet`, in a plain loop.

In training mode the network gives the logits of three resolutions, in eval mode those of the full resolution
alone; the same `DeepSupervisionLoss` takes both. Run with `python examples/deep_supervision.py`.
"""

import torch
from monai.networks.nets import DynUNet
from torch import Tensor

from unifocal.losses import DeepSupervisionLoss, UnifiedFocalLoss


def volumes(count: int, size: int = 24) -> tuple[Tensor, Tensor]:
    """Noisy volumes (N, 1, D, H, W) of one small ball each, and their masks (N, 1, D, H, W), int64."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(size)] * 3, indexing="ij"))
    centre, radius = torch.randint(6, size - 6, (count, 3, 1, 1, 1)), torch.randint(3, 6, (count, 1, 1, 1))
    masks = (((grid - centre) ** 2).sum(1) <= radius**2).long().unsqueeze(1)
    return masks + 0.5 * torch.randn(masks.shape), masks


def main(steps: int = 40) -> tuple[list[float], float]:
    """Train; returns the loss of every step, and the Dice coefficient on unseen volumes."""
    torch.manual_seed(0)
    network = DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=2,
        kernel_size=[3, 3, 3, 3],
        strides=[1, 2, 2, 2],
        upsample_kernel_size=[2, 2, 2],
        filters=[8, 16, 32, 32],
        deep_supervision=True,
        deep_supr_num=2,
    )
    loss = DeepSupervisionLoss(UnifiedFocalLoss(delta=0.6, gamma=0.5))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    history = []
    for step in range(steps):
        images, masks = volumes(4)
        value = loss(network(images), masks)  # (N, 3 resolutions, 2 classes, D, H, W)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        history.append(value.item())
        if step % 5 == 0 or step == steps - 1:
            print(f"step {step:3d}  loss {history[-1]:.4f}")

    images, masks = volumes(8)
    with torch.no_grad():
        logits = network.eval()(images)  # (N, 2 classes, D, H, W)
        print(f"loss on unseen volumes {loss(logits, masks).item():.4f}")
    found = logits.argmax(1, keepdim=True)
    dice = 2 * (found * masks).sum() / (found + masks).sum()
    print(f"Dice on unseen volumes {dice:.3f}")
    return history, dice.item()


if __name__ == "__main__":
    main()
