"""Prepared cases through a trained network: images in batches, volumes window by window."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from unifocal.clock import stage
from unifocal.config.schema import InferenceConfig, LossConfig, NetworkConfig
from unifocal.experiments.plan import network_spec
from unifocal.experiments.prepare import Prepared
from unifocal.inference import predict_probabilities, write_mask
from unifocal.inference.postprocess import Cleaning, choose_cleanings
from unifocal.inference.precision import in_precision
from unifocal.inference.volume_writers import write_volume_mask
from unifocal.inference.volumes import predict_volume
from unifocal.inference.windows import Windows
from unifocal.losses import create
from unifocal.models import NetworkSpec
from unifocal.preprocessing.cache import parse_bytes


def spec_of(prepared: Prepared, settings: NetworkConfig) -> NetworkSpec:
    """The network for prepared cases."""
    return network_spec(settings, prepared.channels, prepared.out_channels, prepared.grid)


def build_loss(loss: LossConfig, *, are_regions: bool) -> nn.Module:
    """The loss; where regions overlap, a member of the family takes every output for a region of its own.

    Args:
        loss: Its name and parameters.
        are_regions: Whether it will be called with the masks of regions. Somebody else's loss is made as it is.
    """
    own = {"activation": "sigmoid"} if are_regions and ":" not in loss.name else {}
    return create(loss.name, **own | loss.parameters)


def windows_of(prepared: Prepared, settings: InferenceConfig) -> Windows:
    """How prepared volumes are covered by windows."""
    return Windows(
        size=prepared.grid.size,
        overlap=settings.overlap,
        weights=settings.weights,
        mirror=tuple(range(prepared.grid.dimensions)) if settings.mirror else (),
        batch_size=settings.batch_size,
        memory_bytes=parse_bytes(settings.memory),
    )


def segment(
    network: nn.Module, prepared: Prepared, indices: Iterable[int], settings: InferenceConfig, *, batch_size: int
) -> Iterator[NDArray[np.float32]]:
    """Probabilities (outputs, *spatial) of cases at their own size, one after the other.

    Args:
        network: The trained network.
        prepared: All cases.
        indices: Which.
        settings: The precision, and of windows over volumes.
        batch_size: Images per forward pass.
    """
    network = in_precision(network, settings.precision)
    are_regions = prepared.regions is not None
    if prepared.grid.dimensions == 2:
        stream = prepared.stream(indices)
        yield from predict_probabilities(network, stream, batch_size=batch_size, are_regions=are_regions)
        return
    windows = windows_of(prepared, settings)
    for image, geometry in prepared.stream(indices):
        yield predict_volume(network, image, geometry, windows, prepared.out_channels, are_regions=are_regions)


def cleanings_for(
    network: nn.Module, prepared: Prepared, validation: Iterable[int], settings: InferenceConfig, *, batch_size: int
) -> dict[int, Cleaning]:
    """How predicted masks are cleaned, by label: chosen on the validation cases; nothing where that is not asked for.

    Args:
        network: The trained network.
        prepared: All cases.
        validation: Which cases may decide.
        settings: Whether (`postprocess`), and how volumes are segmented.
        batch_size: Images per forward pass.
    """
    if not settings.postprocess:
        return {}
    cases = tuple(validation)
    stream = segment(network, prepared, cases, settings, batch_size=batch_size)
    pairs = (
        (prepared.recipe(index).truth(), prepared.decide(probabilities))
        for index, probabilities in zip(cases, stream, strict=True)
    )
    with stage("choice of cleaning"):
        return choose_cleanings(pairs, prepared.labels)


class Part(NamedTuple):
    """What is scored in one go.

    Attributes:
        truth: Labels (*spatial).
        predicted: Likewise.
        probabilities: (channels, *spatial), the labels' last.
        labels: Which to score.
    """

    truth: NDArray[np.integer]
    predicted: NDArray[np.integer]
    probabilities: NDArray[np.float32]
    labels: tuple[int, ...]


def parts_to_score(
    prepared: Prepared,
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    probabilities: NDArray[np.float32],
) -> Iterator[Part]:
    """All labels at once; or, where regions overlap, one region after the other, labelled by its number.

    Args:
        prepared: The data.
        truth: The mask's values (*spatial).
        predicted: Likewise.
        probabilities: (outputs, *spatial).
    """
    if prepared.regions is None:
        yield Part(truth, predicted, probabilities, prepared.labels)
        return
    pairs = zip(prepared.regions.masks(truth), prepared.regions.masks(predicted), strict=True)
    for number, (wanted, given) in enumerate(pairs, start=1):
        own = probabilities[number - 1 : number]
        yield Part(wanted * np.uint8(number), given * np.uint8(number), own, (number,))


def write_prediction(folder: Path, prepared: Prepared, index: int, mask: NDArray[np.integer]) -> Path:
    """Write a case's predicted labels: a picture as PNG, a volume in its image's format."""
    case = prepared.cases[index]
    if prepared.grid.dimensions == 2:
        path = folder / f"{case.name}.png"
        write_mask(path, mask)
        return path
    declared = {} if prepared.regions is not None else prepared.label_names
    names = {label: declared.get(label, f"label {label}") for label in prepared.labels}
    return write_volume_mask(folder, case.name, mask, case.image, names)
