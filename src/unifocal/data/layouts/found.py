"""What every layout's reader hands over."""

from collections.abc import Iterable, Sequence

from unifocal.data.case import Case, DataSet, Declared, Reading
from unifocal.problems import Problem


def reading_of(
    cases: Iterable[Case],
    problems: Sequence[Problem],
    declared: Declared,
    *,
    patients_known: bool,
) -> Reading:
    """A reading of cases, those without a mask included: `open_dataset` leaves out what is not asked for."""
    kept = tuple(cases)
    patients = frozenset(case.patient for case in kept)
    return Reading(DataSet(kept, patients_known, declared), tuple(problems), patients)


def lacks_mask(where: str, what: str) -> Problem:
    """An image that should have a mask and has none; no problem where masks are not asked for."""
    return Problem(where, what, "Add the mask, or remove the image.", "mask-missing")
