"""From many cases to the profile of the data set; what grows with the cases is small."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from unifocal.data.case import DataSet
from unifocal.data.profile.case import FOREGROUND, CaseProfile, Target
from unifocal.data.profile.intensity import EDGES, MOST_RANKED, RIM
from unifocal.data.profile.lesions import COUNT, SIZE, VANISHED
from unifocal.data.profile.numbers import MOST_SAMPLED, Spread, weighted_quantiles
from unifocal.data.profile.result import (
    FEW_ELEMENTS,
    QUANTILES,
    SCHEMA,
    SPECK,
    ChannelProfile,
    ContrastProfile,
    GeometryProfile,
    GroupProfile,
    LesionProfile,
    Profile,
    ResizedProfile,
    SizeProfile,
    TargetProfile,
)

MOST_SIZES = 20
MOST_VALUES = 12
"""An attribute with more different values than this is no grouping."""

METHOD = {
    "share": "elements of the target over all elements of the image; its mean over the cases is the sources' "
    "'% foreground'",
    "lesions": "connected components; elements are neighbours across a face (4 in 2D, 6 in 3D)",
    "vanished": "no element of the lesion lies, by nearest neighbour, on the resized mask's foreground; the mask is "
    "resized as for training",
    "percentiles": f"of intensities: exact up to {MOST_SAMPLED:,} elements, of that many drawn at random (fixed seed) "
    "beyond",
    "auc": "probability that an element of the target is brighter than one of the background, ties counted half; from "
    f"{MOST_RANKED:,} elements each where there are more",
    "auc_rim": f"the same against the background within {RIM} steps (across faces) of the target",
    "difference": "Cohen's d: difference of the means over the root of the mean variance",
}


@dataclass
class Collected:
    """The cases as they come in.

    Attributes:
        cases: Without their histograms, in the order of the data set.
        outside: (channels, bins): the mean histogram of the background; None before the first.
        inside: The same per target, over the cases that hold it.
    """

    cases: list[CaseProfile] = field(default_factory=list)
    outside: NDArray[np.float64] | None = None
    inside: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, case: CaseProfile) -> None:
        """Take in one case."""
        if case.outside is not None:
            self.outside = case.outside if self.outside is None else self.outside + case.outside
        for name, facts in case.targets.items():
            if facts.histograms is not None:
                self.inside[name] = self.inside.get(name, np.zeros(())) + facts.histograms
        targets = {name: replace(facts, histograms=None) for name, facts in case.targets.items()}
        self.cases.append(replace(case, outside=None, targets=targets))

    def histogram(self, target: str | None, channel: int) -> NDArray[np.float64]:
        """The mean share of a target's (None: the background's) values in each bin of `EDGES`."""
        total = self.outside if target is None else self.inside.get(target)
        if total is None:
            return np.zeros(len(EDGES) - 1)
        whole = total[channel].sum()
        return np.asarray(total[channel] / (whole or 1.0))


def summarise(
    collected: Collected,
    *,
    name: str,
    dataset: DataSet,
    targets: Sequence[Target],
    training_size: tuple[int, ...] | None,
) -> Profile:
    """The profile of a data set.

    Args:
        collected: Every case of `dataset`, in its order; at least one with a mask.
        name: The data set's.
        dataset: Where the cases come from.
        targets: As the cases were looked at.
        training_size: As the cases were looked at.
    """
    cases = collected.cases
    masked = [case for case in cases if case.targets]
    patients = Counter(case.case.patient for case in cases)
    channels = _channel_names(cases, dataset)
    everything = Target(FOREGROUND, tuple(sorted({value for target in targets for value in target.values})))
    whole = _target(everything, FOREGROUND, masked, channels)
    each = [_target(target, target.name, masked, channels) for target in targets] if len(targets) > 1 else []
    alone = replace(whole, name=targets[0].name) if len(targets) == 1 else None
    return Profile(
        schema=SCHEMA,
        name=name,
        layout=dataset.declared.layout,
        cases=len(cases),
        masks=len(masked),
        patients=len(patients),
        patients_known=dataset.patients_known,
        cases_per_patient=Spread.of(list(patients.values())),
        parts=dict(Counter(case.case.part for case in cases if case.case.part)),
        geometry=_geometry(cases),
        channels=tuple(_channel(channel, index, cases) for index, channel in enumerate(channels)),
        overlapping=bool(dataset.declared.regions),
        foreground=whole,
        targets=(alone,) if alone else tuple(each),
        groups=tuple(_groups(masked)),
        training_size=training_size,
        brain_ratio=_brain_ratio(masked),
        method=METHOD,
    )


def _channel_names(cases: Sequence[CaseProfile], dataset: DataSet) -> tuple[str, ...]:
    number_of = max(len(case.intensity) for case in cases)
    if len(dataset.declared.channels) == number_of:
        return tuple(dataset.declared.channels)
    usual = {1: ("grey",), 3: ("red", "green", "blue")}
    is_picture = len(cases[0].size) == 2
    return (
        usual.get(number_of, ())
        if is_picture and number_of in usual
        else tuple(f"channel {index + 1}" for index in range(number_of))
    )


def _channel(name: str, index: int, cases: Sequence[CaseProfile]) -> ChannelProfile:
    values = [case.intensity[index] for case in cases if index < len(case.intensity)]
    return ChannelProfile(
        name=name,
        minimum=min(value.minimum for value in values),
        maximum=max(value.maximum for value in values),
        **{
            part: Spread.of([getattr(value, part) for value in values])
            for part in ("p1", "median", "p99", "mean", "sd")
        },
    )


def _target(target: Target, key: str, masked: Sequence[CaseProfile], channels: Sequence[str]) -> TargetProfile:
    shares = [case.share(key) for case in masked]
    holding = [case for case in masked if case.targets[key].elements]
    elements = sum(case.targets[key].elements for case in holding)
    in_view = [case.in_view / case.view for case in masked if case.view and case.in_view is not None]
    return TargetProfile(
        name=target.name,
        values=target.values,
        cases=len(holding),
        empty=len(masked) - len(holding),
        share=Spread.of(shares),
        share_where_present=Spread.of([share for share in shares if share > 0]),
        pooled_share=elements / sum(case.elements for case in masked),
        frequency_where_present=elements / sum(case.elements for case in holding) if holding else None,
        share_in_view=Spread.of(in_view) if key == FOREGROUND else None,
        lesions=_lesions(key, holding, masked),
        contrast=tuple(_contrast(name, index, key, holding) for index, name in enumerate(channels)),
    )


def _contrast(channel: str, index: int, key: str, holding: Sequence[CaseProfile]) -> ContrastProfile:
    values = [case.targets[key].contrast[index] for case in holding if index < len(case.targets[key].contrast)]
    parts = ("inside", "outside", "difference", "auc", "auc_rim")
    return ContrastProfile(channel, **{part: Spread.of([getattr(value, part) for value in values]) for part in parts})


def _lesions(key: str, holding: Sequence[CaseProfile], masked: Sequence[CaseProfile]) -> LesionProfile:
    found = [case.targets[key].lesions for case in holding]
    rows = np.concatenate([lesions.rows for lesions in found]) if found else np.zeros((0, 3), np.int64)
    sizes = physical = None
    if len(rows):
        axes = len(holding[0].size)
        sizes = _sizes("px" if axes == 2 else "voxels", rows[:, SIZE], rows[:, COUNT])
        scales = [case.element_size for case in holding]
        known = [scale for scale in scales if scale is not None]
        if len(known) == len(scales):
            repeated = np.repeat(known, [len(lesions.rows) for lesions in found])
            physical = _sizes("mm2" if axes == 2 else "ml", rows[:, SIZE] * repeated, rows[:, COUNT])
    return LesionProfile(
        count=int(rows[:, COUNT].sum()),
        joined=sum(lesions.joined for lesions in found),
        specks=int(rows[rows[:, SIZE] < SPECK, COUNT].sum()),
        per_case=Spread.of([lesions.count for lesions in found]),
        sizes=sizes,
        physical=physical,
        touching_border=sum(lesions.touching for lesions in found),
        resized=_resized(key, holding, masked, rows),
    )


def _sizes(unit: str, values: NDArray[np.float64] | NDArray[np.int64], counts: NDArray[np.int64]) -> SizeProfile:
    quantiles = weighted_quantiles(values, counts, list(QUANTILES.values()))
    mean = float(np.average(values.astype(np.float64), weights=counts))
    return SizeProfile(unit, dict(zip(QUANTILES, quantiles, strict=True)), mean)


def at_training_size(key: str, cases: Iterable[CaseProfile]) -> NDArray[np.float64]:
    """The rows of all lesions (see `Lesions.rows`), their sizes as if each kept its share of the resized image."""
    parts = []
    for case in cases:
        if case.resized_to is not None and key in case.targets:
            rows = case.targets[key].lesions.rows.astype(np.float64)
            rows[:, SIZE] *= float(np.prod(case.resized_to)) / case.elements
            parts.append(rows)
    return np.concatenate(parts) if parts else np.zeros((0, 3))


def _resized(
    key: str, holding: Sequence[CaseProfile], masked: Sequence[CaseProfile], rows: NDArray[np.int64]
) -> ResizedProfile | None:
    shares = [
        case.targets[key].lesions.resized_elements / np.prod(case.resized_to)  # type: ignore[operator]
        for case in masked
        if case.resized_to is not None
    ]
    if not shares:
        return None
    scaled = at_training_size(key, holding)
    return ResizedProfile(
        vanished=int(rows[:, VANISHED].sum()),
        vanished_specks=int(rows[rows[:, SIZE] < SPECK, VANISHED].sum()),
        lesions=sum(case.targets[key].lesions.resized_count or 0 for case in holding),
        emptied=sum(case.targets[key].lesions.resized_elements == 0 for case in holding),
        share=Spread.of(shares),
        smaller_than={few: int(scaled[scaled[:, SIZE] < few, COUNT].sum()) for few in FEW_ELEMENTS},
        median_lesion=weighted_quantiles(scaled[:, SIZE], scaled[:, COUNT], [0.5])[0] if len(scaled) else None,
    )


def brain_ratio(case: CaseProfile) -> float:
    """Foreground over brain; nan where the brain was not looked for or not found."""
    return case.targets[FOREGROUND].elements / case.brain if case.brain else float("nan")


def _brain_ratio(cases: Sequence[CaseProfile]) -> Spread | None:
    return Spread.of([brain_ratio(case) for case in cases])


def groupings(cases: Sequence[CaseProfile]) -> dict[str, Callable[[CaseProfile], str]]:
    """How cases may be grouped: the official part, and each attribute of a few different values."""
    found: dict[str, Callable[[CaseProfile], str]] = {}
    if len({case.case.part for case in cases}) > 1:
        found["part"] = lambda case: case.case.part
    for name in dict.fromkeys(name for case in cases for name in case.case.attributes):
        values = {case.case.attributes.get(name, "") for case in cases}
        if 1 < len(values) <= min(MOST_VALUES, len(cases) // 2):
            found[name] = lambda case, name=name: case.case.attributes.get(name, "")  # type: ignore[misc]
    return found


def _groups(cases: Sequence[CaseProfile]) -> Iterable[GroupProfile]:
    single = groupings(cases)
    for attribute, value_of in single.items():
        yield from _grouped(attribute, cases, value_of)
    for first, second in combinations(single, 2):
        if len({single[name](case) for name in (first, second) for case in cases}) <= MOST_VALUES:
            yield from _grouped(
                f"{first} x {second}",
                cases,
                lambda case, one=single[first], two=single[second]: f"{one(case)}, {two(case)}",  # type: ignore[misc]
            )


def _grouped(
    attribute: str, cases: Sequence[CaseProfile], value_of: Callable[[CaseProfile], str]
) -> Iterable[GroupProfile]:
    members: Mapping[str, list[CaseProfile]] = defaultdict(list)
    for case in cases:
        members[value_of(case)].append(case)
    for value in sorted(members):
        inside = members[value]
        yield GroupProfile(
            attribute=attribute,
            value=value,
            cases=len(inside),
            patients=len({case.case.patient for case in inside}),
            share=Spread.of([case.share(FOREGROUND) for case in inside]),
            brain_ratio=_brain_ratio(inside),
        )


def _geometry(cases: Sequence[CaseProfile]) -> GeometryProfile:
    sizes = Counter(" x ".join(map(str, case.size)) for case in cases)
    spacings = [case.spacing_mm for case in cases if case.spacing_mm is not None]
    axes = len(cases[0].size)
    return GeometryProfile(
        axes=axes,
        sizes=dict(sizes.most_common(MOST_SIZES)),
        different_sizes=len(sizes),
        lengths=tuple(Spread.of([case.size[axis] for case in cases]) for axis in range(axes)),
        spacing_known=len(spacings),
        spacing_mm=tuple(Spread.of([spacing[axis] for spacing in spacings]) for axis in range(axes))
        if spacings
        else (),
        anisotropy=Spread.of([max(spacing) / min(spacing) for spacing in spacings]),
        orientations=dict(Counter(case.orientation for case in cases).most_common()),
    )
