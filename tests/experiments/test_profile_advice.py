"""What follows for the losses: its numbers against the losses themselves, and every call that it names."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unifocal.config.values import parse_losses
from unifocal.data.profile.numbers import Spread
from unifocal.data.profile.result import (
    FEW_ELEMENTS,
    QUANTILES,
    SCHEMA,
    Advice,
    GeometryProfile,
    LesionProfile,
    Profile,
    ResizedProfile,
    SizeProfile,
    TargetProfile,
)
from unifocal.experiments.advice import advise, losses_to_compare, start_ratio
from unifocal.losses import SHARED_PARAMETERS, create, describe

ELEMENTS = 128 * 128


def target(share: float, *, name: str = "1", value: int = 1, empty: float = 0.0, **lesions: object) -> TargetProfile:
    """A target that fills `share` of 100 images, of which a part is empty."""
    none = round(100 * empty)
    spread = Spread(100, share, 0.0, share / 4, share / 2, share, share * 2, min(share * 4, 1.0))
    resized = ResizedProfile(0, 0, 100, 0, spread, dict.fromkeys(FEW_ELEMENTS, 0), share * ELEMENTS)
    sizes = SizeProfile("px", dict.fromkeys(QUANTILES, 50.0), 50.0)
    parts: dict[str, object] = {
        "count": 100, "joined": 100, "specks": 0, "per_case": spread, "sizes": sizes, "physical": None,
        "touching_border": 0, "resized": resized,
    }  # fmt: skip
    found = LesionProfile(**(parts | lesions))  # type: ignore[arg-type]
    return TargetProfile(name, (value,), 100 - none, none, spread, spread, share, share / (1 - empty), None, found, ())


def profile(*targets: TargetProfile, overlapping: bool = False, spacing: float | None = None) -> Profile:
    whole = targets[0]
    if len(targets) > 1:
        pooled = max(each.pooled_share for each in targets) if overlapping else sum(t.pooled_share for t in targets)
        whole = target(pooled, name="foreground")
    length = Spread.of([512.0])
    distance = None if spacing is None else Spread.of([spacing])
    geometry = GeometryProfile(
        2, {"512 x 512": 100}, 1, (length, length), 0 if spacing is None else 100,
        () if spacing is None else (distance, distance), distance, {"": 100},
    )  # fmt: skip
    return Profile(
        SCHEMA, "made", "folders", 100, 100, 50, True, None, {}, geometry, (), overlapping, whole, targets, (),
        (128, 128), None, {},
    )  # fmt: skip


CASES = {
    "rare": profile(target(0.01)),
    "very rare": profile(target(0.0005)),
    "large": profile(target(0.45)),
    "all": profile(target(1.0)),
    "often empty": profile(target(0.02, empty=0.4)),
    "three labels": profile(
        target(0.2, name="liver"), target(0.01, name="tumour", value=2), target(0.3, name="b", value=4)
    ),
    "a label that is nowhere": profile(target(0.02, name="a"), target(0.0, name="b", value=2)),
    "regions": profile(target(0.02, name="whole"), target(0.005, name="core", value=4), overlapping=True),
    "nothing": profile(replace(target(0.0), cases=0, empty=100)),
    "vessels": profile(target(0.087, count=1000, joined=80, specks=900)),
    "spaced": profile(target(0.02, specks=7), spacing=3.22),
}


def by_topic(data: Profile) -> dict[str, Advice]:
    advice = advise(data)
    found = {each.topic: each for each in advice}
    assert len(found) == len(advice)
    return found


@pytest.mark.parametrize("data", CASES.values(), ids=CASES)
def test_every_loss_that_is_named_can_be_created_and_learns(data: Profile) -> None:
    classes = 1 if len(data.targets) == 1 else len(data.targets) + (not data.overlapping)
    shape = (2, classes, 8, 8)
    for advice in advise(data):
        for call in advice.losses:
            loss = create(call.name, **call.parameters)
            logits = torch.zeros(shape, requires_grad=True)
            goal = torch.randint(0, max(classes, 2), (2, 8, 8)) if not data.overlapping else torch.ones(shape)
            loss(logits, goal).backward()
            assert logits.grad is not None
            assert torch.isfinite(logits.grad).all()
            known = {p.name for p in (*describe(call.name).parameters, *SHARED_PARAMETERS)}
            assert set(call.parameters) <= known


@pytest.mark.parametrize("data", CASES.values(), ids=CASES)
def test_the_command_line_reads_every_call_as_it_is_printed(data: Profile) -> None:
    calls = [*losses_to_compare(data, advise(data)), *(call for each in advise(data) for call in each.losses)]
    read = parse_losses(",".join(map(str, calls)))
    assert [(each["name"], each["parameters"]) for each in read] == [(c.name, dict(c.parameters)) for c in calls]


@pytest.mark.parametrize("data", CASES.values(), ids=CASES)
def test_each_statement_has_a_reason_a_source_and_no_odd_number(data: Profile) -> None:
    for advice in advise(data):
        assert advice.says
        assert advice.why
        assert advice.source
        assert "nan" not in advice.says.lower().split()
        assert "inf" not in advice.says
        assert "best" not in advice.says.lower()


@given(st.integers(1, 63), st.sampled_from([0.0, 0.25, 0.5, 0.9]), st.sampled_from([0.5, 0.6, 0.8]))
def test_the_ratio_at_the_start_is_that_of_the_gradients(foreground: int, gamma: float, delta: float) -> None:
    goal = torch.zeros(1, 64, dtype=torch.long)
    goal[0, :foreground] = 1
    logits = torch.zeros(1, 1, 64, dtype=torch.float64, requires_grad=True)
    create("unified_focal", delta=delta, gamma=gamma, region_weight=0.0)(logits, goal).backward()
    assert logits.grad is not None
    pulls = logits.grad[0, 0].abs()
    measured = float(pulls[foreground:].sum() / pulls[:foreground].sum())
    expected = start_ratio(1 - foreground / 64, alpha=(1 - delta, delta), phi=(gamma, 0.0))
    assert measured == pytest.approx(expected, rel=1e-6)


def test_class_weights_make_classes_pull_alike() -> None:
    data = CASES["three labels"]
    shares = np.array([1 - 0.51, 0.2, 0.01, 0.3])
    inverse, _ = by_topic(data)["class-weights"].losses
    weights = np.array(inverse.parameters["class_weights"])
    pulls = weights * shares
    assert pulls.max() / pulls.min() == pytest.approx(1, abs=0.02)
    assert weights.mean() == pytest.approx(1, abs=0.01)


def test_median_frequency_counts_a_class_where_it_occurs() -> None:
    _, median = by_topic(CASES["often empty"])["class-weights"].losses
    frequencies = np.array([0.98, 0.02 / 0.6])
    assert median.parameters["class_weights"] == pytest.approx(
        (np.median(frequencies) / frequencies).tolist(), rel=0.01
    )


def test_steep_weights_are_milder() -> None:
    advice = by_topic(CASES["very rare"])["class-weights"]
    (call,) = advice.losses
    weights = call.parameters["class_weights"]
    assert weights[1] / weights[0] == pytest.approx(math.sqrt(0.9995 / 0.0005), rel=0.02)
    assert advice.basis == "rule of thumb"


def test_the_initial_bias_starts_at_the_prior() -> None:
    says = by_topic(CASES["rare"])["initial-bias"].says
    assert "−4.6" in says
    assert torch.sigmoid(torch.tensor(-4.595)).item() == pytest.approx(0.01, rel=0.01)


def test_topics_that_depend_on_the_data() -> None:
    topics = {name: by_topic(data) for name, data in CASES.items()}
    assert "pooling" in topics["often empty"]
    assert "pooling" not in topics["rare"]
    assert "overlap" in topics["regions"]
    assert "class-weights" not in topics["regions"]
    assert "focal-alpha" not in topics["large"]
    assert topics["large"]["delta"].losses[0].parameters["delta"] == 0.5
    assert topics["nothing"] == {}
    assert "specks" in topics["spaced"]
    assert "tolerance=..." in topics["spaced"]["surface-tolerance"].says
    assert "3.3 mm" in topics["spaced"]["surface-tolerance"].says
    assert "thin or ragged" in topics["vessels"]["resizing"].says
    assert not {"specks", "pooling"} & topics["vessels"].keys()


def test_a_delta_for_each_class_rises_with_rarity() -> None:
    (call,) = by_topic(CASES["three labels"])["delta-per-class"].losses
    background, liver, tumour, other = call.parameters["delta"]
    assert background == other == 0.6
    assert 0.6 < liver < tumour == 0.75
    assert call.parameters["rare_classes"] == [1, 2]


def test_resizing_blames_the_size_only_for_what_were_lesions() -> None:
    resized = ResizedProfile(9, 9, 91, 0, None, dict.fromkeys(FEW_ELEMENTS, 9), 20.0)
    specks = profile(target(0.05, specks=9, resized=resized))
    lesions = profile(target(0.05, specks=0, resized=replace(resized, vanished_specks=0)))
    assert "larger --size" not in by_topic(specks)["resizing"].says
    assert "larger --size" in by_topic(lesions)["resizing"].says
