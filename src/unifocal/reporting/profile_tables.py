"""The profile's tables, and its numbers in words."""

from unifocal.data.profile.numbers import Spread
from unifocal.data.profile.result import Profile, SizeProfile, TargetProfile
from unifocal.reporting.table import Cell, Table
from unifocal.reporting.wording import ABSENT, MINUS, count

_AXES = {2: ("Rows", "Columns"), 3: ("Slices", "Rows", "Columns")}


def short(value: float | None, digits: int = 3) -> str:
    """A number with few significant digits, thousands separated, and a true minus sign; a dash for none."""
    if value is None:
        return ABSENT
    text = f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"
    return text.replace("-", MINUS)


def share(value: float | None) -> str:
    """A share as percent."""
    return ABSENT if value is None else f"{short(100 * value)} %"


def headline(profile: Profile) -> str:
    """The data set in one sentence."""
    whose = f" of {count(profile.patients, 'patient')}" if profile.patients_known else ""
    part = profile.foreground.share
    filled = f"Foreground fills {share(part.mean)} of an image" if part is not None else "No mask could be described"
    pooled = profile.foreground.pooled_share
    balance = f"; background outnumbers it {short((1 - pooled) / pooled, 2)} to 1" if 0 < pooled < 0.5 else ""
    return f"{count(profile.cases, 'case')}{whose}. {filled}{balance}."


def facts(profile: Profile) -> list[tuple[str, str]]:
    """The data set in numbers: what, how much."""
    per_patient, lesions = profile.cases_per_patient, profile.foreground.lesions
    sizes = profile.geometry.sizes
    pairs = [
        ("cases", f"{profile.cases:,}"),
        ("patients", f"{profile.patients:,}" if profile.patients_known else "unknown"),
        ("cases per patient", _range(per_patient) if profile.patients_known else ""),
        ("labels" if not profile.overlapping else "regions", f"{len(profile.targets)}"),
        (
            "size" if len(sizes) == 1 else "sizes",
            next(iter(sizes)) if len(sizes) == 1 else f"{profile.geometry.different_sizes}",
        ),
        ("empty masks", f"{profile.foreground.empty:,}"),
        ("lesions", f"{lesions.count:,}"),
        ("channels", f"{len(profile.channels)}"),
        *((name, f"{number:,}") for name, number in profile.parts.items()),
    ]
    return [(name.removesuffix("s") if value == "1" else name, value) for name, value in pairs if value]


def _range(spread: Spread | None) -> str:
    if spread is None:
        return ABSENT
    return (
        f"{short(spread.minimum)} to {short(spread.maximum)}"
        if spread.minimum < spread.maximum
        else short(spread.minimum)
    )


def tables(profile: Profile) -> dict[str, list[Table]]:
    """The tables by section; a section without numbers is not there."""
    made = {
        "imbalance": [_imbalance(profile)],
        "lesions": [_lesions(profile), *_resizing(profile)],
        "intensity": [_intensity(profile), *_contrast(profile)],
        "grids": [_grids(profile)],
        "groups": _groups(profile),
    }
    return {name: listed for name, listed in made.items() if listed}


def brief(profile: Profile) -> Table:
    """The most important numbers, for a narrow console."""
    size = "" if profile.training_size is None else " x ".join(map(str, profile.training_size))
    rows = []
    for title, target in _targets(profile):
        lesions, spread = target.lesions, target.share
        per_case = lesions.per_case
        cells = [
            share(spread.mean if spread else None),
            _between(spread),
            f"{target.empty:,}",
            f"{lesions.count:,}",
            _range(per_case),
            *([f"{lesions.resized.vanished:,}"] if lesions.resized is not None else []),
        ]
        rows.append((title, tuple(Cell(cell) for cell in cells)))
    columns = ("mean share", "range", "empty", "lesions", "per case", f"vanish at {size}")
    return Table("", "target", columns[: len(rows[0][1])], tuple(rows))


def _targets(profile: Profile) -> list[tuple[str, TargetProfile]]:
    if [target.name for target in profile.targets] == ["1"]:
        return [("foreground", profile.foreground)]
    named = [(_title(target), target) for target in profile.targets]
    covered = any(target.values == profile.foreground.values for target in profile.targets)
    return named if covered else [*named, ("all together", profile.foreground)]


def _title(target: TargetProfile) -> str:
    return f"label {target.name}" if target.name.isdigit() else target.name


def _imbalance(profile: Profile) -> Table:
    rows = []
    for title, target in _targets(profile):
        spread, present = target.share, target.share_where_present
        cells = (
            Cell(share(spread.mean if spread else None), strong=True),
            Cell(share(spread.median if spread else None), _between(spread)),
            Cell(share(present.mean if present else None)),
            Cell(share(target.pooled_share)),
            Cell(share(target.share_in_view.mean if target.share_in_view else None)),
            Cell(f"{target.cases:,}", share(target.cases / profile.masks)),
            Cell(f"{target.empty:,}"),
        )
        rows.append((title, cells))
    has_view = any(target.share_in_view for _, target in _targets(profile))
    columns = ["Mean share", "Median share", "Mean where present", "Pooled share", "Inside the view", "Cases", "Empty"]
    kept = [index for index, name in enumerate(columns) if has_view or name != "Inside the view"]
    return Table(
        "Share of the image that each target fills. The mean over the cases is what papers give as '% foreground'; the "
        "pooled share counts all elements together. Beneath the median: the range.",
        "Target",
        tuple(columns[index] for index in kept),
        tuple((name, tuple(cells[index] for index in kept)) for name, cells in rows),
    )


def _between(spread: Spread | None) -> str:
    if spread is None or spread.minimum == spread.maximum:
        return ""
    return f"{short(100 * spread.minimum)} to {share(spread.maximum)}"


def _lesions(profile: Profile) -> Table:
    rows = []
    for title, target in _targets(profile):
        lesions = target.lesions
        touching = share(lesions.touching_border / lesions.count) if lesions.count else ""
        cells = (
            Cell(f"{lesions.count:,}", f"{lesions.joined:,} with corners" if lesions.joined < lesions.count else ""),
            Cell(short(lesions.per_case.median if lesions.per_case else None), _note(lesions.per_case)),
            _size_cell(lesions.sizes),
            _size_cell(lesions.physical),
            Cell(f"{lesions.touching_border:,}", touching),
        )
        rows.append((title, cells))
    physical = any(target.lesions.physical for _, target in _targets(profile))
    unit = "pixels" if profile.geometry.axes == 2 else "voxels"
    columns = [
        "Lesions",
        "Per case",
        f"Size ({unit})",
        "Size (mm²)" if unit == "pixels" else "Size (ml)",
        "Touch the border",
    ]
    kept = [index for index in range(len(columns)) if physical or index != 3]
    return Table(
        f"Lesions are connected components: neighbours share {'an edge' if unit == 'pixels' else 'a face'}. Medians; "
        "beneath them the range. Per case: over the cases that have any.",
        "Target",
        tuple(columns[index] for index in kept),
        tuple((name, tuple(cells[index] for index in kept)) for name, cells in rows),
    )


def _note(spread: Spread | None) -> str:
    if spread is None or spread.minimum == spread.maximum:
        return ""
    return f"{short(spread.minimum)} to {short(spread.maximum)}"


def _size_cell(sizes: SizeProfile | None) -> Cell:
    if sizes is None:
        return Cell(ABSENT)
    quantiles = sizes.quantiles
    return Cell(short(quantiles["median"]), f"{short(quantiles['minimum'])} to {short(quantiles['maximum'])}")


def _resizing(profile: Profile) -> list[Table]:
    if profile.training_size is None or profile.foreground.lesions.resized is None:
        return []
    rows = []
    for title, target in _targets(profile):
        resized, lesions = target.lesions.resized, target.lesions
        assert resized is not None
        part = share(resized.vanished / lesions.count) if lesions.count else ""
        cells = (
            Cell(f"{resized.vanished:,}", part),
            Cell(f"{resized.emptied:,}"),
            Cell(f"{resized.lesions:,}", f"of {lesions.count:,}"),
            Cell(short(resized.median_lesion)),
            *(Cell(f"{number:,}") for number in resized.smaller_than.values()),
        )
        rows.append((title, cells))
    few = tuple(f"Below {number}" for number in profile.foreground.lesions.resized.smaller_than)
    size = " x ".join(map(str, profile.training_size))
    return [
        Table(
            f"What resizing to {size} does: lesions that vanish, cases that lose all, components that can still be "
            "told apart; and, if each lesion kept its share of the image, the median size and how many would be "
            "smaller than some sizes.",
            "Target",
            ("Vanish", "Cases emptied", "Components left", "Median size", *few),
            tuple(rows),
        )
    ]


def _intensity(profile: Profile) -> Table:
    rows = []
    for channel in profile.channels:
        spreads = (channel.p1, channel.median, channel.p99, channel.mean, channel.sd)
        middle = [Cell(short(each.median if each else None), _note(each)) for each in spreads]
        rows.append((channel.name, (Cell(short(channel.minimum)), *middle, Cell(short(channel.maximum)))))
    return Table(
        "Values as the files hold them. Minimum and maximum are of all cases; the others are medians over the cases of "
        "each case's own number, with their range beneath.",
        "Channel",
        ("Minimum", "1st percentile", "Median", "99th percentile", "Mean", "SD", "Maximum"),
        tuple(rows),
    )


def _contrast(profile: Profile) -> list[Table]:
    rows = []
    for title, target in _targets(profile):
        for contrast in target.contrast:
            if contrast.auc is None:
                continue
            name = title if len(profile.channels) == 1 else f"{title}, {contrast.channel}"
            cells = (
                Cell(short(contrast.inside.mean if contrast.inside else None)),
                Cell(short(contrast.outside.mean if contrast.outside else None)),
                Cell(_signed(contrast.difference)),
                Cell(f"{contrast.auc.mean:.2f}", f"{contrast.auc.minimum:.2f} to {contrast.auc.maximum:.2f}"),
                Cell(f"{contrast.auc_rim.mean:.2f}" if contrast.auc_rim else ABSENT, _two(contrast.auc_rim)),
            )
            rows.append((name, cells))
    if not rows:
        return []
    return [
        Table(
            "How targets stand out by brightness alone, means over the cases. Difference: Cohen's d. AUC: the chance "
            "that an element of the target is brighter than one of the background, 0.5 for no difference; near: than "
            "the background within 5 steps of it.",
            "Target",
            ("Mean inside", "Mean background", "Difference", "AUC", "AUC, near"),
            tuple(rows),
        )
    ]


def _two(spread: Spread | None) -> str:
    return f"{spread.minimum:.2f} to {spread.maximum:.2f}" if spread is not None else ""


def _signed(spread: Spread | None) -> str:
    if spread is None:
        return ABSENT
    return f"{spread.mean:+.2f}".replace("-", MINUS)


def _grids(profile: Profile) -> Table:
    geometry = profile.geometry
    spacing = geometry.spacing_mm or (None,) * geometry.axes
    rows = []
    for name, length, distance in zip(_AXES[geometry.axes], geometry.lengths, spacing, strict=True):
        cells = (
            Cell(short(length.median if length else None), _note(length)),
            Cell(f"{short(distance.median)} mm" if distance else "unknown", _note(distance)),
        )
        rows.append((name, cells))
    common = ", ".join(f"{size} ({number:,})" for size, number in list(geometry.sizes.items())[:4])
    codes = ", ".join(f"{code or 'unknown'} ({number:,})" for code, number in geometry.orientations.items())
    return Table(
        f"Median with the range beneath. Most frequent sizes: {common}. Spacing is known for "
        f"{geometry.spacing_known:,} of {profile.cases:,} cases. Direction of the axes: {codes}.",
        "Axis",
        ("Elements", "Spacing"),
        tuple(rows),
    )


def _groups(profile: Profile) -> list[Table]:
    made = []
    for attribute in dict.fromkeys(group.attribute for group in profile.groups):
        rows = []
        for group in profile.groups:
            if group.attribute == attribute:
                cells = [
                    Cell(f"{group.cases:,}"),
                    Cell(f"{group.patients:,}"),
                    Cell(share(group.share.mean if group.share else None), _between(group.share)),
                ]
                if profile.brain_ratio is not None:
                    cells.append(
                        Cell(share(group.brain_ratio.mean if group.brain_ratio else None), _between(group.brain_ratio))
                    )
                rows.append((group.value or "(not given)", tuple(cells)))
        columns = ("Cases", "Patients", "Mean foreground", "Foreground over brain")
        made.append(
            Table(
                f"Cases by {attribute}. Beneath the means: the range.",
                attribute,
                columns[: len(rows[0][1])],
                tuple(rows),
            )
        )
    return made
