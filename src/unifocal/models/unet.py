"""The U-Net of Ronneberger et al. (2015, arXiv:1505.04597), for images and volumes alike."""

from collections.abc import Sequence
from math import prod
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from unifocal.models.dropped_relu import DroppedReLU
from unifocal.models.instance_norm import InstanceNorm2d, InstanceNorm3d
from unifocal.models.joining import raise_and_join

Normalization = Literal["none", "batch", "instance", "group"]
Initialization = Literal["he", "xavier"]

_CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL: dict[int, type[nn.Module]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}

_BATCH: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE: dict[int, type[nn.Module]] = {2: InstanceNorm2d, 3: InstanceNorm3d}

# Keras' he_normal draws from a normal cut at two standard deviations and widens it to keep the variance.
_CUT_NORMAL_STD = 0.87962566103423978


class UNet(nn.Module):
    """A U-Net: `depth` poolings, two 3x3 convolutions per block, transposed convolutions, skips.

    The defaults with three channels in and one out are the network of source A, the brain-tumour
    study: widths 16 to 256, dropout between the two convolutions of each block, He-normal weights, no
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
        strides: How much each of the `depth` poolings shrinks each axis, 1 or 2: for volumes whose slices lie far
            apart, `strides_for` gives them. None: 2 everywhere.
        deep_supervision: How many coarser outputs the network gives in training mode, besides the full one (Dou et
            al. 2017); at most `depth - 1`.

    Shape:
        (N, in_channels, *spatial) to (N, out_channels, *spatial). Any spatial size: it is padded with
        zeros to a multiple of the strides' product inside, and cropped again. In training mode with deep
        supervision: a list of such tensors, the full size first, then that of each coarser level.

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
        strides: Sequence[Sequence[int]] | None = None,
        deep_supervision: int = 0,
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
        self.strides = _checked_strides(strides, depth, dimensions)
        if not 0 <= deep_supervision < depth:
            message = f"deep_supervision must lie between 0 and depth - 1 = {depth - 1}, got {deep_supervision}"
            raise ValueError(message)
        self.arguments = {
            "in_channels": in_channels, "out_channels": out_channels, "dimensions": dimensions, "width": width,
            "depth": depth, "dropout": list(dropout), "normalization": normalization, "initialization": initialization,
            "strides": [list(level) for level in self.strides], "deep_supervision": deep_supervision,
        }  # fmt: skip
        self.in_channels = in_channels
        self.multiple = tuple(prod(level[axis] for level in self.strides) for axis in range(dimensions))
        rates = [*dropout, *[dropout[-1] if dropout else 0.0] * (depth + 1)][: depth + 1]
        widths = [width * 2**level for level in range(depth + 1)]
        self.pool = nn.ModuleList(_POOL[dimensions](level) for level in self.strides)
        self.encoder = nn.ModuleList(
            _block(dimensions, before, after, rate, normalization)
            for before, after, rate in zip([in_channels, *widths], widths, rates, strict=False)
        )
        self.up = nn.ModuleList(
            _TRANSPOSED[dimensions](2 * narrow, narrow, kernel_size=level, stride=level)
            for narrow, level in zip(reversed(widths[:-1]), reversed(self.strides), strict=True)
        )
        self.decoder = nn.ModuleList(
            _block(dimensions, 2 * narrow, narrow, rate, normalization)
            for narrow, rate in zip(reversed(widths[:-1]), reversed(rates[:-1]), strict=True)
        )
        self.head = _CONV[dimensions](width, out_channels, kernel_size=1)
        self.coarse_heads = nn.ModuleList(
            _CONV[dimensions](widths[level], out_channels, kernel_size=1) for level in range(1, deep_supervision + 1)
        )
        _initialize(self, initialization)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits (N, out_channels, *spatial) of images (N, in_channels, *spatial); see the class for a list of them."""
        size = image.shape[2:]
        x = self.encoder[0](_pad_to_multiple(image, self.multiple))
        skips = [x]
        for pool, block in zip(self.pool, list(self.encoder)[1:], strict=True):
            x = block(pool(x))
            skips.append(x)
        levels: list[Tensor] = []
        for up, block, skip in zip(self.up, self.decoder, reversed(skips[:-1]), strict=True):
            x = block(raise_and_join(up, x, skip))
            levels.append(x)
        logits = _crop(self.head(x), size)
        if not (self.training and len(self.coarse_heads)):
            return logits
        outputs = [logits]
        for stride, head, features in zip(self.strides, self.coarse_heads, levels[-2::-1], strict=False):
            size = torch.Size(-(-length // step) for length, step in zip(size, stride, strict=True))
            outputs.append(_crop(head(features), size))
        return outputs


def strides_for(spacing: Sequence[float], size: Sequence[int], depth: int) -> tuple[tuple[int, ...], ...]:
    """Poolings that bring anisotropic volumes towards equal spacing, as nnU-Net plans them (Isensee et al. 2021).

    An axis is pooled while its spacing is at most twice the finest one's and at least 8 elements of it are left
    to pool; an axis that is coarser waits until the others have caught up.

    Args:
        spacing: The distance between elements along each axis, in any unit.
        size: Elements of a patch along each axis.
        depth: The number of poolings wanted.

    Returns:
        Per pooling, 1 or 2 for each axis; fewer than `depth` where nothing is left to pool.
    """
    steps, left = [float(step) for step in spacing], list(size)
    levels = []
    for _ in range(depth):
        large = [axis for axis in range(len(left)) if left[axis] >= 8]
        if not large:
            break
        finest = min(steps[axis] for axis in large)
        level = tuple(2 if axis in large and steps[axis] <= 2 * finest else 1 for axis in range(len(left)))
        levels.append(level)
        steps = [step * factor for step, factor in zip(steps, level, strict=True)]
        left = [-(-length // factor) for length, factor in zip(left, level, strict=True)]
    return tuple(levels)


def _block(dimensions: int, before: int, after: int, rate: float, normalization: Normalization) -> nn.Sequential:
    def convolution(channels: int) -> list[nn.Module]:
        return [
            _CONV[dimensions](channels, after, kernel_size=3, padding=1),
            *_normalization(dimensions, after, normalization),
        ]

    first = DroppedReLU(rate) if rate else nn.ReLU(inplace=True)
    return nn.Sequential(*convolution(before), first, *convolution(after), nn.ReLU(inplace=True))


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


def _checked_strides(
    strides: Sequence[Sequence[int]] | None, depth: int, dimensions: int
) -> tuple[tuple[int, ...], ...]:
    if strides is None:
        return ((2,) * dimensions,) * depth
    checked = tuple(tuple(level) for level in strides)
    fits = len(checked) == depth and all(len(level) == dimensions and set(level) <= {1, 2} for level in checked)
    if not fits:
        message = f"strides must hold {depth} levels of {dimensions} numbers, each 1 or 2, got {strides!r}"
        raise ValueError(message)
    return checked


def _pad_to_multiple(image: Tensor, multiple: Sequence[int]) -> Tensor:
    missing = [-length % step for length, step in zip(image.shape[2:], multiple, strict=True)]
    if not any(missing):
        return image
    return nn.functional.pad(image, [amount for length in reversed(missing) for amount in (0, length)])


def _crop(logits: Tensor, size: Sequence[int]) -> Tensor:
    for axis, length in enumerate(size, start=2):
        logits = logits.narrow(axis, 0, length)
    return logits
