"""Figures of how a study spent its runs: what tuning changed inside each fold, who left the race when."""

import math

from unifocal.reporting.drawn import Drawing, Words, single
from unifocal.reporting.figure import colours
from unifocal.reporting.plots_work import Gain, draw_gains, draw_race
from unifocal.reporting.race import last_rounds
from unifocal.reporting.study import StudyView
from unifocal.reporting.tables import metric_title
from unifocal.reporting.tables_tuned import FLATTERED
from unifocal.reporting.tuned import chosen_and_given, objectives_in
from unifocal.reporting.wording import count, p_value, signed


def tuning_gain(study: StudyView) -> Drawing | None:
    """From the settings as given to the chosen ones, per loss and fold, by the first objective."""
    choices = chosen_and_given(study.tuning) if len(study.tuning) else []
    if not choices:
        return None
    metric = objectives_in(study.tuning)[0]
    gains = [
        Gain(loss, fold, float(given[metric]), float(chosen[metric]))
        for loss, fold, chosen, given in choices
        if math.isfinite(given[metric]) and math.isfinite(chosen[metric])
    ]
    if not gains:
        return None
    shown = {loss: colour for loss, colour in colours(study.losses).items() if loss in {gain.loss for gain in gains}}
    told = []
    for loss in shown:
        changes = [gain.after - gain.before for gain in gains if gain.loss == loss]
        told.append(f"{loss} {signed(min(changes), 3)} to {signed(max(changes), 3)}")
    words = Words(
        title="From the settings as given to the chosen ones",
        caption=(
            f"One line per fold, from the settings as given (hollow) to the chosen trial (filled), as mean "
            f"{metric_title(metric)} over the patients of the inner folds. {FLATTERED}"
        ),
        alt=f"Change of {metric_title(metric)} by tuning, over folds: {'; '.join(told)}.",
        section="tuning",
    )
    return single("tuning_gain", words, draw_gains(gains, shown, f"{metric_title(metric)} (inner folds)"))


def race(study: StudyView) -> Drawing | None:
    """A bar per loss, as long as it took part."""
    last = last_rounds(study.exits, study.losses)
    if not last:
        return None
    rounds = study.exits[0].rounds
    notes = {each.loss: f"worse than {each.against}" for each in study.exits}
    notes |= {loss: "won the race" for loss, end in last.items() if loss not in notes and end + 1 < rounds}
    told = [
        f"{each.loss} left after round {each.round + 1} (worse than {each.against}, p "
        f"{'' if each.p < 0.001 else '= '}{p_value(each.p)})"
        for each in study.exits
    ]
    words = Words(
        title="Who took part until when",
        caption=(
            f"The rounds that each loss was trained in, of {rounds}; a round is a fold with all its seeds, or, of a "
            "single fold, a seed. A loss that was clearly worse left; a race with one loss left is over."
        ),
        alt=f"Of {count(rounds, 'round')}: {'; '.join(told)}.",
        section="race",
    )
    lengths = {loss: end + 1 for loss, end in last.items()}
    return single("race", words, draw_race(lengths, notes, rounds, colours(study.losses)))
