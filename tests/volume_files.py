"""Small volumes as files, and models whose predictions are known beforehand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray

from unifocal.models import save_bundle
from unifocal.models.networks import NetworkSpec

TINY = (
    "--epochs", "1", "--set", "network.width=4", "--set", "network.depth=2", "--set", "training.threads=1",
    "--set", "training.precision=float32", "--set", "training.patches_per_epoch=4",
    "--set", "training.augmentation=none",
)  # fmt: skip
"""For a training that takes a second or two."""


def rotation(seed: int) -> NDArray[np.float64]:
    """A turn (3, 3) in general position."""
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return turned * np.sign(np.linalg.det(turned))


def affine_with(directions: NDArray[np.float64], zooms: Sequence[float]) -> NDArray[np.float64]:
    """(4, 4) from unit directions in the columns and the distances along them; the origin anywhere."""
    affine = np.eye(4)
    affine[:3, :3] = directions * np.asarray(zooms)
    affine[:3, 3] = 10.5, -20.25, 30
    return affine


def write_nifti(path: Path, values: NDArray[Any], affine: NDArray[np.float64]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def ball(shape: Sequence[int], zooms: Sequence[float] = (1, 1, 1), radius: float = 5) -> NDArray[np.uint8]:
    """A ball in the middle (label 1) whose half along the last axis is label 2."""
    places = np.stack(np.meshgrid(*[np.arange(n) - n / 2 for n in shape], indexing="ij"), -1) * np.asarray(zooms)
    inside = np.linalg.norm(places, axis=-1) < radius
    return inside.astype(np.uint8) + (inside & (places[..., -1] > 0))


def write_case(
    folder: Path,
    name: str,
    mask: NDArray[np.uint8],
    affine: NDArray[np.float64] | None = None,
    *,
    seed: int = 0,
    noise: float = 0.5,
) -> None:
    """An image as bright as its labels in `imagesTr`, and its mask in `labelsTr`."""
    affine = np.eye(4) if affine is None else affine
    image = 3.0 * mask + noise * np.random.default_rng(seed).normal(size=mask.shape)
    write_nifti(folder / "imagesTr" / f"{name}_0000.nii.gz", image.astype(np.float32), affine)
    write_nifti(folder / "labelsTr" / f"{name}.nii.gz", mask, affine)


def declare(folder: Path, labels: Mapping[str, int], count: int) -> None:
    """nnU-Net's `dataset.json`."""
    content = {"channel_names": {"0": "MR"}, "labels": {"background": 0, **labels}, "numTraining": count,
               "file_ending": ".nii.gz"}  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(content))


def write_data_set(folder: Path, masks: Sequence[NDArray[np.uint8]], affine: NDArray[np.float64] | None = None) -> Path:
    """Cases named case0, case1, ... with the labels low (1) and high (2)."""
    for number, mask in enumerate(masks):
        write_case(folder, f"case{number}", mask, affine, seed=number)
    declare(folder, {"low": 1, "high": 2}, len(masks))
    return folder


def save_known_model(
    folder: Path,
    thresholds: Mapping[int, float],
    *,
    size: Sequence[int] = (8, 8, 8),
    step: Sequence[int] = (0, 0, 0),
    names: Mapping[int, str] | None = None,
    steps: Sequence[Any] = ("orient",),
) -> Path:
    """A model that gives each element the highest label whose threshold the image lies above, a step away from it.

    One convolution of 3 x 3 x 3 whose kernel has one weight: the logit of label k over label k - 1 is the image less
    the threshold.

    Args:
        folder: Where `model.safetensors` goes.
        thresholds: By label, ascending in both.
        size: Of the windows.
        step: Where the element is looked up, from -1 to 1 along each axis of the oriented grid
            (inferior-superior, posterior-anterior, left-right).
        names: Of the labels.
        steps: The preparation after `channels`.
    """
    labels = list(thresholds)
    spec = NetworkSpec("torch.nn:Conv3d", 1, len(labels) + 1, 3, {"kernel_size": 3, "padding": 1})
    network = spec.build()
    state = {key: torch.zeros_like(value) for key, value in network.state_dict().items()}
    for index, threshold in enumerate(thresholds.values(), start=1):
        state["weight"][index:, 0, 1 + step[0], 1 + step[1], 1 + step[2]] += 1
        state["bias"][index:] -= threshold
    details = {
        "labels": labels, "regions": {}, "label_names": {str(k): v for k, v in (names or {}).items()},
        "grid": {"size": list(size), "spacing_mm": None}, "inference": {}, "black_and_white": False,
        "pipeline": [{"channels": {"count": 1}}, *steps],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    save_bundle(folder / "model.safetensors", network, spec, weights=state, details=details)
    return folder
