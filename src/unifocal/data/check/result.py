"""What a check gives: the facts of every case, and the problems."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from unifocal.data.case import DataSet
from unifocal.data.check.examine import Findings
from unifocal.data.coding import MaskCoding
from unifocal.problems import Problem


@dataclass(frozen=True)
class CaseFacts:
    """What one case holds.

    Attributes:
        name: The case.
        size: (rows, columns) or (slices, rows, columns), in elements.
        channels: As many as the data set declares; otherwise 1 for grey, also where it is stored with three equal
            channels, and 3 for colour.
        labels: The labels in the mask, without the background 0.
        foreground: The share of the elements that each of them has, 0 to 1.
        spacing_mm: Distance of neighbouring elements along each axis of `size`: what the table or the user says, else
            what the files say; None where nobody does.
        order: Of a volume whose place is known, the axes of `size` that run inferior-superior, posterior-anterior and
            left-right; empty otherwise.
    """

    name: str
    size: tuple[int, ...]
    channels: int
    labels: tuple[int, ...] = ()
    foreground: Mapping[int, float] = field(default_factory=dict)
    spacing_mm: tuple[float, ...] | None = None
    order: tuple[int, ...] = ()

    @property
    def upright_size(self) -> tuple[int, ...]:
        """The size with the axes in that order."""
        return tuple(self.size[axis] for axis in self.order) if self.order else self.size

    @property
    def upright_spacing_mm(self) -> tuple[float, ...] | None:
        """The spacing with the axes in that order."""
        if self.spacing_mm is None or not self.order:
            return self.spacing_mm
        return tuple(self.spacing_mm[axis] for axis in self.order)

    @property
    def ndim(self) -> int:
        """2 for a picture, 3 for a volume."""
        return len(self.size)

    @property
    def foreground_share(self) -> float:
        """The share of the elements that any label has."""
        return sum(self.foreground.values())


@dataclass(frozen=True)
class CheckedData:
    """A data set of which every file was read and no error was found.

    Attributes:
        dataset: The cases; with the patients of the files' headers where nothing else names them and all headers do.
        facts: What each holds, in the order of the cases.
        labels: The labels of all masks together, ascending, without the background 0.
        channels: The most that an image has: 1 if all images are grey, 3 in colour, or what is declared.
        coding: What the masks' values mean.
        content_hash: SHA-256 over the SHA-256 of every file's bytes, case by case: image, mask, field of view, masks of
            other observers.
        warnings: Problems in spite of which work can go on.
    """

    dataset: DataSet
    facts: tuple[CaseFacts, ...]
    labels: tuple[int, ...]
    channels: int
    coding: MaskCoding
    content_hash: str
    warnings: tuple[Problem, ...] = ()

    @property
    def foreground_share(self) -> float:
        """The mean of the cases' shares of foreground, 0 to 1."""
        return math.fsum(fact.foreground_share for fact in self.facts) / len(self.facts)


@dataclass(frozen=True)
class CheckResult:
    """All that a check found.

    Attributes:
        problems: Errors and warnings, those of names and tables first, then case by case, then of all cases together.
        checked: The data; None where there is an error.
        dataset: The cases, also with errors.
        patients: How many patients they have.
        findings: What reading each case gave.
        coding: What the masks' values mean, as far as that could be decided.
    """

    problems: tuple[Problem, ...]
    checked: CheckedData | None
    dataset: DataSet
    patients: int
    findings: tuple[Findings, ...] = ()
    coding: MaskCoding = field(default_factory=MaskCoding)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What stops work."""
        return tuple(problem for problem in self.problems if not problem.is_warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What does not."""
        return tuple(problem for problem in self.problems if problem.is_warning)
