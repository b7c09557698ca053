"""Prepared cases through a trained network: images in batches, volumes window by window."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from unifocal.config.schema import InferenceConfig, NetworkConfig
from unifocal.experiments.plan import network_spec
from unifocal.experiments.prepare import Prepared
from unifocal.inference import decide, predict_probabilities, write_mask
from unifocal.inference.postprocess import Cleaning, choose_cleanings
from unifocal.inference.volume_writers import write_volume_mask
from unifocal.inference.volumes import predict_volume
from unifocal.inference.windows import Windows
from unifocal.models import NetworkSpec
from unifocal.preprocessing.cache import parse_bytes


def spec_of(prepared: Prepared, settings: NetworkConfig) -> NetworkSpec:
    """The network for prepared cases."""
    return network_spec(settings, prepared.channels, prepared.out_channels, prepared.grid)


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
        settings: Of windows over volumes.
        batch_size: Images per forward pass.
    """
    if prepared.grid.dimensions == 2:
        yield from predict_probabilities(network, prepared.stream(indices), batch_size=batch_size)
        return
    windows = windows_of(prepared, settings)
    for image, geometry in prepared.stream(indices):
        yield predict_volume(network, image, geometry, windows, prepared.out_channels)


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
        (prepared.recipe(index).truth(), prepared.labels_of(decide(probabilities)))
        for index, probabilities in zip(cases, stream, strict=True)
    )
    return choose_cleanings(pairs, prepared.labels)


def write_prediction(folder: Path, prepared: Prepared, index: int, mask: NDArray[np.integer]) -> Path:
    """Write a case's predicted labels: a picture as PNG, a volume in its image's format."""
    case = prepared.cases[index]
    if prepared.grid.dimensions == 2:
        path = folder / f"{case.name}.png"
        write_mask(path, mask)
        return path
    names = {label: prepared.label_names.get(label, f"label {label}") for label in prepared.labels}
    return write_volume_mask(folder, case.name, mask, case.image, names)
