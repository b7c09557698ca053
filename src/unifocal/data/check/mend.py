"""A mended copy of a data set: what can be put right without guessing at what images or masks mean."""

import csv
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from unifocal.data.case import Case
from unifocal.data.check.limits import describe_failure, heavy_modules, memory_for, seconds_for
from unifocal.data.check.result import CheckResult
from unifocal.data.check.rewrite import EXTENSIONS, Rewriting, rewrite
from unifocal.data.workers import Failed, map_isolated
from unifocal.problems import InputError, Problem, bad_input

_WHITE = frozenset({255, 65535})
_IMAGES, _MASKS = "images", "masks"


@dataclass
class _Plan:
    """What happens to a case: it is left out for the reasons, or written with the changes."""

    case: Case
    reasons: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    binary: bool = False


def write_mended(
    result: CheckResult, out: Path, originals: Sequence[Path], *, workers: int = 0,
    advance: Callable[[], None] | None = None,
) -> dict[str, int]:  # fmt: skip
    """Write a mended copy of the checked data; the originals are only read.

    The copy has the folders `images` and `masks` (PNG; TIFF where PNG would lose something; NIfTI for volumes), the
    table `cases.csv`, and `fixes.csv`, which says of every case what was done to it. Mended are: masks, by the
    threshold that was given; masks of 0 and 1 among those of 0 and 255; masks stored as other numbers than integers;
    copies of an image within a patient; grey images among coloured ones; orientation tags, which are dropped, for the
    pixels count as stored; masks that lie less than half an element beside their image. Every other case with an error
    is left out. The copy appears as a whole or not at all.

    Args:
        result: What the check found.
        out: Where to; must not exist, or be empty.
        originals: The folders of the original data, none of which may hold `out`.
        workers: Processes; 0: one per core.
        advance: Called after each case.

    Returns:
        How many cases were `mended`, `copied` unchanged, and `left out`.

    Raises:
        InputError: If `out` is not empty or lies inside the originals.
    """
    refuse_target(out, originals)
    plans = _plans(result)
    if all(plan.reasons for plan in plans):
        raise InputError([_no_copy(plan) for plan in plans] or [Problem("DATA", "has no cases", "Mend it by hand.")])
    out.parent.mkdir(parents=True, exist_ok=True)
    # One name for all attempts: what a killed one left behind goes.
    partial = out.parent / f".{out.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for name in (_IMAGES, _MASKS):
            (partial / name).mkdir()
        _write_cases(result, plans, partial, workers, advance)
        _write_tables(result, plans, partial)
        if out.is_dir():
            out.rmdir()
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    left_out = sum(bool(plan.reasons) for plan in plans)
    mended = sum(bool(plan.changes) and not plan.reasons for plan in plans)
    return {"mended": mended, "copied": len(plans) - left_out - mended, "left out": left_out}


def refuse_target(out: Path, originals: Sequence[Path]) -> None:
    """Refuse a place for the copy.

    Raises:
        InputError: If it is not empty or lies inside the originals.
    """
    remedy = "Name a new folder beside the data."
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise bad_input(f"--fix {out}", "exists and is not empty", remedy, kind="out-not-empty")
    for original in originals:
        if out.resolve().is_relative_to(original.resolve()):
            raise bad_input(f"--fix {out}", f"lies inside the data in {original}", remedy, kind="out-inside-data")


def _no_copy(plan: _Plan) -> Problem:
    return Problem(str(plan.case.image), f"cannot be mended: {plan.reasons[0]}", "Mend it by hand.", "not-mendable")


def _plans(result: CheckResult) -> list[_Plan]:
    plans = [_Plan(case) for case in result.dataset.cases]
    place: dict[str, int] = {}
    for index, plan in enumerate(plans):
        case = plan.case
        for source in (case.image, case.mask, case.field_of_view, *case.other_masks.values()):
            if source is not None:
                place.setdefault(str(source), index)
        found = result.findings[index]
        if found.size is not None and (found.channels not in (1, 3) or (len(found.size) == 3 and found.channels > 1)):
            plan.reasons.append(f"its image has {found.channels} channels, for which two folders have no place")
    is_binary = _is_binary(result)
    for problem in result.problems:
        if problem.where in place:
            _settle(problem, plans[place[problem.where]], result, place, is_binary=is_binary)
    _drop_copies(plans, result)
    if result.coding.threshold is not None:
        for plan, found in zip(plans, result.findings, strict=True):
            values = len(found.counts or {})
            if values > 2 or set(found.counts or {}) - {0, 1} - _WHITE:
                plan.changes.append(f"mask of {values} values set to foreground from {result.coding.threshold} on")
    return plans


def _settle(problem: Problem, plan: _Plan, result: CheckResult, place: dict[str, int], *, is_binary: bool) -> None:
    """A problem either is mended, or bars the case, or is a warning that the copy keeps."""
    found = result.findings[place[problem.where]]
    foreground = set(found.counts or {}) - {0}
    match problem.kind:
        case "mask-values" if is_binary and (foreground == {1} or foreground <= _WHITE):
            plan.binary = True
            plan.changes.append("mask's foreground set to the value of the other masks")
        case "mixed-channels" if found.channels == 1:
            plan.changes.append("grey channel repeated for red, green and blue")
        case "affine-differs" if problem.is_warning:
            plan.changes.append("mask put at the place of its image")
        case "exif-orientation":
            plan.changes.append("orientation tag dropped, pixels as stored")
        case "duplicate-exact":
            pass
        case _ if not problem.is_warning:
            plan.reasons.append(f"{Path(problem.where).name} {problem.what}")


def _is_binary(result: CheckResult) -> bool:
    """Whether the masks that agree with each other know but one foreground value."""
    wheres = {problem.where for problem in result.errors}
    found = [
        set(each.counts) - {0}
        for case, each in zip(result.dataset.cases, result.findings, strict=True)
        if case.mask is not None and each.counts is not None and str(case.mask) not in wheres
    ]
    return bool(found) and (all(values <= {1} for values in found) or all(values <= _WHITE for values in found))


def _drop_copies(plans: Sequence[_Plan], result: CheckResult) -> None:
    """Of an image that stands twice within a patient, one stays; of one in two patients, none, for one is wrong."""
    same: dict[bytes, list[int]] = defaultdict(list)
    for index, found in enumerate(result.findings):
        if found.image_digest and not plans[index].reasons:
            same[found.image_digest].append(index)
    for group in (group for group in same.values() if len(group) > 1):
        names = [plans[index].case.name for index in group]
        patients = {plans[index].case.patient for index in group}
        digests = {result.findings[index].digests for index in group}
        for index in group:
            others = ", ".join(name for name in names if name != plans[index].case.name)
            if len(patients) > 1 and result.dataset.patients_known:
                plans[index].reasons.append(f"the same image is another patient's too ({others})")
            elif len(patients) == 1 and len(digests) == 1 and index != group[0]:
                plans[index].reasons.append(f"copy of {names[0]}, which stays")


def _write_cases(
    result: CheckResult, plans: Sequence[_Plan], folder: Path, workers: int, advance: Callable[[], None] | None
) -> None:
    in_colour = any(found.channels == 3 and not found.is_grey for found in result.findings)
    tasks = [
        Rewriting(plan.case, folder / _IMAGES, folder / _MASKS, result.coding, in_colour=in_colour, binary=plan.binary)
        for plan in plans
        if not plan.reasons
    ]
    outcomes = map_isolated(
        rewrite,
        tasks,
        workers=workers,
        timeout_s=lambda task: 3 * seconds_for(task.case),
        memory_bytes=lambda task: memory_for(task.case),
        advance=advance,
        preload=[rewrite.__module__, *heavy_modules(result.dataset.cases)],
    )
    kept = (plan for plan in plans if not plan.reasons)
    for plan, task, outcome in zip(kept, tasks, outcomes, strict=True):
        if isinstance(outcome, Failed):
            plan.reasons.append(describe_failure(plan.case, outcome).what)
        elif outcome:
            plan.reasons.append(outcome)
        if plan.reasons:
            for extension in EXTENSIONS:
                for place in (task.images, task.masks):
                    (place / f"{plan.case.name}{extension}").unlink(missing_ok=True)


def _write_tables(result: CheckResult, plans: Sequence[_Plan], folder: Path) -> None:
    written = [
        (replace(plan.case, spacing_mm=plan.case.spacing_mm or found.spacing_mm), found)
        for plan, found in zip(plans, result.findings, strict=True)
        if not plan.reasons
    ]
    columns = sorted({name for case, _ in written for name in case.attributes} - {"case", "patient", "part"})
    rows = []
    for case, _ in written:
        row = {"case": case.name} | ({"patient": case.patient} if result.dataset.patients_known else {})
        row |= {"part": case.part} if any(case.part for case, _ in written) else {}
        if case.spacing_mm is not None and len(case.spacing_mm) == 2:
            row |= dict(zip(("spacing_row_mm", "spacing_column_mm"), map(repr, case.spacing_mm), strict=True))
        rows.append(row | {name: case.attributes.get(name, "") for name in columns})
    _write_csv(folder / "cases.csv", list(dict.fromkeys(name for row in rows for name in row)) or ["case"], rows)
    fixes = []
    for plan in plans:
        action = "left out" if plan.reasons else "mended" if plan.changes else "copied"
        done = "; ".join(plan.reasons or plan.changes)
        sources = {"image": str(plan.case.image), "mask": str(plan.case.mask or "")}
        fixes.append({"case": plan.case.name, "action": action, "what": done} | sources)
    known = {str(source) for plan in plans for source in (plan.case.image, plan.case.mask)}
    fixes += [
        {"case": "", "action": "not mended", "what": problem.what, "image": problem.where, "mask": ""}
        for problem in result.errors
        if problem.where not in known
    ]
    _write_csv(folder / "fixes.csv", ["case", "action", "what", "image", "mask"], fixes)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
