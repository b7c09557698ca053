"""A trained network as a MONAI bundle that MONAI's own runner executes, checked before it is kept."""

import json
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unifocal.inference.export_onnx import ExportError
from unifocal.inference.monai_configs import Segmenter, inference_config
from unifocal.inference.monai_metadata import LOGGING, metadata, readme

TOLERANCE = 1e-6
"""The largest difference of logits, as a share of the largest logit, that counts as the same network."""


def export_monai(folder: Path, network: nn.Module, model: Segmenter) -> float:
    """Write a network as a MONAI bundle; the folder appears whole, and only if MONAI builds the same network from it.

    `python -m monai.bundle run --config_file FOLDER/configs/inference.json --bundle_root FOLDER --dataset_dir IMAGES
    --output_dir OUT` then writes the masks that `unifocal predict` gives. unifocal must be installed there.

    Args:
        folder: The bundle. It may exist if it is empty.
        network: The trained network.
        model: What builds it, and what stands between files and masks.

    Returns:
        The largest difference of logits on random input, as a share of the largest logit.

    Raises:
        ExportError: If that is above `TOLERANCE`, or the bundle cannot say what the network is.
        ModuleNotFoundError: If a package that the bundle runs with is not installed.
    """
    network = network.float().cpu().eval()
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        bundle = aside / "bundle"
        _write(bundle, network, model)
        worst = _check(bundle, network, model)
        if folder.is_dir():
            folder.rmdir()
        bundle.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return worst


def _write(bundle: Path, network: nn.Module, model: Segmenter) -> None:
    for part in ("configs", "models", "docs"):
        (bundle / part).mkdir(parents=True)
    contents = {"inference.json": inference_config(network, model), "metadata.json": metadata(model)}
    for name, content in contents.items():
        (bundle / "configs" / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (bundle / "configs" / "logging.conf").write_text(LOGGING, encoding="utf-8")
    (bundle / "docs" / "README.md").write_text(readme(model), encoding="utf-8")
    torch.save(network.state_dict(), bundle / "models" / "model.pt")


def _check(bundle: Path, network: nn.Module, model: Segmenter) -> float:
    """The largest difference of logits between the network and what MONAI builds from the bundle."""
    import ignite  # noqa: F401 - MONAI finds out only when the bundle runs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.bundle.config_parser import ConfigParser

        parser: Any = ConfigParser()
        parser.read_config(str(bundle / "configs" / "inference.json"))
        parser.read_meta(str(bundle / "configs" / "metadata.json"))
        try:
            other = parser.get_parsed_content("network_def")
            for part in ("preprocessing", "inferer", "postprocessing"):
                parser.get_parsed_content(part)
            other.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
        except Exception as error:
            message = f"MONAI cannot build the bundle: {type(error).__name__}: {str(error).splitlines()[0]}"
            raise ExportError(message) from error
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, model.spec.in_channels, *model.size, generator=generator)
    with torch.inference_mode():
        expected, found = network(image), other.eval()(image)
    worst = float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
    if not worst <= TOLERANCE:
        message = f"the logits of the network that MONAI builds differ by {worst:.2g} of the largest"
        raise ExportError(message)
    return worst
