"""Folds over patients: the same for every loss, and nobody on two sides."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unifocal.problems import Problem, bad_input, raise_if_any


@dataclass(frozen=True)
class Person:
    """What the split knows of a patient.

    Attributes:
        name: The patient.
        size: Mean foreground share of the patient's images.
        kind: The patient's class where known, else "".
    """

    name: str
    size: float
    kind: str = ""


@dataclass(frozen=True)
class Fold:
    """The patients of one fold's three parts.

    Raises:
        InputError: If a patient stands in two parts, or a part is empty.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        parts: dict[str, list[str]] = defaultdict(list)
        for part in ("train", "validation", "test"):
            for patient in set(getattr(self, part)):
                parts[patient].append(part)
        raise_if_any(
            [
                Problem(f"patient {patient}", f"is in {' and in '.join(where)}", "Put each patient into one part.")
                for patient, where in sorted(parts.items())
                if len(where) > 1
            ]
        )

    def as_dict(self) -> dict[str, list[str]]:
        """Plain lists, for `study.yaml`."""
        return {"train": list(self.train), "validation": list(self.validation), "test": list(self.test)}


def draw_folds(people: Sequence[Person], *, folds: int, validation_share: float, seed: int) -> tuple[Fold, ...]:
    """Deal patients to folds so that classes and tumour sizes are spread evenly.

    Patients are ordered by class and size and dealt out in blocks: each run of `folds` neighbours goes to
    different folds, at random (a stratified split without bins). The validation part is drawn from the rest in the
    same way.

    Args:
        people: All patients, each once.
        folds: Number of folds, at least 2.
        validation_share: Share of the patients outside the test part that validate; at least one does.
        seed: Decides the draw. The order of `people` does not matter.

    Raises:
        InputError: If there are too few patients for every part of every fold to have one.
    """
    if len(people) < folds or len(people) - -(-len(people) // folds) < 2:
        most = len(people)
        verb = "patient is" if most == 1 else "patients are"
        what = f"{most} {verb} too few for {folds} folds, each with a training, a validation and a test part"
        remedy = "At least 3 patients are needed." if most < 3 else f"Give --folds {most}, or add patients."
        raise bad_input("patients", what, remedy)
    random = np.random.default_rng(seed)
    place = _deal(people, folds, random)
    drawn = []
    for k in range(folds):
        rest = [person for person in people if place[person.name] != k]
        train, validation = split_off(rest, share=validation_share, random=random)
        test = tuple(sorted(name for name, fold in place.items() if fold == k))
        drawn.append(Fold(train, validation, test))
    return tuple(drawn)


def split_off(
    people: Sequence[Person], *, share: float, random: np.random.Generator
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split patients in two, the second part about `share` of them, evenly over class and size.

    Systematic sampling: of the patients ordered by class and size, every 1/share-th from a random start.

    Args:
        people: At least two patients.
        share: Of the patients, for the second part.
        random: Decides the start.

    Returns:
        The names of both parts, sorted; neither is empty.
    """
    ordered = _ordered(people)
    start = random.random()
    marks = np.floor(np.arange(len(ordered) + 1) * share + start)
    chosen = np.diff(marks) > 0
    if not chosen.any() or chosen.all():
        chosen = np.full(len(ordered), bool(chosen.all()))
        chosen[random.integers(len(ordered))] ^= True
    apart = {person.name for person, out in zip(ordered, chosen, strict=True) if out}
    return tuple(sorted(person.name for person in ordered if person.name not in apart)), tuple(sorted(apart))


def split_hash(folds: Sequence[Fold]) -> str:
    """SHA-256 of the folds: two studies with the same hash tested on the same patients."""
    text = json.dumps([fold.as_dict() for fold in folds], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def people_of(
    patients: Sequence[str], sizes: Sequence[float], attributes: Sequence[Mapping[str, str]]
) -> tuple[Person, ...]:
    """Patients from their cases: the mean size, and the class if all cases agree on one.

    Args:
        patients: Per case, whose it is.
        sizes: Per case, the foreground share.
        attributes: Per case, further columns; `class` is used.
    """
    of_patient: dict[str, list[int]] = defaultdict(list)
    for position, patient in enumerate(patients):
        of_patient[patient].append(position)
    people = []
    for patient, positions in sorted(of_patient.items()):
        kinds = {attributes[position].get("class", "") for position in positions}
        size = float(np.mean([sizes[position] for position in positions]))
        people.append(Person(patient, size, kinds.pop() if len(kinds) == 1 else ""))
    return tuple(people)


def _deal(people: Sequence[Person], hands: int, random: np.random.Generator) -> dict[str, int]:
    ordered = _ordered(people)
    place: dict[str, int] = {}
    for start in range(0, len(ordered), hands):
        block = ordered[start : start + hands]
        for person, hand in zip(block, random.permutation(hands), strict=False):
            place[person.name] = int(hand)
    return place


def _ordered(people: Sequence[Person]) -> list[Person]:
    return sorted(people, key=lambda person: (person.kind, person.size, person.name))
