"""Convolutions whose gradients processors get wrong in bfloat16, kept in float32."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

THIN = 2
"""Elements of the shortest axis, up to which a convolution of a volume is done in float32."""


@contextmanager
def thin_volumes_in_float32(network: nn.Module) -> Iterator[None]:
    """Meanwhile, a network's 3D convolutions of very thin inputs leave autocast alone.

    On processors with AMX, oneDNN (as of PyTorch 2.13) gives such weights gradients from memory that nobody wrote,
    where the input has two slices; see also https://github.com/pytorch/pytorch/issues/169688 on thin outputs. They
    are the smallest inputs of a network, so that float32 costs next to nothing.

    Args:
        network: Any; other layers, and larger inputs, are as before.
    """
    changed = [module for module in network.modules() if isinstance(module, nn.Conv3d)]
    for module in changed:
        module.forward = _careful(module)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _careful(module: nn.Conv3d) -> Callable[[Tensor], Tensor]:
    original: Callable[[nn.Conv3d, Tensor], Tensor] = type(module).forward

    def forward(image: Tensor) -> Tensor:
        if min(image.shape[2:]) > THIN:
            return original(module, image)
        with torch.autocast(image.device.type, enabled=False):
            return original(module, image.float())

    return forward
