"""What is wrong with a user's input: collected whole, said at once."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input.

    Attributes:
        where: The file, folder, option or key it concerns.
        what: What is wrong with it.
        remedy: What the user can do about it.
        kind: What sort of problem it is, for programs: lower-case words with hyphens, such as `mask-empty`.
        is_warning: Whether work can go on in spite of it; an error stops it.
    """

    where: str
    what: str
    remedy: str
    kind: str = ""
    is_warning: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.remedy}"


class InputError(ValueError):
    """Bad input, with every problem that was found.

    The command line prints the problems and exits with code 2.

    Args:
        problems: At least one problem.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class WorkFailedError(RuntimeError):
    """The work itself failed although the input was good; the command line exits with code 1."""


def bad_input(where: str, what: str, remedy: str, *, kind: str = "") -> InputError:
    """An `InputError` with a single problem."""
    return InputError([Problem(where, what, remedy, kind)])


def raise_if_any(problems: Sequence[Problem]) -> None:
    """Raise an `InputError` with all problems when one of them is an error; warnings alone pass.

    Raises:
        InputError: If `problems` holds more than warnings.
    """
    if not all(problem.is_warning for problem in problems):
        raise InputError(problems)
