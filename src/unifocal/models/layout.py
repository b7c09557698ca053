"""How images, features and weights lie in memory."""

import torch


def channels_last(dimensions: int) -> torch.memory_format:
    """The layout of images (2) or volumes (3) with their channels last."""
    return torch.channels_last if dimensions == 2 else torch.channels_last_3d
