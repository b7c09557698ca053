"""Deep supervision: one loss at every resolution at which a network gives an output."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unifocal.losses.values import NON_NEGATIVE, number

_AVERAGE: dict[int, Callable[..., Tensor]] = {
    1: F.adaptive_avg_pool1d,
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}
_POOL: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


class Level(NamedTuple):
    """One output with the target and the weight map that belong to it."""

    logits: Tensor
    target: Tensor
    weight: Tensor | None


class DeepSupervisionLoss(nn.Module):
    """The weighted sum of a loss over a network's outputs, from fine to coarse.

    Called as `deep(outputs, target, weight=None)`:

    - `outputs`: a list or tuple of logits (N, C, *spatial_i), the finest first. Or one tensor of logits
      (N, C, *spatial), what many networks return in eval mode: then this is just the loss, with the first
      of a list of targets. Or one tensor (N, heads, C, *spatial), as MONAI's `DynUNet` stacks its outputs in
      training mode.
    - `target`: one tensor of the full size, which is brought to the size of every output; or a list with
      one per output. Either class indices (N, *spatial) or (N, 1, *spatial), or one-hot or soft labels
      (N, C, *spatial). For one channel, floating point means labels, anything else indices.
    - `weight`: a weight map for losses that take one: of the full size, or one per output.
    - returns what the loss returns: a scalar, or (N,) where its reduction is `none`.

    Class indices are taken at the centre of the block of positions that becomes one. For an even block that
    is the position behind the centre: `nearest-exact` of `torch.nn.functional.interpolate`, but in integers, so
    that dtypes and ignored values stay. A small object may vanish from coarse outputs. Labels are averaged
    over the block (adaptive average pooling) and remain probabilities; but if the loss has an `ignore_index`,
    they too are taken at the centre, as averages would hide the ignored value.

    Along each axis, where the output's size is the target's divided by a power of 2 and rounded up, a block has so
    many positions, and the last one what is left: 129 in 17 are 16 blocks of 8 and one of 1. So do U-Nets that pad an
    image at its end. Otherwise the output's positions are spread evenly over the target.

    The weight map goes the way of the target: from the same position, or averaged, with the labels' average
    weighted by it. So positions of weight 0 are at every size as if they were not there.

    The number of axes tells stacked outputs from others. Only five axes with a target of four leave a doubt:
    (N, C, D, H, W) with indices (N, D, H, W), or (N, heads, C, H, W) with labels (N, C, H, W)? They are
    stacked if the target's second axis is 1, if the target adds up to 1 along it, or if the loss is
    multi-label (`activation="sigmoid"`). `outputs.unbind(1)` says it without a doubt. Where both fit integers
    (N, 1, H, W), heads of one channel or volumes of one slice, an error asks which.

    Args:
        loss: Any loss that is called as `loss(logits, target)`, and with a weight map as
            `loss(logits, target, weight)`.
        weights: One number per output, used as they are. An output of weight 0 is left out; under
            `DistributedDataParallel` its head's parameters are then unused. None: 1, 1/2, 1/4, ..., divided by
            their sum. nnU-Net (Isensee et al. 2021) does the same with 0 for the coarsest output.

    Raises:
        TypeError: If the loss cannot be called, a weight is not a number, or, when called, an output is
            not a tensor.
        ValueError: If a weight is negative or all are 0, or, when called, numbers or shapes do not fit.

    Examples:
        >>> import torch
        >>> deep = DeepSupervisionLoss(torch.nn.CrossEntropyLoss(), weights=[1, 0.5])
        >>> outputs = [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 4, 4)]
        >>> deep(outputs, torch.zeros(1, 8, 8, dtype=torch.long))
        tensor(1.0397)
    """

    loss: Callable[..., Tensor]

    def __init__(self, loss: Callable[..., Tensor], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if not callable(loss) or isinstance(loss, type):
            raise TypeError(f"loss must be something to call as loss(logits, target), got {loss!r}")
        self.loss = loss
        self.weights = None if weights is None else _checked(weights)

    def forward(
        self,
        outputs: Tensor | Sequence[Tensor],
        target: Tensor | Sequence[Tensor],
        weight: Tensor | Sequence[Tensor] | None = None,
    ) -> Tensor:
        """The loss; the class describes shapes."""
        if isinstance(outputs, Tensor):
            finest = Level(outputs, _finest(target), None if weight is None else _finest(weight))
            if not self._are_stacked(outputs, finest.target):
                return self._of_one(finest)
            outputs = outputs.unbind(1)
        _check_outputs(outputs)
        targets = _per_output("target", target, len(outputs))
        maps = [None] * len(outputs) if weight is None else _per_output("weight", weight, len(outputs))
        keep_values = self._option("ignore_index") is not None
        levels = map(Level, outputs, targets, maps)
        parts = [
            factor * self._of_one(_fit(level, keep_values=keep_values))
            for factor, level in zip(self._weights(len(outputs)), levels, strict=True)
            if factor
        ]
        return torch.stack(parts).sum(0)

    def _of_one(self, level: Level) -> Tensor:
        return self.loss(*level) if level.weight is not None else self.loss(level.logits, level.target)

    def _option(self, name: str) -> object:
        """A shared keyword of the loss, if it is one of the family."""
        return getattr(getattr(self.loss, "options", None), name, None)

    def _are_stacked(self, outputs: Tensor, target: Tensor) -> bool:
        """Whether the tensor is (N, heads, C, *spatial) and not (N, C, *spatial)."""
        more_axes = outputs.ndim - target.ndim
        if outputs.ndim == 6 or more_axes == 2:
            return True
        if outputs.ndim != 5 or more_axes != 1:
            return False
        if target.shape[1] == 1:
            both_fit = outputs.shape[1] > 1 and target.shape[1:] == outputs.shape[2:]
            if both_fit and not target.is_floating_point() and self._option("activation") != "sigmoid":
                raise ValueError(_two_readings(outputs, target))
            return True
        if target.shape[1:] != outputs.shape[2:] or outputs.shape[1] == 1:
            return False
        total = target.sum(1)
        return self._option("activation") == "sigmoid" or bool(((total - 1).abs() < 1e-3).all())

    def _weights(self, outputs: int) -> tuple[float, ...]:
        if self.weights is None:
            total = 2 - 0.5 ** (outputs - 1)
            return tuple(0.5**i / total for i in range(outputs))
        if len(self.weights) != outputs:
            raise ValueError(
                f"weights has {len(self.weights)} values, but the network gave {outputs} outputs: "
                "one weight per output is needed, 0 for one to leave out"
            )
        return self.weights

    def extra_repr(self) -> str:
        """The weights."""
        return f"weights={self.weights!r}"


def _two_readings(outputs: Tensor, target: Tensor) -> str:
    shape = tuple(outputs.shape)
    return (
        f"outputs {shape} with class indices {tuple(target.shape)} may be {shape[1]} stacked outputs of one channel, "
        f"or the logits of {shape[1]} classes for volumes of one slice. Say which: give outputs.unbind(1) for the "
        "former, target.unsqueeze(1) for the latter"
    )


def _checked(weights: object) -> tuple[float, ...]:
    """The weights as floats; tensors and arrays are taken too."""
    weights = weights.tolist() if hasattr(weights, "tolist") else weights
    if not isinstance(weights, Sequence) or isinstance(weights, str):
        raise TypeError(f"weights needs one number per output, got {weights!r}")
    checked = tuple(number(f"weights[{i}]", weight, NON_NEGATIVE) for i, weight in enumerate(weights))
    if not any(checked):
        raise ValueError(f"weights needs a number above 0, got {weights!r}")
    return checked


def _check_outputs(outputs: Sequence[Tensor]) -> None:
    if not isinstance(outputs, Sequence):
        raise TypeError(f"outputs must be a tensor, or a list or tuple of tensors, got {type(outputs).__name__}")
    for i, logits in enumerate(outputs):
        if not isinstance(logits, Tensor):
            raise TypeError(f"outputs[{i}] must be a tensor, got {type(logits).__name__}")
        if logits.ndim < 2:
            raise ValueError(f"outputs[{i}] must have the shape (N, C, *spatial), got {tuple(logits.shape)}")
    if not outputs:
        raise ValueError("outputs must hold at least one tensor, got none")


def _finest(given: Tensor | Sequence[Tensor]) -> Tensor:
    return given if isinstance(given, Tensor) else given[0]


def _per_output(name: str, given: Tensor | Sequence[Tensor], outputs: int) -> Sequence[Tensor]:
    if isinstance(given, Tensor):
        return [given] * outputs
    if len(given) != outputs:
        raise ValueError(
            f"{name} is a list of {len(given)}, but the network gave {outputs} outputs: it must be one tensor of "
            "the full size, or a list with one tensor per output"
        )
    return given


def _fit(level: Level, *, keep_values: bool) -> Level:
    """The level with target and weight map at the size of its logits; what has that size stays as it is."""
    logits, target, weight = level
    size = logits.shape[2:]
    given = {"target": target} if weight is None else {"target": target, "weight": weight}
    large = {name: tensor for name, tensor in given.items() if _spatial(tensor, logits) != size}
    for name, tensor in large.items():
        _check_shape(name, tensor, logits)
    if keep_values or not _holds_labels(target, logits):
        given.update({name: _nearest(tensor, size) for name, tensor in large.items()})
    else:
        given.update({name: _average(tensor, size) for name, tensor in large.items()})
        if weight is not None and len(large) == 2 and _spatial(target, logits) == _spatial(weight, logits):
            given["target"] = _weighted_average(target, weight, logits)
    return Level(logits, given["target"], given.get("weight"))


def _check_shape(name: str, given: Tensor, logits: Tensor) -> None:
    """That `given` can be brought to the size of the logits."""
    shape, (samples, channels, *size) = tuple(given.shape), logits.shape
    known = len(shape) == logits.ndim - 1 or (len(shape) == logits.ndim and shape[1] in {1, channels})
    full = _spatial(given, logits) if known else ()
    if not known or shape[0] != samples or any(large < small for large, small in zip(full, size, strict=True)):
        raise ValueError(
            f"{name} has the shape {shape}, but with the output {tuple(logits.shape)} it must be (N, *spatial), "
            f"(N, 1, *spatial) or (N, C, *spatial) with N = {samples}, C = {channels} and "
            f"*spatial at least {tuple(size)}"
        )


def _holds_labels(target: Tensor, logits: Tensor) -> bool:
    """Whether the target is one-hot or soft labels; class indices otherwise."""
    if logits.shape[1] == 1:
        return target.is_floating_point()
    return target.ndim == logits.ndim and target.shape[1] == logits.shape[1]


def _spatial(given: Tensor, logits: Tensor) -> torch.Size:
    return given.shape[given.ndim - (logits.ndim - 2) :]


def _nearest(given: Tensor, size: Sequence[int]) -> Tensor:
    """The values at the centres of the blocks: of n in m positions, the i-th at (2i + 1) m / 2n, rounded down.

    Blocks of a stride s begin at i s; the last one's centre is that of what is left of it.
    """
    first = given.ndim - len(size)
    for axis, small in enumerate(size, start=first):
        full = given.shape[axis]
        if full == small:
            continue
        numbers, stride = torch.arange(small, device=given.device), _stride(full, small)
        if stride:
            centres = (numbers * stride + ((numbers + 1) * stride).clamp(max=full)) // 2
        else:
            centres = (2 * numbers + 1) * full // (2 * small)
        given = given.index_select(axis, centres)
    return given


def _stride(full: int, small: int) -> int:
    """The power of 2 that `full` divided by, and rounded up, gives `small`; 0 where there is none, or no choice."""
    if small == 1:
        return 0
    # Blocks of fewer positions do not cover all; of twice as many, no more than two are needed.
    stride = 1 << (-(-full // small) - 1).bit_length()
    return stride if -(-full // stride) == small else 0


def _weighted_average(labels: Tensor, weight: Tensor, logits: Tensor) -> Tensor:
    """The blocks' means of the labels, weighted; 0 where a block has no weight."""
    size = logits.shape[2:]
    wide_labels, wide_weight = (
        given if given.ndim == logits.ndim else given.unsqueeze(1) for given in (labels, weight)
    )
    total = _average(wide_weight, size)
    mean = _average(wide_labels * wide_weight, size) / torch.where(total > 0, total, 1)
    return mean.reshape(*labels.shape[: -len(size)], *size)


def _average(given: Tensor, size: Sequence[int]) -> Tensor:
    """The blocks' means, in float32 or wider."""
    first = given.ndim - len(size)
    if given.shape[first:] == size:
        return given
    if len(size) not in _AVERAGE:
        raise ValueError(f"labels are averaged over 1 to 3 spatial axes, got {len(size)}")
    blocks = given.to(torch.promote_types(given.dtype, torch.float32)).reshape(-1, 1, *given.shape[first:])
    strides = [_stride(full, small) or 1 for full, small in zip(given.shape[first:], size, strict=True)]
    if any(full % stride for full, stride in zip(given.shape[first:], strides, strict=True)):
        blocks = _POOL[len(size)](blocks, strides, ceil_mode=True, count_include_pad=False)
    return _AVERAGE[len(size)](blocks, tuple(size)).reshape(*given.shape[:first], *size)
