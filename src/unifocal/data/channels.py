"""Files that are channels of one image, told by nnU-Net's numbers: `case_0000.nii.gz`, `case_0001.nii.gz`."""

import re
from collections.abc import Sequence
from dataclasses import replace

from unifocal.data.case import Case, Source
from unifocal.problems import Problem, raise_if_any

_NUMBERED = re.compile(r"^(?P<name>.+)_(?P<channel>\d{4})$")


def join_channels(cases: Sequence[Case], channels: int) -> tuple[Case, ...]:
    """Cases whose channels lie in files of their own, joined; as they are where the names are not so numbered.

    Args:
        cases: One per file.
        channels: How many each image must have. With one, the number 0000 is dropped from the names where all have
            it; other numbers then count something else, such as slices, and the names stay.

    Raises:
        InputError: With every case that lacks a channel or has too many.
    """
    matches = [_NUMBERED.match(case.name) for case in cases]
    if not cases or not all(matches) or not any(match and match["channel"] == "0000" for match in matches):
        return tuple(cases)
    groups: dict[str, dict[int, Case]] = {}
    for case, match in zip(cases, matches, strict=True):
        assert match is not None
        groups.setdefault(match["name"], {})[int(match["channel"])] = case
    if channels == 1 and any(found.keys() != {0} for found in groups.values()):
        return tuple(cases)
    problems = []
    for name, found in groups.items():
        if sorted(found) != list(range(channels)):
            numbers = ", ".join(f"{number:04d}" for number in sorted(found))
            where = str(next(iter(found.values())).image)
            what = f"the case {name} has the channels {numbers}, and {channels} are needed, from 0000 on"
            problems.append(Problem(where, what, "Add the missing files, or remove the others.", "channels"))
    raise_if_any(problems)
    joined = []
    for name, found in groups.items():
        first = found[0]
        paths = [path for number in range(channels) for path in found[number].image.paths]
        patient = name if first.patient == first.name else first.patient
        source = first.image if channels == 1 else Source.of(*paths, joined="channels")
        joined.append(replace(first, name=name, image=source, patient=patient))
    return tuple(joined)
