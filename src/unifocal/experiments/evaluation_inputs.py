"""What an evaluation compares: the true masks, and every method's prediction of each, found by their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unifocal.config.verbs import EvaluateConfig
from unifocal.data.case import Case, DataSet, Reading, Source
from unifocal.data.folder import Layout, read_folder
from unifocal.data.layouts.items import items_in
from unifocal.data.layouts.listing import is_file
from unifocal.data.pairing import pair_files
from unifocal.data.read import stem_of
from unifocal.experiments.conclude import metric_problems
from unifocal.experiments.folder import check_out, read_settings
from unifocal.problems import InputError, Problem, bad_input

_PROBABILITY_FILES = (".npz", ".npy")
_FIRST_CHANNEL = "_0000"


@dataclass(frozen=True)
class Inputs:
    """What was found, before any mask is opened.

    Attributes:
        dataset: The cases: `image` is the true mask, `other_masks` holds the predictions by method.
        probabilities: By method and case.
        images: By case, where `--images` has them.
        missing: By method, the cases that it did not predict and that count as empty.
    """

    dataset: DataSet
    probabilities: Mapping[str, Mapping[str, Path]]
    images: Mapping[str, Source]
    missing: Mapping[str, tuple[str, ...]]


def find_inputs(config: EvaluateConfig, problems: list[Problem]) -> Inputs:
    """Find all files of an evaluation.

    Args:
        config: Where they are.
        problems: Gets everything that is wrong with settings, folders and names, and what is odd as warnings.

    Raises:
        InputError: If there is nothing to pair, with all of `problems`.
    """
    problems += metric_problems(config.metric, "--metric", with_probabilities=bool(config.probabilities))
    problems += _folder_problems(config)
    try:
        check_out(config.out, "study.yaml")
        _refuse_study(config.out)
    except InputError as error:
        problems += error.problems
    if not all(problem.is_warning for problem in problems):
        raise InputError(problems)
    try:
        reading = _read_truth(config, problems)
    except InputError as error:
        raise InputError([*problems, *error.problems]) from None
    cases = reading.dataset.cases
    predictions = {name: _pair(config, name, cases, problems) for name in config.predictions}
    missing = {
        name: tuple(case.name for case in cases if case.name not in found) for name, found in predictions.items()
    }
    if not config.allow_missing:
        problems += [
            _missing(config, name, absent, len(cases))
            for name, absent in missing.items()
            if 0 < len(absent) < len(cases)
        ]
    named = tuple(
        replace(case, other_masks={name: found[case.name] for name, found in predictions.items() if case.name in found})
        for case in cases
    )
    probabilities = _probabilities(config, predictions, problems)
    images = {} if config.images is None else _images(config.images, cases, problems)
    return Inputs(replace(reading.dataset, cases=named), probabilities, images, missing)


def _read_truth(config: EvaluateConfig, problems: list[Problem]) -> Reading:
    """The true masks as cases. `cases.csv` beside their folder says whose they are, where it fits and none is named.

    Raises:
        InputError: If the folder or the table cannot be used.
    """
    table = config.cases
    beside = config.truth.resolve().parent / "cases.csv"
    is_found = table is None and config.patient_pattern is None and is_file(beside)
    layout = Layout(
        images=config.truth, cases_table=beside if is_found else table, case_column=config.case_column,
        patient_column=config.patient_column, patient_pattern=config.patient_pattern, spacing_mm=config.spacing_mm,
    )  # fmt: skip
    reading = read_folder(layout)
    # A table may name more cases than are evaluated here.
    faults = [replace(each, is_warning=each.is_warning or each.kind == "image-missing") for each in reading.problems]
    if is_found and not all(fault.is_warning for fault in faults):
        reading = read_folder(replace(layout, cases_table=None, case_column=None, patient_column=None))
        what = f"does not fit the true masks and is not used ({faults[0].what})"
        remedy = "Give the table that does with --cases: it says whose each case is."
        faults = [*reading.problems, Problem(str(beside), what, remedy, "table-unused", is_warning=True)]
    extra = [fault for fault in faults if fault.kind == "image-missing"]
    problems += [fault for fault in faults if fault.kind != "image-missing"]
    if extra:
        what, remedy = f"names {len(extra)} cases that have no true mask", "They are left out."
        problems.append(Problem(str(layout.cases_table), what, remedy, "image-missing", is_warning=True))
    return reading


def _folder_problems(config: EvaluateConfig) -> list[Problem]:
    named = [("--truth", config.truth), *(("--images", folder) for folder in (config.images,) if folder is not None)]
    for flag, folders in (("--pred", config.predictions), ("--probabilities", config.probabilities)):
        named += [(flag, folder) for folder in folders.values()]
    problems = [
        Problem(f"{flag} {folder}", "is not a folder", f"Check {flag}.")
        for flag, folder in named
        if not folder.is_dir()
    ]
    for name, folder in config.predictions.items():
        if folder.resolve() == config.truth.resolve():
            what = "is the folder of the true masks"
            problems.append(Problem(f"--pred {folder}", what, "Name the predicted masks' folder."))
        if not name.strip() or not name.isprintable():
            what = f"the name {name!a} cannot be printed"
            problems.append(Problem(f"--pred {folder}", what, "Give another name: NAME=DIR."))
    return problems


def _refuse_study(out: Path) -> None:
    """An evaluation may be written over, a study never."""
    settings = read_settings(out)
    if (out / "study.yaml").is_file() and (settings or {}).get("kind") != "evaluation":
        raise bad_input(str(out), "holds a study, not an evaluation", "Choose another --out.")


def _pair(config: EvaluateConfig, name: str, cases: Sequence[Case], problems: list[Problem]) -> dict[str, Source]:
    """A method's predictions by case; what cannot be paired, except missing ones, becomes a problem."""
    folder = config.predictions[name]
    items, faults = items_in(folder)
    problems += faults
    if not items:
        if not faults:
            what = "holds no masks that can be read (pictures, NIfTI, NRRD, MetaImage, MATLAB or DICOM)"
            problems.append(Problem(f"--pred {folder}", what, "Give the folder with the predicted masks."))
        return {}
    sources = {item.path: item.source for item in items}
    names = {_name_of(case, config.truth): case.name for case in cases}
    truths = list(names)
    pairs, found = pair_files(truths, list(sources), by=config.pair_by)
    extra = [Path(problem.where).name for problem in found if problem.kind == "image-missing"]
    problems += [_extra(folder, extra)] if extra else []
    told = [problem for problem in found if problem.kind not in ("mask-missing", "image-missing")]
    problems += [_reworded(problem, folder, truths, list(sources)) for problem in told]
    return {names[truth]: sources[prediction] for truth, prediction in pairs}


def _name_of(case: Case, folder: Path) -> Path:
    """What a true mask goes by: its file, or, as `items_in` names a DICOM series, its case."""
    return case.image.path if stem_of(case.image.path) == case.name else folder / case.name


def _extra(folder: Path, names: Sequence[str]) -> Problem:
    what = f"holds {len(names)} masks that belong to no true mask, and are left out: {_some(names)}"
    return Problem(f"--pred {folder}", what, "Check --truth.", "prediction-extra", is_warning=True)


def _some(names: Sequence[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _reworded(problem: Problem, folder: Path, truths: Sequence[Path], predictions: Sequence[Path]) -> Problem:
    """A fault of pairing in the words of an evaluation."""
    match problem.kind:
        case "pairs-none" if "its name" not in problem.what and "number in" not in problem.what:
            what = (
                f"none of its {len(predictions)} masks belongs to any of the {len(truths)} true masks by name "
                f"(the first is {predictions[0].name}, the first true mask {truths[0].name})"
            )
            remedy = "Give another --pair-by: stem, number or order."
            return Problem(f"--pred {folder}", what, remedy, problem.kind)
        case "pairs-differ":
            what = (
                f"holds {len(predictions)} masks, but there are {len(truths)} true masks: the order does not pair them"
            )
            return Problem(f"--pred {folder}", what, "Remove what is too many, or pair by name.", problem.kind)
        case _:
            return replace(problem, what=problem.what.replace("the images", "the true masks"))


def _missing(config: EvaluateConfig, name: str, absent: Sequence[str], total: int) -> Problem:
    what = f"has no prediction for {len(absent)} of {total} true masks: {_some(absent)}"
    remedy = "Add them, remove the true masks, or give --allow-missing to count them as empty masks."
    return Problem(f"--pred {config.predictions[name]}", what, remedy, "prediction-missing")


def _probabilities(
    config: EvaluateConfig, predictions: Mapping[str, Mapping[str, Source]], problems: list[Problem]
) -> dict[str, dict[str, Path]]:
    """The files of probabilities by method and case; a method has them for all its predictions or for none."""
    found: dict[str, dict[str, Path]] = {}
    for given, folder in config.probabilities.items():
        where = f"--probabilities {folder}"
        name = _method_of(config, given, folder)
        if name is None:
            what = f"belongs to none of the methods {', '.join(config.predictions)}"
            problems.append(Problem(where, what, "Name the method: NAME=DIR."))
            continue
        files = {
            file.stem: file for ending in _PROBABILITY_FILES for file in folder.glob(f"*{ending}") if file.is_file()
        }
        found[name] = {case: files[case] for case in predictions[name] if case in files}
        absent = [case for case in predictions[name] if case not in files]
        if absent:
            what = f"has no .npz or .npy file for {len(absent)} predicted cases: {_some(absent)}"
            problems.append(Problem(where, what, "Add them, or leave --probabilities away.", "probabilities-missing"))
    return found


def _method_of(config: EvaluateConfig, given: str, folder: Path) -> str | None:
    """The method that probabilities belong to: of that name, else of the same folder, else the only one."""
    if given in config.predictions:
        return given
    same = [name for name, place in config.predictions.items() if place.resolve() == folder.resolve()]
    only = list(config.predictions) if len(config.predictions) == len(config.probabilities) == 1 else []
    return next(iter((*same, *only)), None)


def _images(folder: Path, cases: Sequence[Case], problems: list[Problem]) -> dict[str, Source]:
    """The images by case: of the same name, or with nnU-Net's mark of the first channel."""
    items, faults = items_in(folder)
    problems += faults
    by_name = {stem_of(item.path): item.source for item in reversed(items)}
    found = {
        case.name: by_name[name]
        for case in cases
        for name in (case.name + _FIRST_CHANNEL, case.name)
        if name in by_name
    }
    absent = [case.name for case in cases if case.name not in found]
    if absent:
        what = f"has no image for {len(absent)} of {len(cases)} true masks: {_some(absent)}"
        remedy = "The report shows these cases without their image."
        problems.append(Problem(f"--images {folder}", what, remedy, "image-missing", is_warning=True))
    return found
