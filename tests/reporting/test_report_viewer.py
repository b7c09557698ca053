"""What the page's viewer is given: masks without loss, slices by rule, scores, and no more than fits."""

import base64
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from evaluation_study import METHODS, SHAPE, SPACING, write_evaluation
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from many_cases import write_many_cases
from numpy.typing import NDArray
from PIL import Image
from synthetic_study import Study

from unifocal.problems import InputError
from unifocal.reporting.page import render
from unifocal.reporting.study import read_study
from unifocal.reporting.viewer import ViewerData, gather, scored_only
from unifocal.reporting.viewer_files import read_base
from unifocal.reporting.viewer_masks import encode_runs, reduce_mask
from unifocal.reporting.viewer_slices import choose_slices, plane_of
from unifocal.statistics import analyse

Array = NDArray[Any]


def decoded(text: str, shape: tuple[int, ...]) -> Array:
    """Runs, read one byte after the other."""
    flat: list[int] = []
    numbers = iter(base64.b64decode(text))
    for label in numbers:
        length, shift = 0, 0
        while True:
            byte = next(numbers)
            length += (byte % 128) << shift
            shift += 7
            if byte < 128:
                break
        flat += [label] * length
    return np.array(flat + [0] * (math.prod(shape) - len(flat)), dtype=np.uint8).reshape(shape)


@settings(max_examples=80, deadline=None)
@given(mask=arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 3)))
def test_runs_hold_a_mask_without_loss(mask: Array) -> None:
    assert (decoded(encode_runs(mask), mask.shape) == mask).all()


@pytest.mark.parametrize("length", [1, 127, 128, 16383, 16384, 70_000])
def test_long_runs_are_counted_right(length: int) -> None:
    mask = np.zeros((1, length + 3), dtype=np.uint8)
    mask[0, 2 : 2 + length] = 7
    assert (decoded(encode_runs(mask), mask.shape) == mask).all()
    assert encode_runs(np.zeros((300, 300), dtype=np.uint8)) == ""


@settings(max_examples=40, deadline=None)
@given(
    mask=arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=17), elements=st.integers(0, 2)),
    factor=st.integers(1, 5),
)
def test_a_reduced_mask_loses_no_lesion(mask: Array, factor: int) -> None:
    reduced = reduce_mask(mask, factor)
    for (row, column), label in np.ndenumerate(reduced):
        block = mask[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
        assert label == block.max()


@settings(max_examples=100, deadline=None)
@given(
    wrong=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    most=st.integers(1, 12),
    data=st.data(),
)
def test_the_slices_shown_hold_the_worst_and_are_few(wrong: list[int], most: int, data: st.DataObject) -> None:
    counts = np.array(wrong)
    held = (counts > 0) | np.array(data.draw(st.lists(st.booleans(), min_size=len(wrong), max_size=len(wrong))))
    chosen = choose_slices(held, counts, most)
    assert chosen == sorted(set(chosen))
    assert 1 <= len(chosen) <= most
    if held.any():
        assert held[chosen].all()
        assert len(chosen) == min(most, held.sum())
        assert counts[chosen].max() == counts.max()


def test_slices_are_thinned_evenly() -> None:
    chosen = choose_slices(np.ones(100, dtype=bool), np.zeros(100, dtype=np.int64), 10)
    assert {second - first for first, second in pairwise(chosen)} <= {10, 11, 12}
    assert (chosen[0], chosen[-1]) == (0, 99)


@settings(max_examples=60, deadline=None)
@given(order=st.permutations([0, 1, 2]), signs=st.tuples(*[st.sampled_from([-1, 1])] * 3), across=st.integers(0, 2))
def test_slices_are_shown_as_radiologists_see_them(order: list[int], signs: tuple[int, ...], across: int) -> None:
    """Whatever way an array lies: towards the feet, the back and the patient's left as rows and columns grow."""
    shape, spacing = (3, 4, 5), [1.0, 1.0, 1.0]
    spacing[across] = 3.0
    affine = np.zeros((4, 4))
    for axis in range(3):
        affine[order[axis], axis] = signs[axis] * spacing[axis]
    place = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) @ affine[:3, :3].T
    plane = plane_of(3, tuple(spacing), affine)
    shown = [plane.stack(place[..., world]) for world in range(3)]
    vertical, horizontal = [world for world in (2, 1, 0) if world != order[across]]
    assert plane.name == ("sagittal", "coronal", "axial")[order[across]]
    assert shown[0].shape[0] == shape[across]
    assert (np.diff(shown[vertical], axis=1) < 0).all()
    assert (np.diff(shown[horizontal], axis=2) < 0).all()
    assert (np.diff(shown[vertical], axis=2) == 0).all()


def test_the_aspect_is_that_of_a_pixel() -> None:
    assert plane_of(3, SPACING, None).aspect == 2.0
    assert plane_of(2, (0.5, 1.0), None).aspect == 0.5
    assert plane_of(3, None, None).stack(np.zeros(SHAPE)).shape == SHAPE


def _index(data: ViewerData) -> dict[str, Any]:
    return dict(json.loads(data.index))


def test_an_embedded_case_is_the_files_pixel_for_pixel(shared_study: Study) -> None:
    study = read_study(shared_study.folder)
    data = gather(study, shared_study.analysis, 10_000_000)
    assert sorted(number for number, _ in data.cases) == list(range(len(study.cases)))
    for number, text in data.cases[:6]:
        content, name = json.loads(text), study.cases["case"][number]
        truth = np.asarray(Image.open(shared_study.folder / "data" / "masks" / f"{name}.png")) > 0
        assert content["size"] == list(truth.shape)
        (only,) = content["slices"]
        assert (decoded(only["truth"], truth.shape) == truth).all()
        for loss, (coded,) in zip(study.losses, only["masks"], strict=True):
            source = study.prediction_of(loss, name)
            assert source is not None
            assert (decoded(coded, truth.shape) == np.asarray(Image.open(source.path))).all()
        picture = Image.open(io.BytesIO(base64.b64decode(only["picture"].partition(",")[2])))
        image = np.asarray(Image.open(shared_study.folder / "data" / "images" / f"{name}.png"), dtype=float)
        assert np.corrcoef(np.asarray(picture)[..., 1].ravel(), image.ravel())[0, 1] > 0.95


def test_every_score_is_where_the_page_looks_for_it(shared_study: Study) -> None:
    study = read_study(shared_study.folder)
    index = _index(gather(study, shared_study.analysis, 10_000_000))
    assert index["views"] == ["all"]
    for row in study.scores.sample(200, random_state=0).to_dict("records"):
        place = list(study.cases["case"]).index(row["case"]) * len(study.losses) + study.losses.index(row["loss"])
        shown = index["values"]["all"][str(row["label"])][row["metric"]][place]
        if math.isnan(row["value"]):
            reason = index["reasons"]["all"][str(row["label"])][row["metric"]][str(place)]
            assert shown is None
            assert index["texts"][reason] == row["reason"]
        else:
            assert shown == pytest.approx(row["value"], rel=1e-4)
    means = study.values("dice", 1).groupby("case")["value"].mean()
    names = [index["cases"][number]["name"] for number in index["order"]]
    assert list(means[names]) == sorted(means)


def test_cases_that_were_not_scored_are_not_listed(shared_study: Study) -> None:
    study = read_study(shared_study.folder)
    extra = study.cases.iloc[[0]].assign(case="only for training")
    more = replace(study, cases=pd.concat([extra, study.cases], ignore_index=True))
    page = render(more, shared_study.analysis, {}, [])
    assert "only for training" not in page
    assert scored_only(more).cases.equals(study.cases)


def test_the_same_study_gives_the_same_text(shared_study: Study) -> None:
    study = read_study(shared_study.folder)
    assert gather(study, shared_study.analysis, 200_000) == gather(study, shared_study.analysis, 200_000)


@pytest.mark.parametrize("share", [0, 15_000, 30_000, 1_000_000])
def test_what_is_embedded_fits_and_the_worst_cases_come_first(shared_study: Study, share: int) -> None:
    study = read_study(shared_study.folder)
    least = len(gather(study, shared_study.analysis, 0).index)
    data = gather(study, shared_study.analysis, least + share)
    index = _index(data)
    assert sum(len(text) for _, text in data.cases) <= share
    assert index["embedded"] == index["order"][: len(data.cases)]
    assert set(index["refused"]) == {str(number) for number in index["order"][len(data.cases) :]}
    assert (len(data.cases) > 0) == (share > 0)
    assert (len(data.cases) == len(study.cases)) == (share == 1_000_000)


def test_hundreds_of_cases_fit_into_a_page(tmp_path: Path) -> None:
    scores = write_many_cases(tmp_path, 300, 256)
    study, analysis = read_study(tmp_path), analyse(scores, resamples=50)
    page = render(study, analysis, {}, [])
    assert 8_000_000 < len(page.encode()) < 25_000_000
    assert page.count('<script type="application/json" id="case-') == 301


def test_every_seed_is_embedded_where_there_is_room_else_the_lowest(tmp_path: Path) -> None:
    scores = write_many_cases(tmp_path, 3, 64, losses=("a", "b"), seeds=(4, 2))
    study, analysis = read_study(tmp_path), analyse(scores, resamples=50)
    data = gather(study, analysis, 10_000_000)
    content = json.loads(dict(data.cases)[1])
    assert content["seeds"] == [2, 4]
    for loss, coded in zip("ab", content["slices"][0]["masks"], strict=True):
        for seed, text in zip((2, 4), coded, strict=True):
            file = tmp_path / "runs" / loss / f"fold-0-seed-{seed}" / "predictions" / "case-001.png"
            assert (decoded(text, (64, 64)) == np.asarray(Image.open(file))).all()
    index = _index(data)
    assert index["views"] == ["all", "2", "4"]
    of_case = scores[(scores["case"] == "case-001") & (scores["metric"] == "dice") & (scores["loss"] == "b")]
    by_seed = of_case.set_index("seed")["value"]
    shown = {view: index["values"][view]["1"]["dice"][1 * 2 + 1] for view in index["views"]}
    expected = {"all": by_seed.mean(), "2": by_seed[2], "4": by_seed[4]}
    assert shown == pytest.approx(expected, rel=1e-4)


def test_large_images_are_drawn_smaller(tmp_path: Path) -> None:
    scores = write_many_cases(tmp_path, 1, 1500, losses=("a",))
    content = json.loads(dict(gather(read_study(tmp_path), analyse(scores, resamples=50), 10_000_000).cases)[0])
    picture = Image.open(io.BytesIO(base64.b64decode(content["slices"][0]["picture"].partition(",")[2])))
    assert max(picture.size) <= 512
    assert (content["size"], content["factor"]) == ([750, 750], 2)
    truth = np.asarray(Image.open(tmp_path / "data" / "masks" / "case-000.png")) > 0
    blocks = truth.reshape(750, 2, 750, 2).any(axis=(1, 3))
    assert (decoded(content["slices"][0]["truth"], (750, 750)) == blocks).all()
    top, bottom, left, right = content["windows"][0]
    assert blocks[top:bottom, left:right].sum() == blocks.sum()


def test_a_volume_is_embedded_by_slices_with_all_labels(tmp_path: Path) -> None:
    evaluation = write_evaluation(tmp_path, patients=3)
    study = read_study(tmp_path)
    assert (study.kind, study.noun, study.nouns, study.losses) == ("evaluation", "method", "methods", METHODS)
    data = gather(study, evaluation.analysis, 10_000_000)
    index = _index(data)
    assert index["labels"] == [1, 2]
    for number, text in data.cases:
        content, name = json.loads(text), index["cases"][number]["name"]
        stacks = [evaluation.truths[name], *(evaluation.predictions[method, name] for method in METHODS)]
        held = [i for i in range(SHAPE[0]) if any(stack[i].any() for stack in stacks)]
        assert [part["index"] for part in content["slices"]] == held
        assert (content["count"], content["plane"], content["aspect"]) == (SHAPE[0], "axial", 2.0)
        wrong = [sum((stack[i] != stacks[0][i]).sum() for stack in stacks[1:]) for i in held]
        assert wrong[content["start"]] == max(wrong)
        for part in content["slices"]:
            texts = [part["truth"], *(coded for (coded,) in part["masks"])]
            for coded, stack in zip(texts, stacks, strict=True):
                # Stored towards the front and the right; shown towards the back and the left.
                assert (decoded(coded, SHAPE[1:]) == stack[part["index"]][::-1, ::-1]).all()


def test_predictions_that_are_gone_leave_their_reason(shared_study: Study, tmp_path: Path) -> None:
    study = read_study(shared_study.folder)
    without = replace(study, runs=tuple(run for run in study.runs if run.loss != "bce"))
    content = json.loads(gather(without, shared_study.analysis, 10_000_000).cases[0][1])
    assert content["troubles"] == ["No prediction of this case was kept", "", ""]
    assert content["slices"][0]["masks"][0] == [None]
    blind = replace(study, cases=study.cases.assign(mask="nowhere.png"))
    index = _index(gather(blind, shared_study.analysis, 10_000_000))
    assert index["embedded"] == []
    assert set(index["refused"].values()) == {"The mask file nowhere.png is no longer there"}
    assert read_study(shared_study.folder).prediction_of("bce", "no such case") is None


def test_a_damaged_list_of_predictions_is_a_problem(tmp_path: Path) -> None:
    write_evaluation(tmp_path, patients=2)
    (tmp_path / "predictions.csv").write_text("loss,case\nx,y\n")
    with pytest.raises(InputError) as caught:
        read_study(tmp_path)
    (problem,) = caught.value.problems
    assert "predictions.csv" in problem.where
    assert "lacks the columns file" in problem.what


def test_nothing_in_the_data_can_end_its_script(make_study: Callable[..., Study]) -> None:
    evil = "</script><script>alert(1)</script>\u2028<!--"
    study = make_study(
        patients=2, images_per_patient=1, folds=1, losses=("bce",), names=("a", "b"), classes=(evil, "x")
    )
    cases = pd.read_csv(study.folder / "cases.csv", dtype=str).assign(patient=evil)
    cases.to_csv(study.folder / "cases.csv", index=False)
    data = gather(read_study(study.folder), study.analysis, 1_000_000)
    for text in (data.index, *(text for _, text in data.cases)):
        assert not set("<>&\u2028") & set(text)
    assert json.loads(data.index)["cases"][0]["patient"] == evil


def test_an_image_never_given_is_not_called_lost(shared_study: Study) -> None:
    view = read_study(shared_study.folder)
    assert read_base(view, {"image": ""}) == (None, "No image of this case was given")
    assert read_base(view, {"image": "gone.png"}) == (None, "The image file gone.png is no longer there")
