"""The augmentation of `standard` for a whole batch at once, on whatever device it lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from batchgeneratorsv2.transforms.spatial.spatial import create_affine_matrix_2d, create_affine_matrix_3d
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from unifocal.augmentation.standard import BLUR, BRIGHTNESS, PROBABILITY, REACH, ROTATION, SCALING


@dataclass(frozen=True)
class _Drawn:
    """What was drawn for one sample.

    Attributes:
        matrix: Takes places of the result, as columns and in elements from the middle, to where they are read; None:
            neither rotated nor scaled.
        blur: Per axis, the standard deviation in elements of what smooths the displacements along it; None: no
            elastic deformation.
        reach: Per axis, the largest displacement in elements.
        mirrored: The axes to turn round.
        brightness: What grey values above the image's minimum are multiplied with.
    """

    matrix: NDArray[np.float64] | None
    blur: NDArray[np.float64] | None
    reach: NDArray[np.float64]
    mirrored: tuple[int, ...]
    brightness: float

    @property
    def moves(self) -> bool:
        """Whether anything is read from between the elements."""
        return self.matrix is not None or self.blur is not None


@dataclass(frozen=True)
class BatchAugmentation:
    """The transforms of `standard`, with its probabilities and ranges; what is drawn for a seed is not the same.

    Displacements are drawn by the device's own generator, so another kind of device gives other ones.

    Args:
        size: (rows, columns) of the images, or (slices, rows, columns).
        classes: How many class indices there are, the background with them.
    """

    size: tuple[int, ...]
    classes: int

    def __call__(self, images: Tensor, labels: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The transformed batch; what was given stays as it is.

        Args:
            images: (N, channels, *size) float32.
            labels: (N, 1, *size) class indices, on the same device.
            seeds: Of each sample; the same seed gives the same sample, to rounding whichever others are in the
                batch.
        """
        drawn = [self._draw(np.random.default_rng(seed)) for seed in seeds]
        images, labels = images.clone(), labels.clone()
        moved = [place for place, each in enumerate(drawn) if each.moves]
        if moved:
            grid = self._grid([drawn[place] for place in moved], [seeds[place] for place in moved], images.device)
            images[moved] = grid_sample(images[moved], grid, padding_mode="border", align_corners=False)
            labels[moved] = self._read_labels(labels[moved], grid)
        for axis in range(len(self.size)):
            turned = [place for place, each in enumerate(drawn) if axis in each.mirrored]
            if turned:
                images[turned] = images[turned].flip(2 + axis)
                labels[turned] = labels[turned].flip(2 + axis)
        bright = [place for place, each in enumerate(drawn) if each.brightness != 1]
        if bright:
            chosen = images[bright]
            floor = chosen.flatten(1).amin(1).reshape(-1, *[1] * (images.ndim - 1))
            factor = chosen.new_tensor([drawn[place].brightness for place in bright]).reshape(floor.shape)
            images[bright] = (chosen - floor) * factor + floor
        return images, labels

    def _draw(self, random: np.random.Generator) -> _Drawn:
        axes = len(self.size)
        rotates, scales, deforms, mirrors, brightens = random.random(5) < PROBABILITY
        angles = random.uniform(*ROTATION, axes) if rotates else np.zeros(axes)
        scaling = np.full(axes, random.uniform(*SCALING) if scales else 1.0)
        matrix = None
        if rotates or scales:
            matrix = (
                create_affine_matrix_3d(angles, scaling) if axes == 3 else create_affine_matrix_2d(angles[-1], scaling)
            )
        return _Drawn(
            matrix,
            random.uniform(*BLUR, axes) * self.size if deforms else None,
            random.uniform(*REACH, axes) * min(self.size) if deforms else np.zeros(axes),
            tuple(np.flatnonzero(random.random(axes) < 0.5).tolist()) if mirrors else (),
            random.uniform(*BRIGHTNESS) if brightens else 1.0,
        )

    def _grid(self, drawn: Sequence[_Drawn], seeds: Sequence[int], device: torch.device) -> Tensor:
        """Where each element of the result is read, (N, *size, axes), as `grid_sample` takes it."""
        axes = [torch.linspace((1 - length) / 2, (length - 1) / 2, length, device=device) for length in self.size]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).repeat(len(drawn), *[1] * (1 + len(axes)))
        deformed = [number for number, each in enumerate(drawn) if each.blur is not None]
        if deformed:
            shifts = [_displacements(self.size, drawn[number], seeds[number], device) for number in deformed]
            places[deformed] += torch.stack(shifts)
        matrices = [np.eye(len(axes)) if each.matrix is None else each.matrix for each in drawn]
        turned = torch.from_numpy(np.stack(matrices)).to(device, torch.float32)
        places = torch.einsum("n...j,nij->n...i", places, turned)
        if deformed:  # as a whole, the image stays where it is
            means = places[deformed].flatten(1, -2).mean(1)
            places[deformed] -= means.reshape(-1, *[1] * len(axes), len(axes))
        return (places / places.new_tensor([length / 2 for length in self.size])).flip(-1)

    def _read_labels(self, labels: Tensor, grid: Tensor) -> Tensor:
        """The class with the largest share of what lies around each place; beyond the image lies background."""
        if self.classes == 1:
            return torch.zeros_like(labels)
        shares = torch.cat([labels == label for label in range(1, self.classes)], 1).float()
        read = grid_sample(shares, grid, padding_mode="zeros", align_corners=False)
        # `argmax` over channels takes ten times as long on a processor.
        largest, found = 1 - read.sum(1, keepdim=True), torch.zeros_like(labels)
        for label in range(1, self.classes):
            share = read[:, label - 1 : label]
            found.masked_fill_(share > largest, label)
            largest = torch.maximum(largest, share)
        return found


def _displacements(size: tuple[int, ...], drawn: _Drawn, seed: int, device: torch.device) -> Tensor:
    """Smooth random displacements (*size, axes) in elements, as large as was drawn."""
    assert drawn.blur is not None
    generator = torch.Generator(device).manual_seed(seed)
    axes = tuple(range(1, 1 + len(size)))
    noise = torch.randn(len(size), *size, generator=generator, device=device)
    frequencies = [torch.fft.fftfreq(length, device=device) for length in size[:-1]]
    frequencies.append(torch.fft.rfftfreq(size[-1], device=device))
    squared = torch.stack(torch.meshgrid(*frequencies, indexing="ij")).square().sum(0)
    spread = torch.from_numpy(drawn.blur).to(device, torch.float32).reshape(-1, *[1] * len(size))
    passed = torch.exp(-2 * (torch.pi * spread) ** 2 * squared)
    smooth = torch.fft.irfftn(torch.fft.rfftn(noise, dim=axes) * passed, s=size, dim=axes)
    largest = smooth.abs().amax(axes, keepdim=True)
    reach = torch.from_numpy(drawn.reach).to(device, torch.float32).reshape(largest.shape)
    shifts: Tensor = smooth / largest * reach
    return shifts.movedim(0, -1)
