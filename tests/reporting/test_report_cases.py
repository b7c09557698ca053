"""Which cases are shown, and that their pictures are true."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image
from synthetic_study import Study

from unifocal.reporting.drawings import case_panels, measure_of
from unifocal.reporting.overlay import (
    GREEN,
    MAGENTA,
    TILE,
    WHITE,
    YELLOW,
    displayable,
    outline,
    overview,
    tile,
    window_around,
)
from unifocal.reporting.panels import CasePanel, build_panel
from unifocal.reporting.selection import MOST_CASES, Choice, choose_cases
from unifocal.reporting.study import read_study

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=90)


def _values(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["loss", "case", "value"])


def test_the_rule_takes_extremes_middle_and_disagreement() -> None:
    rows = []
    for index in range(20):
        spread = 0.3 if index == 6 else 0.01
        rows += [("a", f"c{index:02d}", index / 20 - spread / 2), ("b", f"c{index:02d}", index / 20 + spread / 2)]
    cases = pd.DataFrame({"case": [f"c{i:02d}" for i in range(20)], "kind": ["x"] * 18 + ["y", "z"]})
    chosen = choose_cases(_values(rows), cases, {"kind": ("x", "y", "z")})
    reasons = {choice.case: choice.reason for choice in chosen}
    assert reasons["c00"] == "worst"
    assert reasons["c01"] == "second worst"
    assert reasons["c10"] == "middle"
    assert reasons["c19"] == "best"
    assert reasons["c06"] == "losses disagree most"
    assert reasons["c18"] == "middle of kind y"
    assert [choice.mean for choice in chosen] == sorted(choice.mean for choice in chosen)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_choice_ignores_the_order_of_rows_and_stays_small(data: st.DataObject) -> None:
    number_of = data.draw(st.integers(1, 30))
    rows = [
        (loss, f"c{index}", data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])))
        for loss in "ab"
        for index in range(number_of)
    ]
    kinds = [data.draw(st.sampled_from("uvwxyz")) for _ in range(number_of)]
    cases = pd.DataFrame({"case": [f"c{i}" for i in range(number_of)], "kind": kinds})
    categories = {"kind": tuple("uvwxyz")}
    first = choose_cases(_values(rows), cases, categories)
    shuffled = _values(rows).sample(frac=1, random_state=data.draw(st.integers(0, 99)))
    assert choose_cases(shuffled, cases, categories) == first
    assert 1 <= len(first) <= MOST_CASES
    assert len({choice.case for choice in first}) == len(first)
    means = _values(rows).groupby("case")["value"].mean()
    assert first[0].mean == means.min()
    assert first[-1].mean == means.max()


def test_lower_is_better_turns_worst_and_best_round() -> None:
    values = _values([("a", "near", 1.0), ("a", "far", 30.0), ("a", "between", 5.0)])
    cases = pd.DataFrame({"case": ["near", "far", "between"]})
    reasons = {c.case: c.reason for c in choose_cases(values, cases, {}, higher_is_better=False)}
    assert reasons == {"far": "worst", "near": "best", "between": "middle"}
    assert choose_cases(values.iloc[:0], cases, {}) == []


@settings(max_examples=60, deadline=None)
@given(mask=arrays(bool, SHAPES))
def test_a_window_lies_inside_and_holds_the_whole_truth(mask: NDArray[np.bool_]) -> None:
    window = window_around(mask)
    if not mask.any():
        assert window is None
        return
    assert window is not None
    assert mask[window].sum() == mask.sum()
    for part, length in zip(window, mask.shape, strict=True):
        assert 0 <= part.start < part.stop <= length


@settings(max_examples=40, deadline=None)
@given(truth=arrays(bool, (12, 12)), prediction=arrays(bool, (12, 12)))
def test_colours_of_a_tile_stand_for_what_they_say(truth: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> None:
    base = np.zeros((12, 12, 3), dtype=np.uint8)
    shown = tile(base, truth, prediction, (slice(0, 12), slice(0, 12)))
    assert shown.shape == (TILE, TILE, 3)
    step = TILE / 12
    centres = ((np.arange(12) + 0.5) * step).astype(int)
    sampled = shown[np.ix_(centres, centres)].astype(int)
    false_positive, false_negative = prediction & ~truth, truth & ~prediction
    neither = ~truth & ~prediction
    assert (sampled[false_positive] @ np.array([1, -2, 1]) > 100).all()
    assert (sampled[false_negative][:, 1] > 100).all()
    assert (sampled[false_negative][:, 0] == 0).all()
    assert (sampled[neither] == 0).all()
    # A true positive is left as it is, but for its outline.
    assert set(map(tuple, sampled[truth & prediction])) <= {(0, 0, 0), WHITE}
    assert (shown == WHITE).all(axis=-1).any() == (truth & prediction).any()


def test_truth_alone_and_frame_are_yellow() -> None:
    base, truth = np.zeros((80, 50, 3), dtype=np.uint8), np.zeros((80, 50), dtype=bool)
    truth[20:24, 30:33] = True
    window = window_around(truth)
    assert window is not None
    for picture in (tile(base, truth, None, window), overview(base, window)):
        assert set(map(tuple, picture.reshape(-1, 3))) == {(0, 0, 0), YELLOW}
    assert overview(base, window).shape == (TILE, round(TILE * 50 / 80), 3)
    assert GREEN != MAGENTA


@settings(max_examples=40, deadline=None)
@given(mask=arrays(bool, SHAPES))
def test_an_outline_is_the_part_with_a_neighbour_outside(mask: NDArray[np.bool_]) -> None:
    drawn = outline(mask)
    rows, columns = mask.shape
    for row, column in np.argwhere(mask)[:40]:
        around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        inside = all(0 <= r < rows and 0 <= c < columns and mask[r, c] for r, c in around)
        assert drawn[row, column] != inside
    assert not (drawn & ~mask).any()


def test_images_of_any_range_become_visible() -> None:
    ramp: NDArray[Any] = np.linspace(1000, 4000, 400, dtype=np.float32).reshape(1, 20, 20)
    shown = displayable(ramp)
    assert shown.min() == 0
    assert shown.max() == 255
    colour = np.stack([np.full((4, 4), value, dtype=np.float32) for value in (10, 100, 200)])
    assert displayable(colour)[0, 0].tolist() == [10, 100, 200]
    assert displayable(np.full((1, 4, 4), 7, dtype=np.float32)).shape == (4, 4, 3)


@pytest.fixture(scope="module")
def shown(shared_study: Study) -> list[CasePanel]:
    return case_panels(read_study(shared_study.folder), shared_study.analysis)


def test_panels_print_each_case_and_loss_its_own_score(shared_study: Study, shown: list[CasePanel]) -> None:
    scores = shared_study.scores()
    dice = scores[scores["metric"] == "dice"].set_index(["case", "loss"])["value"]
    assert len(shown) >= 6
    for panel in shown:
        assert [picture.title for picture in panel.tiles] == ["Image", "Truth", *shared_study.recipe.losses]
        for picture in panel.tiles[2:]:
            assert picture.value == f"Dice {dice[panel.choice.case, picture.title]:.3f}"
            assert picture.pixels is not None


def test_false_positives_outside_the_view_are_counted(shared_study: Study, shown: list[CasePanel]) -> None:
    study = read_study(shared_study.folder)
    noted = 0
    for panel in shown:
        truth = np.asarray(Image.open(shared_study.folder / "data" / "masks" / f"{panel.choice.case}.png")) > 0
        window = window_around(truth)
        assert window is not None
        for picture in panel.tiles[2:]:
            run = next(r for r in study.runs if r.loss == picture.title and r.prediction(panel.choice.case).exists())
            outside = (np.asarray(Image.open(run.prediction(panel.choice.case))) > 0) & ~truth
            outside[window] = False
            shown = int(picture.note.split()[0]) if picture.note else 0
            assert shown == outside.sum()
            noted += shown > 0
    assert noted


def test_stored_mask_values_become_the_label_as_the_study_read_them(tmp_path: Path, shared_study: Study) -> None:
    study = read_study(shared_study.folder)
    choice, measure = Choice("0003", "worst", 0.5), measure_of(shared_study.analysis)
    stored = np.zeros((64, 64), dtype=np.uint8)
    stored[10:20, 10:20], stored[30:33, 30:33], stored[50:52, 50:52] = 1, 2, 200
    Image.fromarray(stored).save(tmp_path / "mask.png")
    cases = study.cases.copy()
    cases.loc[cases["case"] == choice.case, "mask"] = str(tmp_path / "mask.png")
    for told, pixels in (
        ({"black_and_white": True}, 113),
        ({"black_and_white": False}, 100),
        ({"black_and_white": False, "mask_threshold": 2}, 13),
    ):
        settings = {**study.settings, "data": {**study.settings["data"], **told}}
        changed = replace(study, settings=settings, cases=cases)
        truth = build_panel(changed, choice, measure).tiles[1]
        assert truth.note == f"{pixels} pixels"


def test_damaged_and_mismatched_files_are_named(tmp_path: Path, shared_study: Study) -> None:
    study = read_study(shared_study.folder)
    choice, measure = Choice("0003", "worst", 0.5), measure_of(shared_study.analysis)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    Image.fromarray(np.zeros((8, 9), dtype=np.uint8)).save(tmp_path / "small.png")
    for name, words in (("broken.png", "broken.png cannot be read"), ("small.png", "differ in size")):
        cases = study.cases.copy()
        cases.loc[cases["case"] == choice.case, "image"] = str(tmp_path / name)
        changed = replace(study, cases=cases)
        panel = build_panel(changed, choice, measure)
        assert panel.tiles[0].pixels is None
        assert words in panel.tiles[0].note
        assert panel.tiles[2].pixels is not None
