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
    """

    where: str
    what: str
    remedy: str

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


def bad_input(where: str, what: str, remedy: str) -> InputError:
    """An `InputError` with a single problem."""
    return InputError([Problem(where, what, remedy)])


def raise_if_any(problems: Sequence[Problem]) -> None:
    """Raise an `InputError` when there are problems.

    Raises:
        InputError: If `problems` is not empty.
    """
    if problems:
        raise InputError(problems)
