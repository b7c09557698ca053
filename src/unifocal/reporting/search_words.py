"""What the page of a search says: the result, what to know before relying on it, how it was searched."""

import math
from collections.abc import Iterator

from unifocal.reporting.method import Passage
from unifocal.reporting.search import Dimension, TuningView
from unifocal.reporting.tables import metric_title
from unifocal.reporting.tuned import digits_of, settings_in_words
from unifocal.reporting.wording import count, duration, enumeration, number

METHODS = {
    "optuna": "Optuna's tree-structured Parzen estimator, after a few trials at random (Bergstra et al. 2011)",
    "random": "drawing every setting at random",
    "grid": "trying every combination",
}
EDGE = 0.02
FEW_TRIALS = 10


def headline(view: TuningView) -> str:
    """The result in one sentence."""
    if view.chosen.empty:
        return f"No trial of {view.loss} went through, so nothing could be chosen."
    chosen = view.chosen.iloc[0]
    best = ", ".join(_value(view, metric, float(chosen[metric])) for metric in view.objectives)
    if view.given.empty:
        return f"The best settings found for {view.loss} reach {best} on inner folds."
    given = view.given.iloc[0]
    before = ", ".join(_value(view, metric, float(given[metric])) for metric in view.objectives)
    if int(chosen["trial"]) == 0:
        return f"No trial was better than {view.loss} with the settings as given: {best} on inner folds."
    values = settings_in_words({each.name: _typed(str(chosen[each.name])) for each in view.space})
    return f"With {values}, {view.loss} reaches {best} on inner folds, against {before} with the settings as given."


def _value(view: TuningView, metric: str, value: float) -> str:
    return f"{metric_title(metric)} {number(value, digits_of(metric, view.trials[metric]))}"


def _typed(text: str) -> float | str:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text or "none"


def explanation(view: TuningView) -> str:
    """How it was reached."""
    judged = enumeration([metric_title(metric) for metric in view.objectives])
    folds = view.setting("config", "tuning", "inner_folds")
    where = f"{folds} inner folds" if folds else "the inner folds"
    outcome = ", ".join(f"{number_of} {status}" for status, number_of in _statuses(view).items())
    several = (
        " With several objectives, the chosen trial is the one of the Pareto front with the best mean rank."
        if len(view.objectives) > 1
        else ""
    )
    return (
        f"{count(len(view.trials), 'trial')} ({outcome}), each judged by its mean {judged} over the patients of "
        f"{where}.{several}"
    )


def _statuses(view: TuningView) -> dict[str, int]:
    counted = view.trials["status"].value_counts()
    first = [status for status in ("done", "stopped", "failed") if status in counted]
    rest = sorted(str(status) for status in counted.index if status not in first)
    return {status: int(counted[status]) for status in (*first, *rest)}


def facts(view: TuningView) -> list[tuple[str, str]]:
    """The search in numbers."""
    pairs = [
        ("trials", f"{len(view.trials)}"),
        *(("stopped early" if status == "stopped" else status, f"{n}") for status, n in _statuses(view).items()),
        ("settings searched", f"{len(view.space)}"),
        ("inner folds", str(view.setting("config", "tuning", "inner_folds") or "")),
        ("of training", duration(float(view.trials["seconds"].sum()))),
    ]
    return [(term, value) for term, value in pairs if value and (term, value) != ("of training", "0 s")]


def cautions(view: TuningView) -> list[str]:
    """What to know before relying on the result."""
    return [*_of_choice(view), *_of_trials(view), *_of_edges(view)]


def _of_choice(view: TuningView) -> Iterator[str]:
    if view.chosen.empty:
        return
    if int(view.chosen.iloc[0]["trial"]) != 0:
        yield (
            "The inner folds that the chosen trial is judged by also chose it, so its value is flattered, the more the "
            "more trials there were."
        )
    if view.setting("config", "test_fold") is None:
        yield (
            "Every patient took part. To score the chosen settings on patients that did not, give --test-fold here, or "
            "compare with --tune, which tunes inside each fold."
        )
    if len(view.done) < FEW_TRIALS and not view.is_sweep:
        yield f"Only {count(len(view.done), 'trial')} went through: better settings may well have been missed."


def _of_trials(view: TuningView) -> Iterator[str]:
    failed = view.trials[view.trials["status"] == "failed"]
    if len(failed):
        reasons = [reason for reason in dict.fromkeys(failed["reason"]) if reason]
        why = f" ({'; '.join(reasons[:3])}{'; ...' if len(reasons) > 3 else ''})" if reasons else ""
        yield f"{count(len(failed), 'trial')} failed{why} and counted as worst."
    if (view.trials["status"] == "stopped").any():
        yield (
            "With several trials at once, which of them were stopped early may depend on which came first; searched "
            "again, others may be (--scheduler none avoids that)."
        )
    if view.given.empty:
        yield "The settings as given have no value, so what tuning changed is not known."


def _of_edges(view: TuningView) -> Iterator[str]:
    if view.chosen.empty or view.is_sweep:
        return
    for dimension in view.space:
        if not dimension.choices and _is_at_edge(dimension, float(view.values(dimension.name)[view.chosen.index[0]])):
            where = f"at an end of its range ({dimension.range})"
            yield f"The chosen {dimension.name} lies {where}: beyond it may be a better one."


def _is_at_edge(dimension: Dimension, value: float) -> bool:
    if dimension.low is None or dimension.high is None or not math.isfinite(value):
        return False
    low, high, at = dimension.low, dimension.high, value
    if dimension.log and min(low, at) > 0:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return not EDGE < (at - low) / (high - low) < 1 - EDGE


def method(view: TuningView) -> list[Passage]:
    """How it was searched, in words fit for a paper."""
    tuning = view.setting("config", "tuning") or {}
    search, left_out = str(tuning.get("search", "")), view.setting("tuning", "left_out")
    lines = [
        f"Searched by {METHODS.get(search, search)}; the first trial had the settings as given." if search else "",
        "A trial that lagged behind the others at the same share of its training was stopped (asynchronous successive "
        "halving, ASHA; Li et al. 2020)."
        if view.setting("tuning", "stops_early")
        else "",
        f"Each trial was trained on {tuning['inner_folds']} inner folds over patients."
        if "inner_folds" in tuning
        else "",
        f"{count(len(left_out), 'patient')} took no part: those that fold {view.setting('config', 'test_fold')} tests."
        if left_out
        else "",
        f"Seed of the search: {tuning['seed']}." if "seed" in tuning else "",
    ]
    data = view.setting("data")
    about = data if isinstance(data, dict) else {}
    passages = [
        Passage("Search", " ".join(line for line in lines if line)),
        Passage("What was searched", "", tuple((each.name, each.range) for each in view.space)),
        Passage(
            "Data",
            ", ".join(
                part
                for part in (
                    str(about.get("name") or ""),
                    count(int(about["patients"]), "patient") if about.get("patients") else "",
                    count(int(about["cases"]), "image") if about.get("cases") else "",
                )
                if part
            ),
        ),
    ]
    return [passage for passage in passages if passage.text or passage.entries]
