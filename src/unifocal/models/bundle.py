"""A trained network in one file: weights, the arguments that rebuild it, and what its input must look like."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unifocal.models.unet import UNet

FORMAT = "unifocal-bundle-1"


def save_bundle(
    path: Path,
    network: UNet,
    *,
    weights: Mapping[str, Tensor] | None = None,
    details: Mapping[str, Any],
) -> None:
    """Write a network to a file; the file appears complete or not at all.

    Args:
        path: The file to write.
        network: The network, whose `arguments` are recorded.
        weights: The state to save; the network's own when None.
        details: Plain values that prediction needs (preprocessing, labels) and that a reader wants to know.
    """
    state = network.state_dict() if weights is None else weights
    content = {
        "format": FORMAT,
        "network": network.arguments,
        "weights": {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()},
        "details": dict(details),
    }
    partial = path.with_name(path.name + ".partial")
    torch.save(content, partial)
    partial.replace(path)


def load_bundle(path: Path) -> tuple[UNet, dict[str, Any]]:
    """Read a network and its details, without executing anything that the file holds.

    Raises:
        ValueError: If the file is not such a bundle.
        OSError: If it cannot be read.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        message = f"{path} is not a model written by unifocal ({type(error).__name__})"
        raise ValueError(message) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        message = f"{path} is not a model written by unifocal"
        raise ValueError(message)
    try:
        network = UNet(**content["network"])
        network.load_state_dict(content["weights"])
        return network.eval(), content["details"]
    except (KeyError, TypeError, RuntimeError) as error:
        message = f"{path} is damaged: its weights do not fit its network"
        raise ValueError(message) from error
