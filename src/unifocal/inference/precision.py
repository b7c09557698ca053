"""A network that segments in less precision, where that is asked for."""

from typing import Literal

import torch
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16"]


def in_precision(network: nn.Module, precision: Precision) -> nn.Module:
    """The network itself for float32; for bfloat16 one whose convolutions round to it, with logits in float32."""
    return network if precision == "float32" else _InBfloat16(network)


class _InBfloat16(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        with torch.autocast(image.device.type, torch.bfloat16):
            logits: Tensor = self.network(image)
        return logits.float()
