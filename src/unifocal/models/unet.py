"""The U-Net of Ronneberger et al. (2015, arXiv:1505.04597), for images and volumes alike."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Normalization = Literal["none", "batch", "instance", "group"]
Initialization = Literal["he", "xavier"]

_CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL: dict[int, type[nn.Module]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}

_BATCH: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE: dict[int, type[nn.Module]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}

# Keras' he_normal draws from a normal cut at two standard deviations and widens it to keep the variance.
_CUT_NORMAL_STD = 0.87962566103423978


class UNet(nn.Module):
    """A U-Net: `depth` poolings, two 3x3 convolutions per block, transposed convolutions, skips.

    The defaults with three channels in and one out are the network of the brain-tumour study (PROTOCOLS.md,
    A): widths 16 to 256, dropout between the two convolutions of each block, He-normal weights, no
    normalisation; 1,941,105 parameters.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the logits: 1 for foreground against background, else one per class.
        dimensions: 2 for images, 3 for volumes.
        width: Channels of the first block; each level doubles it.
        depth: Number of poolings.
        dropout: Dropout rate of each encoding block from the top, the bottleneck last (`depth + 1` rates); the
            decoding blocks mirror them. A shorter sequence is continued with its last rate.
        normalization: What follows each 3x3 convolution.
        initialization: `he` (normal, for the 3x3 convolutions; the others Glorot-uniform, as Keras does) or
            `xavier` (Glorot-uniform for all).

    Shape:
        (N, in_channels, *spatial) to (N, out_channels, *spatial). Any spatial size: it is padded with
        zeros to a multiple of 2**depth inside, and cropped again.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dimensions: int = 2,
        width: int = 16,
        depth: int = 4,
        dropout: Sequence[float] = (0.1, 0.1, 0.2, 0.2, 0.3),
        normalization: Normalization = "none",
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        if dimensions not in _CONV:
            message = f"dimensions must be 2 or 3, got {dimensions}"
            raise ValueError(message)
        if min(in_channels, out_channels, width, depth) < 1:
            message = (
                "in_channels, out_channels, width and depth must be at least 1, got "
                f"{in_channels}, {out_channels}, {width}, {depth}"
            )
            raise ValueError(message)
        _check_choice("normalization", normalization, get_args(Normalization))
        _check_choice("initialization", initialization, get_args(Initialization))
        self.arguments = {
            "in_channels": in_channels, "out_channels": out_channels, "dimensions": dimensions, "width": width,
            "depth": depth, "dropout": list(dropout), "normalization": normalization, "initialization": initialization,
        }  # fmt: skip
        self.in_channels = in_channels
        self.multiple = 2**depth
        rates = [*dropout, *[dropout[-1] if dropout else 0.0] * (depth + 1)][: depth + 1]
        widths = [width * 2**level for level in range(depth + 1)]
        self.pool = _POOL[dimensions](2)
        self.encoder = nn.ModuleList(
            _block(dimensions, before, after, rate, normalization)
            for before, after, rate in zip([in_channels, *widths], widths, rates, strict=False)
        )
        self.up = nn.ModuleList(
            _TRANSPOSED[dimensions](2 * narrow, narrow, kernel_size=2, stride=2) for narrow in reversed(widths[:-1])
        )
        self.decoder = nn.ModuleList(
            _block(dimensions, 2 * narrow, narrow, rate, normalization)
            for narrow, rate in zip(reversed(widths[:-1]), reversed(rates[:-1]), strict=True)
        )
        self.head = _CONV[dimensions](width, out_channels, kernel_size=1)
        _initialize(self, initialization)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, out_channels, *spatial) of images (N, in_channels, *spatial)."""
        size = image.shape[2:]
        x = _pad_to_multiple(image, self.multiple)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        for up, block, skip in zip(self.up, self.decoder, reversed(skips[:-1]), strict=True):
            x = block(torch.cat([up(x), skip], dim=1))
        logits: Tensor = self.head(x)
        for axis, length in enumerate(size, start=2):
            logits = logits.narrow(axis, 0, length)
        return logits


def _block(dimensions: int, before: int, after: int, rate: float, normalization: Normalization) -> nn.Sequential:
    def convolution(channels: int) -> list[nn.Module]:
        return [
            _CONV[dimensions](channels, after, kernel_size=3, padding=1),
            *_normalization(dimensions, after, normalization),
            nn.ReLU(inplace=True),
        ]

    dropout = [nn.Dropout(rate)] if rate else []
    return nn.Sequential(*convolution(before), *dropout, *convolution(after))


def _normalization(dimensions: int, channels: int, name: Normalization) -> list[nn.Module]:
    if name == "none":
        return []
    if name == "batch":
        return [_BATCH[dimensions](channels)]
    if name == "instance":
        return [_INSTANCE[dimensions](channels, affine=True)]
    groups = next(count for count in (8, 4, 2, 1) if channels % count == 0)
    return [nn.GroupNorm(groups, channels)]


def _check_choice(argument: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        message = f"{argument} must be one of {', '.join(choices)}, got {value!r}"
        raise ValueError(message)


def _initialize(network: nn.Module, name: Initialization) -> None:
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            continue
        fan_in = module.weight[0].numel()
        is_block_convolution = not module.transposed and module.weight[0, 0].numel() > 1
        if name == "he" and is_block_convolution:
            std = (2 / fan_in) ** 0.5 / _CUT_NORMAL_STD
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        else:
            nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    missing = [-length % multiple for length in image.shape[2:]]
    if not any(missing):
        return image
    return nn.functional.pad(image, [amount for length in reversed(missing) for amount in (0, length)])
