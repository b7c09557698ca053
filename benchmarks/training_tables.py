"""From seconds to tables: medians, quartiles, ratios, and whether aims are met."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from report import table
from training_data import Shape
from training_wire import Seconds

LOSSES = {
    "bce": "cross entropy",
    "binary_crossentropy": "cross entropy",
    "dice_cross_entropy": "Dice + cross entropy",
    "DiceCELoss": "Dice + cross entropy",
}
PROGRAMS = {"unifocal": "`unifocal`", "device": "`unifocal`, on_device", "monai": "MONAI", "keras": "Keras"}
OURS = ("unifocal", "device")
SHARE_AIM = 1.1


@dataclass(frozen=True, order=True)
class Who:
    """One contender.

    Attributes:
        program: `unifocal`, `device` (the same with `training.on_device`), `monai` or `keras`.
        loss: As the program calls it.
        precision: `float32` or `bfloat16`.
        work: `step`, `epoch` or `predict`.
    """

    program: str
    loss: str
    precision: str
    work: str

    def __str__(self) -> str:
        loss = [] if self.work == "predict" else [LOSSES[self.loss]]
        return ", ".join([PROGRAMS[self.program], *loss, self.precision])


@dataclass(frozen=True)
class Comparison:
    """Which contenders stand against each other.

    Attributes:
        ours: One of `unifocal`.
        peer: One of another program.
        aim: How many times faster ours should be; None: nothing was aimed at.
    """

    ours: Who
    peer: Who
    aim: float | None = None


@dataclass
class Found:
    """What one shape's turns took.

    Attributes:
        shape: What was worked on.
        turns: Per contender the seconds of each turn.
        parameters: Of each contender's network.
    """

    shape: Shape
    turns: dict[Who, list[Seconds]] = field(default_factory=dict)
    parameters: dict[Who, int] = field(default_factory=dict)

    def seconds(self, who: Who, name: str = "seconds") -> list[float]:
        """Of every piece of work of all turns."""
        return [value for turn in self.turns[who] for value in turn[name]]

    def of_turns(self, who: Who) -> list[float]:
        """The median of each turn."""
        return [statistics.median(turn["seconds"]) for turn in self.turns[who]]


def spread(values: Sequence[float], scale: float = 1.0) -> str:
    """Median and quartiles, three digits."""
    if len(values) == 1:
        return _short(values[0] * scale)
    low, median, high = (_short(scale * cut) for cut in statistics.quantiles(values, n=4, method="inclusive"))
    return f"{median} ({low}-{high})"


def ratios(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, str]:
    """How many times longer the first takes.

    Args:
        slow: One value per turn.
        fast: One value per turn, of the same turns.

    Returns:
        The ratio of the medians; and the same in words, with the quartiles of the turns' own ratios.
    """
    ratio = statistics.median(slow) / statistics.median(fast)
    each = [one / other for one, other in zip(slow, fast, strict=True)]
    if len(each) == 1:
        return ratio, f"{ratio:.2f}"
    low, _, high = statistics.quantiles(each, n=4, method="inclusive")
    return ratio, f"{ratio:.2f} ({low:.2f}-{high:.2f})"


def verdict(ratio: float, aim: float | None, *, is_limit: bool = False) -> str:
    """The aim, and whether it is met: a ratio of at least, or at most, so much."""
    if aim is None:
        return ""
    is_met = ratio <= aim if is_limit else ratio >= aim
    return f"{'at most' if is_limit else 'at least'} {aim:g}: {'met' if is_met else 'missed'}"


def times_table(found: Sequence[Found], unit: str, per: Mapping[Shape, int] | None = None) -> str:
    """What every contender took.

    Args:
        found: One per shape.
        unit: `ms` or `s`.
        per: Divide a piece of work's time by so many.
    """
    scale = 1e3 if unit == "ms" else 1.0
    rows = [
        [f"{each.shape.title}, {each.shape.batch}", str(who), spread(each.seconds(who), scale / _per(each.shape, per))]
        for each in found
        for who in each.turns
        if not is_bare(who, found)
    ]
    return table(["size, batch", "", unit], rows)


def ratios_table(found: Sequence[Found], comparisons: Sequence[Comparison]) -> str:
    """How many times faster ours is than its peers."""
    rows = []
    for each in found:
        for pair in comparisons:
            if pair.ours in each.turns and pair.peer in each.turns:
                ratio, told = ratios(each.of_turns(pair.peer), each.of_turns(pair.ours))
                title = f"{each.shape.title}, {each.shape.batch}"
                rows.append([title, str(pair.ours), str(pair.peer), told, verdict(ratio, pair.aim)])
    return table(["size, batch", "", "beside", "times faster", "aim"], rows) if rows else ""


def share_table(found: Sequence[Found]) -> str:
    """Our epochs beside as many bare steps, and what comes after the last step."""
    rows = []
    for each in found:
        for who in each.turns:
            bare = bare_of(who)
            if who.program not in OURS or who.work != "epoch" or bare not in each.turns:
                continue
            steps = [sum(turn["seconds"]) / len(turn["seconds"]) * each.shape.steps for turn in each.turns[bare]]
            ratio, told = ratios(each.of_turns(who), steps)
            rest = [whole - part for whole, part in zip(each.seconds(who, "whole"), each.seconds(who), strict=True)]
            rows.append(
                [f"{each.shape.title}, {each.shape.batch}", str(who), str(each.shape.steps), spread(steps),
                 spread(each.seconds(who)), told, verdict(ratio, SHARE_AIM, is_limit=True), spread(rest),
                 spread(each.seconds(who, "whole"))]
            )  # fmt: skip
    head = ["size, batch", "", "steps", "bare steps, s", "training, s", "ratio", "aim", "validation and state file, s",
            "whole epoch, s"]  # fmt: skip
    return table(head, rows) if rows else ""


def bare_of(who: Who) -> Who:
    """The contender that does nothing but the steps of an epoch."""
    return Who("unifocal", who.loss, who.precision, "step")


def is_bare(who: Who, found: Sequence[Found]) -> bool:
    """Whether a contender is there for the share of an epoch alone."""
    return who.work == "step" and any(other.work == "epoch" for each in found for other in each.turns)


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _per(shape: Shape, per: Mapping[Shape, int] | None) -> int:
    return per[shape] if per else 1
