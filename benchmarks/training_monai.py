"""MONAI as one contender of `training.py`: its U-Net, transforms, cached data set, loader and loss in a plain loop.

The network is `BasicUNet` of the same widths as ours, with the same activation and normalisation and without dropout.
The loop is that of MONAI's tutorials: forward pass and loss under autocast, torch's Adam.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from monai.transforms import (
    Compose,
    EnsureTyped,
    FgBgToIndicesd,
    Rand2DElasticd,
    Rand3DElasticd,
    RandAxisFlipd,
    RandCropByPosNegLabeld,
    RandRotated,
    RandScaleIntensityd,
    RandZoomd,
)
from torch import Tensor, nn
from training_data import Shape, cropped, read_arrays
from training_wire import Turns, arguments

WIDTHS = (16, 32, 64, 128, 256, 16)
PROBABILITY = 0.15
BOTH = ("image", "label")
MOVED: dict[str, Any] = {"keys": BOTH, "prob": PROBABILITY, "mode": ("bilinear", "nearest"), "padding_mode": "border"}


def network_for(shape: Shape) -> nn.Module:
    """A network for one class against background."""
    torch.manual_seed(0)
    return BasicUNet(
        shape.dimensions,
        shape.channels,
        1,
        features=WIDTHS,
        act=("relu", {"inplace": True}),
        norm=("instance", {"affine": True}) if shape.dimensions == 3 else None,
    )


def augmentation(shape: Shape) -> list[Any]:
    """The kinds of `unifocal`'s standard augmentation in the same ranges, each with probability 0.15."""
    angle = np.pi / 12
    rotation = dict.fromkeys(("range_x", "range_y", "range_z")[: 1 if shape.dimensions == 2 else 3], angle)
    return [
        _elastic(shape),
        RandRotated(**MOVED, **rotation),
        RandZoomd(**MOVED | {"padding_mode": "edge"}, min_zoom=0.85, max_zoom=1.25),
        RandAxisFlipd(BOTH, prob=PROBABILITY),
        RandScaleIntensityd("image", factors=(-0.5, 1.0), prob=PROBABILITY),
    ]


def _elastic(shape: Shape) -> Any:
    if shape.dimensions == 2:
        spacing = tuple(11 / 128 * side for side in shape.size)
        return Rand2DElasticd(**MOVED, spacing=spacing, magnitude_range=(0, 0.05 * min(shape.size)))
    sigma = (9 / 128 * min(shape.size), 13 / 128 * min(shape.size))
    return Rand3DElasticd(**MOVED, sigma_range=sigma, magnitude_range=(0, 900))


def patches(shape: Shape) -> list[Any]:
    """One random patch of a volume, every third around foreground; pictures are taken whole."""
    if shape.dimensions == 2:
        return []
    indices = {"fg_indices_key": "label_fg_indices", "bg_indices_key": "label_bg_indices"}
    return [FgBgToIndicesd("label"), RandCropByPosNegLabeld(BOTH, "label", shape.size, pos=1, neg=2, **indices)]


def loader_for(given: Any, shape: Shape) -> DataLoader:
    """All training cases, cached, augmented, shuffled."""
    images, masks = read_arrays(given.data)
    cases = [{"image": images[case], "label": masks[case][None]} for case in range(shape.cases)]
    transform = Compose([EnsureTyped(BOTH), *patches(shape), *augmentation(shape)])
    transform.set_random_state(seed=0)
    cached = CacheDataset(cases, transform, progress=False)
    return DataLoader(cached, batch_size=shape.batch, shuffle=True)


def layout_for(given: Any, shape: Shape) -> torch.memory_format:
    """How tensors lie in memory: as torch makes them, as in MONAI's tutorials, unless asked otherwise."""
    if not given.channels_last:
        return torch.contiguous_format
    return torch.channels_last if shape.dimensions == 2 else torch.channels_last_3d


def main() -> None:
    """Work whenever asked."""
    turns, given = Turns(), arguments(__doc__)
    shape = Shape.parse(given.shape)
    torch.set_num_threads(given.threads)
    layout = layout_for(given, shape)
    network, loss = network_for(shape).to(memory_format=layout), DiceCELoss(sigmoid=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    images, masks = (torch.from_numpy(cropped(arrays, shape)) for arrays in read_arrays(given.data))
    truths = masks[:, None].float()

    def precision() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=given.precision == "bfloat16")

    def step(image: Tensor, truth: Tensor) -> None:
        with precision():
            value = loss(network(image.contiguous(memory_format=layout)), truth)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    def epoch(loader: DataLoader) -> None:
        for batch in loader:
            step(batch["image"], batch["label"].float())

    def predict() -> None:
        with torch.inference_mode(), precision():
            for some in images.split(shape.batch if shape.dimensions == 2 else 1):
                image = some.contiguous(memory_format=layout)
                (network(image) if shape.dimensions == 2 else windows(image)).sigmoid().float().numpy()

    def windows(image: Tensor) -> Tensor:
        logits: Tensor = sliding_window_inference(image, shape.size, 1, network, overlap=0.0)  # type: ignore[assignment]
        return logits

    work: Callable[[], None] = lambda: step(images[: shape.batch], truths[: shape.batch])  # noqa: E731
    if given.work == "epoch":
        loader = loader_for(given, shape)
        work = lambda: epoch(loader)  # noqa: E731
    elif given.work == "predict":
        network.eval()
        work = predict
    turns.ready(parameters=sum(weight.numel() for weight in network.parameters()))
    turns.serve(work)


if __name__ == "__main__":
    main()
