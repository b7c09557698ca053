"""A trained network in one file: weights as safetensors, with a JSON description in its header; nothing is executed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from unifocal.models.networks import NetworkSpec

FORMAT = "unifocal-model-2"


def save_bundle(
    path: Path,
    network: nn.Module,
    spec: NetworkSpec,
    *,
    weights: Mapping[str, Tensor] | None = None,
    details: Mapping[str, Any],
) -> None:
    """Write a network to a file; the file appears complete or not at all.

    Args:
        path: The file to write.
        network: The network.
        spec: What builds it again.
        weights: The state to save; the network's own when None.
        details: Values that JSON holds: what prediction needs (preprocessing, labels) and what a reader wants to know.
    """
    from safetensors.torch import save_file

    state = network.state_dict() if weights is None else weights
    description = {"network": asdict(spec), "details": dict(details)}
    partial = path.with_name(path.name + ".partial")
    # Cloned, because tensors that share memory cannot be stored.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    save_file(tensors, partial, metadata={"format": FORMAT, "description": json.dumps(description)})
    partial.replace(path)


def read_description(path: Path) -> dict[str, Any]:
    """What a network's file says of itself: `network` and `details`; no weights are read.

    Raises:
        ValueError: If the file is no network written by this package.
        OSError: If it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    with path.open("rb"):  # an OSError of its own
        pass
    try:
        with safe_open(path, framework="pt") as file:
            said = file.metadata() or {}
        if said.get("format") == FORMAT:
            description: dict[str, Any] = json.loads(said["description"])
            return description
    except (SafetensorError, ValueError, KeyError) as error:
        message = f"{path} is not a model written by unifocal ({type(error).__name__})"
        raise ValueError(message) from error
    message = f"{path} is not a model written by unifocal"
    raise ValueError(message)


def load_bundle(path: Path) -> tuple[nn.Module, NetworkSpec, dict[str, Any]]:
    """Read a network, what it is, and its details.

    Raises:
        ValueError: If the file is no network written by this package, is damaged, or names a network that is not
            installed here.
        OSError: If it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    description = read_description(path)
    try:
        spec = NetworkSpec(**description["network"])
        network = spec.build()
        network.load_state_dict(load_file(path))
        return network.eval(), spec, description["details"]
    except (KeyError, TypeError, RuntimeError, SafetensorError) as error:
        message = f"{path} is damaged: its weights do not fit its network"
        raise ValueError(message) from error
