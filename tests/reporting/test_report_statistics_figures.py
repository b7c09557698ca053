"""Figures of ranks, agreement, spread and parameters show the analysis's numbers where they belong."""

import io
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from sample_scores import Sample, write_sample

from unifocal.reporting.drawings import FIGURE_NAMES, draw_all
from unifocal.reporting.figure import INK, MUTED, PALETTE, PAPER, colours, house_style, new_figure
from unifocal.reporting.plots_agreement import draw_agreement, limits_of, sizes_of
from unifocal.reporting.plots_ranking import draw_critical_difference, draw_rank_shares, draw_variance
from unifocal.reporting.plots_sweep import draw_sweep, find_sweeps
from unifocal.reporting.study import StudyView
from unifocal.statistics import Analysis
from unifocal.statistics.result import Omnibus

LOSSES = ("a", "b", "c", "d")
DARK_PAPER = "#181b1f"


def _omnibus(ranks: list[float], difference: float, groups: tuple[tuple[str, ...], ...]) -> Omnibus:
    means = pd.DataFrame({"loss": list(LOSSES), "mean_rank": ranks})
    pairs = pd.DataFrame({"loss_a": [], "loss_b": [], "p": []})
    return Omnibus("Friedman", 9.0, 0.01, 20, "Nemenyi", difference, means, pairs, groups)


def _texts(figure: Any) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_critical_difference_diagram_places_ranks_and_bars_to_scale() -> None:
    figure = draw_critical_difference(_omnibus([1.5, 2.0, 2.75, 3.75], 1.0, (("a", "b"), ("b", "c"))), colours(LOSSES))
    axes = figure.axes[0]
    dots = sorted(line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o")
    scale = np.polyfit([1.5, 2.0, 2.75, 3.75], dots, 1)
    assert np.polyval(scale, [1.5, 2.0, 2.75, 3.75]) == pytest.approx(dots)
    bars = [np.asarray(line.get_xdata()) for line in axes.lines if line.get_linewidth() > 3]
    assert len(bars) == 2
    for bar, ends in zip(bars, ((1.5, 2.0), (2.0, 2.75)), strict=True):
        assert bar == pytest.approx(np.polyval(scale, ends), abs=0.05)
    (length,) = [np.ptp(np.asarray(line.get_xdata())) for line in axes.lines if list(line.get_ydata()) == [0.2, 0.2]]
    assert length == pytest.approx(scale[0] * 1.0)
    for text in ("a  1.50", "d  3.75", "critical difference 1.00"):
        assert text in _texts(figure)


def test_a_critical_difference_longer_than_the_scale_is_said_not_drawn() -> None:
    figure = draw_critical_difference(_omnibus([1.9, 2.0, 3.0, 3.1], 4.2, (LOSSES,)), colours(LOSSES))
    assert any("more than the whole line" in text for text in _texts(figure))
    width = figure.axes[0].get_xlim()[1]
    assert all(np.asarray(line.get_xdata()).max() <= width for line in figure.axes[0].lines)


def test_names_in_the_diagram_stay_inside_the_picture() -> None:
    names = [f"unified_focal_symmetric(gamma=0.{place}, delta=0.6)" for place in range(12)]
    means = pd.DataFrame({"loss": names, "mean_rank": np.linspace(1.2, 11.8, 12)})
    omnibus = Omnibus("Friedman", 9.0, 0.01, 20, "Nemenyi", 2.0, means, pd.DataFrame(), (tuple(names[:4]),))
    with house_style():
        figure = draw_critical_difference(omnibus, colours(names))
        figure.draw_without_rendering()
        for text in figure.axes[0].texts:
            box = text.get_window_extent()
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.width


def test_rank_shares_are_written_where_they_belong() -> None:
    rows = [("a", 1, 0.8), ("a", 2, 0.2), ("b", 1, 0.2), ("b", 2, 0.8)]
    figure = draw_rank_shares(pd.DataFrame(rows, columns=["loss", "rank", "share"]), ["a", "b"], colours("ab"))
    axes = figure.axes[0]
    found = {(text.get_position(), text.get_text()) for text in axes.texts}
    assert found == {((1, 0), "80"), ((2, 0), "20"), ((1, 1), "20"), ((2, 1), "80")}
    strength = {patch.get_xy(): patch.get_alpha() or 0.0 for patch in axes.patches}
    assert strength[0.52, -0.46] > 3 * strength[1.52, -0.46]


def test_variance_bars_are_as_long_as_their_shares() -> None:
    rows = [("a", "patient", 0.6), ("a", "seed", 0.4), ("a", "rest", math.nan), ("a - b", "patient", 1.0)]
    figure = draw_variance(pd.DataFrame(rows, columns=["loss", "component", "share"]), ["a", "a - b"])
    widths = sorted(round(bar.get_width(), 6) for bar in figure.axes[0].patches if bar.get_width() > 0)
    assert widths == [0.4, 0.6, 1.0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["between patients", "between seeds"]


def test_bland_altman_draws_differences_over_means() -> None:
    keys = {"loss": ["a", "a"], "case": ["x", "y"], "patient": ["p", "q"]}
    cases = sizes_of(pd.DataFrame(keys | {"value": [10.0, 40.0]}), pd.DataFrame(keys | {"value": [16.0, 20.0]}))
    assert cases[["mean", "difference"]].to_numpy().tolist() == [[13.0, 6.0], [30.0, -20.0]]
    found = {"bias": -7.0, "bias_lower": -9.0, "bias_upper": -5.0, "limit_lower": -40.0, "limit_upper": 26.0}
    axes = new_figure(2, 2).subplots()
    draw_agreement(axes, cases, found, "#2a7fba", "mm²")
    assert np.asarray(axes.collections[0].get_offsets()).tolist() == [[13.0, 6.0], [30.0, -20.0]]
    levels = {round(float(np.asarray(line.get_ydata())[0]), 6) for line in axes.lines}
    assert levels == {0.0, -7.0, -40.0, 26.0}
    assert "bias −7.00 mm²" in [text.get_text() for text in axes.texts]
    horizontal, vertical = limits_of(cases, pd.DataFrame([found]))
    assert horizontal[1] > 30
    assert vertical[0] < -40
    assert vertical[1] > 26


ENTRIES = [
    {"label": f"u(gamma={g},delta=0.6)", "name": "u", "parameters": {"gamma": g, "delta": 0.6}} for g in (0.5, 0.1, 0.9)
]


def test_a_sweep_is_three_values_of_one_parameter_with_the_others_the_same() -> None:
    labels = [entry["label"] for entry in ENTRIES]
    (sweep,) = find_sweeps(ENTRIES, labels)
    assert sweep.parameter == "gamma"
    assert [value for value, _ in sweep.lines[0].points] == [0.1, 0.5, 0.9]
    assert "delta=0.6" in sweep.lines[0].name
    assert find_sweeps(ENTRIES[:2], labels) == []
    assert find_sweeps(ENTRIES, labels[:2]) == []
    other = [*ENTRIES[:2], {"label": "x", "name": "u", "parameters": {"gamma": 0.9, "delta": 0.7}}]
    assert find_sweeps(other, [*labels, "x"]) == []
    words = [{"label": f"w{n}", "name": "w", "parameters": {"kind": str(n), "on": True}} for n in range(3)]
    assert find_sweeps(words, ["w0", "w1", "w2"]) == []
    assert find_sweeps(None, labels) == find_sweeps([3, {"label": "x"}], ["x"]) == []


def test_a_sweep_is_drawn_at_its_means_with_their_intervals() -> None:
    labels = [str(entry["label"]) for entry in ENTRIES]
    (sweep,) = find_sweeps(ENTRIES, labels)
    means = pd.DataFrame(
        {"mean": [0.5, 0.4, 0.3, 0.45], "lower": [0.4, 0.3, 0.2, 0.4], "upper": [0.6, 0.5, 0.4, 0.5]},
        index=[*labels, "bce"],
    )
    axes = new_figure(4, 3).subplots()
    draw_sweep(axes, sweep, means, "bce", "Dice")
    line = next(line for line in axes.lines if line.get_marker() == "o")
    assert np.asarray(line.get_xydata()).tolist() == [[0.1, 0.4], [0.5, 0.5], [0.9, 0.3]]
    spans = [list(each.get_ydata()) for each in axes.lines if len(each.get_xdata()) == 2 and each.get_xdata()[0] == 0.5]
    assert [0.4, 0.6] in spans
    assert any(list(each.get_ydata()) == [0.45, 0.45] for each in axes.lines)


def _luminance(colour: str) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", PALETTE)
def test_every_colour_stands_out_on_light_and_dark_paper(colour: str) -> None:
    assert _contrast(colour, PAPER) >= 3
    assert _contrast(colour, DARK_PAPER) >= 3
    assert _contrast(MUTED, PAPER) >= 4.5
    assert _contrast(INK, PAPER) >= 7


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyView, Analysis]:
    losses = ("bce", *(f"unified_focal(gamma={value})" for value in (0.1, 0.5, 0.9)))
    return write_sample(tmp_path_factory.mktemp("rich"), Sample(losses, patients=8), has_probabilities=True)


def test_every_figure_comes_with_words_numbers_and_pictures(rich: tuple[StudyView, Analysis]) -> None:
    with house_style():
        drawings = draw_all(*rich, [])
    # There are no runs and no images in this study, and neither tuning nor a race.
    absent = ("race", "tuning_gain", "training_curves", "cases")
    assert tuple(drawings) == tuple(name for name in FIGURE_NAMES if name not in absent)
    ids: list[str] = []
    for name, drawing in drawings.items():
        assert drawing.name == name
        assert drawing.title
        assert re.search(r"n = \d", drawing.caption) or name in ("critical_difference", "variance", "reliability")
        assert re.search(r"\d", drawing.alt)
        assert not re.search(r"\bnan\b|\bNone\b", drawing.caption + drawing.alt)
        assert ET.parse(io.StringIO(drawing.svg)).getroot().tag.endswith("svg")
        assert np.asarray(Image.open(io.BytesIO(drawing.png)).convert("L")).std() > 3
        for _, part in drawing.parts:
            assert INK not in part
            assert PAPER not in part
            assert "$" not in "".join(ET.parse(io.StringIO(part)).getroot().itertext())
            ids += re.findall(r'\bid="([^"]+)"', part)
    assert len(ids) == len(set(ids)) > 0


def test_captions_of_an_evaluation_speak_of_methods(tmp_path: Path) -> None:
    sample = Sample(("mine", "theirs", "old"), patients=8, folds=1, settings={"kind": "evaluation"})
    study, analysis = write_sample(tmp_path, sample)
    with house_style():
        drawings = draw_all(study, analysis, [])
    words = " ".join(f"{each.title} {each.caption} {each.alt}" for each in drawings.values())
    assert "method" in words
    assert "loss" not in words


@pytest.mark.parametrize(
    ("sample", "left_out"),
    [
        (
            Sample(("bce",), patients=3, folds=1),
            {"critical_difference", "rank_stability", "parameter_sweep", "variance"},
        ),
        (Sample(patients=2, folds=2, cases_per_patient=1), {"parameter_sweep", "variance"}),
        (Sample(patients=1, folds=1, cases_per_patient=1), {"critical_difference", "rank_stability", "variance"}),
        (
            Sample(patients=3, empty=3),
            {"distribution", "precision_recall", "precision_recall_curves", "reliability", "rank_stability"},
        ),
    ],
    ids=["one loss", "two patients", "one case", "nothing defined"],
)
def test_odd_studies_get_the_figures_that_have_something_to_show(
    tmp_path: Path, sample: Sample, left_out: set[str]
) -> None:
    study, analysis = write_sample(tmp_path, sample, has_probabilities=True)
    with house_style():
        drawings = draw_all(study, analysis, [])
    assert not left_out & set(drawings)
    assert drawings
    for drawing in drawings.values():
        assert not re.search(r"\bnan\b", drawing.svg + drawing.caption + drawing.alt)


def test_hostile_names_are_only_text_in_every_figure(tmp_path: Path) -> None:
    losses = ("</svg><script>alert(1)</script>", "$x_1$ \\frac{a}{b}", "损失 &amp;", 'id="a" url(#b)')
    study, analysis = write_sample(tmp_path, Sample(losses, patients=4))
    with house_style():
        drawings = draw_all(study, analysis, [])
    for drawing in drawings.values():
        for part in (drawing.svg, *(part for _, part in drawing.parts)):
            root = ET.parse(io.StringIO(part)).getroot()
            assert not [element for element in root.iter() if element.tag.endswith("script")]
    texts = "".join(ET.parse(io.StringIO(drawings["rank_stability"].svg)).getroot().itertext())
    for loss in losses[1:]:
        assert loss in texts
