"""The figures of a search, each with its words: trial by trial, what mattered, what the objectives trade."""

from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from unifocal.reporting.drawings_response import MARKS, best_of, response, sweep, title_of
from unifocal.reporting.drawn import Drawing, Words, finish, single
from unifocal.reporting.figure import new_figure, panels
from unifocal.reporting.plots_tuning import draw_front, draw_importance, draw_progress, legend
from unifocal.reporting.search import TuningView
from unifocal.reporting.tables import direction, metric_title
from unifocal.reporting.wording import count, enumeration

SEARCH_FIGURES = ("progress", "response", "sweep", "importance", "pareto")


def draw_search(view: TuningView) -> dict[str, Drawing]:
    """Every figure that the search has the numbers for, by name."""
    drawings = (_progress(view), sweep(view), response(view), _importance(view), _front(view))
    return {drawing.name: drawing for drawing in drawings if drawing is not None}


def _progress(view: TuningView) -> Drawing | None:
    shown = [metric for metric in view.objectives if view.trials[metric].notna().any()]
    if not shown or view.is_sweep:
        return None
    whole = new_figure(6.2, 2.9 * len(shown))
    for axes, metric in zip(whole.subplots(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
        draw_progress(
            axes, view.trials.assign(value=view.trials[metric]), title_of(metric), higher=direction(metric) != "lower"
        )
        legend(axes)
    told = "; ".join(f"{metric_title(metric)} {_best_in_words(view, metric)}" for metric in shown)
    words = Words(
        title="Trial by trial",
        caption=f"Each trial's mean over the patients of the inner folds (n = {count(len(view.trials), 'trial')}), "
        f"and the best until then. At the lower edge: stopped early, or failed. {MARKS}",
        alt=f"Trials in order. {told}.",
        section="trials",
    )
    return single("progress", words, whole)


def _best_in_words(view: TuningView, metric: str) -> str:
    done = view.done[view.done[metric].notna()]
    if done.empty:
        return "has no value"
    row = best_of(done, metric, metric)
    first = done.iloc[0]
    return (
        f"from {float(first[metric]):.3f} in trial {int(first['trial'])} to {float(row[metric]):.3f} in trial "
        f"{int(row['trial'])}"
    )


def _importance(view: TuningView) -> Drawing | None:
    known = view.importance.dropna(subset="importance")
    if len(known) < 2:
        return None
    shares = dict(zip(known["dimension"], known["importance"], strict=True))
    figure = new_figure(5.0, 0.75 + 0.34 * len(shares))
    draw_importance(figure.subplots(), shares)
    methods = enumeration([text for text in dict.fromkeys(known["method"]) if text])
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    words = Words(
        title="Which settings mattered",
        caption=(
            "How much of the variation of the objective over the trials each setting explains"
            f"{f', by {methods}' if methods else ''}. It holds for the ranges that were searched, and with few trials "
            "it is rough."
        ),
        alt=f"Importance: {'; '.join(f'{name} {value:.2f}' for name, value in ordered)}.",
        section="settings",
    )
    return single("importance", words, figure)


def _front(view: TuningView) -> Drawing | None:
    pairs = list(combinations(view.objectives, 2))
    shown = [pair for pair in pairs if len(view.done.dropna(subset=list(pair))) > 1]
    if not shown:
        return None
    whole, all_axes = panels(len(shown), 4.2, 3.5)
    parts = []
    for (first, second), axes in zip(shown, all_axes, strict=True):
        alone = new_figure(4.2, 3.5)
        for target in (axes, alone.subplots()):
            points = view.done.assign(x=view.done[first], value=view.done[second]).dropna(subset=["x", "value"])
            draw_front(target, points, (_better(first), _better(second)))
            legend(target, 2)
        parts.append(("", alone))
    front = view.trials[view.trials["pareto"]]
    words = Words(
        title="What the objectives trade",
        caption=(
            f"Squares: the {count(len(front), 'trial')} that none beats in all objectives at once (the Pareto front). "
            f"{MARKS}"
        ),
        alt="Trials on the front: " + "; ".join(_front_in_words(view, front)) + ".",
        section="front",
    )
    return finish("pareto", words, whole, parts)


def _better(metric: str) -> str:
    return f"{title_of(metric)[:-1]}, {'lower' if direction(metric) == 'lower' else 'higher'} is better)"


def _front_in_words(view: TuningView, front: pd.DataFrame) -> Iterator[str]:
    for row in front.to_dict("records"):
        values = ", ".join(f"{metric_title(metric)} {float(row[metric]):.3f}" for metric in view.objectives)
        yield f"trial {int(row['trial'])} ({values})"
