"""The data of a study or a training, checked; with every problem told at once."""

from pathlib import Path

from unifocal.config.schema import DataConfig, LossConfig, ModelConfig
from unifocal.data.check import CheckedData, load_and_check
from unifocal.data.folder import Layout, find_layout
from unifocal.data.phantom import write_phantom
from unifocal.data.splits import Person, people_of
from unifocal.experiments.folder import slug
from unifocal.experiments.prepare import Prepared
from unifocal.experiments.progress import Reporter
from unifocal.losses import create
from unifocal.problems import InputError, Problem, bad_input, raise_if_any
from unifocal.training.module import try_loss


def load_data(
    config: ModelConfig, *, out: Path, minimum_patients: int, problems: list[Problem], reporter: Reporter
) -> CheckedData:
    """Find, pair, read and check the data; without a named folder, write and read the phantom.

    Args:
        config: Where the data are.
        out: The phantom goes to `out/phantom`.
        minimum_patients: How many patients the folds need.
        problems: Found so far, of other kinds: all are raised together.
        reporter: Advanced by one per case.

    Raises:
        InputError: With `problems` and everything that is wrong with the data.
    """
    data = config.data
    if data.is_phantom:
        raise_if_any(problems)
        data = data.model_copy(update={"folder": _phantom(data, max(config.preprocessing.size), out)})
    try:
        checked = load_and_check(layout_of(data), minimum_patients=minimum_patients)
    except InputError as error:
        raise InputError([*problems, *error.problems]) from None
    raise_if_any([*problems, *_half_known_spacing(checked)])
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
    problems, seen = [], set()
    for loss in losses:
        try:
            create(loss.name, **loss.parameters)
        except (ValueError, TypeError, ImportError, AttributeError) as error:
            problems.append(Problem(f"loss {loss.label}", str(error), "`unifocal losses` lists names and parameters."))
        if slug(loss.label) in seen:
            problems.append(Problem(f"loss {loss.label}", "is asked for twice", "Name each loss once."))
        seen.add(slug(loss.label))
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


def _half_known_spacing(checked: CheckedData) -> list[Problem]:
    unknown = [case.name for case in checked.dataset.cases if case.spacing_mm is None]
    if not unknown or len(unknown) == len(checked.dataset.cases):
        return []
    named = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
    what = f"{len(unknown)} images have no pixel spacing while others have ({named})"
    return [Problem("spacing", what, "Fill the table's spacing for all images, or for none, or give --spacing.")]


def _phantom(data: DataConfig, size: int, out: Path) -> Path:
    folder = out / "phantom"
    if not folder.is_dir():
        if (out / "study.yaml").is_file():
            raise bad_input(str(out), "holds a study of other data than the phantom", "Choose another --out.")
        write_phantom(folder, patients=data.phantom_patients, seed=data.phantom_seed, size=max(size, 128))
    return folder
