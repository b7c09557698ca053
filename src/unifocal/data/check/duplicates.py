"""The same image twice: byte for byte, or as another encoding of it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from unifocal.data.case import Case
from unifocal.data.check.examine import Findings
from unifocal.data.check.fingerprint import coarse, normalised
from unifocal.problems import Problem

SIMILAR = 0.93
"""From this correlation of fingerprints on, two images are taken for the same. Measured on `brain_t1ce`, CVC-ClinicDB
and DRIVE: images of different patients stay below 0.83, re-encoded copies (JPEG of quality 50 or better, half the
size, both, brightness +-10 %) above 0.94."""

_CANDIDATE = 0.9
_BLOCK = 1024


def find_duplicates(cases: Sequence[Case], findings: Sequence[Findings], *, patients_known: bool) -> list[Problem]:
    """Images that stand in the data set twice.

    Byte for byte: within a patient a warning; in two patients an error where patients are named, because one of the
    names is wrong and every split over patients leaks; otherwise a warning, for public data sets without patients hold
    some. Near: a warning across patients, nothing within one, whose slices and video frames are alike by nature.

    Args:
        cases: The cases.
        findings: Of each case.
        patients_known: Whether patients are named; otherwise every image counts as one.

    Returns:
        At most one problem per case, which names the first case that it equals or its nearest one.
    """
    first: dict[bytes, int] = {}
    problems = []
    exact: set[int] = set()
    for index, (case, found) in enumerate(zip(cases, findings, strict=True)):
        if not found.image_digest:
            continue
        other = first.setdefault(found.image_digest, index)
        if other != index:
            exact.add(index)
            problems.append(_exact(case, cases[other], patients_known, found.digests == findings[other].digests))
    groups: dict[int, list[int]] = defaultdict(list)
    for index, found in enumerate(findings):
        if found.print is not None and index not in exact:
            groups[found.print.size].append(index)
    for members in groups.values():
        problems += _near([cases[index] for index in members], [findings[index] for index in members])
    return problems


def similar_pairs(prints: NDArray[np.int8], groups: NDArray[np.integer]) -> Iterator[tuple[int, int, float]]:
    """Pairs of fingerprints of different groups that correlate by `SIMILAR` or more.

    Coarse fingerprints find the candidates, in blocks, so that memory does not grow with the number of pairs.

    Args:
        prints: (n, cells), see `fingerprint`.
        groups: (n,) the patient of each, as a number.

    Yields:
        (first, second, correlation), with first < second.
    """
    rows = normalised(coarse(prints))
    for start in range(0, len(rows), _BLOCK):
        for begin in range(start, len(rows), _BLOCK):
            products = rows[start : start + _BLOCK] @ rows[begin : begin + _BLOCK].T
            products[groups[start : start + _BLOCK, None] == groups[None, begin : begin + _BLOCK]] = 0
            firsts, seconds = (np.nonzero(products >= _CANDIDATE)[axis] + (start, begin)[axis] for axis in (0, 1))
            ordered = firsts < seconds
            for part in _slices(firsts[ordered], seconds[ordered]):
                fine = np.einsum("ij,ij->i", normalised(prints[part[0]]), normalised(prints[part[1]]))
                for position in np.flatnonzero(fine >= SIMILAR):
                    yield int(part[0][position]), int(part[1][position]), float(fine[position])


def _slices(firsts: NDArray[np.intp], seconds: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    for start in range(0, len(firsts), _BLOCK):
        yield firsts[start : start + _BLOCK], seconds[start : start + _BLOCK]


def _near(cases: Sequence[Case], findings: Sequence[Findings]) -> Iterator[Problem]:
    prints = np.stack([found.print for found in findings if found.print is not None])
    number = {patient: index for index, patient in enumerate(dict.fromkeys(case.patient for case in cases))}
    groups = np.array([number[case.patient] for case in cases])
    nearest: dict[int, tuple[float, int]] = {}
    for first, second, similarity in similar_pairs(prints, groups):
        nearest[second] = max(nearest.get(second, (0.0, 0)), (similarity, first))
    for index, (similarity, other) in sorted(nearest.items()):
        what = (
            f"shows almost the same as {cases[other].image.path.name} of {_whose(cases[other])} "
            f"(similarity {similarity:.2f} of 1)"
        )
        remedy = "Look at both; keep one, or give both the same patient, so that no split puts them on two sides."
        yield Problem(str(cases[index].image), what, remedy, "duplicate-near", is_warning=True)


def _exact(case: Case, other: Case, patients_known: bool, masks_agree: bool) -> Problem:  # noqa: FBT001
    same_patient = case.patient == other.patient
    what = f"is the same file as {other.image.path.name} of {'the same patient' if same_patient else _whose(other)}"
    what += "" if masks_agree or case.mask is None else ", but their masks differ"
    remedy = "Keep one of them" + ("." if same_patient else ", or give both the same patient.")
    return Problem(str(case.image), what, remedy, "duplicate-exact", is_warning=same_patient or not patients_known)


def _whose(case: Case) -> str:
    return f"patient {case.patient!r}"
