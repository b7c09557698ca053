"""The ranks of a distributed run; the test of pooling is rank 0 and starts rank 1 from here."""

import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from unifocal.losses import create

NAMES = ("unified_focal", "dice", "hybrid_focal")
SHARE = (slice(0, 2), slice(2, 5))


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Five samples with ignored voxels; the ranks get two and three."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 4, 6, 6, generator=generator, dtype=torch.float64)
    target = torch.randint(-1, 3, (5, 6, 6), generator=generator)
    return images, target


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Conv2d(4, 3, 3, padding=1, dtype=torch.float64)


def losses_and_gradients(model: nn.Module, images: torch.Tensor, target: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    found = {}
    for name in NAMES:
        model.zero_grad()
        loss = create(name, batch=True, ignore_index=-1)(model(images), target)
        loss.backward()
        gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        found[name] = [loss.detach(), *gradients]
    return found


def run(rank: int, folder: Path) -> dict[str, list[torch.Tensor]]:
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=2,
        timeout=timedelta(minutes=5),
    )
    try:
        images, target = (x[SHARE[rank]] for x in data())
        return losses_and_gradients(DistributedDataParallel(network()), images, target)
    finally:
        distributed.destroy_process_group()


if __name__ == "__main__":
    torch.save(run(1, Path(sys.argv[1])), Path(sys.argv[1]) / "rank-1.pt")
