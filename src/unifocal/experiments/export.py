"""`export`: a trained network for other programs."""

from pathlib import Path
from typing import Any, Literal

from torch import nn

from unifocal.config.schema import InferenceConfig
from unifocal.config.verbs import ExportConfig, PredictConfig
from unifocal.experiments.folder import WEIGHTS
from unifocal.experiments.new_images import load_model
from unifocal.inference.export_onnx import ExportError, export_onnx
from unifocal.models import NetworkSpec, read_description
from unifocal.preprocessing.cache import parse_bytes
from unifocal.problems import InputError, Problem, WorkFailedError


class ExportFailedError(WorkFailedError):
    """The network cannot be exported."""


def export_model(config: ExportConfig) -> str:
    """Write a model as an ONNX file, or as the folder of a MONAI bundle.

    Returns:
        What the check of what was written found, as a sentence.

    Raises:
        InputError: If the model cannot be read, the name does not suit the format, something is there already that is
            not to be replaced, or packages are missing.
        ExportFailedError: If the network cannot be said in the format, or does something else there.
    """
    problems: list[Problem] = []
    form = _format_of(config, problems)
    loaded = load_model(config.model, problems)
    if problems or loaded is None:
        raise InputError(problems)
    network, details = loaded
    write = _write_monai if form == "monai" else _write_onnx
    try:
        return write(config, network, details)
    except ModuleNotFoundError as error:
        extra = "'unifocal[all]' pytorch-ignite" if form == "monai" else "'unifocal[onnx]'"
        where = "a MONAI bundle" if form == "monai" else "ONNX"
        problem = Problem(where, f"needs the package {error.name}", f"Install it with: pip install {extra}.")
        raise InputError([problem]) from error
    except ExportError as error:
        raise ExportFailedError(str(error)) from error


def _format_of(config: ExportConfig, problems: list[Problem]) -> Literal["onnx", "monai"]:
    """What was asked for; or what the name means."""
    suffix = config.out.suffix.lower()
    form = config.format or {"": "monai"}.get(suffix, "onnx")
    if form == "monai":
        problems += _unusable(config.out)
        return "monai"
    if suffix != ".onnx":
        remedy = "Give a name such as model.onnx; or for a MONAI bundle --format monai, or a name without an ending."
        problems.append(Problem(f"--out {config.out}", "does not end in .onnx", remedy))
    return "onnx"


def _unusable(folder: Path) -> list[Problem]:
    if folder.is_dir() and any(folder.iterdir()):
        what = "is a folder that is not empty, and a MONAI bundle is a folder of its own"
    elif folder.exists() and not folder.is_dir():
        what = "is a file, and a MONAI bundle is a folder"
    else:
        return []
    return [Problem(f"--out {folder}", what, "Give another name, or remove it.", "out-exists")]


def _write_onnx(config: ExportConfig, network: nn.Module, details: dict[str, Any]) -> str:
    shape = (_channels(details), *details["grid"]["size"])
    config.out.parent.mkdir(parents=True, exist_ok=True)
    worst = export_onnx(config.out, network, shape, description=details)
    return f"ONNX Runtime gives PyTorch's logits, to {worst:.1e} of the largest."


def _write_monai(config: ExportConfig, network: nn.Module, details: dict[str, Any]) -> str:
    from unifocal.inference.export_monai import export_monai
    from unifocal.inference.monai_configs import Segmenter
    from unifocal.inference.postprocess import Cleaning
    from unifocal.inference.windows import Windows
    from unifocal.preprocessing.pipeline import Pipeline

    file = config.model / WEIGHTS if config.model.is_dir() else config.model
    spec = NetworkSpec(**read_description(file)["network"])
    size = tuple(map(int, details["grid"]["size"]))
    settings = InferenceConfig(**details["inference"])
    windows = Windows(
        size=size,
        overlap=settings.overlap,
        weights=settings.weights,
        mirror=tuple(range(len(size))) if settings.mirror else (),
        batch_size=settings.batch_size,
        memory_bytes=parse_bytes(settings.memory),
    )
    model = Segmenter(
        spec=spec,
        size=size,
        pipeline=Pipeline.from_declaration(details["pipeline"]),
        labels=tuple(map(int, details["labels"])),
        label_names={int(label): str(name) for label, name in details["label_names"].items()},
        regions={str(name): tuple(map(int, values)) for name, values in details["regions"].items()},
        cleanings={int(label): Cleaning(**how) for label, how in details.get("cleanings", {}).items()},
        black_and_white=bool(details["black_and_white"]),
        windows=windows if spec.dimensions == 3 else None,
        batch_size=PredictConfig.model_fields["batch_size"].default,
        loss=str(details.get("loss", "that is not stated")),
        precision=settings.precision,
    )
    worst = export_monai(config.out, network, model)
    return f"MONAI builds the same network from the bundle: its logits differ by {worst:.1e} of the largest."


def _channels(details: dict[str, Any]) -> int:
    return int(details["pipeline"][0]["channels"]["count"])
