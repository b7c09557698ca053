"""Logits, targets and a loss that listens, for the tests of deep supervision."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def logits(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def indices(*shape: int, classes: int = 3, seed: int = 1) -> Tensor:
    return torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(seed))


def one_hot(target: Tensor, classes: int = 3) -> Tensor:
    return F.one_hot(target, classes).movedim(-1, 1).float()


class Recorder(nn.Module):
    """A loss that keeps what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, ...]] = []

    def forward(self, *given: Tensor) -> Tensor:
        self.calls.append(given)
        return given[0].mean()
