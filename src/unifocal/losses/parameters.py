"""What the sums over the voxels depend on, and what depends on them."""

from typing import NamedTuple

from torch import Tensor


class Parameters(NamedTuple):
    """What the sums depend on besides the voxels.

    Attributes:
        alpha: Weight of each class in the voxel term (K, C).
        phi: Its focusing exponent (K, C).
        region: Whether T, FN and FP are wanted.
        voxel: Whether the voxel term is wanted.
    """

    alpha: Tensor
    phi: Tensor
    region: bool = True
    voxel: bool = True


class Sums(NamedTuple):
    """What a loss needs to know about the voxels of N samples.

    Attributes:
        true: T, (N, K, C).
        missed: FN, (N, K, C).
        false: FP, (N, K, C).
        voxel: The voxel term's sum over positions and problems, (N,).
        positions: The number of positions (their weight, if weighted), summed over problems, (N,).
    """

    true: Tensor
    missed: Tensor
    false: Tensor
    voxel: Tensor
    positions: Tensor


class Upstream(NamedTuple):
    """The loss' gradient in the sums of the same names."""

    true: Tensor
    missed: Tensor
    false: Tensor
    voxel: Tensor
