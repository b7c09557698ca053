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
    out: Annotated[Path | None, typer.Option("--out", help="The file to write.")] = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Write a trained network as ONNX, checked against PyTorch, for programs without it.

    The file's metadata hold, as JSON under the key "unifocal", how images are prepared and what the outputs mean.

    \b
      unifocal export --model model --out model.onnx
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.schema import ExportConfig

    resolved = resolve(ExportConfig, config=config, settings=set_ or [], flags={"model": model, "out": out})

    from rich.console import Console

    from unifocal.cli.show import show_places
    from unifocal.experiments.export import export_model

    worst = export_model(resolved)
    console = Console(highlight=False)
    console.print(f"ONNX Runtime gives PyTorch's logits, to {worst:.1e} of the largest.")
    show_places(console, {"Network": resolved.out})
