"""Which classes a network's channels stand for, and the parameters of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unifocal.losses.options import Activation


@dataclass(frozen=True)
class Layout:
    """K problems of C classes each: softmax is one problem, sigmoid is one problem per channel.

    Attributes:
        problems: K.
        classes: C, at least 2; class 0 is the background.
        multi_label: Whether each channel is a problem of its own.
    """

    problems: int
    classes: int
    multi_label: bool

    @classmethod
    def of(cls, channels: int, activation: Activation) -> "Layout":
        """The layout of `channels` output channels; one softmax channel means two classes."""
        if activation == "sigmoid":
            return cls(channels, 2, multi_label=True)
        return cls(1, max(channels, 2), multi_label=False)

    def spread(self, name: str, value: float | Sequence[float]) -> Tensor:
        """The value of every class.

        Args:
            name: The parameter's name, for the error.
            value: One number for all, or one per class. In a multi-label layout the classes
                that users count are the channels, and a channel's number holds for both its sides.

        Returns:
            (K, C), float64 on the CPU.

        Raises:
            ValueError: If the sequence has another length than there are classes.
        """
        shape = (self.problems, self.classes)
        if isinstance(value, int | float):
            return torch.full(shape, value, dtype=torch.float64, device="cpu")
        expected = self.problems if self.multi_label else self.classes
        if len(value) != expected:
            what = "channel" if self.multi_label else "class"
            note = ""
            if not self.multi_label and self.classes == 2:
                note = "; one softmax channel means two classes, background and foreground"
            raise ValueError(f"{name} has {len(value)} values, but the logits need {expected}, one per {what}{note}")
        row = torch.tensor(value, dtype=torch.float64, device="cpu")
        return (row[:, None] if self.multi_label else row[None]).expand(shape)

    def full(self, value: Tensor | float) -> Tensor:
        """One value, or one per class, as (K, C)."""
        return torch.as_tensor(value, dtype=torch.float64, device="cpu").expand(self.problems, self.classes)

    def rare(self, rare_classes: Sequence[int] | None) -> Tensor:
        """Which classes are rare: all but the background, unless named.

        Returns:
            (K, C), boolean on the CPU.

        Raises:
            ValueError: If a named class does not exist.
        """
        named = range(1, self.classes) if rare_classes is None else rare_classes
        wrong = [c for c in named if not 0 <= c < self.classes]
        if wrong:
            raise ValueError(f"rare_classes names {wrong}, but the classes are 0 to {self.classes - 1}")
        mask = torch.zeros(self.problems, self.classes, dtype=torch.bool, device="cpu")
        mask[:, list(named)] = True
        return mask
