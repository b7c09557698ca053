"""Preprocessing as a declared list of steps: the same for training and prediction, and known by its hash."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from unifocal.preprocessing.sample import Sample
from unifocal.preprocessing.step import Step
from unifocal.preprocessing.steps_geometry import CropForeground, Orient, Pad, Resample, Resize
from unifocal.preprocessing.steps_intensity import BiasCorrection, MinMax, Percentile, Unit, Window, ZScore
from unifocal.preprocessing.steps_region import Channels, FieldOfView, SkullStrip
from unifocal.problems import InputError, Problem, raise_if_any

STEPS: Mapping[str, type[Step]] = {
    "channels": Channels,
    "skull_strip": SkullStrip,
    "field_of_view": FieldOfView,
    "bias_correction": BiasCorrection,
    "window": Window,
    "orient": Orient,
    "resample": Resample,
    "crop_foreground": CropForeground,
    "resize": Resize,
    "pad": Pad,
    "z_score": ZScore,
    "min_max": MinMax,
    "percentile": Percentile,
    "unit": Unit,
}
_NAMES = {kind: name for name, kind in STEPS.items()}


@dataclass(frozen=True)
class ParameterFacts:
    """What a step's parameter is: its name, meaning, and default (None where one must be given)."""

    name: str
    meaning: str
    default: Any
    is_required: bool


@dataclass(frozen=True)
class StepFacts:
    """What a step is: its name, what it does, whose it is, and what can be set."""

    name: str
    title: str
    source: str
    parameters: tuple[ParameterFacts, ...]


@dataclass(frozen=True)
class Pipeline:
    """Steps that run one after the other on one sample.

    Attributes:
        steps: In the order in which they run.
    """

    steps: tuple[Step, ...]

    @classmethod
    def from_declaration(cls, declaration: Sequence[Any], *, where: str = "preprocessing") -> "Pipeline":
        """The pipeline of a list as YAML holds it: each step a name, or a name with its parameters.

        For instance `["skull_strip", {"resize": {"size": [128, 128]}}, "z_score"]`.

        Args:
            declaration: The list.
            where: What to name in messages.

        Raises:
            InputError: With everything that is wrong with any step.
        """
        if isinstance(declaration, str) or not isinstance(declaration, Sequence):
            remedy = "Write one step per line, for instance '- z_score'."
            raise InputError([Problem(where, "is no list of steps", remedy, "step-wrong")])
        problems: list[Problem] = []
        steps = [_read_step(entry, f"{where}[{k}]", problems) for k, entry in enumerate(declaration, 1)]
        raise_if_any(problems)
        return cls(tuple(step for step in steps if step is not None))

    @property
    def declaration(self) -> list[dict[str, dict[str, Any]]]:
        """The canonical list: every step with all its parameters."""
        return [{_NAMES[type(step)]: step.parameters()} for step in self.steps]

    @property
    def identity(self) -> str:
        """SHA-256 over the canonical list and the steps' versions: equal where the results are."""
        versions = [step.version for step in self.steps]
        text = json.dumps([self.declaration, versions], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def apply(self, sample: Sample, *, where: str = "image") -> Sample:
        """The prepared sample.

        Args:
            sample: What the files gave; it stays as it is.
            where: What to name in messages, the case or its file.

        Raises:
            InputError: If the sample lacks what a step needs.
        """
        for step in self.steps:
            try:
                sample = step.apply(sample)
            except InputError as error:
                raise InputError([_at(problem, where, step) for problem in error.problems]) from None
        return sample


def steps() -> tuple[StepFacts, ...]:
    """All steps there are."""
    return tuple(
        StepFacts(name, kind.title, kind.source, tuple(map(_facts, dataclasses.fields(kind))))
        for name, kind in STEPS.items()
    )


def _facts(field: "dataclasses.Field[Any]") -> ParameterFacts:
    is_required = field.default is dataclasses.MISSING
    return ParameterFacts(field.name, field.metadata["meaning"], None if is_required else field.default, is_required)


def _at(problem: Problem, where: str, step: Step) -> Problem:
    return dataclasses.replace(problem, where=where, what=f"{problem.what} (step {_NAMES[type(step)]})")


def _read_step(entry: Any, where: str, problems: list[Problem]) -> Step | None:
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        remedy = "Write a name, or one name with its parameters, for instance {resize: {size: [128, 128]}}."
        problems.append(Problem(where, f"{entry!r} is no step", remedy, "step-wrong"))
        return None
    name, given = next(iter(entry.items()))
    if name not in STEPS:
        problems.append(Problem(where, f"there is no step {name!r}", _near(str(name), STEPS), "step-unknown"))
        return None
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        remedy = f"Write its parameters by name: {', '.join(_fields(STEPS[name])) or 'it has none'}."
        problems.append(Problem(f"{where}.{name}", f"{given!r} are no parameters", remedy, "step-wrong"))
        return None
    return _with_parameters(STEPS[name], given, f"{where}.{name}", problems)


def _with_parameters(kind: type[Step], given: Mapping[str, Any], where: str, problems: list[Problem]) -> Step | None:
    fields, values = _fields(kind), {}
    earlier = len(problems)
    for key, value in given.items():
        if key not in fields:
            problems.append(Problem(where, f"has no parameter {key!r}", _near(str(key), fields), "parameter-unknown"))
            continue
        try:
            values[key] = fields[key].metadata["read"](value)
        except ValueError as error:
            problems.append(Problem(f"{where}.{key}", f"got {value!r}", f"{error}.", "parameter-wrong"))
    for key, field in fields.items():
        if key not in given and field.default is dataclasses.MISSING:
            meaning = field.metadata["meaning"]
            problems.append(Problem(f"{where}.{key}", "is missing", f"Give it: {meaning}.", "parameter-missing"))
    if len(problems) > earlier:
        return None
    try:
        return kind(**values)
    except ValueError as error:
        key, _, remedy = str(error).partition(": ")
        problems.append(Problem(f"{where}.{key}", "does not fit the others", f"{remedy}.", "parameter-wrong"))
        return None


def _fields(kind: type[Step]) -> dict[str, "dataclasses.Field[Any]"]:
    return {field.name: field for field in dataclasses.fields(kind)}


def _near(name: str, valid: Mapping[str, Any]) -> str:
    near = get_close_matches(name.casefold(), valid, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}Valid: {', '.join(valid)}." if valid else "It has none."
