"""The method says what the study recorded, and only that; reading a folder keeps names as they are."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sample_scores import Sample, write_sample
from synthetic_study import Study

from unifocal.preprocessing.pipeline import STEPS, Pipeline
from unifocal.reporting.cautions import cautions
from unifocal.reporting.method import method_passages
from unifocal.reporting.method_statistics import statistics_passage
from unifocal.reporting.page import facts, ranking
from unifocal.reporting.selection import choose_cases
from unifocal.reporting.study import Run, StudyView, read_study


@cache
def _view(folder: Path) -> StudyView:
    return read_study(folder)


def _words(study: Study, settings: dict[str, Any]) -> str:
    passages = method_passages(replace(_view(study.folder), settings=settings), study.analysis)
    return " ".join([part for p in passages for part in (p.title, p.text, *(" ".join(e) for e in p.entries))])


def _settings(study: Study) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((study.folder / "study.yaml").read_text())
    return loaded


def _set(settings: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        settings = settings[parent]
    settings[last] = value


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("config.training.learning_rate", 0.0321, "learning rate 0.0321"),
        ("config.training.optimizer", "sgd", "tochastic gradient descent"),
        ("config.training.batch_size", 7, "batches of 7"),
        ("config.training.epochs", 33, "at most 33 epochs"),
        ("config.training.monitor", "dice", "best validation dice"),
        ("config.training.augmentation", "none", "No augmentation was used"),
        ("config.training.plateau_patience", 13, "after 13 epochs"),
        ("config.training.schedule", "polynomial", "fell after every epoch"),
        ("preprocessing.steps", [{"resize": {"size": [512, 800]}}], "512 × 800 pixels (rows × columns)"),
        ("preprocessing.steps", [{"unit": {}}], "range 0 to 1"),
        ("preprocessing.steps", [{"skull_strip": {"method": "source_a"}}], "Otsu"),
        ("preprocessing.hash", "beef" * 16, "beefbeefbeefbeef."),
        ("config.network.depth", 5, "5 pooling steps"),
        ("config.network.parameters", 7_765_985, "7,765,985 parameters"),
        ("config.network.normalization", "instance", "Instance normalisation"),
        ("config.split.validation_share", 0.25, "25 % of the patients"),
        ("data.foreground_percent", 0.83, "0.83 % of the pixels"),
        ("machine.precision", "bfloat16", "mixed precision (bfloat16)"),
        ("data.hash", "cafe" * 16, "cafecafecafecafe."),
        ("data.patients_known", False, "belong to the same patient"),
        ("split.by", "image", "may stand in the training and in the test part"),
        ("split.folds", [{}] * 7, "7 folds"),
    ],
)
def test_each_setting_is_told_as_it_was(shared_study: Study, path: str, value: Any, sentence: str) -> None:
    settings = _settings(shared_study)
    assert sentence not in _words(shared_study, settings)
    _set(settings, path, value)
    assert sentence in _words(shared_study, settings)


def test_every_step_there_is_can_be_told(shared_study: Study) -> None:
    declared = [
        {"skull_strip": {"method": "improved"}}, "field_of_view", "bias_correction",
        {"window": {"low": -79, "high": 304}},
        "orient", {"resample": {"spacing_mm": [3.22, 1.62, 1.62]}},
        {"crop_foreground": {"margin": 2}}, {"pad": {"multiple": 16}},
        {"resize": {"size": [80, 160, 160]}}, "z_score", "min_max", "percentile", "unit",
    ]  # fmt: skip
    settings = _settings(shared_study)
    words = []
    for step in Pipeline.from_declaration(declared).declaration:
        settings["preprocessing"]["steps"] = [step]
        words.append(_words(shared_study, settings))
    assert len(set(words)) == len(STEPS) - 1
    for sentence in (
        "[-79, 304] Hounsfield units",
        "3.22 × 1.62 × 1.62 mm",
        "80 × 160 × 160 voxels",
        "to multiples of 16",
    ):
        assert any(sentence in each for each in words)


def test_a_damaged_step_is_passed_over(shared_study: Study) -> None:
    settings = _settings(shared_study)
    settings["preprocessing"]["steps"] = [{"resize": {}}, {"window": {"low": "x"}}, 3, {"unit": None}]
    assert "range 0 to 1" in _words(shared_study, settings)


def _paths(settings: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield (*prefix, key)
            yield from _paths(value, (*prefix, key))


def test_any_key_may_be_absent(shared_study: Study) -> None:
    whole = _words(shared_study, _settings(shared_study))
    for path in list(_paths(_settings(shared_study))):
        settings = _settings(shared_study)
        inner = settings
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        words = _words(shared_study, settings)
        assert "None" not in words
        assert len(words) <= len(whole) + 10


def test_without_settings_nothing_is_invented(shared_study: Study) -> None:
    words = _words(shared_study, {})
    for invented in ("U-Net", "Adam", "epoch", "resized", "augmented", "initial weights", "No patient stood"):
        assert invented not in words
    assert shared_study.analysis.verdict.test in words


def test_losses_are_listed_with_what_the_study_says_of_them(shared_study: Study) -> None:
    settings = _settings(shared_study)
    settings["losses"][1] |= {"title": "Focal loss", "formula": "-(1-p)^γ log p", "citation": "Lin et al. 2017"}
    words = _words(shared_study, settings)
    assert "Focal loss; -(1-p)^γ log p; default parameters; Lin et al. 2017" in words
    assert "gamma = 0.2" in words


def test_a_whole_study_is_cautioned_of_its_one_seed_alone_and_a_doubtful_one_of_more(shared_study: Study) -> None:
    view = read_study(shared_study.folder)
    (words,) = cautions(view, shared_study.analysis)
    assert "trained once" in words
    twice = pd.concat([view.scores, view.scores.assign(seed=1)])
    assert cautions(replace(view, scores=twice), shared_study.analysis) == []
    settings = _settings(shared_study)
    settings["split"]["by"] = "image"
    settings["data"]["patients_known"] = False
    settings["config"]["data"]["folder"] = None
    doubtful = replace(view, settings=settings)
    text = " ".join(cautions(doubtful, shared_study.analysis))
    assert "same patient may stand in training and test" in text
    assert "intervals are too narrow" in text
    assert "built-in phantom" in text


def test_runs_that_were_best_at_their_end_are_a_caution(shared_study: Study) -> None:
    view = read_study(shared_study.folder)
    late = tuple(replace(run, best_epoch=11 if run.loss == "bce" and run.fold < 2 else 3) for run in view.runs)
    settings = _settings(shared_study)
    settings["config"]["training"]["epochs"] = 12
    words, _ = cautions(replace(view, runs=late, settings=settings), shared_study.analysis)
    assert "bce: 2 of 3 runs" in words
    settings["config"]["training"]["epochs"] = 100
    assert len(cautions(replace(view, runs=late, settings=settings), shared_study.analysis)) == 1


def test_networks_that_found_nothing_at_their_end_are_a_caution(shared_study: Study) -> None:
    view = read_study(shared_study.folder)
    values = {"bce": {0: [0.2, 0.0], 1: [0.0, 0.0], 2: [0.0, 0.1]}, "focal": {2: [np.nan, np.nan]}}

    def with_history(run: Run) -> Run:
        found = values.get(run.loss, {}).get(run.fold)
        return run if found is None else replace(run, history=pd.DataFrame({"epoch": [0, 1], "validation_dice": found}))

    changed = replace(view, runs=tuple(map(with_history, view.runs)))
    assert changed.found_nothing == {"bce": "2 of 3 runs"}
    words, _ = cautions(changed, shared_study.analysis)
    assert "bce: 2 of 3 runs" in words
    assert "network.normalization=instance" in words
    settings = _settings(shared_study)
    settings["config"]["network"]["normalization"] = "instance"
    words, _ = cautions(replace(changed, settings=settings), shared_study.analysis)
    assert "normalization" not in words
    assert "learning rate" in words


def test_weights_that_were_kept_too_early_are_a_caution(shared_study: Study) -> None:
    view = read_study(shared_study.folder)
    values = {0: [0.1, 0.5], 1: [0.3, 0.5], 2: [0.0, 0.0]}

    def with_history(run: Run) -> Run:
        if run.loss != "focal":
            return run
        history = pd.DataFrame({"epoch": [0, 1], "validation_dice": values[run.fold]})
        return replace(run, history=history, best_epoch=0)

    assert not view.kept_early
    changed = replace(view, runs=tuple(map(with_history, view.runs)))
    assert changed.kept_early == {"focal": "1 of 3 runs"}
    words = " ".join(cautions(changed, shared_study.analysis))
    assert "focal: 1 of 3 runs" in words
    assert "training.monitor=dice" in words


def test_undefined_scores_are_a_caution_with_their_reasons(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(patients=8, empty=2, seeds=2))
    (words,) = cautions(study, analysis)
    assert "24 scores of the main metric could not be defined" in words
    assert "neither mask holds the label (24)" in words


def test_a_loss_without_scores_and_unequal_cases_are_cautions(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(patients=8, seeds=2))
    fewer = study.scores[(study.scores["loss"] != "focal") | (study.scores["patient"] != "P000")]
    assert any("same cases" in words for words in cautions(replace(study, scores=fewer), analysis))
    scores = study.scores.assign(value=study.scores["value"].mask(study.scores["loss"] == "focal"))
    assert any("not ranked: focal." in words for words in cautions(replace(study, scores=scores), analysis))


def test_an_evaluation_is_told_as_one(tmp_path: Path) -> None:
    settings = {"kind": "evaluation", "predictions": {"bce": {"folder": "masks/a"}, "focal": {"folder": "masks/b"}}}
    study, analysis = write_sample(tmp_path, Sample(patients=3, folds=1, settings=settings))
    words = " ".join(f"{p.title} {p.text} {p.entries}" for p in method_passages(study, analysis))
    assert "masks of masks/a" in words
    assert "Every pair of methods" in words
    for foreign in ("loss", "fold", "trained once", "validation"):
        assert foreign not in words.replace("unified_focal", "").replace("Focal loss", "")
    said = " ".join(cautions(study, analysis))
    assert "Only 3 patients" in said
    assert "fold" not in said
    assert "trained" not in said


def test_the_statistics_name_the_test_its_reason_and_the_margin(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(patients=9, seeds=2))
    words = statistics_passage(study, analysis)
    assert analysis.verdict.test in words
    assert analysis.verdict.why.rstrip(".")[1:] in words
    assert "within ±0.02" in words
    assert "Friedman" in words
    assert "Nemenyi" in words
    assert "signed-rank" in words
    assert "300 resamples" in words
    assert "trained once" not in words
    wider = replace(analysis, verdict=replace(analysis.verdict, margin=0.05))
    assert "within ±0.05" in statistics_passage(study, wider)
    assert "±" not in statistics_passage(
        study, replace(analysis, verdict=replace(analysis.verdict, margin=float("nan")))
    )


def test_one_loss_and_one_patient_are_told_no_tests(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(("bce",), patients=1, folds=1))
    words = statistics_passage(study, analysis)
    assert "no interval" in words
    for absent in ("Holm", "Friedman", "equivalent", "practically", "compared"):
        assert absent not in words


def test_the_ranking_places_means_between_their_bounds(shared_study: Study) -> None:
    _, _, rows = ranking(shared_study.analysis)
    table = shared_study.analysis.ranking
    assert [row.loss for row in rows] == list(table["loss"])
    for row, expected in zip(rows, table.to_dict("records"), strict=True):
        assert 0 < row.left <= row.centre <= row.left + row.width < 100
        assert float(row.mean) == pytest.approx(expected["mean"], abs=0.00051)
    spans = table["upper"] - table["lower"]
    assert np.corrcoef([row.width for row in rows], spans)[0, 1] == pytest.approx(1, abs=1e-3)
    assert dict(facts(read_study(shared_study.folder), shared_study.analysis))["patients"] == "12"


def test_names_that_look_like_numbers_or_nothing_are_kept(make_study: Callable[..., Study]) -> None:
    names = ("0009", "NA", "1e3", "null")
    study = make_study(patients=4, images_per_patient=1, folds=2, names=names, losses=("bce",))
    view = read_study(study.folder)
    assert list(view.cases["case"]) == list(names)
    assert set(view.scores["case"]) == set(names)
    assert view.scores["value"].dtype == float
    shown = {choice.case for choice in choose_cases(view.values("dice", 1), view.cases, {})}
    assert shown == set(names)


def test_categories_are_the_columns_with_two_to_eight_values(make_study: Callable[..., Study]) -> None:
    study = make_study(patients=12, images_per_patient=1, losses=("bce",))
    path = study.folder / "cases.csv"
    cases = pd.read_csv(path, dtype=str)
    cases.assign(site="one", scanner=[f"s{i}" for i in range(12)], grade=["", *"IIIIIIVVVVV"]).to_csv(path, index=False)
    categories = read_study(study.folder).categories
    assert set(categories) == {"class", "plane", "grade"}
    assert categories["grade"] == ("I", "V")


def test_unreadable_records_count_as_failed(make_study: Callable[..., Study]) -> None:
    study = make_study(losses=("bce", "focal"), patients=6)
    run = study.folder / "runs" / "focal" / "fold-2-seed-0"
    (run / "record.json").write_text("{", encoding="utf-8")
    (study.folder / "runs" / "bce" / "fold-0-seed-0" / "history.csv").write_text("", encoding="utf-8")
    view = read_study(study.folder)
    (failed,) = view.failed_runs
    assert (failed.loss, failed.fold, failed.seed) == ("focal", 2, 0)
    assert "record.json cannot be read" in failed.reason
    assert view.missing_runs == 0
    assert [r.history is None for r in view.runs] == [True, False, False, False, False, True]


def test_losses_keep_the_order_in_which_they_were_asked_for(make_study: Callable[..., Study]) -> None:
    study = make_study(losses=("focal", "bce"), patients=6)
    record = study.folder / "runs" / "focal" / "fold-2-seed-0" / "record.json"
    other = Path(str(record.parent).replace("focal", "zeta"))
    other.mkdir(parents=True)
    (other / "record.json").write_text(json.dumps({"loss": "zeta", "fold": 0, "seed": 0, "status": "failed"}))
    assert read_study(study.folder).losses == ("focal", "bce", "zeta")


def test_the_resamples_told_are_those_of_the_analysis(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(patients=9))
    assert "700 resamples" in statistics_passage(study, replace(analysis, resamples=700))


def test_the_tolerance_asked_for_is_told(tmp_path: Path) -> None:
    settings = {"kind": "evaluation", "config": {"tolerance": 5.0}, "data": {"spacing_known": True}}
    study, analysis = write_sample(tmp_path, Sample(patients=3, folds=1, settings=settings))
    nsd = pd.concat([analysis.summary, analysis.summary.assign(metric="nsd")])
    words = " ".join(str(each.entries) for each in method_passages(study, replace(analysis, summary=nsd)))
    assert "The tolerance here: 5 mm." in words


def test_identical_scores_need_no_test_beside_others(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(patients=9))
    tests = ["none needed: all differences are zero", *analysis.comparison["test"][1:]]
    words = statistics_passage(study, replace(analysis, comparison=analysis.comparison.assign(test=tests)))
    assert "(exact); where all differences are zero, none was needed." in words


def test_cases_without_scores_are_a_caution(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(patients=8, seeds=2))
    assert not any("no scores at all" in words for words in cautions(study, analysis))
    gone = study.scores[study.scores["case"] != study.cases["case"].iloc[0]]
    assert any(
        words.startswith("1 of ") and "no scores" in words for words in cautions(replace(study, scores=gone), analysis)
    )
    # A case that no fold tests has none to have.
    folds = ["", *["0"] * (len(study.cases) - 1)]
    untested = replace(study, scores=gone, cases=study.cases.assign(fold=folds))
    assert not any("no scores at all" in words for words in cautions(untested, analysis))


def test_the_axis_ends_where_values_end(tmp_path: Path) -> None:
    _, analysis = write_sample(tmp_path, Sample(patients=9))
    wide = replace(analysis, ranking=analysis.ranking.assign(lower=0.0, upper=1.0))
    low, high, rows = ranking(wide)
    assert (low, high) == ("0.00", "1.00")
    assert all((row.left, row.width) == (0, 100) for row in rows)


def test_a_network_that_is_no_unet_is_named_as_what_it_is(shared_study: Study) -> None:
    settings = _settings(shared_study)
    settings["config"]["network"] = {"name": "monai:SegResNet", "arguments": {"init_filters": 16}, "parameters": 1234}
    words = _words(shared_study, settings)
    assert "monai:SegResNet (init_filters = 16). 1,234 parameters." in words
    assert "Ronneberger" not in words


def test_where_widths_are_searched_not_all_losses_start_from_the_same_weights(shared_study: Study) -> None:
    settings = _settings(shared_study)
    assert "every loss started from the same initial weights" in _words(shared_study, settings)
    tuning = {"over": [{"name": "width", "values": [8, 16]}], "objective": ["dice"], "trials": 2, "inner_folds": 2}
    settings["config"]["tuning"] = tuning
    assert "losses whose networks have the same width started from" in _words(shared_study, settings)
