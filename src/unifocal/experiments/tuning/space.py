"""What can be searched: a dimension per setting, with its range from the catalogue or from the user."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from unifocal.config.schema import LossConfig, NetworkConfig, TrainingConfig
from unifocal.config.sections import SearchedConfig
from unifocal.losses import SHARED_PARAMETERS, Parameter, create, describe
from unifocal.models import PRESETS
from unifocal.problems import Problem, raise_if_any

OF_THE_LOSS = "loss"
GRID_POINTS = 5
WIDTHS = (8, 32)
_TRAINING = ("learning_rate", "epochs", "augmentation")
_SETTINGS = (*_TRAINING, "width")
# These say what kind of data there are, or how the same number is computed: nothing to choose by trying.
_FIXED = frozenset({"class_weights", "ignore_index", "reduction", "activation", "implementation"})


@dataclass(frozen=True)
class Dimension:
    """One setting that is searched.

    Attributes:
        name: A parameter of the loss, or `learning_rate`, `epochs`, `augmentation` or `width`.
        kind: `float`, `int`, or `choice` among `choices`.
        low: The lowest value; None for choices.
        high: The highest, likewise.
        step: Between values; None: any.
        log: Whether values are spread by factors rather than by steps.
        choices: All values of a choice.
        default: The value as given; None where the setting has none. It may lie outside of the range.
    """

    name: str
    kind: Literal["float", "int", "choice"]
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()
    default: Any = None

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value of a range."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    @property
    def values(self) -> tuple[Any, ...] | None:
        """All values, where they are finitely many."""
        if self.kind == "choice":
            return self.choices
        low, high = self.bounds
        step = self.step or (1 if self.kind == "int" else None)
        if step is None:
            return None
        count = math.floor((high - low) / step + 1e-9) + 1
        numbers = [round(low + k * step, 10) for k in range(count)]
        return tuple(int(number) for number in numbers) if self.kind == "int" else tuple(numbers)

    def holds(self, value: Any) -> bool:
        """Whether a value is one that the search could suggest."""
        if self.values is not None:
            return any(value == known and isinstance(value, bool) == isinstance(known, bool) for known in self.values)
        low, high = self.bounds
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    def as_plain(self) -> dict[str, Any]:
        """For `study.yaml`."""
        return asdict(self) | {"choices": list(self.choices)}


Space = tuple[Dimension, ...]


def space_for(
    loss: LossConfig, searched: Sequence[SearchedConfig], training: TrainingConfig, network: NetworkConfig
) -> Space:
    """The dimensions that a search over a loss has.

    `loss` stands for all of the loss's own parameters that the catalogue knows a range of, but for those that were
    given with the loss: `focal(gamma=3)` keeps its gamma unless it is named. What has no range of its own and is
    given none cannot be searched. Without a range, the learning rate goes from a tenth to ten times what is set,
    epochs from a quarter to twice, and the width through 8, 16 and 32.

    Args:
        loss: With the parameters that were given.
        searched: What is searched, and where.
        training: As given.
        network: As given.

    Raises:
        InputError: With everything that is wrong with it. A loss without parameters has no dimension of `loss`,
            which is no mistake.
    """
    problems: list[Problem] = []
    found: dict[str, Dimension] = {}
    for item in searched:
        try:
            for dimension in _dimensions(item, searched, loss, training, network):
                if dimension.name in found:
                    raise _Refused("is searched twice", "Name each setting once.")
                found[dimension.name] = dimension
        except _Refused as fault:
            problems.append(Problem(f"--over {item.name}", f"{fault.what} ({loss.name})", fault.remedy))
    raise_if_any(problems)
    return tuple(found.values())


def grid_of(space: Space) -> list[dict[str, Any]]:
    """Every combination, the last dimension changing fastest; of a range without a step, `GRID_POINTS` values.

    Of a space without dimensions: the one combination of nothing.
    """
    axes = [_points(dimension) for dimension in space]
    names = [dimension.name for dimension in space]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*axes)]


def defaults_of(space: Space) -> dict[str, Any]:
    """The values as given."""
    return {dimension.name: dimension.default for dimension in space}


def with_values(
    values: Mapping[str, Any], loss: LossConfig, training: TrainingConfig, network: NetworkConfig
) -> tuple[LossConfig, TrainingConfig, NetworkConfig]:
    """Loss, training and network with a trial's values in the place of their own.

    Raises:
        ValidationError: If a value is none that the setting can have.
    """
    of_training = {name: value for name, value in values.items() if name in _TRAINING}
    of_loss = {name: value for name, value in values.items() if name not in _SETTINGS}
    if of_training:
        training = TrainingConfig.model_validate(training.model_dump(exclude_unset=True) | of_training)
    if "width" in values:
        # An argument of that name would go before the setting.
        inside = "width" in network.arguments
        wide = {"arguments": network.arguments | {"width": values["width"]}} if inside else {"width": values["width"]}
        network = NetworkConfig.model_validate(network.model_dump(exclude_unset=True) | wide)
    return LossConfig(name=loss.name, parameters=loss.parameters | of_loss), training, network


class _Refused(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy


def _dimensions(
    item: SearchedConfig,
    searched: Sequence[SearchedConfig],
    loss: LossConfig,
    training: TrainingConfig,
    network: NetworkConfig,
) -> Iterator[Dimension]:
    if item.name != OF_THE_LOSS:
        dimension = _narrowed(_known(item.name, loss, training, network, item), item)
        _refuse_impossible(dimension, loss, training, network)
        yield dimension
        return
    if item.low is not None or item.choices:
        raise _Refused("stands for all parameters and has no range", "Name a parameter: gamma=0.1:0.9.")
    if ":" in loss.name and len(searched) > 1:
        return
    if ":" in loss.name:
        raise _Refused("has no catalogue entry for a loss of your own", "Name its parameters, with ranges.")
    named = {other.name for other in searched} | set(loss.parameters)
    for parameter in describe(loss.name).parameters:
        if parameter.name not in named and (parameter.sensible or parameter.choices):
            yield _of_parameter(parameter, parameter.default)


def _known(
    name: str, loss: LossConfig, training: TrainingConfig, network: NetworkConfig, item: SearchedConfig
) -> Dimension:
    """A setting's dimension before the user's range; `low` is None where no range is known."""
    if name == "learning_rate":
        rate = training.learning_rate
        return Dimension(name, "float", rate / 10, rate * 10, log=True, default=rate)
    if name == "epochs":
        epochs = training.epochs
        return Dimension(name, "int", max(1, epochs // 4), 2 * epochs, default=epochs)
    if name == "augmentation":
        return Dimension(name, "choice", choices=("none", "standard"), default=training.augmentation)
    if name == "width":
        return _width(network, item)
    return _parameter(name, loss)


def _width(network: NetworkConfig, item: SearchedConfig) -> Dimension:
    if ":" in network.name:
        raise _Refused("is a setting of this package's U-Net alone", f"network.name is {network.name}.")
    preset = PRESETS.get("source_a" if network.name == "auto" else network.name)
    own = {} if preset is None else preset.arguments
    default = network.arguments.get("width", network.width or own.get("width"))
    low, high = item.low or WIDTHS[0], item.high or WIDTHS[1]
    if item.step is not None:
        return Dimension("width", "int", low, high, default=default)
    powers = tuple(2**k for k in range(1, 11) if low <= 2**k <= high)
    return Dimension("width", "choice", choices=powers, default=default)


def _parameter(name: str, loss: LossConfig) -> Dimension:
    if ":" in loss.name:
        return Dimension(name, "float", default=loss.parameters.get(name))
    parameters = {each.name: each for each in (*SHARED_PARAMETERS, *describe(loss.name).parameters)}
    if name not in parameters or name in _FIXED:
        own = [each.name for each in parameters.values() if (each.sensible or each.choices) and each.name not in _FIXED]
        raise _Refused("cannot be searched", f"Known: {', '.join((OF_THE_LOSS, *_SETTINGS, *own))}.")
    return _of_parameter(parameters[name], loss.parameters.get(name, parameters[name].default))


def _of_parameter(parameter: Parameter, default: object) -> Dimension:
    if parameter.choices:
        return Dimension(parameter.name, "choice", choices=parameter.choices, default=default)
    low, high = parameter.sensible or (None, None)
    return Dimension(parameter.name, "float", low, high, log=parameter.logarithmic, default=default)


def _narrowed(known: Dimension, item: SearchedConfig) -> Dimension:
    """With the user's range or choices."""
    if item.choices:
        choices = item.choices
        if known.name == "augmentation":  # where values are parsed, `none` is None
            choices = tuple("none" if choice is None else choice for choice in choices)
        return Dimension(known.name, "choice", choices=choices, default=known.default)
    if known.kind == "choice":
        if (item.low is not None and known.name != "width") or not known.choices:
            raise _Refused("is no number between two others", f"Write {known.name}=a|b, of {known.choices}.")
        return known
    low, high = (given if given is not None else own for given, own in ((item.low, known.low), (item.high, known.high)))
    if low is None or high is None:
        raise _Refused("has no known range", f"Give one: {known.name}=low:high, or {known.name}=a|b.")
    numbers = [number for number in (low, high, item.step) if number is not None]
    if not all(map(math.isfinite, numbers)) or low >= high or (item.step or 0) > (high - low) * (1 + 1e-9):
        raise _Refused(f"goes from {low:g} to {high:g}", "Give a lower, then a higher number, and a step between.")
    if known.kind == "int":
        if any(number != round(number) for number in numbers):
            raise _Refused("takes whole numbers", f"Write {known.name}=10:60 or {known.name}=10:60:10.")
        low, high = int(low), int(high)
    return replace(known, low=low, high=high, step=item.step, log=known.log and low > 0 and item.step is None)


def _refuse_impossible(
    dimension: Dimension, loss: LossConfig, training: TrainingConfig, network: NetworkConfig
) -> None:
    """Refuse a range whose ends the loss or the settings do not take."""
    for value in dimension.choices or dimension.bounds:
        try:
            tried, _, _ = with_values({dimension.name: value}, loss, training, network)
            create(tried.name, **tried.parameters)
        except ValidationError as error:
            raise _Refused(f"cannot be {value!r}: {error.errors()[0]['msg']}", "Choose another range.") from None
        except Exception as error:  # noqa: BLE001 - a user's own module may raise anything
            raise _Refused(f"cannot be {value!r}: {error}", "Choose another range.") from None


def _points(dimension: Dimension) -> Sequence[Any]:
    values = dimension.values
    if values is not None and (dimension.kind == "choice" or dimension.step or len(values) <= GRID_POINTS):
        return values
    low, high = dimension.bounds
    spread = np.geomspace if dimension.log else np.linspace
    points = [float(f"{point:.6g}") for point in spread(low, high, GRID_POINTS)]
    points = [low, *points[1:-1], high]
    return list(dict.fromkeys(round(point) for point in points)) if dimension.kind == "int" else points
