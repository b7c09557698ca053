"""`unifocal export`."""

from pathlib import Path
from typing import Annotated

import typer

from unifocal.cli import options as o


def export(
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="model.safetensors, or the folder of a training or of a study's run that holds it."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="What to write: an ONNX file, or the folder of a MONAI bundle.")
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="onnx or monai. Left out, the name says it: .onnx means ONNX, no ending a MONAI bundle.",
        ),
    ] = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Write a trained network for other programs, checked: as ONNX, or as a MONAI bundle.

    An ONNX file's metadata hold, as JSON under the key "unifocal", how images are prepared and what the outputs mean.
    MONAI's own runner (last example, in the bundle's folder) gives a MONAI bundle's masks: those of `unifocal predict`.
    It needs unifocal there too.

    \b
      unifocal export --model model --out model.onnx
      unifocal export --model model --out bundle --format monai
      python -m monai.bundle run --config_file configs/inference.json \\
        --bundle_root . --dataset_dir IMAGES --output_dir OUT
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.verbs import ExportConfig

    flags = {"model": model, "out": out, "format": format_}
    resolved = resolve(ExportConfig, config=config, settings=set_ or [], flags=flags)

    from rich.console import Console

    from unifocal.cli.show import show_places
    from unifocal.experiments.export import export_model

    found = export_model(resolved)
    console = Console(highlight=False)
    console.print(found, soft_wrap=True)
    show_places(console, {"Network": resolved.out})
