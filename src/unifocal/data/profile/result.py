"""The profile of a data set: what `summary` makes of many `CaseProfile`s, ready to be written as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from unifocal.data.profile.numbers import Spread

SCHEMA = 1
QUANTILES = {"minimum": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "maximum": 1.0}
FEW_ELEMENTS = (4, 10, 25, 100)
"""Lesions of fewer elements than these at the training size are counted."""
SPECK = 10
"""Components of fewer elements than this, in the masks as they are, are more often slips of a pen than lesions."""


@dataclass(frozen=True)
class SizeProfile:
    """How large lesions are.

    Attributes:
        unit: `px`, `voxels`, `mm2` or `ml`.
        quantiles: By the names of `QUANTILES`.
        mean: Their mean.
    """

    unit: str
    quantiles: Mapping[str, float]
    mean: float


@dataclass(frozen=True)
class ResizedProfile:
    """What resizing to the training size does to a target.

    Attributes:
        vanished: Lesions of which no element is left.
        vanished_specks: How many of these are specks, see `SPECK`.
        lesions: Lesions at that size: those that are left, apart or grown together.
        emptied: Cases that held the target and no longer do.
        share: The target's share of the image, per case.
        smaller_than: How many lesions would have fewer elements than each of `FEW_ELEMENTS`, if each kept its share of
            the image.
        median_lesion: Elements of the median lesion, if it kept its share of the image.
    """

    vanished: int
    vanished_specks: int
    lesions: int
    emptied: int
    share: Spread | None
    smaller_than: Mapping[int, int]
    median_lesion: float | None


@dataclass(frozen=True)
class LesionProfile:
    """Lesions: connected components, whose elements are neighbours across a face.

    Attributes:
        count: How many there are.
        joined: How many there are if elements that share a corner are neighbours too; far fewer than `count` where thin
            structures run diagonally.
        specks: How many have fewer than `SPECK` elements in the masks as they are.
        per_case: How many a case has, over the cases that have any.
        sizes: In elements; None where there are no lesions.
        physical: In mm2 or ml; None unless the spacing of every case that has lesions is known.
        touching_border: How many touch the border of the image.
        resized: None where no training size is given.
    """

    count: int
    joined: int
    specks: int
    per_case: Spread | None
    sizes: SizeProfile | None
    physical: SizeProfile | None
    touching_border: int
    resized: ResizedProfile | None

    @property
    def are_pieces(self) -> bool:
        """Whether most are pieces of thin or ragged structures that hang together at corners."""
        return 2 * self.joined < self.count


@dataclass(frozen=True)
class ContrastProfile:
    """How a target stands out in one channel, over the cases that hold it; see `intensity.Contrast`."""

    channel: str
    inside: Spread | None
    outside: Spread | None
    difference: Spread | None
    auc: Spread | None
    auc_rim: Spread | None


@dataclass(frozen=True)
class TargetProfile:
    """One label or region, or the whole foreground.

    Attributes:
        name: As declared, or the label's number.
        values: The labels that belong to it.
        cases: How many cases hold it.
        empty: How many do not.
        share: Its share of the image, over all cases with a mask. The mean is the sources' "% foreground".
        share_where_present: The same over the cases that hold it.
        pooled_share: Its elements over all elements of all cases with a mask.
        frequency_where_present: Its elements over all elements of the cases that hold it (for median-frequency
            weights); None where none does.
        share_in_view: Its share of the field of view, where one is given; for the whole foreground alone.
        lesions: Its connected components.
        contrast: One per channel.
    """

    name: str
    values: tuple[int, ...]
    cases: int
    empty: int
    share: Spread | None
    share_where_present: Spread | None
    pooled_share: float
    frequency_where_present: float | None
    share_in_view: Spread | None
    lesions: LesionProfile
    contrast: tuple[ContrastProfile, ...]


@dataclass(frozen=True)
class ChannelProfile:
    """The values of one channel: its range over all cases, and how the cases' own numbers lie."""

    name: str
    minimum: float
    maximum: float
    p1: Spread | None
    median: Spread | None
    p99: Spread | None
    mean: Spread | None
    sd: Spread | None


@dataclass(frozen=True)
class GroupProfile:
    """The cases that share a value of an attribute.

    Attributes:
        attribute: For instance `class`; `part` for the official split; several joined by ` x `.
        value: For instance `glioma`.
        cases: How many.
        patients: Of how many patients.
        share: The foreground's share of the image.
        brain_ratio: Foreground over brain, where the brain was looked for.
    """

    attribute: str
    value: str
    cases: int
    patients: int
    share: Spread | None
    brain_ratio: Spread | None


@dataclass(frozen=True)
class GeometryProfile:
    """Grids and their place in space.

    Attributes:
        axes: 2 or 3.
        sizes: The most frequent sizes with the number of cases, `512 x 512` to 314.
        different_sizes: How many there are.
        lengths: Elements along each spatial axis.
        spacing_known: For how many cases.
        spacing_mm: Along each spatial axis; empty where none is known.
        anisotropy: The largest over the smallest spacing of a case.
        orientations: The direction of the axes to the number of cases; "" is unknown.
    """

    axes: int
    sizes: Mapping[str, int]
    different_sizes: int
    lengths: tuple[Spread | None, ...]
    spacing_known: int
    spacing_mm: tuple[Spread | None, ...]
    anisotropy: Spread | None
    orientations: Mapping[str, int]


@dataclass(frozen=True)
class Profile:
    """A data set in numbers.

    Attributes:
        schema: The version of this structure.
        name: The data set's.
        layout: What read it.
        cases: How many.
        masks: How many of them have a mask.
        patients: Of how many patients.
        patients_known: Whether the patients are named; otherwise each case counts as one.
        cases_per_patient: How many each has.
        parts: Cases per part of the official split; empty where there is none.
        geometry: Grids.
        channels: Values.
        overlapping: Whether targets are regions that may overlap, not labels.
        foreground: All targets together.
        targets: Each of them.
        groups: Cases by attribute.
        training_size: What `resized` speaks of; None for no resizing.
        brain_ratio: Foreground over brain; None where the brain was not looked for.
        method: How the numbers came about, in words.
    """

    schema: int
    name: str
    layout: str
    cases: int
    masks: int
    patients: int
    patients_known: bool
    cases_per_patient: Spread | None
    parts: Mapping[str, int]
    geometry: GeometryProfile
    channels: tuple[ChannelProfile, ...]
    overlapping: bool
    foreground: TargetProfile
    targets: tuple[TargetProfile, ...]
    groups: tuple[GroupProfile, ...]
    training_size: tuple[int, ...] | None
    brain_ratio: Spread | None
    method: Mapping[str, str]

    def as_data(self) -> dict[str, Any]:
        """In JSON's terms; keys are texts."""
        return asdict(self)


@dataclass(frozen=True)
class LossCall:
    """A loss with parameters, as `unifocal.losses.create` and `--losses` take it."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        inside = ", ".join(f"{key}={_literal(value)}" for key, value in self.parameters.items())
        return f"{self.name}({inside})" if inside else self.name


def _literal(value: Any) -> str:
    if isinstance(value, str) and value.isidentifier() and value.lower() not in {"true", "false", "none"}:
        return value  # as the command line takes it, without quotes inside quotes
    return f"[{', '.join(map(_literal, value))}]" if isinstance(value, list | tuple) else repr(value)


@dataclass(frozen=True)
class Advice:
    """Something that follows from a profile for the choice of a loss.

    Attributes:
        topic: For programs, e.g. `class-weights`.
        title: In a few words.
        says: What follows, with the numbers of this data set.
        why: The reason.
        basis: `arithmetic`: it follows from the numbers alone. `published`: a source's setting. `rule of thumb`:
            reasoned, not measured.
        source: Where it is from.
        losses: What to try.
    """

    topic: str
    title: str
    says: str
    why: str
    basis: Literal["arithmetic", "published", "rule of thumb"]
    source: str
    losses: tuple[LossCall, ...] = ()
