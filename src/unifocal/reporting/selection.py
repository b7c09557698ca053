"""Which cases a report shows, by a rule that no one can bend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

MOST_CASES = 12


@dataclass(frozen=True)
class Choice:
    """A case to show.

    Attributes:
        case: Its name.
        reason: Why it was chosen, for instance `worst`.
        mean: The metric's mean over the losses.
    """

    case: str
    reason: str
    mean: float


def choose_cases(
    values: pd.DataFrame,
    cases: pd.DataFrame,
    categories: Mapping[str, Sequence[str]],
    *,
    higher_is_better: bool = True,
) -> list[Choice]:
    """The worst two, the middle, the best, the two others of greatest disagreement, then one per category.

    Cases are ordered by the metric's mean over the losses (ties by name); disagreement is the range
    over the losses. Each category that is not shown yet adds its own middle case.

    Args:
        values: `loss, case, value`; undefined values left out.
        cases: `case` and a column for each category.
        categories: The values of each categorical column.
        higher_is_better: The metric's direction.

    Returns:
        At most 12 cases, from worst to best.
    """
    by_case = values.groupby("case")["value"]
    table = pd.DataFrame({"mean": by_case.mean(), "range": by_case.max() - by_case.min()})
    table = table.reset_index().sort_values(["mean", "case"], ascending=[higher_is_better, True])
    names = list(table["case"])
    if not names:
        return []
    chosen: dict[str, str] = {}
    for case, reason in (
        (names[0], "worst"),
        (names[-1], "best"),
        (names[len(names) // 2], "middle"),
        *((case, "second worst") for case in names[1:2]),
    ):
        chosen.setdefault(case, reason)
    others = table[(table["range"] > 0) & ~table["case"].isin(list(chosen))]
    disagreed = others.sort_values(["range", "case"], ascending=[False, True])["case"].head(2)
    chosen |= dict.fromkeys(map(str, disagreed), "losses disagree most")
    _add_categories(chosen, names, cases, categories)
    kept = set(list(chosen)[:MOST_CASES])
    means = table.set_index("case")["mean"]
    return [Choice(case, chosen[case], float(means[case])) for case in names if case in kept]


def _add_categories(
    chosen: dict[str, str],
    names: Sequence[str],
    cases: pd.DataFrame,
    categories: Mapping[str, Sequence[str]],
) -> None:
    for column, values in categories.items():
        value_of = dict(zip(cases["case"], cases[column], strict=True))
        for value in values:
            members = [case for case in names if value_of.get(case) == value]
            if members and not any(case in chosen for case in members):
                chosen[members[len(members) // 2]] = f"middle of {column} {value}"
