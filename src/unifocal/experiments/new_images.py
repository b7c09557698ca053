"""`predict`: masks, overlays and areas for images that have no masks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unifocal.config.schema import PredictConfig
from unifocal.data.case import Case, Source
from unifocal.data.check import CheckedData, check_cases
from unifocal.data.coding import MaskCoding
from unifocal.data.folder import DataSet, Layout, load_cases
from unifocal.data.read import read_image
from unifocal.experiments.folder import check_out, write_table, write_yaml
from unifocal.experiments.prepare import Prepared, cache_of, prepare
from unifocal.experiments.progress import Reporter
from unifocal.experiments.recipe import Recipe
from unifocal.inference import predict_indices, write_mask, write_overlay
from unifocal.models import UNet, load_bundle
from unifocal.preprocessing.pipeline import Pipeline
from unifocal.problems import InputError, Problem, bad_input


def segment_images(config: PredictConfig, *, reporter: Reporter) -> dict[str, Path]:
    """Segment a folder of images, or one image.

    Writes `masks/<name>.png` (label integers, or 0/255 where the training masks were so), `overlays/<name>.png`
    and `areas.csv` (case, label, area, unit: mm2 where the spacing is given, else px).

    Returns:
        What was written where.

    Raises:
        InputError: If the model or images cannot be read, or the folder holds something else.
    """
    problems: list[Problem] = []
    network, details = _load(config.model, problems)
    checked = _check_images(config, problems)
    try:
        check_out(config.out, "predict.yaml")
    except InputError as error:
        problems += error.problems
    if problems or network is None or checked is None:
        raise InputError(problems)
    prepared = _prepared(config, details, checked, reporter)
    write_yaml(config.out / "predict.yaml", config.model_dump(mode="json"))
    for name in ("masks", "overlays"):
        for earlier in (config.out / name).glob("*.png"):
            earlier.unlink()
    for name in ("masks", "overlays") if config.overlays else ("masks",):
        (config.out / name).mkdir(exist_ok=True)
    reporter.stage("Segmenting images", len(checked.dataset.cases))
    areas: list[dict[str, Any]] = []
    labels = np.array([0, *details["labels"]])
    predictions = predict_indices(network, prepared.stream(range(len(prepared.cases))), batch_size=config.batch_size)
    for case, indices in zip(checked.dataset.cases, predictions, strict=True):
        mask = labels[indices]
        write_mask(config.out / "masks" / f"{case.name}.png", mask * 255 if details["black_and_white"] else mask)
        if config.overlays:
            write_overlay(config.out / "overlays" / f"{case.name}.png", read_image(case.image).array, mask)
        row, column = config.spacing_mm or (1.0, 1.0)
        for label in details["labels"]:
            area = round(float((mask == label).sum()) * row * column, 4)
            areas.append(
                {"case": case.name, "label": label, "area": area, "unit": "mm2" if config.spacing_mm else "px"}
            )
        reporter.advance(1)
    write_table(config.out / "areas.csv", pd.DataFrame(areas, columns=["case", "label", "area", "unit"]))
    places = {"Masks": config.out / "masks", "Areas": config.out / "areas.csv"}
    return places | ({"Overlays": config.out / "overlays"} if config.overlays else {})


def _load(path: Path, problems: list[Problem]) -> tuple[UNet | None, dict[str, Any]]:
    file = path / "weights.pt" if path.is_dir() else path
    try:
        return load_bundle(file)
    except OSError:
        what = "holds no weights.pt" if path.is_dir() else "does not exist or cannot be read"
        remedy = "Give weights.pt, or the folder of a training or run that holds it."
        problems.append(Problem(str(path), what, remedy))
    except ValueError as error:
        problems.append(Problem(str(file), str(error), "Give a weights.pt of this version."))
    return None, {}


def _check_images(config: PredictConfig, problems: list[Problem]) -> CheckedData | None:
    try:
        if config.images.is_file():
            case = Case(name=config.images.stem, image=Source.of(config.images), mask=None, patient=config.images.stem)
            return check_cases(DataSet((case,), patients_known=False))
        if not config.images.is_dir():
            raise bad_input(str(config.images), "does not exist", "Check --images.")
        return check_cases(load_cases(Layout(images=config.images)))
    except InputError as error:
        problems += error.problems
    return None


def _prepared(config: PredictConfig, details: dict[str, Any], checked: CheckedData, reporter: Reporter) -> Prepared:
    """The images as the network takes them; they are kept in the cache, as for training."""
    volumes = sum(fact.ndim == 3 for fact in checked.facts)
    if volumes:
        what = f"are volumes ({volumes} of {len(checked.facts)}), and the model takes 2D images"
        raise bad_input(str(config.images), what, "Save their slices as 2D images.", kind="volumes")
    cache, pipeline = cache_of(config.cache), Pipeline.from_declaration(details["pipeline"])
    labels = tuple(details["labels"])
    cases = checked.dataset.cases
    reporter.stage("Preparing images", len(cases))
    recipes = [Recipe(case, pipeline, labels, MaskCoding()) for case in cases]
    shape, keys = prepare(recipes, cache, advance=reporter.advance, is_uniform=False)
    return Prepared(cache, cases, keys, pipeline, shape, labels, MaskCoding())
