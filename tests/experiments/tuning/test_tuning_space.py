"""What can be searched: ranges, grids, and everything that is wrong with a wish."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unifocal.config.schema import LossConfig, NetworkConfig, TrainingConfig
from unifocal.config.sections import SearchedConfig, TuningConfig
from unifocal.config.values import parse_one_loss, parse_searched
from unifocal.data.splits import Fold, Person, draw_folds
from unifocal.experiments.tuning.asked import spaces_of, tuning_problems
from unifocal.experiments.tuning.space import Dimension, Space, defaults_of, grid_of, space_for, with_values
from unifocal.losses import create, names
from unifocal.problems import InputError


def space(loss: str, over: str, **network: Any) -> Space:
    searched = [SearchedConfig(**each) for each in parse_searched(over)]
    return space_for(LossConfig(**parse_one_loss(loss)), searched, TrainingConfig(epochs=60), NetworkConfig(**network))


def problems(loss: str, over: str, **network: Any) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        space(loss, over, **network)
    return {problem.where: problem.what for problem in caught.value.problems}


@pytest.mark.parametrize("name", names())
def test_every_loss_takes_every_value_of_its_own_space(name: str) -> None:
    for values in itertools.islice(grid_of(space(name, "loss")), 300):
        create(name, **values)


def test_ranges_come_from_the_catalogue_or_the_user() -> None:
    alpha, epochs = space("focal", "alpha,epochs=10:60")
    assert (alpha.kind, alpha.bounds, alpha.default) == ("float", (0.25, 0.95), None)
    assert (epochs.kind, epochs.bounds, epochs.default) == ("int", (10, 60), 60)
    (rate,) = space("bce", "learning_rate")
    assert rate.log
    assert rate.bounds == pytest.approx((1e-4, 1e-2))
    (width,) = space("bce", "width=8:64")
    assert (width.choices, width.default) == ((8, 16, 32, 64), 16)
    (augmentation,) = space("bce", "augmentation=none|standard")
    assert augmentation.choices == ("none", "standard")


def test_what_was_given_with_a_loss_stays_unless_it_is_named() -> None:
    assert [each.name for each in space("focal(gamma=3)", "loss")] == ["alpha"]
    (gamma,) = space("focal(gamma=3)", "gamma")
    assert gamma.default == 3
    assert [each.name for each in space("unified_focal", "loss,gamma=0.1|0.2")] == [
        "delta", "region_weight", "symmetric", "gamma",
    ]  # fmt: skip


def test_every_problem_is_told() -> None:
    told = problems("unified_focal", "gamma=0.1:1.5,symmetric=0:1,loss=0:1,alfa,epochs=1.5:3,delta,delta")
    assert told.keys() == {f"--over {name}" for name in ("gamma", "symmetric", "loss", "alfa", "epochs", "delta")}
    assert "must lie in" in told["--over gamma"]
    assert problems("focal", "reduction,augmentation=some").keys() == {"--over reduction", "--over augmentation"}
    assert problems("torch.nn:BCEWithLogitsLoss", "loss").keys() == {"--over loss"}
    assert "no parameter" in problems("torch.nn:BCEWithLogitsLoss", "foo=1:2")["--over foo"]
    assert problems("bce", "width", name="monai:UNet").keys() == {"--over width"}
    assert problems("focal", "gamma=1:2:5,learning_rate=0:1").keys() == {"--over gamma", "--over learning_rate"}


@given(
    low=st.floats(0.3, 0.6).map(lambda x: round(x, 3)),
    count=st.integers(1, 12),
    step=st.sampled_from([0.01, 0.02, 0.025]),
)
def test_a_range_with_steps_is_counted_like_integers(low: float, count: int, step: float) -> None:
    high = round(low + count * step, 10)
    (delta,) = space("tversky", f"delta={low}:{high}:{step}")
    values = [values["delta"] for values in grid_of((delta,))]
    thousandths = [round(1000 * low) + round(1000 * step) * k for k in range(count + 1)]
    assert values == [pytest.approx(number / 1000, abs=1e-9) for number in thousandths]
    assert all(delta.holds(value) for value in values)
    assert not delta.holds(low + step / 3)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    dimensions = []
    for number in range(draw(st.integers(1, 4))):
        name, kind = f"d{number}", draw(st.sampled_from(["float", "log", "steps", "int", "choice"]))
        if kind == "choice":
            choices = draw(st.lists(st.sampled_from([True, "a", "b", 7, 8.5]), min_size=1, max_size=4, unique=True))
            dimensions.append(Dimension(name, "choice", choices=tuple(choices), default=choices[0]))
            continue
        low = draw(st.integers(1, 20))
        high = low + draw(st.integers(1, 30))
        if kind == "int":
            dimensions.append(Dimension(name, "int", low, high, default=low))
        else:
            step = 0.5 if kind == "steps" else None
            dimensions.append(Dimension(name, "float", low / 10, high / 10, step, kind == "log", default=low / 10))
    return tuple(dimensions)


@given(spaces())
def test_a_grid_holds_every_combination_once_and_both_ends(drawn: Space) -> None:
    grid = grid_of(drawn)
    columns = [list(dict.fromkeys(values[dimension.name] for values in grid)) for dimension in drawn]
    assert len(grid) == math.prod(map(len, columns))
    assert len({tuple(map(repr, values.values())) for values in grid}) == len(grid)
    for dimension, column in zip(drawn, columns, strict=True):
        assert all(dimension.holds(value) for value in column)
        if dimension.kind != "choice":
            assert column == sorted(column)
            assert column[0] == dimension.low
            assert column[-1] == dimension.high or dimension.step is not None
    assert defaults_of(drawn).keys() == {dimension.name for dimension in drawn}


def test_values_go_where_they_belong() -> None:
    loss, training, network = with_values(
        {"gamma": 0.3, "epochs": 7, "learning_rate": 0.1, "width": 8, "augmentation": "none"},
        LossConfig(name="unified_focal", parameters={"delta": 0.7, "gamma": 0.2}),
        TrainingConfig(batch_size=3),
        NetworkConfig(depth=2),
    )
    assert loss.parameters == {"delta": 0.7, "gamma": 0.3}
    assert (training.epochs, training.learning_rate, training.augmentation, training.batch_size) == (7, 0.1, "none", 3)
    assert (network.width, network.depth) == (8, 2)
    inside = NetworkConfig(name="unet", arguments={"width": 64})
    assert with_values({"width": 8}, loss, training, inside)[2].arguments == {"width": 8}


def test_among_several_losses_each_is_searched_over_what_it_has() -> None:
    losses = tuple(LossConfig(name=name) for name in ("bce", "focal", "tversky"))
    tuning = TuningConfig(over="loss,gamma=1:4", trials=5)
    found = spaces_of(losses, tuning, TrainingConfig(), NetworkConfig())
    assert {name: [each.name for each in drawn] for name, drawn in found.items()} == {
        "bce": [], "focal": ["alpha", "gamma"], "tversky": ["delta"],
    }  # fmt: skip


@given(patients=st.integers(2, 12), inner=st.integers(2, 6))
def test_folds_too_small_for_inner_folds_are_told_beforehand(patients: int, inner: int) -> None:
    names = [f"p{number}" for number in range(patients)]
    outer = Fold(tuple(names[1:]), tuple(names[:1]), ("tested",))
    focal = (LossConfig(name="focal"),)
    told = tuning_problems(focal, TuningConfig(inner_folds=inner), TrainingConfig(), NetworkConfig(), [outer])
    try:
        draw_folds([Person(name, 0.0) for name in names], folds=inner, validation_share=0.2, seed=0)
    except InputError:
        assert [problem.where for problem in told] == ["tuning.inner_folds"]
    else:
        assert told == []


def test_a_wish_that_no_loss_can_fulfil_is_refused() -> None:
    bce = (LossConfig(name="bce"),)

    def told(**tuning: Any) -> list[str]:
        return [
            problem.where for problem in tuning_problems(bce, TuningConfig(**tuning), TrainingConfig(), NetworkConfig())
        ]

    assert told() == ["--over"]
    assert told(over="gamma") == ["--over gamma"]
    assert told(over="learning_rate", search="grid", trials=4) == ["--trials"]
    assert told(over="learning_rate", search="grid") == []
    assert told(over="learning_rate", objective="dice,volume_truth,foo") == ["tuning.objective", "tuning.objective"]
