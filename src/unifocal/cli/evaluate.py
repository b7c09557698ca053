"""`unifocal evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from unifocal.cli import options as o

_Predictions = Annotated[
    list[str] | None,
    typer.Option(
        "--pred", metavar="[NAME=]DIR", help="A folder of predicted masks. Repeatable: one for each method to compare."
    ),
]
_Probabilities = Annotated[
    list[str] | None,
    typer.Option(
        "--probabilities",
        metavar="[NAME=]DIR",
        help="A method's probabilities (channels, *spatial), a file per case: nnU-Net's .npz, or .npy. Repeatable.",
    ),
]


def evaluate(
    truth: Annotated[Path | None, typer.Option("--truth", help="The folder of true masks.")] = None,
    predictions: _Predictions = None,
    out: o.Out = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="The folder of images, to show in the report.")
    ] = None,
    probabilities: _Probabilities = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", help="Labels to score, with commas; all others become background. Default: all."),
    ] = None,
    metric: o.Metric = None,
    label: o.Label = None,
    margin: o.Margin = None,
    resamples: o.Resamples = None,
    tolerance: Annotated[
        float | None, typer.Option("--tolerance", help="Of the surface Dice, in mm. Default: 2.")
    ] = None,
    allow_missing: Annotated[
        bool | None, typer.Option("--allow-missing", help="Count missing predictions as empty masks.")
    ] = None,
    pair_by: Annotated[
        str | None, typer.Option("--pair-by", help="How masks find each other: stem, number or order.")
    ] = None,
    mask_threshold: o.MaskThreshold = None,
    cases: Annotated[
        Path | None,
        typer.Option("--cases", rich_help_panel="Data", help="The table of cases, if not cases.csv beside --truth."),
    ] = None,
    case_column: o.CaseColumn = None,
    patient_column: o.PatientColumn = None,
    patient_pattern: o.PatientPattern = None,
    spacing: o.Spacing = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes. Default: one per core.")] = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Score masks from any tool against true masks, in 2D or 3D, and compare the tools.

    \b
      unifocal evaluate --truth masks --pred predicted --out scores
      unifocal evaluate --truth labelsTs --pred nnunet=results/a --pred ours=results/b --images imagesTs --out scores
      unifocal evaluate --truth masks --pred predicted --out scores --spacing 0.5 --cases cases.csv
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.verbs import EvaluateConfig

    flags = {
        "truth": truth, "predictions": predictions or None, "out": out, "images": images,
        "probabilities": probabilities or None, "labels": labels, "metric": metric, "label": label, "margin": margin,
        "resamples": resamples, "tolerance": tolerance, "allow_missing": allow_missing, "pair_by": pair_by,
        "mask_threshold": mask_threshold, "cases": cases, "case_column": case_column,
        "patient_column": patient_column, "patient_pattern": patient_pattern, "spacing_mm": spacing,
        "workers": workers,
    }  # fmt: skip
    resolved = resolve(EvaluateConfig, config=config, settings=set_ or [], flags=flags)

    from unifocal.cli.show import show_study
    from unifocal.experiments.evaluate import evaluate_masks
    from unifocal.experiments.progress import ConsoleReporter

    with ConsoleReporter() as reporter:
        outcome = evaluate_masks(resolved, command=o.command_line(), reporter=reporter)
    show_study(outcome)
