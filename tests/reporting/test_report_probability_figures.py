"""Curves from probabilities say what counting element by element says, and say it per loss."""

import gzip
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_scores import Sample, draw_probabilities, draw_scores, write_probabilities, write_sample

from unifocal.problems import InputError
from unifocal.reporting.drawings import draw_all
from unifocal.reporting.figure import house_style, new_figure
from unifocal.reporting.plots_probability import (
    RECALLS,
    THRESHOLDS,
    curves_of,
    draw_curves,
    draw_dice,
    draw_reliability,
    read_probabilities,
)

Case = tuple[str, str, int, list[int], list[bool]]


def _counted(cases: list[Case]) -> pd.DataFrame:
    rows = [
        {
            "patient": patient, "case": case, "seed": seed, "bin": index,
            "elements": bins.count(index),
            "positives": sum(inside for each, inside in zip(bins, truth, strict=True) if each == index),
            "probability_sum": (index + 0.5) / 100 * bins.count(index),
        }
        for patient, case, seed, bins, truth in cases
        for index in sorted(set(bins))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _dice(bins: list[int], truth: list[bool], threshold: int) -> float:
    predicted = [index >= threshold for index in bins]
    both = sum(p and t for p, t in zip(predicted, truth, strict=True))
    return 2 * both / (sum(predicted) + sum(truth))


def _best_precision(bins: list[int], truth: list[bool], recall: float) -> float:
    best = 0.0
    for threshold in range(100):
        predicted = [index >= threshold for index in bins]
        both = sum(p and t for p, t in zip(predicted, truth, strict=True))
        if sum(predicted) and both / sum(truth) >= recall - 1e-12:
            best = max(best, both / sum(predicted))
    return best


ELEMENTS = st.lists(st.tuples(st.integers(0, 99), st.booleans()), min_size=1, max_size=15)


@settings(max_examples=25, deadline=None)
@given(drawn=st.lists(st.tuples(st.integers(0, 2), ELEMENTS), min_size=1, max_size=5))
def test_curves_equal_counting_element_by_element(drawn: list[tuple[int, list[tuple[int, bool]]]]) -> None:
    cases = [
        (f"P{patient}", f"c{number}", 0, [index for index, _ in elements], [inside for _, inside in elements])
        for number, (patient, elements) in enumerate(drawn)
    ]
    curves = curves_of(_counted(cases))
    held = [case for case in cases if any(case[4])]
    if not held:
        assert curves is None
        return
    assert curves is not None
    patients = sorted({case[0] for case in held})
    assert (curves.n_cases, curves.n_patients) == (len(held), len(patients))
    for place in (0, 1, 37, 50, 99):
        by_patient = [
            np.mean([_dice(case[3], case[4], place) for case in held if case[0] == patient]) for patient in patients
        ]
        assert curves.dice[place] == pytest.approx(np.mean(by_patient))
        assert curves.dice_quartiles[:, place] == pytest.approx(np.percentile(by_patient, [25, 75]))
    for place in (0, 33, 50, 100):
        recall = RECALLS[place]
        means = [
            np.mean([_best_precision(case[3], case[4], recall) for case in held if case[0] == patient])
            for patient in patients
        ]
        assert curves.precision[place] == pytest.approx(np.mean(means))


def test_pooled_and_mean_curves_differ_where_lesions_do() -> None:
    large = ("P0", "large", 0, [90] * 90 + [10] * 10, [True] * 100)
    small = ("P1", "small", 0, [90, 90, 10, 10], [True, False, True, False])
    curves = curves_of(_counted([large, small]))
    assert curves is not None
    assert [pytest.approx(91 / 102), pytest.approx(91 / 92)] in curves.pooled.tolist()
    assert curves.pooled_half == pytest.approx((91 / 102, 91 / 92))
    assert curves.precision[50] == pytest.approx((1 + 0.5) / 2)


def test_seeds_of_a_case_are_averaged_before_its_patient() -> None:
    good, bad = ([90], [True]), ([10], [True])
    cases = [("P0", "a", 0, *good), ("P0", "a", 1, *bad), ("P0", "b", 0, *good), ("P0", "b", 1, *good)]
    curves = curves_of(_counted(cases))
    assert curves is not None
    assert curves.dice[50] == pytest.approx((0.5 + 1) / 2)
    assert (curves.n_cases, curves.n_patients) == (2, 1)


def test_reliability_counts_every_case_with_and_without_truth() -> None:
    curves = curves_of(_counted([("P0", "a", 0, [2, 97, 97], [False, True, True]), ("P1", "b", 0, [98], [False])]))
    assert curves is not None
    assert curves.reliability.tolist() == [
        [pytest.approx(0.025), 0.0],
        [pytest.approx((2 * 0.975 + 0.985) / 3), pytest.approx(2 / 3)],
    ]
    assert curves.elements.sum() == 4


def test_each_panel_draws_its_own_loss_bold() -> None:
    table = draw_probabilities(draw_scores(Sample(patients=4, cases_per_patient=1)))
    curves = {str(loss): found for loss, rows in table.groupby("loss") if (found := curves_of(rows)) is not None}
    axes = new_figure(2, 2).subplots()
    draw_curves(axes, curves, "focal", "#d9740b", "")
    bold = max(axes.lines, key=lambda line: line.get_linewidth())
    assert np.asarray(bold.get_ydata()).tolist() == curves["focal"].precision.tolist()
    axes = new_figure(2, 2).subplots()
    draw_dice(axes, curves, "focal", "#d9740b")
    bold = max(axes.lines, key=lambda line: line.get_linewidth())
    assert np.asarray(bold.get_ydata()).tolist() == curves["focal"].dice.tolist()
    assert np.asarray(bold.get_xdata()).tolist() == THRESHOLDS.tolist()
    assert any(f"{curves['focal'].dice[50]:.3f} at 0.5" == text.get_text() for text in axes.texts)
    upper = draw_reliability(new_figure(2, 3).subplots(), curves["focal"], "#d9740b", "ECE 0.1")
    line = next(line for line in upper.lines if line.get_marker() == "o")
    assert np.asarray(line.get_xydata()).tolist() == curves["focal"].reliability.tolist()


def test_a_loss_without_probabilities_has_an_empty_panel_that_says_so(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(("bce", "focal"), patients=4))
    table = draw_probabilities(study.scores)
    write_probabilities(tmp_path, table[table["loss"] != "focal"])
    with house_style():
        drawings = draw_all(study, analysis, [])
    for name in ("precision_recall_curves", "dice_threshold", "reliability"):
        parts = dict(drawings[name].parts)
        assert "no case to draw" in parts["focal"]
        assert "no case to draw" not in parts["bce"]
        assert "focal" not in drawings[name].alt


def test_without_probabilities_there_are_no_such_figures(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(("bce",), patients=3))
    assert read_probabilities(tmp_path, 1) is None
    with house_style():
        assert not {"precision_recall_curves", "dice_threshold", "reliability"} & set(draw_all(study, analysis, []))


def test_other_labels_are_left_out(tmp_path: Path) -> None:
    write_probabilities(tmp_path, draw_probabilities(draw_scores(Sample(patients=2, labels=(1, 2)))))
    found = read_probabilities(tmp_path, 2)
    assert found is not None
    assert set(found["label"]) == {2}
    assert read_probabilities(tmp_path, 3) is None


@pytest.mark.parametrize(
    "content",
    [
        b"no gzip",
        gzip.compress(b"loss,case\na,b\n"),
        gzip.compress(
            b"loss,fold,seed,case,patient,label,bin,elements,positives,probability_sum\na,0,0,c,p,1,x,1,1,1\n"
        ),
        gzip.compress(
            b"loss,fold,seed,case,patient,label,bin,elements,positives,probability_sum\na,0,0,c,p,1,100,1,1,1\n"
        ),
        gzip.compress(b"loss,fold,seed,case,patient,label,bin,elements,positives,probability_sum\n" * 50)[:40],
    ],
    ids=["not gzip", "columns missing", "no number", "bin out of range", "cut short"],
)
def test_a_damaged_file_is_named_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "probabilities.csv.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"probabilities\.csv\.gz.*cannot be read"):
        read_probabilities(tmp_path, 1)


def test_figures_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    study, analysis = write_sample(tmp_path, Sample(("bce",), patients=3), has_probabilities=True)
    drawn = []
    for size in (9.0, 31.0):
        with mpl.rc_context({"font.size": size}), house_style():
            drawn.append(draw_all(study, analysis, []))
    assert drawn[0] == drawn[1]
