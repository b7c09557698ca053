"""`evaluate`: masks from any tool against true masks."""

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unifocal.config.schema import EvaluateConfig
from unifocal.data.case import Source
from unifocal.data.coding import MaskCoding, decide_coding, label_values
from unifocal.data.folder import Layout, read_folder
from unifocal.data.read import read_mask
from unifocal.experiments.compare import read_scores, write_analysis
from unifocal.experiments.folder import SCORE_COLUMNS, check_out, score_rows, write_table, write_yaml
from unifocal.experiments.progress import Reporter
from unifocal.metrics import score_case
from unifocal.problems import InputError, Problem, raise_if_any
from unifocal.statistics import Analysis, analyse

Masks = Mapping[Path, NDArray[Any]]


def evaluate_masks(config: EvaluateConfig, *, reporter: Reporter) -> Analysis:
    """Score every pair of masks; write `scores.csv`, `summary.csv` and `pooled.csv`.

    Raises:
        InputError: With every missing, unreadable or ill-sized mask; nothing is written then.
    """
    problems: list[Problem] = []
    for folder, flag in ((config.truth, "--truth"), (config.prediction, "--pred")):
        if not folder.is_dir():
            problems.append(Problem(f"{flag} {folder}", "is not a folder", f"Check {flag}."))
    try:
        check_out(config.out, "evaluation.yaml")
    except InputError as error:
        problems += error.problems
    if config.truth.resolve() == config.prediction.resolve():
        problems.append(Problem("--pred", "is the folder of the true masks", "Name the predicted masks' folder."))
    raise_if_any(problems)
    reading = read_folder(
        Layout(
            images=config.truth, masks=config.prediction, pair_by=config.pair_by, cases_table=config.cases,
            case_column=config.case_column, patient_column=config.patient_column,
            patient_pattern=config.patient_pattern, spacing_mm=config.spacing_mm,
        )
    )  # fmt: skip
    problems += reading.problems
    cases = reading.dataset.cases
    reporter.stage("Reading masks", 2 * len(cases))
    spacings: dict[Path, tuple[float, ...] | None] = {}
    truths = _read([case.image for case in cases], problems, spacings, reporter)
    predictions = _read([case.mask for case in cases if case.mask is not None], problems, spacings, reporter)
    truth_coding = _coding(truths, config.mask_threshold, problems)
    prediction_coding = _coding(predictions, config.mask_threshold, problems)
    for case in cases:
        if case.mask is not None and case.image.path in truths and case.mask.path in predictions:
            sizes = truths[case.image.path].shape, predictions[case.mask.path].shape
            if sizes[0] != sizes[1]:
                true, predicted = (" x ".join(map(str, size)) for size in sizes)
                what = f"has {predicted} elements, its true mask {true}"
                problems.append(Problem(str(case.mask), what, "Bring the prediction to the true mask's size."))
    raise_if_any(problems)
    labels = _labels(truths, truth_coding) | _labels(predictions, prediction_coding)
    rows: list[dict[str, Any]] = []
    reporter.stage("Scoring", len(cases))
    for case in cases:
        assert case.mask is not None
        scores = score_case(
            label_values(truths[case.image.path], truth_coding),
            label_values(predictions[case.mask.path], prediction_coding),
            spacing_mm=case.spacing_mm or spacings[case.image.path],
            labels=sorted(labels),
        )
        rows += score_rows(config.prediction.resolve().name, 0, 0, case, scores)
        reporter.advance(1)
    table = pd.DataFrame(rows, columns=SCORE_COLUMNS)
    analysis = analyse(read_scores(StringIO(table.to_csv(index=False))), resamples=config.resamples)
    write_yaml(config.out / "evaluation.yaml", config.model_dump(mode="json"))
    write_table(config.out / "scores.csv", table)
    write_analysis(config.out, analysis)
    return analysis


def _read(
    sources: Sequence[Source],
    problems: list[Problem],
    spacings: dict[Path, tuple[float, ...] | None],
    reporter: Reporter,
) -> Masks:
    masks = {}
    for source in sources:
        try:
            scan = read_mask(source)
            masks[source.path], spacings[source.path] = scan.array, scan.spacing_mm
        except InputError as error:
            problems += error.problems
        reporter.advance(1)
    return masks


def _coding(masks: Masks, threshold: int | None, problems: list[Problem]) -> MaskCoding:
    coding, faults = decide_coding(
        {path: np.unique(mask).tolist() for path, mask in masks.items()}, threshold=threshold
    )
    problems += faults
    return coding


def _labels(masks: Masks, coding: MaskCoding) -> set[int]:
    return {int(label) for mask in masks.values() for label in np.unique(label_values(mask, coding))} - {0}
