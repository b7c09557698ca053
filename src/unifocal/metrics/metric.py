"""What is said of every metric: its unit, direction, range, definition, policy for empty masks, source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["higher", "lower"]
Family = Literal["overlap", "surface", "lesion", "probability", "count", "size"]
Situation = Literal["both_empty", "truth_empty", "prediction_empty"]
Outcome = Literal["undefined", "zero", "diagonal"]

_SITUATIONS: Mapping[Situation, str] = {
    "both_empty": "neither mask holds the label",
    "truth_empty": "only the prediction holds the label",
    "prediction_empty": "only the truth holds the label",
}
_OUTCOMES: Mapping[Outcome, str] = {
    "undefined": "undefined",
    "zero": "set to 0",
    "diagonal": "set to the image diagonal",
}


def situation_of(truth: int, prediction: int) -> Situation | None:
    """Which mask is empty, from the number of elements in each; None when neither is."""
    if truth == 0:
        return "truth_empty" if prediction else "both_empty"
    return None if prediction else "prediction_empty"


@dataclass(frozen=True)
class Metric:
    """One metric's meaning.

    Attributes:
        name: The value in the `metric` column of a study's scores.
        title: The name for people.
        family: What it is computed from: the four counts of the confusion matrix (`overlap`, `count`),
            boundaries, connected components, probabilities, or the sizes of the masks.
        unit: Empty for ratios and numbers of lesions; the unit that applies where the spacing is
            known (else `px`).
        direction: Whether higher or lower is better; None for counts and sizes.
        range: The smallest and largest possible value.
        definition: What is computed, exactly.
        source: Who defined it so, shortly; empty where it needs none.
        empty: What is given instead of the formula when a mask is empty. A situation that is not
            named follows the formula.
        margin: The largest difference of means that counts as none unless the user names another;
            None where no number suits every data set.
    """

    name: str
    title: str
    family: Family
    unit: str
    direction: Direction | None
    range: tuple[float, float]
    definition: str
    source: str = ""
    empty: Mapping[Situation, Outcome] = field(default_factory=dict)
    margin: float | None = None

    def reason(self, situation: Situation) -> str:
        """Why the value is not the formula's: `neither mask holds the label: undefined`."""
        return f"{_SITUATIONS[situation]}: {_OUTCOMES[self.empty[situation]]}"

    def scored(
        self, value: float | None, situation: Situation | None, diagonal: float | None = None
    ) -> tuple[float | None, str]:
        """What counts, and why where that is not the formula's value.

        Args:
            value: The formula's; it is not looked at where the policy gives another.
            situation: Which mask is empty; None when neither is.
            diagonal: The image diagonal, for distances.
        """
        if situation is None or situation not in self.empty:
            return value, ""
        given = {"undefined": None, "zero": 0.0, "diagonal": diagonal}
        return given[self.empty[situation]], self.reason(situation)

    @property
    def empty_policy(self) -> str:
        """The whole policy for empty masks in words; empty where the formula always holds."""
        return "; ".join(self.reason(situation) for situation in self.empty)
