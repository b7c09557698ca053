"""The data of a study or a training, checked; with every problem told at once."""

from pathlib import Path

from unifocal.config.schema import DataConfig, LossConfig, ModelConfig
from unifocal.data.check import CheckedData, load_and_check
from unifocal.data.folder import Layout, find_layout
from unifocal.data.phantom import write_phantom
from unifocal.data.splits import Person, people_of
from unifocal.experiments.folder import check_out, slug
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.progress import Reporter
from unifocal.losses import create, describe
from unifocal.problems import InputError, Problem, bad_input, raise_if_any
from unifocal.training.module import try_loss


def load_data(
    config: ModelConfig, *, out: Path, minimum_patients: int, problems: list[Problem], reporter: Reporter
) -> CheckedData:
    """Find, pair, read and check the data; without a named folder, write and read the phantom.

    Args:
        config: Where the data are.
        out: Must be empty or hold the same study; the phantom goes into it.
        minimum_patients: How many patients the folds need.
        problems: Found so far, of other kinds: all are raised together.
        reporter: Advanced by one per case.

    Raises:
        InputError: With `problems` and everything that is wrong with the data.
    """
    data = config.data
    try:
        check_out(out, "study.yaml", allowed=phantom_names(config))
    except InputError as error:
        problems = [*problems, *error.problems]
    if data.is_phantom:
        if data.phantom_patients < max(minimum_patients, 3):
            what = f"is {data.phantom_patients}, too few for {minimum_patients} folds"
            problems = [*problems, Problem("data.phantom_patients", what, "Give more, or fewer folds.")]
        raise_if_any(problems)
        data = data.model_copy(update={"folder": _phantom(config, out)})
    try:
        checked = load_and_check(layout_of(data), minimum_patients=minimum_patients)
    except InputError as error:
        raise InputError([*problems, *error.problems]) from None
    raise_if_any([*problems, *_half_known_spacing(checked), *_unwritable(checked)])
    reporter.say(describe_data(checked))
    return checked


def layout_of(data: DataConfig) -> Layout:
    """The layout that the settings describe.

    Raises:
        InputError: If folders or the table are missing or ambiguous.
    """
    return find_layout(
        data.folder,
        images=data.images,
        masks=data.masks,
        cases_table=data.cases,
        pair_by=data.pair_by,
        mask_suffix=data.mask_suffix,
        case_column=data.case_column,
        patient_column=data.patient_column,
        patient_pattern=data.patient_pattern,
        spacing_mm=data.spacing_mm,
        mask_threshold=data.mask_threshold,
    )


def loss_problems(losses: tuple[LossConfig, ...]) -> list[Problem]:
    """What is wrong with the losses asked for: unknown names and parameters, and losses asked for twice."""
    problems = []
    seen: set[object] = set()
    for loss in losses:
        name = loss.name
        try:
            create(loss.name, **loss.parameters)
            name = loss.name if ":" in loss.name else describe(loss.name).name
        except Exception as error:  # noqa: BLE001 - a user's own module may raise anything when it is imported
            what = str(error) or type(error).__name__
            problems.append(Problem(f"loss {loss.label}", what, "`unifocal losses` lists names and parameters."))
        known = {slug(loss.label), (name, repr(sorted(loss.parameters.items())))}
        if known & seen:
            problems.append(Problem(f"loss {loss.label}", "is asked for twice", "Name each loss once."))
        seen |= known
    return problems


def refuse_unusable_losses(losses: tuple[LossConfig, ...], out_channels: int) -> None:
    """Call each loss once as training will.

    Raises:
        InputError: With every loss that fails, or gives no finite number, or no gradient.
    """
    problems = []
    for loss in losses:
        fault = try_loss(create(loss.name, **loss.parameters), out_channels)
        if fault:
            remedy = f"It is called as loss(logits, target) with {out_channels} channel(s) of logits."
            problems.append(Problem(f"loss {loss.label}", fault, remedy))
    raise_if_any(problems)


def prepared_for(checked: CheckedData, folder: Path) -> Prepared:
    """What will be prepared of checked data, and where to."""
    return Prepared(
        folder=folder,
        cases=checked.dataset.cases,
        sizes=tuple(fact.size for fact in checked.facts),
        channels=checked.channels,
        labels=checked.labels,
        coding=checked.coding,
    )


def people_in(checked: CheckedData) -> tuple[Person, ...]:
    """The patients of checked data, as the split wants them."""
    cases = checked.dataset.cases
    return people_of(
        [case.patient for case in cases],
        [fact.foreground_share for fact in checked.facts],
        [case.attributes for case in cases],
    )


def describe_data(checked: CheckedData) -> str:
    """The data in one line."""
    cases = checked.dataset.cases
    patients = len({case.patient for case in cases})
    whose = (
        f"of {patients} patients" if checked.dataset.patients_known else "(patients unknown: each image counts as one)"
    )
    return f"{len(cases)} images {whose}, {foreground_percent(checked):.2g} % foreground"


def foreground_percent(checked: CheckedData) -> float:
    """Mean over the images of the share of pixels that any label has, in percent."""
    shares = [fact.foreground_share for fact in checked.facts]
    return round(100 * sum(shares) / len(shares), 4)


def _unwritable(checked: CheckedData) -> list[Problem]:
    """Labels that do not fit a 16-bit mask, and names that cannot be written to a table or a file."""
    problems = []
    if max(checked.labels) > 65535:
        what = f"hold the label {max(checked.labels)}, but predicted masks are written with 16 bits"
        problems.append(Problem("the masks", what, "Number the labels 1, 2, ..., or give --mask-threshold 1."))
    for case in checked.dataset.cases:
        name = case.name.encode("utf-8", errors="surrogateescape")
        if len(name) > 200 or name.decode("utf-8", errors="replace") != case.name:
            problems.append(Problem(repr(str(case.image)), "has a name that is too long or not UTF-8", "Rename it."))
    return problems


def _half_known_spacing(checked: CheckedData) -> list[Problem]:
    unknown = [case.name for case in checked.dataset.cases if case.spacing_mm is None]
    if not unknown or len(unknown) == len(checked.dataset.cases):
        return []
    named = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
    what = f"{len(unknown)} images have no pixel spacing while others have ({named})"
    return [Problem("spacing", what, "Fill the table's spacing for all images, or for none, or give --spacing.")]


def phantom_names(config: ModelConfig) -> tuple[str, ...]:
    """What the phantom's folder is called: its settings are in the name. Empty where other data are named."""
    data = config.data
    size = max(128, *config.preprocessing.size)
    return (f"phantom-{data.phantom_patients}-{data.phantom_seed}-{size}",) if data.is_phantom else ()


def _phantom(config: ModelConfig, out: Path) -> Path:
    folder = out / phantom_names(config)[0]
    if not folder.is_dir():
        if (out / "study.yaml").is_file():
            raise bad_input(str(out), "holds a study of other data than this phantom", "Choose another --out.")
        data = config.data
        size = max(128, *config.preprocessing.size)
        write_phantom(folder, patients=data.phantom_patients, seed=data.phantom_seed, size=size)
    return folder
