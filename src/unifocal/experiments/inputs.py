"""The data of a study or a training, checked; with every problem told at once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from unifocal.config.schema import DataConfig, LossConfig, ModelConfig, SplitConfig
from unifocal.data.check import CheckedData, check_data, sound
from unifocal.data.datasets import open_dataset
from unifocal.data.phantom import write_phantom
from unifocal.data.regions import Regions
from unifocal.data.split_plan import SplitPlan, make_folds, unit_of
from unifocal.data.splits import Fold, Person, people_of
from unifocal.experiments.folder import check_out, slug
from unifocal.experiments.mirror import describe_bytes
from unifocal.experiments.plan import Grid, image_pipeline, network_problems, network_spec, plan_preparation
from unifocal.experiments.prepare import Prepared, cache_of, outputs_for, prepare
from unifocal.experiments.progress import Reporter
from unifocal.experiments.recipe import Recipe
from unifocal.experiments.request import mirrors_of, request_of
from unifocal.experiments.segment import build_loss
from unifocal.losses import create, describe
from unifocal.problems import InputError, Problem, bad_input, raise_if_any
from unifocal.training.targets import try_loss


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
    for attempt in (
        lambda: check_out(out, "study.yaml", allowed=phantom_names(config)),
        lambda: cache_of(config.cache),
        lambda: image_pipeline(config.preprocessing, channels=1),
    ):
        try:
            attempt()
        except InputError as error:
            problems = [*problems, *error.problems]
    if data.is_phantom:
        if data.phantom_patients < max(minimum_patients, 3):
            what = f"is {data.phantom_patients}, too few for {minimum_patients} folds"
            problems = [*problems, Problem("data.phantom_patients", what, "Give more, or fewer folds.")]
        raise_if_any(problems)
        data = data.model_copy(update={"folder": _phantom(config, out)})
    try:
        _fetch(data, reporter)
        reading = open_dataset(request_of(data))
        reporter.stage("Checking cases", len(reading.dataset.cases))
        result = check_data(
            reading, threshold=data.mask_threshold, minimum_patients=minimum_patients, advance=reporter.advance
        )
        checked = _with_spacing(sound(result))
    except InputError as error:
        raise InputError([*problems, *error.problems]) from None
    raise_if_any([*problems, *_untrainable(checked)])
    reporter.say(describe_data(checked))
    if checked.warnings:
        count = len(checked.warnings)
        reporter.say(f"{count} warning{'s' if count > 1 else ''} about the data; `unifocal data check` lists them.")
    for each in checked.warnings:
        if each.kind == "class-absent":
            reporter.say(f"{each.what[:1].upper()}{each.what[1:]}: it is not trained.")
    return checked


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


def regions_of(checked: CheckedData) -> Regions | None:
    """The overlapping regions of checked data; None where labels do not overlap."""
    declared = checked.dataset.declared.regions
    return Regions(declared) if declared else None


def refuse_other_label(label: int | None, checked: CheckedData) -> None:
    """Raise if a verdict is to rest on a label that the data do not have.

    Raises:
        InputError: If that is so.
    """
    regions = regions_of(checked)
    known = checked.labels if regions is None else tuple(regions.names)
    if label is not None and label not in known:
        what = f"is not a label of these data, which are {', '.join(map(str, known))}"
        raise bad_input(f"--label {label}", what, "Give one of them, or none for the rarest.")


def refuse_unusable_losses(losses: tuple[LossConfig, ...], checked: CheckedData) -> None:
    """Call each loss once as training will.

    Raises:
        InputError: With every loss that fails, or gives no finite number, or no gradient.
    """
    regions = regions_of(checked)
    problems, out_channels = [], outputs_for(len(checked.labels), regions)
    are_regions = regions is not None
    for loss in losses:
        fault = try_loss(build_loss(loss, are_regions=are_regions), out_channels, is_regions=are_regions)
        if fault:
            remedy = f"It is called as loss(logits, target) with {out_channels} channel(s) of logits"
            remedy += ", each a region of its own, and a target of the same shape." if are_regions else "."
            problems.append(Problem(f"loss {loss.label}", fault, remedy))
    raise_if_any(problems)


def prepare_all(config: ModelConfig, checked: CheckedData, reporter: Reporter) -> Prepared:
    """Prepare all cases of checked data, or find them prepared.

    Raises:
        InputError: With everything that is wrong with the steps, every case that they cannot prepare, or what is
            wrong with the network for such input.
    """
    cache = cache_of(config.cache)
    pipeline, grid = plan_preparation(config.preprocessing, checked.channels, checked.facts)
    regions = regions_of(checked)
    outputs = outputs_for(len(checked.labels), regions)

    def refuse_unusable_network() -> None:
        raise_if_any(network_problems(network_spec(config.network, checked.channels, outputs, grid), grid))

    # Steps of the user's own decide the size of images, which is not known before they are prepared.
    is_size_known = grid.dimensions == 3 or config.preprocessing.steps is None
    if is_size_known:
        refuse_unusable_network()
    cases = checked.dataset.cases
    reporter.stage("Preparing images", len(cases))
    recipes = [Recipe(case, pipeline, checked.labels, checked.coding) for case in cases]
    shape, keys = prepare(recipes, cache, advance=reporter.advance, is_uniform=grid.dimensions == 2)
    if not is_size_known:
        grid = Grid(shape[1:])
        refuse_unusable_network()
    names = checked.dataset.declared.labels if regions is None else regions.names
    if not cache.holds(keys):
        reporter.say(
            f"The cache ({cache.folder}, at most {config.cache.limit}) does not hold all prepared cases: the others "
            "are prepared whenever they are needed, which takes time. --set cache.limit=... gives more room."
        )
    return Prepared(
        cache, cases, keys, pipeline, grid, shape[0], checked.labels, checked.coding, names, regions,
        mirrors_of(config.data),
    )  # fmt: skip


def people_in(checked: CheckedData) -> tuple[Person, ...]:
    """The patients of checked data, as the split wants them."""
    cases = checked.dataset.cases
    return people_of(
        [case.patient for case in cases],
        [fact.foreground_share for fact in checked.facts],
        [case.attributes for case in cases],
    )


def patients_needed(split: SplitConfig) -> int:
    """How many patients a split cannot do without, as far as its settings tell."""
    if split.by == "image":
        return 1
    return split.folds if split.kind == "k_fold" else 3


def make_folds_of(split: SplitConfig, checked: CheckedData) -> tuple[Fold, ...]:
    """The folds of checked data.

    Raises:
        InputError: If the data do not allow the split.
    """
    plan = SplitPlan(**split.model_dump())
    return make_folds(plan, checked.dataset.cases, [fact.foreground_share for fact in checked.facts])


def untrained_labels(checked: CheckedData, folds: Sequence[Fold], by: str) -> list[str]:
    """A sentence for every fold in which no training case holds some of the labels."""
    cases = list(zip(checked.dataset.cases, checked.facts, strict=True))
    told = []
    for number, fold in enumerate(folds):
        train = set(fold.train)
        held = {label for case, fact in cases if unit_of(case, by) in train for label in fact.labels}
        missing = [str(label) for label in checked.labels if label not in held]
        if missing:
            which = f"label{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
            told.append(f"Fold {number}: no training case holds {which}, which its networks cannot learn.")
    return told


def describe_data(checked: CheckedData) -> str:
    """The data in one line."""
    cases = checked.dataset.cases
    patients = len({case.patient for case in cases})
    whose = (
        f"of {patients} patients" if checked.dataset.patients_known else "(patients unknown: each image counts as one)"
    )
    kind = "volumes" if checked.facts[0].ndim == 3 else "images"
    return f"{len(cases)} {kind} {whose}, {foreground_percent(checked):.2g} % foreground"


def foreground_percent(checked: CheckedData) -> float:
    """Mean over the images of the share of pixels that any label has, in percent."""
    shares = [fact.foreground_share for fact in checked.facts]
    return round(100 * sum(shares) / len(shares), 4)


def _with_spacing(checked: CheckedData) -> CheckedData:
    """With the spacing of each case that the files say, where table and user do not."""
    cases = zip(checked.dataset.cases, checked.facts, strict=True)
    spaced = tuple(replace(case, spacing_mm=fact.spacing_mm) for case, fact in cases)
    return replace(checked, dataset=replace(checked.dataset, cases=spaced))


def _untrainable(checked: CheckedData) -> list[Problem]:
    """What training cannot do yet, or cannot write."""
    problems = []
    volumes = [fact.name for fact in checked.facts if fact.ndim == 3]
    if 0 < len(volumes) < len(checked.facts):
        what = f"are in part volumes ({len(volumes)} of {len(checked.facts)} cases), and a network takes either kind"
        problems.append(Problem("the images", what, "Put images and volumes into data sets of their own.", "mixed"))
    if max(checked.labels) > 65535:
        what = f"hold the label {max(checked.labels)}, but predicted masks are written with 16 bits"
        problems.append(Problem("the masks", what, "Number the labels 1, 2, ..., or give --mask-threshold 1."))
    return problems


def _fetch(data: DataConfig, reporter: Reporter) -> None:
    for mirror in mirrors_of(data):
        if not mirror.folder.is_dir():
            reporter.say(f"Copying {mirror.url} ({describe_bytes(mirror.size)}) to {mirror.folder}")
            mirror.fetch()


def phantom_names(config: ModelConfig) -> tuple[str, ...]:
    """What the phantom's folder is called: its settings are in the name. Empty where other data are named."""
    data = config.data
    size = max(128, *(config.preprocessing.size or (128,)))
    return (f"phantom-{data.phantom_patients}-{data.phantom_seed}-{size}",) if data.is_phantom else ()


def _phantom(config: ModelConfig, out: Path) -> Path:
    folder = out / phantom_names(config)[0]
    if not folder.is_dir():
        if (out / "study.yaml").is_file():
            raise bad_input(str(out), "holds a study of other data than this phantom", "Choose another --out.")
        data = config.data
        size = max(128, *(config.preprocessing.size or (128,)))
        write_phantom(folder, patients=data.phantom_patients, seed=data.phantom_seed, size=size)
    return folder
