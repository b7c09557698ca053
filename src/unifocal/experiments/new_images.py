"""`predict`: masks, overlays and sizes for images that have no masks."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from unifocal.config.schema import InferenceConfig
from unifocal.config.verbs import PredictConfig
from unifocal.data.case import Case, Source
from unifocal.data.channels import join_channels
from unifocal.data.check import CheckedData, check_cases
from unifocal.data.check.together import SPACINGS_MM
from unifocal.data.coding import MaskCoding
from unifocal.data.folder import DataSet, Layout, load_cases
from unifocal.data.layouts.listing import link_problems
from unifocal.data.read import read_image, stem_of
from unifocal.data.regions import Regions
from unifocal.experiments.folder import WEIGHTS, check_out, write_table, write_yaml
from unifocal.experiments.plan import Grid
from unifocal.experiments.prepare import Prepared, cache_of, prepare
from unifocal.experiments.progress import Reporter
from unifocal.experiments.recipe import Recipe
from unifocal.experiments.segment import segment, windows_of
from unifocal.inference import write_mask, write_overlay
from unifocal.inference.device import choose_device, device_problems
from unifocal.inference.planes import write_planes
from unifocal.inference.postprocess import Cleaning, clean
from unifocal.inference.precision import in_precision
from unifocal.inference.volume_writers import write_volume_like, write_volume_mask
from unifocal.inference.volumes import predict_volume_indices
from unifocal.models import load_bundle
from unifocal.preprocessing.pipeline import Pipeline
from unifocal.problems import InputError, Problem, bad_input
from unifocal.training.process import keep_freed_memory

_FOLDERS = ("masks", "overlays", "probabilities")


def segment_images(config: PredictConfig, *, reporter: Reporter) -> dict[str, Path]:
    """Segment a folder of images or volumes, or one of them.

    Writes `masks/`: pictures as PNG (label integers, or 0/255 where the training masks were so), volumes in the format
    of their image, where it lies. `overlays/<name>.png`: the mask over the image, of a volume over three planes.
    `sizes.csv`: case, label, size, unit: mm2 or ml where the spacing is known, else px. On request `probabilities/`.

    Returns:
        What was written where.

    Raises:
        InputError: If the model or images cannot be read, or the folder holds something else.
    """
    problems: list[Problem] = []
    loaded = load_model(config.model, problems)
    problems += device_problems(config.inference.device)
    problems += _spacing_problems(config, loaded[1] if loaded else None)
    checked = _check_images(config, loaded[1] if loaded else None, problems)
    try:
        check_out(config.out, "predict.yaml")
    except InputError as error:
        problems += error.problems
    if problems or loaded is None or checked is None:
        raise InputError(problems)
    network, details = loaded
    prepared = _prepared(config, details, checked, reporter)
    asked = config.inference.model_dump(exclude_unset=True) | {"device": config.inference.device}
    settings = InferenceConfig(**(details["inference"] | asked))
    network.to(choose_device(settings.device))
    used = {"inference": settings.model_dump(mode="json")}
    write_yaml(config.out / "predict.yaml", config.model_dump(mode="json") | used)
    _clear(config.out)
    reporter.stage("Segmenting", len(prepared.cases))
    writer = _Writer(config, prepared, details)
    sizes: list[dict[str, Any]] = []
    for index, (labels, probabilities) in enumerate(_segmented(network, prepared, settings, config)):
        sizes += writer.write(index, labels, probabilities)
        reporter.advance(1)
    write_table(config.out / "sizes.csv", pd.DataFrame(sizes, columns=["case", "label", "size", "unit"]))
    places = {"Masks": config.out / "masks", "Sizes": config.out / "sizes.csv"}
    places |= {"Overlays": config.out / "overlays"} if config.overlays else {}
    return places | ({"Probabilities": config.out / "probabilities"} if config.probabilities else {})


def _clear(out: Path) -> None:
    """Remove what an earlier prediction wrote or, killed, left half done: files, and hidden folders they go through."""
    (out / "sizes.csv").unlink(missing_ok=True)
    for name in _FOLDERS:
        for earlier in (out / name).glob("*.*"):
            if not earlier.is_dir():
                earlier.unlink()
            elif earlier.name.startswith("."):
                shutil.rmtree(earlier)


def load_model(path: Path, problems: list[Problem]) -> tuple[nn.Module, dict[str, Any]] | None:
    """A model's network and details; what is wrong with it becomes a problem."""
    file = path / WEIGHTS if path.is_dir() else path
    try:
        network, _, details = load_bundle(file)
        return network, details
    except OSError:
        what = f"holds no {WEIGHTS}" if path.is_dir() else "does not exist or cannot be read"
        remedy = f"Give {WEIGHTS}, or the folder of a training or run that holds it."
        problems.append(Problem(str(path), what, remedy))
    except ValueError as error:
        problems.append(Problem(str(file), str(error), f"Give a {WEIGHTS} of this version."))
    return None


def _check_images(config: PredictConfig, details: dict[str, Any] | None, problems: list[Problem]) -> CheckedData | None:
    try:
        if config.images.is_file():
            name = stem_of(config.images)
            case = Case(name=name, image=Source.of(config.images), mask=None, patient=name)
            dataset = DataSet((case,), patients_known=False)
        elif config.images.is_dir():
            problems += [replace(each, is_warning=False) for each in link_problems(config.images, below=False)]
            dataset = _named_series(load_cases(Layout(images=config.images)), config.images)
        else:
            raise bad_input(str(config.images), "does not exist", "Check --images.")
        if details is not None:
            dataset = _declared(replace(dataset, cases=join_channels(dataset.cases, _channels(details))), details)
    except InputError as error:
        problems += error.problems
        return None
    try:
        return check_cases(dataset)
    except InputError as error:
        problems += _with_the_sound(error.problems, dataset, config.images)
        return None


def _named_series(dataset: DataSet, folder: Path) -> DataSet:
    """A single DICOM series that lies in the folder itself bears the folder's name, not its first file's."""
    if len(dataset.cases) != 1 or any(path.parent != folder for path in dataset.cases[0].image.paths):
        return dataset
    case = dataset.cases[0]
    if case.image.joined != "slices":
        return dataset
    return replace(dataset, cases=(replace(case, name=folder.resolve().name or case.name),))


def _with_the_sound(errors: tuple[Problem, ...], dataset: DataSet, images: Path) -> list[Problem]:
    """The errors; the last also says what becomes of the images that have none."""
    named = {error.where for error in errors}
    faulty = sum(not named.isdisjoint(_names_of(case.image)) for case in dataset.cases)
    sound = len(dataset.cases) - faulty
    if not faulty or not sound:
        return list(errors)
    others = "The other image is sound and was" if sound == 1 else f"The other {sound} images are sound and were"
    said = f"{errors[-1].remedy} {others} not segmented either: move what is named out of {images} to have that done."
    return [*errors[:-1], replace(errors[-1], remedy=said)]


def _names_of(source: Source) -> set[str]:
    """What problems call an image's files."""
    folder = {str(source.path.parent)} if source.joined == "slices" else set()
    return {str(source), *map(str, source.paths)} | folder


def _spacing_problems(config: PredictConfig, details: dict[str, Any] | None) -> list[Problem]:
    """What is wrong with the distances that are given."""
    given, (low, high) = config.spacing_mm, SPACINGS_MM
    if given is None:
        return []
    problems = []
    axes = len(given) if details is None else len(details["grid"]["size"])
    if len(given) != axes:
        what = f"gives {len(given)} distances, and the model takes images with {axes} axes"
        remedy = "Give one distance for each axis, or leave the spacing to the files."
        problems.append(Problem("--spacing", what, remedy, "spacing-axes"))
    if not all(low <= step <= high for step in given):
        what = f"is {' x '.join(f'{step:g}' for step in given)} mm, and only {low:g} to {high:g} mm can be used"
        problems.append(Problem("--spacing", what, "Check the unit.", "spacing-strange"))
    return problems


def _declared(dataset: DataSet, details: dict[str, Any]) -> DataSet:
    """The data set with the channels that the model knows of, for volumes, where no file can say them."""
    if len(details["grid"]["size"]) == 2 or _channels(details) == 1:
        return dataset
    names = tuple(f"channel {number}" for number in range(_channels(details)))
    return replace(dataset, declared=replace(dataset.declared, channels=names))


def _channels(details: dict[str, Any]) -> int:
    """Of the images that the network was trained on."""
    return int(details["pipeline"][0]["channels"]["count"])


def _prepared(config: PredictConfig, details: dict[str, Any], checked: CheckedData, reporter: Reporter) -> Prepared:
    """The images as the network takes them; they are kept in the cache, as for training."""
    grid = Grid(tuple(details["grid"]["size"]), details["grid"]["spacing_mm"])
    strangers = [fact.name for fact in checked.facts if fact.ndim != grid.dimensions]
    if strangers:
        kinds = {2: "2D images", 3: "volumes"}
        what = (
            f"holds {kinds[5 - grid.dimensions]} ({len(strangers)} of {len(checked.facts)}, first {strangers[0]}), and "
            f"the model takes {kinds[grid.dimensions]}"
        )
        remedy = "Give what the model was trained on, or another model."
        raise bad_input(str(config.images), what, remedy, kind="dimensions")
    cache, pipeline = cache_of(config.cache), Pipeline.from_declaration(details["pipeline"])
    labels = tuple(details["labels"])
    spacings = [config.spacing_mm or fact.spacing_mm for fact in checked.facts]
    cases = tuple(
        replace(case, spacing_mm=spacing) for case, spacing in zip(checked.dataset.cases, spacings, strict=True)
    )
    reporter.stage("Preparing images", len(cases))
    recipes = [Recipe(case, pipeline, labels, MaskCoding()) for case in cases]
    _, keys = prepare(recipes, cache, advance=reporter.advance, is_uniform=False)
    names = {int(label): name for label, name in details["label_names"].items()}
    said = {name: tuple(values) for name, values in details["regions"].items()}
    regions = Regions(said) if said else None
    return Prepared(cache, cases, keys, pipeline, grid, _channels(details), labels, MaskCoding(), names, regions)


def _segmented(
    network: nn.Module, prepared: Prepared, settings: InferenceConfig, config: PredictConfig
) -> Iterator[tuple[NDArray[np.integer[Any]], NDArray[np.float32] | None]]:
    """Per case its labels, and its probabilities where they are wanted or come for nothing."""
    everyone = range(len(prepared.cases))
    if prepared.grid.dimensions == 2:
        keep_freed_memory()  # for volumes, what is free has to be the system's
    if prepared.grid.dimensions == 3 and not config.probabilities and prepared.regions is None:
        windows, network = windows_of(prepared, settings), in_precision(network, settings.precision)
        for image, geometry in prepared.stream(everyone):
            indices = predict_volume_indices(network, image, geometry, windows, prepared.out_channels)
            yield prepared.labels_of(indices), None
        return
    for probabilities in segment(network, prepared, everyone, settings, batch_size=config.batch_size):
        yield prepared.decide(probabilities), probabilities


class _Writer:
    """Writes what was found in a case."""

    def __init__(self, config: PredictConfig, prepared: Prepared, details: dict[str, Any]) -> None:
        self.config, self.prepared, self.details = config, prepared, details
        self.cleanings = {int(label): Cleaning(**how) for label, how in details.get("cleanings", {}).items()}
        for name in ("masks", *(["overlays"] if config.overlays else [])):
            (config.out / name).mkdir(parents=True, exist_ok=True)

    def write(
        self, index: int, labels: NDArray[np.integer[Any]], probabilities: NDArray[np.float32] | None
    ) -> Iterator[dict[str, Any]]:
        """Write a case's files; give its sizes."""
        case, out = self.prepared.cases[index], self.config.out
        mask = clean(labels, self.cleanings)
        stored = mask * np.array(255, mask.dtype) if self.details["black_and_white"] else mask
        declared = {} if self.prepared.regions is not None else self.prepared.label_names
        names = {label: declared.get(label, f"label {label}") for label in self.prepared.labels}
        if mask.ndim == 2:
            write_mask(out / "masks" / f"{case.name}.png", stored)
        else:
            write_volume_mask(out / "masks", case.name, mask, case.image, names)
        if self.config.overlays:
            draw = write_overlay if mask.ndim == 2 else write_planes
            draw(out / "overlays" / f"{case.name}.png", read_image(case.image).array, mask, case.spacing_mm)
        if self.config.probabilities and probabilities is not None:
            self._write_probabilities(case, probabilities)
        scale, unit = _unit(case)
        regions = self.prepared.regions
        masks = [mask == label for label in self.prepared.labels] if regions is None else list(regions.masks(mask))
        for label, inside in zip(self.prepared.scored, masks, strict=True):
            count = int(np.count_nonzero(inside))
            yield {"case": case.name, "label": label, "size": round(count * scale, 4), "unit": unit}

    def _write_probabilities(self, case: Case, probabilities: NDArray[np.float32]) -> None:
        folder = self.config.out / "probabilities"
        folder.mkdir(exist_ok=True)
        has_background = self.prepared.regions is None and len(probabilities) > 1
        foreground = probabilities[1:] if has_background else probabilities
        if probabilities.ndim == 3:
            partial = folder / f"{case.name}.npz.partial"
            with partial.open("wb") as file:
                np.savez_compressed(file, probabilities=probabilities)
            partial.replace(folder / f"{case.name}.npz")
            return
        for label, values in zip(self.prepared.scored, foreground, strict=True):
            write_volume_like(folder, f"{case.name}_label{label}", values, case.image)


def _unit(case: Case) -> tuple[float, str]:
    """How much an element counts, and in which unit."""
    if case.spacing_mm is None:
        return 1.0, "px"
    element = float(np.prod(case.spacing_mm))
    return (element, "mm2") if len(case.spacing_mm) == 2 else (element / 1000, "ml")
