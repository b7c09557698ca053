"""The declared pipeline: what it accepts, what it is called, and that nothing changed for earlier studies."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.transform import resize

from unifocal.preprocessing import Pipeline, Sample, steps, strip_skull, unit_range, z_score
from unifocal.problems import InputError

GIVEN = {
    "channels": {"count": 1},
    "window": {"low": -79, "high": 304},
    "resample": {"spacing_mm": [3.22, 1.62, 1.62]},
    "resize": {"size": [32, 24]},
    "pad": {"multiple": 8},
}
ALL = [{name: GIVEN.get(name, {})} for name in (facts.name for facts in steps())]


def picture(rows: int = 40, columns: int = 30, channels: int = 1, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (channels, rows, columns))
    return ndimage.gaussian_filter(noise, (0, 2, 2)).astype(np.float32)


def kinds(declaration: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        Pipeline.from_declaration(declaration)
    return [problem.kind for problem in caught.value.problems]


def test_every_step_can_be_declared_and_says_what_it_does() -> None:
    pipeline = Pipeline.from_declaration(ALL)
    assert [next(iter(entry)) for entry in pipeline.declaration] == [facts.name for facts in steps()]
    for facts, entry in zip(steps(), pipeline.declaration, strict=True):
        assert facts.title
        assert set(entry[facts.name]) == {parameter.name for parameter in facts.parameters}
        assert all(parameter.meaning for parameter in facts.parameters)


def test_the_canonical_declaration_means_the_same_pipeline() -> None:
    pipeline = Pipeline.from_declaration(ALL)
    again = Pipeline.from_declaration(json.loads(json.dumps(pipeline.declaration)))
    assert again == pipeline
    assert again.identity == pipeline.identity


def test_spelling_does_not_change_the_identity() -> None:
    written = ["z_score", {"percentile": {"low": 0.5}}, {"resize": {"size": (8, 9)}}]
    other = [{"z_score": None}, {"percentile": {"high": 99.5}}, {"resize": {"size": [8, 9]}}]
    assert Pipeline.from_declaration(written).identity == Pipeline.from_declaration(other).identity


@pytest.mark.parametrize(
    "other",
    [
        [{"resize": {"size": [32, 25]}}, "z_score"],
        ["z_score", {"resize": {"size": [32, 24]}}],
        [{"resize": {"size": [32, 24]}}],
        [{"resize": {"size": [32, 24]}}, {"z_score": {"inside": "nonzero"}}],
        [{"resize": {"size": [32, 24]}}, "unit"],
    ],
)
def test_another_pipeline_has_another_identity(other: list[Any]) -> None:
    first = Pipeline.from_declaration([{"resize": {"size": [32, 24]}}, "z_score"])
    assert Pipeline.from_declaration(other).identity != first.identity


def test_a_new_version_of_a_step_has_another_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline.from_declaration(["z_score"])
    before = pipeline.identity
    monkeypatch.setattr(type(pipeline.steps[0]), "version", 2)
    assert pipeline.identity != before


def test_all_problems_of_a_declaration_are_listed_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Pipeline.from_declaration(
            [
                "z_scor",
                {"resize": {"siez": [3, 4]}},
                {"window": {"low": "air", "high": 10}},
                {"percentile": {"low": 80, "high": 20}},
                {"pad": {}},
                3,
                {"resize": [1, 2]},
                {"z_score": {"inside": "brain", "per_channel": 1}},
                {"resample": {"spacing_mm": [1, 0]}},
            ]
        )
    problems = caught.value.problems
    assert [problem.kind for problem in problems] == [
        "step-unknown", "parameter-unknown", "parameter-missing", "parameter-wrong", "parameter-wrong",
        "parameter-wrong", "step-wrong", "step-wrong", "parameter-wrong", "parameter-wrong", "parameter-wrong",
    ]  # fmt: skip
    text = str(caught.value)
    assert "Did you mean z_score?" in text
    assert "Did you mean size?" in text
    assert problems[0].where == "preprocessing[1]"
    assert problems[3].where == "preprocessing[3].window.low"


@pytest.mark.parametrize("size", [[1.5, 2], [0, 3], [True, 3], 128, "128x128", [1], [1, 2, 3, 4], None, float("nan")])
def test_a_wrong_size_is_refused(size: Any) -> None:
    assert kinds([{"resize": {"size": size}}]) == ["parameter-wrong"]


@pytest.mark.parametrize("spacing", [[1, float("nan")], [1, float("inf")], [1, -1], ["1", "1"]])
def test_a_wrong_spacing_is_refused(spacing: Any) -> None:
    assert kinds([{"resample": {"spacing_mm": spacing}}]) == ["parameter-wrong"]


@pytest.mark.parametrize("declaration", ["z_score", {"z_score": {}}, None, 3])
def test_a_declaration_that_is_no_list_is_refused(declaration: Any) -> None:
    assert kinds(declaration) == ["step-wrong"]


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from([s.name for s in steps()]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    )
)
def test_nonsense_ends_in_problems_and_nothing_else(declaration: Any) -> None:
    try:
        pipeline = Pipeline.from_declaration(declaration)
    except InputError:
        return
    assert Pipeline.from_declaration(pipeline.declaration).identity == pipeline.identity


@settings(max_examples=25)
@given(
    st.sampled_from([1, 3]), st.sampled_from([1, 3]), st.integers(9, 70), st.integers(9, 70),
    st.sampled_from(["z_score", "unit"]), st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_the_default_pipeline_gives_what_studies_always_got(
    stored: int, wanted: int, rows: int, columns: int, intensity: str, strip: bool, seed: int
) -> None:
    image = picture(rows, columns, stored, seed)
    declaration = [
        {"channels": {"count": wanted}},
        *([{"skull_strip": {"method": "source_a"}}] if strip else []),
        {"resize": {"size": [32, 24]}},
        intensity,
    ]
    prepared = Pipeline.from_declaration(declaration).apply(Sample(image)).image
    if (stored, wanted) == (3, 1):
        image = image.mean(axis=0, keepdims=True, dtype=np.float32)
    elif (stored, wanted) == (1, 3):
        image = np.repeat(image, 3, axis=0)
    image = strip_skull(image) if strip else image
    small = resize(image, (wanted, 32, 24), order=1, anti_aliasing=True, preserve_range=True)
    expected = (z_score(small) if intensity == "z_score" else unit_range(small)).astype(np.float32)
    np.testing.assert_array_equal(prepared, expected)
    assert prepared.dtype == np.float32


def test_resizing_and_scoring_are_written_out_once_more() -> None:
    image = picture(50, 41)
    prepared = Pipeline.from_declaration([{"resize": {"size": [32, 24]}}, "z_score"]).apply(Sample(image)).image
    small = resize(image, (1, 32, 24), order=1, anti_aliasing=True, preserve_range=True).astype(np.float64)
    expected = ((small - small.mean()) / small.std()).astype(np.float32)
    np.testing.assert_array_equal(prepared, expected)


def test_a_sample_stays_as_it_was() -> None:
    image = picture(64, 64)
    labels = (image[0] > np.median(image)).astype(np.uint8)
    kept = image.copy(), labels.copy()
    sample = Sample(image, labels, spacing_mm=(1.0, 1.0), inside=labels > 0)
    declaration = [{"skull_strip": {"method": "source_a"}}, "crop_foreground", {"pad": {"multiple": 16}}, "z_score"]
    Pipeline.from_declaration([*declaration, "percentile", "min_max", "unit"]).apply(sample)
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(labels, kept[1])


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ({"resample": {"spacing_mm": [1, 1]}}, "spacing-missing"),
        ({"window": {"low": -79, "high": 304}}, "not-hounsfield"),
        ({"resize": {"size": [8, 8, 8]}}, "axes-differ"),
        ({"pad": {"size": [8, 8, 8]}}, "axes-differ"),
        ({"z_score": {"inside": "mask"}}, "mask-missing"),
        ({"field_of_view": {"origin": "given"}}, "mask-missing"),
        ({"channels": {"count": 3}}, "channels-differ"),
        ({"bias_correction": {"shrink": 16}}, "too-small"),
    ],
)
def test_what_a_case_lacks_is_said_with_its_name(step: Any, kind: str) -> None:
    image = np.rint(picture(channels=2))
    with pytest.raises(InputError) as caught:
        Pipeline.from_declaration([step]).apply(Sample(image), where="case-7")
    (problem,) = caught.value.problems
    assert problem.kind == kind
    assert problem.where == "case-7"
    assert next(iter(step)) in problem.what
    assert problem.remedy.endswith(".")
