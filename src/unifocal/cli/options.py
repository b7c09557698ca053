"""Options that several verbs share."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

_DATA = "Data"
_STUDY = "Study"

Config = Annotated[Path | None, typer.Option("--config", help="A YAML file with any of the settings.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="One setting by its key in the YAML, e.g. training.batch_size=8. Repeatable."
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="The folder for the results.")]

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        rich_help_panel=_DATA,
        help="A folder with an images and a masks folder, perhaps cases.csv. Without it: the built-in phantom.",
    ),
]
Images = Annotated[
    Path | None,
    typer.Option("--images", rich_help_panel=_DATA, help="The images folder, if not the usual one in --data."),
]
Masks = Annotated[
    Path | None,
    typer.Option("--masks", rich_help_panel=_DATA, help="The masks folder, if not the usual one in --data."),
]
PairBy = Annotated[
    str | None,
    typer.Option(
        "--pair-by", rich_help_panel=_DATA, help="How masks find images: stem, suffix, number or order. Default: stem."
    ),
]
MaskSuffix = Annotated[
    str | None,
    typer.Option("--mask-suffix", rich_help_panel=_DATA, help="What masks' names add, with --pair-by suffix."),
]
MaskThreshold = Annotated[
    int | None,
    typer.Option("--mask-threshold", rich_help_panel=_DATA, help="Mask values from here on are foreground."),
]
Cases = Annotated[
    Path | None,
    typer.Option("--cases", rich_help_panel=_DATA, help="The table of cases, if not cases.csv in --data."),
]
CaseColumn = Annotated[
    str | None, typer.Option("--case-column", rich_help_panel=_DATA, help="Its column with the images' names.")
]
PatientColumn = Annotated[
    str | None, typer.Option("--patient-column", rich_help_panel=_DATA, help="Its column with the patients.")
]
PatientPattern = Annotated[
    str | None,
    typer.Option(
        "--patient-pattern",
        rich_help_panel=_DATA,
        help=r"Without a table: a regular expression that finds the patient in an image's name, e.g. '^(\d+)_'.",
    ),
]
Spacing = Annotated[
    str | None,
    typer.Option("--spacing", rich_help_panel=_DATA, help="Pixel spacing in mm: 0.5, or rows x columns: 0.5x0.7."),
]
Size = Annotated[
    str | None,
    typer.Option(
        "--size", rich_help_panel=_STUDY, help="The network's input in pixels: 128, or 512x800 (rows x columns)."
    ),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", rich_help_panel=_STUDY, help="The most epochs of one run. Default: 60.")
]


def data_flags(
    *,
    data: Path | None,
    images: Path | None,
    masks: Path | None,
    pair_by: str | None,
    mask_suffix: str | None,
    mask_threshold: int | None,
    cases: Path | None,
    case_column: str | None,
    patient_column: str | None,
    patient_pattern: str | None,
    spacing: str | None,
) -> dict[str, object]:
    """The data options under their configuration keys."""
    return {
        "data.folder": data,
        "data.images": images,
        "data.masks": masks,
        "data.pair_by": pair_by,
        "data.mask_suffix": mask_suffix,
        "data.mask_threshold": mask_threshold,
        "data.cases": cases,
        "data.case_column": case_column,
        "data.patient_column": patient_column,
        "data.patient_pattern": patient_pattern,
        "data.spacing_mm": spacing,
    }


def command_line() -> str:
    """This process's command as one would type it."""
    return shlex.join(["unifocal", *sys.argv[1:]])
