"""What is compared: the members of the family, torch's cross entropy, and MONAI's nearest losses."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from unifocal.losses import create, names

Loss = Callable[[Tensor, Tensor], Tensor]
REFERENCE = "torch:cross_entropy"
DTYPES = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Peer:
    """A loss of MONAI.

    Attributes:
        name: Its class.
        parameters: What makes it the same loss, as far as possible.
        same: Whether it is the same loss; otherwise it is the nearest one.
    """

    name: str
    parameters: dict[str, float] = field(default_factory=dict)
    same: bool = True

    @property
    def title(self) -> str:
        """The name, marked where it is another loss."""
        return self.name if self.same else f"{self.name} (nearest)"


SALEHI = {"alpha": 0.3, "beta": 0.7}
PEERS = {
    "focal": Peer("FocalLoss"),
    "dice": Peer("DiceLoss"),
    "tversky": Peer("TverskyLoss", SALEHI),
    "focal_tversky": Peer("TverskyLoss", SALEHI, same=False),
    "combo": Peer("DiceCELoss", same=False),
    "dice_cross_entropy": Peer("DiceCELoss"),
    "hybrid_focal": Peer("DiceFocalLoss", same=False),
    "unified_focal": Peer("DiceFocalLoss", same=False),
    "unified_focal_symmetric": Peer("DiceFocalLoss", same=False),
}


@dataclass(frozen=True)
class Member:
    """A loss of the family with the parameters it is timed with.

    Attributes:
        name: Its name in the catalogue.
        parameters: What differs from the default.
    """

    name: str
    parameters: dict[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name, with the parameters that differ."""
        changed = ", ".join(f"{key}={value:g}" for key, value in self.parameters.items())
        return f"{self.name}({changed})" if changed else self.name

    @property
    def peer(self) -> Peer | None:
        """MONAI's loss to compare with."""
        return PEERS.get(self.name)

    @property
    def monai_key(self) -> str | None:
        """The peer's key for `build`."""
        return None if self.peer is None else f"monai:{self.peer.name}"


# With gamma = 0.5 every power is a square root, which a processor has an instruction for.
CURVED = Member("unified_focal", {"gamma": 0.3})


def members(chosen: list[str] | None = None) -> list[Member]:
    """The members with default parameters, and the Unified Focal loss with powers that are no roots."""
    found = [Member(name) for name in names() if chosen is None or name in chosen]
    if CURVED.name in [member.name for member in found]:
        found.insert([member.name for member in found].index(CURVED.name) + 1, CURVED)
    return found


def build(key: str) -> Loss:
    """The loss that `key` names.

    Args:
        key: `torch:cross_entropy`, `monai:` and a class, or `ours:` or `formula:` and a member's title.

    Returns:
        A function of logits (N, C, *spatial) and class indices (N, *spatial) of any integer dtype.
    """
    whose, name = key.split(":", maxsplit=1)
    if whose == "torch":
        return lambda logits, labels: F.cross_entropy(logits, labels.long())
    if whose == "monai":
        return _monai(next(peer for peer in PEERS.values() if peer.name == name))
    member = next(member for member in members() if member.title == name)
    implementation = "fused" if whose == "ours" else "formula"
    return create(member.name, implementation=implementation, **member.parameters)


def _monai(peer: Peer) -> Loss:
    import monai.losses

    activation = "use_softmax" if peer.name == "FocalLoss" else "softmax"
    loss = getattr(monai.losses, peer.name)(to_onehot_y=True, **{activation: True}, **peer.parameters)
    return lambda logits, labels: loss(logits, labels.unsqueeze(1))


@dataclass(frozen=True)
class Inputs:
    """Logits that require a gradient, and class indices."""

    logits: Tensor
    labels: Tensor

    @property
    def bytes_of_logits(self) -> int:
        """Their size in memory."""
        return self.logits.numel() * self.logits.element_size()

    def run(self, loss: Loss) -> None:
        """Forward and backward."""
        loss(self.logits, self.labels).backward()

    def forget(self) -> None:
        """Drop the gradient."""
        self.logits.grad = None


def inputs(
    shape: tuple[int, ...],
    *,
    dtype: torch.dtype = torch.float32,
    labels: torch.dtype = torch.int64,
    device: str = "cpu",
) -> Inputs:
    """Normal logits; a background with one block per rare class, as segmentations have it.

    Args:
        shape: (N, C, *spatial).
        dtype: Of the logits.
        labels: Integer dtype of the class indices.
        device: Where they lie.
    """
    samples, classes, *spatial = shape
    count = math.prod(shape)
    # repeated beyond a million: the generator is slow, and the values' order is of no account
    noise = torch.randn(min(count, 1 << 20), generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    values = torch.empty(count, dtype=dtype, device=device)
    for start in range(0, count, len(noise)):
        values[start : start + len(noise)] = 2 * noise[: count - start]
    indices = torch.zeros((samples, *spatial), dtype=labels, device=device)
    inner = [slice(size // 4, max(size // 4 + 1, 3 * size // 4)) for size in spatial[1:]]
    slabs = torch.arange(spatial[0], device=device) * classes // spatial[0]
    for rare in range(1, classes):
        where = (slice(None), slabs == rare, *inner)
        indices[where] = rare
    return Inputs(values.view(shape).requires_grad_(), indices)
