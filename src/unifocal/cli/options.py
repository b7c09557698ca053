"""Options that several verbs share."""

import functools
import inspect
import shlex
import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

from unifocal.clock import Moment

STARTED: ContextVar[Moment | None] = ContextVar("STARTED", default=None)
"""When this process began, where it runs one verb and nothing else."""

_DATA = "Data"
_STUDY = "Study"
_VERDICT = "Verdict"

Config = Annotated[Path | None, typer.Option("--config", help="A YAML file with any of the settings.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="One setting by its key in the YAML, e.g. training.batch_size=8. Repeatable."
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="The folder for the results.")]

Size = Annotated[
    str | None,
    typer.Option(
        "--size",
        rich_help_panel=_STUDY,
        help="The network's input: 128, 512x800 (rows x columns), or 96x96x96 for volumes.",
    ),
]
Protocol = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        rich_help_panel=_STUDY,
        help="A paper's settings, e.g. drive or brats20 (`unifocal protocols`); all that is given goes before.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        rich_help_panel=_STUDY,
        help="full, or quick: a try on a laptop, smaller and shorter. Default: full.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option("--epochs", rich_help_panel=_STUDY, help="The most epochs of one run. Default: 60, of volumes 30."),
]
Log = Annotated[
    str | None,
    typer.Option(
        "--log",
        rich_help_panel=_STUDY,
        help="Where epochs are also written to: tensorboard, mlflow, or both with a comma.",
    ),
]


Metric = Annotated[
    str | None,
    typer.Option("--metric", rich_help_panel=_VERDICT, help="What it rests on, e.g. dice, hd95, nsd. Default: dice."),
]
Label = Annotated[
    int | None,
    typer.Option("--label", rich_help_panel=_VERDICT, help="The label it rests on. Default: the rarest."),
]
Margin = Annotated[
    float | None,
    typer.Option(
        "--margin",
        rich_help_panel=_VERDICT,
        help="The largest difference in the metric that counts as none, in its unit. Default: 0.02 for ratios.",
    ),
]
Resamples = Annotated[
    int | None,
    typer.Option("--resamples", rich_help_panel=_VERDICT, help="Bootstrap resamples, for intervals. Default: 10000."),
]

DataFlags = dict[str, Any]
"""What the shared data options were given, under their configuration keys."""


def _option(flag: str, kind: Any, help_text: str) -> Any:
    return Annotated[kind | None, typer.Option(flag, rich_help_panel=_DATA, help=help_text)]


Data = _option("--data", Path, "The data set's folder, in any layout that is known. Without it: the phantom.")
Layout = _option(
    "--layout",
    str,
    "folders, nnunet, decathlon, bids, dicom, case_folders or a data set's name. Default: what is recognised.",
)
Images = _option("--images", Path, "The images folder, if not the usual one in --data.")
Masks = _option("--masks", Path, "The masks folder, if not the usual one in --data.")
PairBy = _option("--pair-by", str, "How masks find images: stem, suffix, number or order. Default: stem.")
MaskSuffix = _option("--mask-suffix", str, "What masks' names add, with --pair-by suffix.")
MaskThreshold = _option("--mask-threshold", int, "Mask values from here on are foreground.")
Labels = _option("--labels", str, "Mask values to keep, with commas; all others become background.")
Cases = _option("--cases", Path, "The table of cases, if not cases.csv in --data.")
CaseColumn = _option("--case-column", str, "Its column with the images' names.")
PatientColumn = _option("--patient-column", str, "Its column with the patients.")
PatientPattern = _option(
    "--patient-pattern",
    str,
    r"Without a table: a regular expression that finds the patient in an image's name, e.g. '^(\d+)_'.",
)
Spacing = _option("--spacing", str, "Pixel spacing in mm: 0.5, or rows x columns: 0.5x0.7.")

_DATA_OPTIONS: dict[str, tuple[str, Any]] = {
    "data": ("data.folder", Data),
    "layout": ("data.layout", Layout),
    "images": ("data.images", Images),
    "masks": ("data.masks", Masks),
    "pair_by": ("data.pair_by", PairBy),
    "mask_suffix": ("data.mask_suffix", MaskSuffix),
    "mask_threshold": ("data.mask_threshold", MaskThreshold),
    "labels": ("data.labels", Labels),
    "cases": ("data.cases", Cases),
    "case_column": ("data.case_column", CaseColumn),
    "patient_column": ("data.patient_column", PatientColumn),
    "patient_pattern": ("data.patient_pattern", PatientPattern),
    "spacing": ("data.spacing_mm", Spacing),
}
_DATA_ARGUMENT = Annotated[Path | None, typer.Argument(metavar="DATA", help="The data set's folder.")]


def takes_data(*, as_argument: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that say where the data are.

    The command gets what was given as its keyword `data_flags`, a `DataFlags`; the options stand in its place.

    Args:
        as_argument: Whether the folder is the command's argument rather than `--data`.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        kinds = {name: kind for name, (_, kind) in _DATA_OPTIONS.items()}
        if as_argument:
            kinds["data"] = _DATA_ARGUMENT
        shared = [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=kind)
            for name, kind in kinds.items()
        ]
        own = dict(inspect.signature(command).parameters)
        names = list(own)
        place = names.index("data_flags")
        before, after = [own[name] for name in names[:place]], [own[name] for name in names[place + 1 :]]

        @functools.wraps(command)
        def wrapped(**given: Any) -> None:
            flags = {key: given.pop(name) for name, (key, _) in _DATA_OPTIONS.items()}
            command(**given, data_flags=flags)

        parameters = [*(shared[:1]), *before, *shared[1:], *after]
        wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return wrapped

    return decorate


def command_line() -> str:
    """This process's command as one would type it."""
    return shlex.join(["unifocal", *sys.argv[1:]])
