"""From what the user asks of a split to the folds: k-fold, repeated, by group, official, or from a file."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from unifocal.data.case import Case
from unifocal.data.split_files import parts_of_units, read_split
from unifocal.data.splits import Fold, Person, draw_folds, people_of, split_off
from unifocal.problems import Problem, bad_input, raise_if_any

Kind = Literal["k_fold", "leave_one_group_out", "official", "file"]


@dataclass(frozen=True)
class SplitPlan:
    """How the data are split.

    Attributes:
        kind: `k_fold`: every unit is tested once. `leave_one_group_out`: one fold per group, tested on it.
            `official`: the data set's own training and test parts, one fold. `file`: as `file` says.
        by: `patient`: a patient's images stay together. `image`: every image is on its own, as in source A, so that
            a patient may stand in training and test.
        folds: For `k_fold`.
        repeats: For `k_fold`: how often all folds are drawn anew.
        validation_share: Share of the units outside the test part that validate, where no validation part is given.
        seed: Decides every draw.
        group: For `leave_one_group_out`: the attribute (column of the table of cases) that names the group.
        file: For `file`: a CSV with the column `case` or `patient`, and `part` (training, validation, test, none) or
            `fold` (the number of the one that tests it) or both; or JSON as nnU-Net's `splits_final.json`.
    """

    kind: Kind = "k_fold"
    by: Literal["patient", "image"] = "patient"
    folds: int = 5
    repeats: int = 1
    validation_share: float = 0.2
    seed: int = 0
    group: str = "site"
    file: Path | None = None


def unit_of(case: Case, by: str) -> str:
    """What a split moves as a whole: the case's patient, or the case itself."""
    return case.patient if by == "patient" else case.name


def make_folds(plan: SplitPlan, cases: Sequence[Case], shares: Sequence[float]) -> tuple[Fold, ...]:
    """The folds of a data set; their members are patients, or cases where `plan.by` is `image`.

    Args:
        plan: How.
        cases: All cases.
        shares: Per case, its foreground share: folds are alike in it where they are drawn.

    Raises:
        InputError: If the data do not allow the split, with every reason.
    """
    people = people_of([unit_of(case, plan.by) for case in cases], shares, [case.attributes for case in cases])
    if plan.kind == "k_fold":
        return _repeated(plan, people)
    if plan.kind == "leave_one_group_out":
        parts = _groups_apart(plan, cases)
    elif plan.kind == "official":
        parts = [_official(plan, cases)]
    else:
        parts = _from_file(plan, cases)
    random = np.random.default_rng(plan.seed)
    return tuple(_fold(plan, number, part, people, random) for number, part in enumerate(parts))


def _repeated(plan: SplitPlan, people: Sequence[Person]) -> tuple[Fold, ...]:
    # The first repeat is what the seed gives without repeats; the others get seeds drawn from it.
    later = np.random.default_rng(plan.seed).integers(2**32, size=plan.repeats - 1)
    return tuple(
        fold
        for seed in (plan.seed, *map(int, later))
        for fold in draw_folds(people, folds=plan.folds, validation_share=plan.validation_share, seed=seed)
    )


def _groups_apart(plan: SplitPlan, cases: Sequence[Case]) -> list[dict[str, str]]:
    columns = sorted({name for case in cases for name in case.attributes})
    if plan.group not in columns:
        known = f"known are {', '.join(columns)}" if columns else "the table of cases has no further columns"
        raise bad_input("split.group", f"no case has the attribute {plan.group!r}; {known}", "Give --group.")
    groups: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        groups[unit_of(case, plan.by)].add(case.attributes.get(plan.group, ""))
    problems = [
        Problem(f"patient {unit}", f"has no single {plan.group}: {', '.join(sorted(found)) or 'none'}",
                "Give each patient one.", "group-unclear")
        for unit, found in groups.items()
        if len(found) > 1 or found == {""}
    ]  # fmt: skip
    raise_if_any(problems)
    group_of = {unit: min(found) for unit, found in groups.items()}
    names = sorted(set(group_of.values()))
    if len(names) < 2:
        raise bad_input("split.group", f"all cases have the {plan.group} {names[0]!r}", "Give another --group.")
    return [{unit: "test" if group == name else "train" for unit, group in group_of.items()} for name in names]


def _official(plan: SplitPlan, cases: Sequence[Case]) -> dict[str, str]:
    short = {"training": "train", "validation": "validation", "test": "test"}
    parts: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        if case.part:
            parts[unit_of(case, plan.by)].add(short[case.part])
    if not {"train", "test"} <= {part for found in parts.values() for part in found}:
        what = "the data set has no official training and test parts"
        raise bad_input("split.kind", what, "Draw folds (--split k_fold), or give a file (--split FILE.csv).")
    raise_if_any(
        [
            Problem(f"patient {unit}", f"is in {' and in '.join(sorted(found))} of the official split",
                    "Set split.by=image, or draw folds over patients.", "patient-on-both-sides")
            for unit, found in sorted(parts.items())
            if len(found) > 1
        ]
    )  # fmt: skip
    return {unit: min(found) for unit, found in parts.items()}


def _from_file(plan: SplitPlan, cases: Sequence[Case]) -> list[dict[str, str]]:
    if plan.file is None:
        raise bad_input("split.file", "no file was named", "Give --split FILE.csv.")
    parts, problems = parts_of_units(read_split(plan.file), cases, by=plan.by)
    raise_if_any(problems)
    return parts


def _fold(
    plan: SplitPlan, number: int, parts: Mapping[str, str], people: Sequence[Person], random: np.random.Generator
) -> Fold:
    train, validation, test = (
        tuple(sorted(unit for unit, part in parts.items() if part == wanted))
        for wanted in ("train", "validation", "test")
    )
    where = str(plan.file) if plan.kind == "file" else f"split.kind {plan.kind}"
    if not test or len(train) < (1 if validation else 2):
        few = f"fold {number} has {len(train)} for training and validation and {len(test)} for testing"
        raise bad_input(where, few, "At least two are needed for the first, one for the second.")
    if not validation:
        rest = [person for person in people if parts.get(person.name) == "train"]
        train, validation = split_off(rest, share=plan.validation_share, random=random)
    return Fold(train, validation, test)
