"""What a MONAI bundle says of itself: MONAI Bundle Specification, docs.monai.io/en/stable/mb_specification.html."""

from importlib.metadata import packages_distributions, version
from typing import Any

from unifocal.inference.monai_configs import Segmenter
from unifocal.models import NetworkSpec

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
_IGNITE = "0.4.11"
LOGGING = """\
[loggers]
keys=root

[handlers]
keys=console

[formatters]
keys=line

[logger_root]
level=INFO
handlers=console

[handler_console]
class=StreamHandler
level=INFO
formatter=line
args=(sys.stdout,)

[formatter_line]
format=%(asctime)s %(levelname)s %(name)s: %(message)s
"""


def metadata(model: Segmenter) -> dict[str, Any]:
    """`configs/metadata.json`: every field that the specification demands."""
    import monai
    import numpy as np
    import torch

    from unifocal import __version__

    shared = {
        "type": "image", "modality": "n/a", "spatial_shape": list(model.size), "dtype": "float32", "value_range": [],
        "is_patch_data": model.windows is not None,
    }  # fmt: skip
    channels = model.spec.in_channels
    inputs = {"0": "image"} if channels == 1 else {str(k): f"channel {k}" for k in range(channels)}
    # Of one channel, and of regions, each is a yes or no of its own.
    is_one_hot = model.spec.out_channels > 1 and not model.regions
    return {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": f"exported by unifocal {__version__}"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"unifocal": __version__, "pytorch-ignite": _IGNITE, **_packages_of(model.spec)},
        "name": f"{model.spec.dimensions}D segmentation",
        "task": f"Segmentation of {'volumes' if model.spec.dimensions == 3 else 'images'}",
        "description": f"A network trained with unifocal and the loss {model.loss}. "
        "Input: the image as `preprocessing` in inference.json prepares it. Output: logits.",
        "authors": "not stated",
        "copyright": "not stated",
        "intended_use": "Research. Not a medical device: nothing here is for diagnosis.",
        "network_data_format": {
            "inputs": {
                "image": shared | {"format": "magnitude", "num_channels": channels, "channel_def": inputs}
            },
            "outputs": {
                "pred": shared | {
                    "format": "labels" if is_one_hot else "classes", "num_channels": model.spec.out_channels,
                    "channel_def": model.channel_names,
                }
            },
        },
    }  # fmt: skip


def readme(model: Segmenter) -> str:
    """`docs/README.md`: what it segments and how to run it."""
    named = "\n".join(f"- {number}: {name}" for number, name in model.channel_names.items())
    steps = ", ".join(name for step in model.pipeline.declaration for name in step)
    kind = "volumes" if model.spec.dimensions == 3 else "images"
    size = " x ".join(map(str, model.size))
    rounding = "" if model.precision == "float32" else f" The network computes in {model.precision}."
    return f"""\
# {model.spec.dimensions}D segmentation

A network trained with unifocal and the loss {model.loss}. It takes {kind}, {size}
elements at a time, with {model.spec.in_channels} channel(s). Its outputs:

{named}

Not a medical device: nothing here is for diagnosis. Authors, licence and data are for those to state who trained it.

## Running it

    pip install 'unifocal[all]' pytorch-ignite fire
    python -m monai.bundle run --config_file configs/inference.json --bundle_root . \\
        --dataset_dir IMAGES --output_dir OUT

`IMAGES` is a folder of images. `OUT` gets one mask per image, on the image's own grid: the masks that
`unifocal predict` gives on the same device. A GPU rounds its sums otherwise: for a processor's masks where there is
one, give `--device cpu` here, and `--set inference.device=cpu` to `unifocal predict`.{rounding}
`--spacing_mm "[1, 1, 1]"` says the distance between elements where files do not.

Images are read, prepared ({steps}), brought back and written by unifocal; network, windows, activation and loop are as
`configs/inference.json` names them. `models/model.pt` holds the weights alone and is read without executing
anything.
"""


def _packages_of(spec: NetworkSpec) -> dict[str, str]:
    """The packages of somebody else's network."""
    package = spec.name.rpartition(":")[0].partition(".")[0]
    if package in {"", "monai", "torch", "unifocal"}:
        return {}
    return {name: version(name) for name in packages_distributions().get(package, [])}
