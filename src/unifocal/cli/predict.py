"""`unifocal predict`."""

from pathlib import Path
from typing import Annotated

import typer

from unifocal.cli import options as o


def predict(
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="model.safetensors, or the folder of a training or of a study's run that holds it."
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", help="A folder of images, or one image.")] = None,
    out: o.Out = None,
    spacing: o.Spacing = None,
    overlays: Annotated[
        bool | None, typer.Option("--overlays/--no-overlays", help="Also draw each mask over its image.")
    ] = None,
    probabilities: Annotated[
        bool | None, typer.Option("--probabilities", help="Also write the probabilities of every label.")
    ] = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Segment new images or volumes: masks where each image lies, overlays, and sizes.

    \b
      unifocal predict --model model --images new --out masks
      unifocal predict --model studies/brain/runs/focal/fold-0-seed-0 --images new --out masks --spacing 0.5
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.verbs import PredictConfig

    flags = {
        "model": model,
        "images": images,
        "out": out,
        "spacing_mm": spacing,
        "overlays": overlays,
        "probabilities": probabilities,
    }
    resolved = resolve(PredictConfig, config=config, settings=set_ or [], flags=flags)

    from rich.console import Console

    from unifocal.cli.show import show_places
    from unifocal.experiments.new_images import segment_images
    from unifocal.experiments.progress import ConsoleReporter

    with ConsoleReporter() as reporter:
        places = segment_images(resolved, reporter=reporter)
    show_places(Console(highlight=False), places)
