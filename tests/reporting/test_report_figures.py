"""The figures show every case where it belongs, and always look the same."""

import io
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic_study import Study

from unifocal.reporting.figure import colours, house_style, inline, new_figure, to_png, to_svg
from unifocal.reporting.plots import (
    Axis,
    curve_quantity,
    draw_distribution,
    draw_precision_recall,
    draw_training,
    jitter,
)
from unifocal.reporting.study import Run

SVG = "{http://www.w3.org/2000/svg}"


def _run(history: pd.DataFrame | None, best: int | None = None) -> Run:
    return Run("bce", 0, 0, "done", "", best, None, history, Path())


def test_every_svg_is_xml_and_every_png_a_picture(shared_study: Study) -> None:
    for path in (shared_study.folder / "figures").glob("*.svg"):
        assert ET.parse(path).getroot().tag == f"{SVG}svg"
    for path in (shared_study.folder / "figures").glob("*.png"):
        pixels = np.asarray(Image.open(path).convert("L"))
        assert pixels.std() > 5


def _dots(axes: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(dots.get_offsets()) for dots in axes.collections]


def test_the_distribution_has_one_dot_per_case_at_its_value() -> None:
    values = pd.DataFrame(
        {"loss": ["a", "a", "a", "b", "b"], "case": ["x", "y", "z", "x", "y"], "value": [0.1, 0.5, 0.9, 0.3, 0.7]}
    )
    means = pd.DataFrame({"loss": ["a", "b"], "mean": [0.5, 0.4], "lower": [0.2, 0.3], "upper": [0.8, 0.6]})
    figure = draw_distribution(values, means, {"a": "#111111", "b": "#222222"}, Axis("Dice", bounded=True))
    first, second = _dots(figure.axes[0])
    assert sorted(first[:, 0]) == [0.1, 0.5, 0.9]
    assert sorted(second[:, 0]) == [0.3, 0.7]
    assert first[:, 1].max() < second[:, 1].min()
    diamonds = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert diamonds == [0.5, 0.4]
    low, high = figure.axes[0].get_xlim()
    assert low < 0.1
    assert high > 0.9


def test_a_dot_of_a_case_is_joined_to_the_same_case_only() -> None:
    values = pd.DataFrame({"loss": ["a", "b", "a"], "case": ["x", "x", "y"], "value": [0.25, 0.75, 0.5]})
    means = pd.DataFrame({"loss": [], "mean": [], "lower": [], "upper": []})
    figure = draw_distribution(values, means, {"a": "#111111", "b": "#222222"}, Axis("Dice", bounded=True))
    pairs = np.asarray(figure.axes[0].lines[0].get_xdata())
    assert list(pairs[np.isfinite(pairs)]) == [0.25, 0.75]


def test_precision_recall_marks_the_own_mean_apart() -> None:
    cases = pd.DataFrame({"recall": [0.2, 0.4], "precision": [0.9, 0.7]})
    means = pd.DataFrame({"recall": [0.3, 0.6], "precision": [0.8, 0.5]}, index=["a", "b"])
    figure = new_figure(2, 2)
    axes = figure.subplots()
    draw_precision_recall(axes, cases, means, "#2a7fba", "a")
    assert _dots(axes)[0].tolist() == [[0.2, 0.9], [0.4, 0.7]]
    own = [line for line in axes.lines if line.get_marker() == "D"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in own] == [(0.3, 0.8)]


def test_curves_of_equal_dice_hold_their_dice() -> None:
    axes = new_figure(2, 2).subplots()
    empty = pd.DataFrame({"recall": [], "precision": []})
    draw_precision_recall(axes, empty, pd.DataFrame({"recall": [], "precision": []}), "#2a7fba", "a")
    for line, dice in zip(axes.lines, (0.2, 0.4, 0.6, 0.8), strict=True):
        recall, precision = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert 2 * precision * recall / (precision + recall) == pytest.approx(np.full(len(recall), dice))
        assert precision.max() <= 1 + 1e-9


def test_the_median_ends_where_fewer_than_half_of_the_runs_go_on() -> None:
    lengths = (4, 6, 10)
    runs = [
        _run(pd.DataFrame({"epoch": range(n), "validation_dice": np.full(n, value)}), best=n - 2)
        for n, value in zip(lengths, (0.2, 0.5, 0.9), strict=True)
    ]
    axes = new_figure(2, 2).subplots()
    draw_training(axes, runs, "validation_dice", "#2a7fba")
    median = max(axes.lines, key=lambda line: line.get_linewidth() * (line.get_marker() == "None"))
    assert list(np.asarray(median.get_xdata())) == list(range(6))
    assert list(np.asarray(median.get_ydata())) == pytest.approx([0.5] * 4 + [0.7] * 2)
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert dots == [2, 4, 8]


def test_validation_loss_is_drawn_where_no_dice_was_measured() -> None:
    dice = pd.DataFrame({"epoch": [0], "validation_loss": [1.0], "validation_dice": [0.5]})
    assert curve_quantity([_run(None), _run(dice)]) == "validation_dice"
    assert curve_quantity([_run(dice.assign(validation_dice=np.nan))]) == "validation_loss"
    assert curve_quantity([_run(None)]) is None


def test_the_house_style_ignores_and_restores_the_users_own() -> None:
    with mpl.rc_context({"font.size": 31, "svg.fonttype": "path"}):
        with house_style():
            inside = to_svg(_labelled_figure())
        assert mpl.rcParams["font.size"] == 31
    with house_style():
        assert to_svg(_labelled_figure()) == inside
    assert "<text" in inside


def _labelled_figure() -> Any:
    figure = new_figure(2, 1)
    figure.subplots().set_xlabel('$a_b$ <tag> id="x" & $')
    return figure


def test_labels_are_text_not_formulas_and_stay_escaped() -> None:
    with house_style():
        svg = to_svg(_labelled_figure())
        assert to_png(_labelled_figure()) == to_png(_labelled_figure())
    part = inline(svg, "example")
    texts = [element.text for element in ET.parse(io.StringIO(part)).iter() if element.tag.endswith("text")]
    assert '$a_b$ <tag> id="x" & $' in texts


def test_inlining_follows_the_pages_colours_and_keeps_ids_apart() -> None:
    with house_style():
        svg = to_svg(_labelled_figure())
    first, second = inline(svg, "one"), inline(svg, "two")
    assert "#1d2125" not in first
    assert "var(--ink)" in first
    ids = [
        {element.get("id") for element in ET.parse(io.StringIO(part)).iter() if element.get("id")}
        for part in (first, second)
    ]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_colours_differ_and_do_not_change_with_further_losses() -> None:
    few, many = colours(["a", "b"]), colours(["a", "b", "c", "d", "e", "f", "g", "h"])
    assert len(set(many.values())) == 8
    assert {loss: many[loss] for loss in few} == few


def test_jitter_spreads_evenly() -> None:
    offsets = np.sort(jitter(200))
    assert offsets.min() >= -0.5
    assert offsets.max() < 0.5
    assert np.diff(offsets).max() < 0.02
