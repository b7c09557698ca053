"""`configs/inference.json` of a MONAI bundle: which components MONAI's runner builds, and with what.

`ConfigParser` executes strings that begin with `$`, and follows those that begin with `@` or `%`. So nothing of a
model's file goes in as it is: arguments are checked, names stand behind their label's number.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from torch import nn

from unifocal.inference.export_onnx import ExportError
from unifocal.inference.postprocess import Cleaning
from unifocal.inference.precision import Precision
from unifocal.inference.windows import Windows
from unifocal.models import NetworkSpec, UNet
from unifocal.preprocessing.pipeline import Pipeline

_STEPS = "unifocal.inference.monai_steps"


@dataclass(frozen=True)
class Segmenter:
    """A trained network, and all that stands between files and masks.

    Attributes:
        spec: What builds the network.
        size: Elements that the network takes along each spatial axis.
        pipeline: How images are prepared.
        labels: In the masks, ascending, without background.
        label_names: What they are called, where that is known.
        regions: Overlapping regions by name, instead of labels; empty where labels do not overlap.
        cleanings: What is done to each label's mask.
        black_and_white: Whether pictures of masks hold 255 for label 1.
        windows: How volumes are covered; None for images.
        batch_size: Images per forward pass, where preparing gives all one size: on CPUs it has a say in how sums are
            rounded. Others go one by one.
        loss: What it was trained with.
        precision: What the network computes in.
    """

    spec: NetworkSpec
    size: tuple[int, ...]
    pipeline: Pipeline
    labels: tuple[int, ...]
    label_names: Mapping[int, str]
    regions: Mapping[str, tuple[int, ...]]
    cleanings: Mapping[int, Cleaning]
    black_and_white: bool
    windows: Windows | None
    batch_size: int
    loss: str
    precision: Precision = "float32"

    @property
    def named_labels(self) -> list[str]:
        """`label: name` each."""
        known = {} if self.regions else self.label_names
        return [f"{label}: {known.get(label, f'label {label}')}" for label in self.labels]

    @property
    def channel_names(self) -> dict[str, str]:
        """What each of the network's outputs means."""
        if self.regions:
            named = [f"region {name} (labels {', '.join(map(str, v))})" for name, v in self.regions.items()]
        else:
            named = [f"label {text}" for text in self.named_labels]
            named = named if self.spec.out_channels == 1 else ["background", *named]
        return {str(number): name for number, name in enumerate(named)}


def inference_config(network: nn.Module, model: Segmenter) -> dict[str, Any]:
    """`configs/inference.json`: MONAI's evaluator over the images of a folder.

    Raises:
        ExportError: If the network's arguments cannot be said in it.
    """
    config: dict[str, Any] = {
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "spacing_mm": None,
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": {
            "_target_": f"{_STEPS}.images_in", "folder": "@dataset_dir", "channels": model.spec.in_channels,
        },
        "network_def": network_definition(network, model.spec),
        "network": "$@network_def.to(@device)",
        "preprocessing": _compose({
            "_target_": f"{_STEPS}.PrepareImaged", "keys": "image", "steps": model.pipeline.declaration,
            "dimensions": model.spec.dimensions, "spacing_mm": "@spacing_mm",
        }),
        "dataset": {"_target_": "monai.data.Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "dataloader": {
            "_target_": "monai.data.DataLoader", "dataset": "@dataset", "shuffle": False, "num_workers": 0,
            "batch_size": model.batch_size if model.windows is None and _is_uniform(model.pipeline) else 1,
        },
        "inferer": _inferer(model),
        "postprocessing": _postprocessing(model),
        "handlers": [{
            "_target_": "monai.handlers.CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"}, "map_location": "@device",
        }],
        "evaluator": {
            "_target_": "monai.engines.SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader",
            "network": "@network", "inferer": "@inferer", "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }  # fmt: skip
    if model.precision != "float32":
        # Around the network, whose weights are loaded into what is inside.
        config["network"] = {
            "_target_": "unifocal.inference.precision.in_precision", "network": config["network"],
            "precision": model.precision,
        }  # fmt: skip
        config["handlers"][0]["load_dict"] = {"model": "@network_def"}
    if model.windows is None and model.spec.in_channels > 1:
        # As prediction does: on CPUs the layout decides which convolution runs, and with it how sums are rounded.
        config["evaluator"]["to_kwargs"] = {"memory_format": "$torch.channels_last"}
    return config


def network_definition(network: nn.Module, spec: NetworkSpec) -> dict[str, Any]:
    """What builds the network: a class by its full name, with its arguments.

    Raises:
        ExportError: If an argument is something that MONAI would take for an instruction.
    """
    if isinstance(network, UNet):
        _check_plain(network.arguments)
        return {"_target_": "unifocal.models.UNet", **network.arguments}
    package, _, name = spec.name.rpartition(":")
    package = "monai.networks.nets" if package == "monai" else package
    parameters = inspect.signature(getattr(import_module(package), name)).parameters
    known = {
        "in_channels": spec.in_channels, "out_channels": spec.out_channels, "spatial_dims": spec.dimensions,
        "dimensions": spec.dimensions,
    }  # fmt: skip
    given = {key: value for key, value in known.items() if key in parameters} | dict(spec.arguments)
    _check_plain(given)
    return {"_target_": f"{package}.{name}", **given}


def _is_uniform(pipeline: Pipeline) -> bool:
    """Whether all images have one size once they are prepared."""
    names = [name for step in pipeline.declaration for name in step]
    if "resize" not in names:
        return False
    last = len(names) - names[::-1].index("resize")
    return not {"resample", "crop_foreground"} & set(names[last:])


def _inferer(model: Segmenter) -> dict[str, Any]:
    if model.windows is None:
        return {"_target_": "monai.inferers.SimpleInferer"}
    windows = asdict(model.windows)
    if model.windows.mirror:
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in windows.items()}
        return {"_target_": f"{_STEPS}.WindowInferer", "outputs": model.spec.out_channels, **plain}
    return {
        "_target_": "monai.inferers.SlidingWindowInferer", "roi_size": list(windows["size"]),
        "sw_batch_size": windows["batch_size"], "overlap": windows["overlap"], "mode": windows["weights"],
        "sw_device": "@device", "device": "cpu",
    }  # fmt: skip


def _postprocessing(model: Segmenter) -> dict[str, Any]:
    is_sigmoid = bool(model.regions) or model.spec.out_channels == 1
    return _compose(
        {"_target_": "monai.transforms.Activationsd", "keys": "pred", "sigmoid" if is_sigmoid else "softmax": True},
        {
            "_target_": f"{_STEPS}.ToLabelsd", "keys": "pred", "labels": list(model.labels),
            "regions": [list(values) for values in model.regions.values()],
            "cleanings": {str(label): how.to_plain() for label, how in model.cleanings.items()},
        },
        {
            "_target_": f"{_STEPS}.WriteMaskd", "keys": "pred", "output_dir": "@output_dir",
            "label_names": model.named_labels, "black_and_white": model.black_and_white,
        },
    )  # fmt: skip


def _compose(*transforms: Mapping[str, Any]) -> dict[str, Any]:
    return {"_target_": "monai.transforms.Compose", "transforms": [dict(one) for one in transforms]}


def _check_plain(value: Any) -> None:
    """Refuse what `ConfigParser` would execute, follow or instantiate instead of handing it on."""
    if isinstance(value, Mapping):
        odd = [key for key in value if not str(key).isidentifier() or str(key).startswith("_")]
        for part in value.values():
            _check_plain(part)
    elif isinstance(value, str):
        odd = [value] if value.startswith(("$", "@", "%")) else []
    else:
        odd = []
        for part in value if isinstance(value, Sequence) else ():
            _check_plain(part)
    if odd:
        message = f"the network's arguments hold {odd[0]!r}, which MONAI would take for an instruction of its own"
        raise ExportError(message)
