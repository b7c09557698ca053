"""Inputs for the tests of the losses."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor


@dataclass(frozen=True)
class Example:
    """Logits and class indices."""

    logits: Tensor
    target: Tensor

    @property
    def classes(self) -> int:
        return max(2, self.logits.shape[1])

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        n, c = self.logits.shape[:2]
        return (
            self.logits.detach().double().reshape(n, c, -1).numpy(),
            self.target.reshape(n, -1).numpy(),
        )


def example(
    channels: int = 3,
    spatial: tuple[int, ...] = (4, 5),
    *,
    samples: int = 2,
    scale: float = 2.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Example:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(samples, channels, *spatial, generator=generator, dtype=dtype)
    target = torch.randint(0, max(2, channels), (samples, *spatial), generator=generator)
    return Example(logits, target)


def examples(min_channels: int = 1, max_channels: int = 8) -> st.SearchStrategy[Example]:
    return st.builds(
        example,
        channels=st.integers(min_channels, max_channels),
        spatial=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
        samples=st.integers(1, 3),
        scale=st.sampled_from([0.1, 1.0, 4.0]),
        seed=st.integers(0, 10_000),
    )
