"""Networks by name: the sources' own, the plain U-Net with any arguments, and anybody else's class."""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from unifocal.models.unet import UNet

_DIMENSION_NAMES = ("spatial_dims", "dimensions")
_MONAI = "monai.networks.nets"


@dataclass(frozen=True)
class Preset:
    """A named U-Net.

    Attributes:
        name: As settings call it.
        dimensions: 2 or 3 where its source has it for one of them only; None: both.
        arguments: Of `UNet`.
        source: Where the numbers are from, and which of them could not be confirmed.
    """

    name: str
    dimensions: int | None
    arguments: Mapping[str, Any]
    source: str


_SOURCE_B = {"normalization": "instance", "initialization": "xavier", "dropout": []}
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset("unet", None, {}, "Ronneberger et al. 2015; widths and dropout of the brain-tumour study."),
            Preset(
                "volumes", 3,
                {"width": 16, "depth": 4, "normalization": "instance", "initialization": "he", "dropout": []},
                "No source's: the U-Net of the brain-tumour study in 3D, with instance normalisation, without dropout.",
            ),
            Preset(
                "source_a", 2,
                {"width": 16, "depth": 4, "dropout": [0.1, 0.1, 0.2, 0.2, 0.3], "initialization": "he"},
                "The brain-tumour study (PROTOCOLS, A): widths 16 to 256, 1,941,105 parameters with 3 channels.",
            ),
            Preset(
                "source_b_2d", 2, {"width": 64, "depth": 4, **_SOURCE_B},
                "The Unified Focal study (PROTOCOLS, B): the original 2D U-Net, widths 64 to 1024 (not confirmed), "
                "with instance normalisation and Xavier initialisation.",
            ),
            Preset(
                "source_b_3d", 3, {"width": 32, "depth": 4, **_SOURCE_B},
                "The Unified Focal study (PROTOCOLS, B): 3D U-Net, widths 32 to 512 (those of the MIScnn library, not "
                "confirmed), with instance normalisation and Xavier initialisation.",
            ),
        )
    }
)  # fmt: skip
"""The named networks."""


@dataclass(frozen=True)
class NetworkSpec:
    """A network as plain values: what a file keeps to build it again.

    Attributes:
        name: A name in `PRESETS`; `monai:NAME` for a class of `monai.networks.nets`; or `package.module:NAME`.
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        dimensions: 2 for images, 3 for volumes.
        arguments: Further arguments; they go before those of a preset.
    """

    name: str
    in_channels: int
    out_channels: int
    dimensions: int
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        """The network, with weights from PyTorch's random state.

        Raises:
            ValueError: If there is no such network, or it does not take the arguments.
        """
        if ":" in self.name:
            return self._build_other()
        preset = PRESETS.get(self.name)
        if preset is None:
            near = get_close_matches(self.name, PRESETS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            message = f"there is no network {self.name!r}: {hint}known are {', '.join(PRESETS)}, and monai:NAME"
            raise ValueError(message)
        if preset.dimensions not in {None, self.dimensions}:
            message = f"the network {self.name} is for {preset.dimensions}D images, and these are {self.dimensions}D"
            raise ValueError(message)
        arguments = {**preset.arguments, **self.arguments}
        try:
            return UNet(self.in_channels, self.out_channels, dimensions=self.dimensions, **arguments)
        except TypeError as error:
            message = f"the network {self.name} does not take these arguments: {error}"
            raise ValueError(message) from error

    def _build_other(self) -> nn.Module:
        package, _, name = self.name.rpartition(":")
        kind = _find(_MONAI if package == "monai" else package, name)
        parameters = inspect.signature(kind).parameters
        known = {"in_channels": self.in_channels, "out_channels": self.out_channels}
        known |= dict.fromkeys(_DIMENSION_NAMES, self.dimensions)
        given = {key: value for key, value in known.items() if key in parameters} | dict(self.arguments)
        try:
            network: nn.Module = kind(**given)
        except Exception as error:
            needed = [key for key, p in parameters.items() if p.default is p.empty and p.kind in _NAMED]
            message = f"{self.name} could not be built ({error}); it needs {', '.join(needed) or 'no arguments'}"
            raise ValueError(message) from error
        return network


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def try_network(network: nn.Module, spec: NetworkSpec, size: tuple[int, ...]) -> str:
    """Give a network one batch of zeros, as training and prediction will.

    Args:
        network: What `spec` built.
        spec: What is expected of it.
        size: (*spatial) of what it is to take.

    Returns:
        What is wrong with it; empty if nothing is.
    """
    training = network.training
    try:
        with torch.inference_mode():
            outputs = network.eval()(torch.zeros(1, spec.in_channels, *size))
    except Exception as error:  # noqa: BLE001 - somebody else's code may raise anything
        return f"failed on an image of {' x '.join(map(str, size))}: {type(error).__name__}: {error}"
    finally:
        network.train(training)
    wanted = (1, spec.out_channels, *size)
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) != wanted:
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        return f"gave {got} in evaluation mode, expected logits of {wanted}"
    return ""


def _find(module: str, name: str) -> Any:
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        message = f"{module} cannot be imported ({error}); install the package that holds the network {name}"
        raise ValueError(message) from error
    # The name may come from a model's file: nothing but a network may be called.
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        message = f"{module} has no network {name!r}: a class derived from torch.nn.Module"
        raise ValueError(message)
    return found
