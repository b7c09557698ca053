"""`unifocal evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from unifocal.cli import options as o


def evaluate(
    truth: Annotated[Path | None, typer.Option("--truth", help="The folder of true masks.")] = None,
    prediction: Annotated[Path | None, typer.Option("--pred", help="The folder of predicted masks.")] = None,
    out: o.Out = None,
    pair_by: Annotated[
        str | None, typer.Option("--pair-by", help="How masks find each other: stem, number or order.")
    ] = None,
    mask_threshold: o.MaskThreshold = None,
    cases: o.Cases = None,
    case_column: o.CaseColumn = None,
    patient_column: o.PatientColumn = None,
    patient_pattern: o.PatientPattern = None,
    spacing: o.Spacing = None,
    config: o.Config = None,
    set_: o.Settings = None,
) -> None:
    """Score masks from any tool against true masks.

    \b
      unifocal evaluate --truth masks --pred predicted --out scores
      unifocal evaluate --truth masks --pred predicted --out scores --spacing 0.5 --cases cases.csv
    """
    from unifocal.config.resolve import resolve
    from unifocal.config.schema import EvaluateConfig

    flags = {
        "truth": truth, "prediction": prediction, "out": out, "pair_by": pair_by, "mask_threshold": mask_threshold,
        "cases": cases, "case_column": case_column, "patient_column": patient_column,
        "patient_pattern": patient_pattern, "spacing_mm": spacing,
    }  # fmt: skip
    resolved = resolve(EvaluateConfig, config=config, settings=set_ or [], flags=flags)

    from rich.console import Console

    from unifocal.cli.show import show_places, show_summary
    from unifocal.experiments.evaluate import evaluate_masks
    from unifocal.experiments.progress import ConsoleReporter

    with ConsoleReporter() as reporter:
        analysis = evaluate_masks(resolved, reporter=reporter)
    console = Console(highlight=False)
    show_summary(console, analysis)
    show_places(console, {"Scores": resolved.out / "scores.csv", "Summary": resolved.out / "summary.csv"})
