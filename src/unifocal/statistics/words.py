"""The verdict in words."""

from collections.abc import Sequence

import numpy as np

from unifocal.statistics.result import Departure
from unifocal.statistics.sign_flips import FLIPS
from unifocal.statistics.standing import SIGNIFICANCE, Evidence, Standing

_PLURALS = {"loss": "losses"}


def plural(noun: str) -> str:
    """`losses`, `methods`."""
    return _PLURALS.get(noun, f"{noun}s")


def sentence_of(evidence: Evidence, standing: Standing | None) -> str:
    """The verdict in one sentence."""
    title, of_label = evidence.metric.title, f" of label {evidence.label}"
    if standing is None:
        return f"No {evidence.noun} could be scored: {title}{of_label} is never defined."
    title += of_label if evidence.n_labels > 1 else ""
    gone = f"; {_left(evidence)}" if evidence.left else ""
    return f"{_of_ranked(evidence, standing, title)}{gone}{_trained_once(evidence, standing)}."


def _of_ranked(evidence: Evidence, standing: Standing, title: str) -> str:
    """What can be said of the losses that were ranked."""
    mean, interval = _mean_and_interval(evidence)
    best, everyone = standing.best, _everyone(evidence)
    if len(evidence.ranking) == 1:
        bracket = f" ({interval})" if interval else ""
        if evidence.left:
            return f"{best} won the race: its mean {title} is {mean}{bracket} on {everyone}"
        return f"There was nothing to compare {best} with: its mean {title} is {mean}{bracket} on {everyone}"
    shown = f"{mean}, {interval}" if interval else mean
    what = f"the {'highest' if evidence.sign > 0 else 'lowest'} mean {title} ({shown})"
    if evidence.shares_nobody:
        apart = f"No two {plural(evidence.noun)} were scored on the same {evidence.population}"
        return f"{apart}, so they cannot be compared: {best} had {what} on {everyone}"
    if evidence.is_too_small:
        few = f"Too few {evidence.population} to tell {plural(evidence.noun)} apart"
        return f"{few}: {best} had {what} on {everyone}"
    if not standing.not_told_apart:
        better = f"better than {_join(standing.told_apart)}{_but(evidence, standing)} on {everyone}"
        return f"{best} did best: mean {title} {mean} ({interval}), {better}"
    return _undecided(evidence, standing, what)


def _left(evidence: Evidence) -> str:
    """Who left the race when, and by which test; those who left together in one breath."""
    together: dict[tuple[int, int, str], list[Departure]] = {}
    for each in evidence.left:
        together.setdefault((each.round, each.rounds, each.against), []).append(each)
    said = []
    for (round_, rounds, against), some in together.items():
        p = max(each.p for each in some)
        shown = _p(p) if len(some) == 1 or p < 0.001 else f"p at most {p:.3f}"
        names = _join([each.loss for each in some])
        of_label = "" if some[0].label == evidence.label else f" on label {some[0].label}"
        said.append(
            f"{names} left the race after round {round_ + 1} of {rounds}, worse than {against}{of_label} ({shown})"
        )
    return "; ".join(said)


def _undecided(evidence: Evidence, standing: Standing, what: str) -> str:
    """Where the best cannot be told apart from all others."""
    everyone, best = _everyone(evidence), standing.best
    these = "Those that stayed in the race" if evidence.left else f"These {plural(evidence.noun)}"
    nothing_told = not (evidence.among_ranked["p_adjusted"] < SIGNIFICANCE).any()
    as_good, unsure = (standing.open_to(equivalent=flag) for flag in (True, False))
    if len(standing.leaders) == len(evidence.ranking):
        return f"{these} cannot be told apart on {everyone}: all have the same mean, {what}"
    if len(standing.leaders) > 1:
        subject, had = best, f"{_join(standing.leaders)} share {what} and cannot be told apart on {everyone}"
    elif not as_good and nothing_told:
        return f"{these} cannot be told apart on {everyone}; {best} had {what}"
    elif not as_good:
        but = f"{best} had {what}, but it cannot be told apart from {_join(unsure, 'or')} on {everyone}"
        return but + _better_than("it", evidence, standing)
    else:
        subject, had = best, f"{best} had {what} on {everyone}"
    if as_good:
        had += f"; {_join(as_good)} {'is' if len(as_good) == 1 else 'are'} practically as good {_within(evidence)}"
    if unsure:
        had += f"; {subject} cannot be told apart from {_join(unsure, 'or')}"
    return had + _better_than(subject, evidence, standing)


def _better_than(subject: str, evidence: Evidence, standing: Standing) -> str:
    if not standing.told_apart:
        return ""
    return f"; {subject} did better than {_join(standing.told_apart)}{_but(evidence, standing)}"


def _but(evidence: Evidence, standing: Standing) -> str:
    """What limits a difference that can be told: that it hardly matters, or that the ranks alone show it."""
    told = standing.told_apart
    close = [loss for loss in told if loss in standing.equivalent]
    remarks = [
        (standing.by_ranks, f"on most {evidence.population}, while the difference of the means may be chance"),
        (close, f"by a difference that hardly matters, {_within(evidence).strip('()')}"),
    ]
    said = [f"{'' if len(some) == len(told) else f'than {_join(some)} '}{what}" for some, what in remarks if some]
    return f" ({'; '.join(said)})" if said else ""


def _trained_once(evidence: Evidence, standing: Standing) -> str:
    claimed = {*standing.told_apart, *standing.open_to(equivalent=True)}
    if not (claimed & set(standing.once) or evidence.left_once) or evidence.noun != "loss":
        return ""
    return "; this holds for these trained networks, and training again may change it"


def _within(evidence: Evidence) -> str:
    unit = f" {evidence.unit}" if evidence.unit else ""
    return f"(within {evidence.margin:g}{unit})"


def explain(evidence: Evidence, standing: Standing | None) -> str:
    """How the verdict was reached, and what to know of it, in plain sentences."""
    words = []
    if evidence.population == "patients":
        words.append("A patient counts once, with the mean over that patient's cases.")
    if standing is not None and evidence.n > 1:
        words.append(
            f"Intervals are 95 % intervals over the {evidence.population}: the wider of bootstrap and Student's t."
        )
    if standing is not None and len(evidence.ranking) > 1:
        words += _method(evidence, standing)
    words += _race(evidence)
    return " ".join([*words, *evidence.notes])


def _method(evidence: Evidence, standing: Standing) -> list[str]:
    nouns, best, population = plural(evidence.noun), standing.best, evidence.population
    pairs = evidence.n_pairs
    correction = f", with Holm's correction over {pairs} pairs of {nouns}" if pairs > 1 else ""
    how = (
        f"{nouns.capitalize()} were compared on the same {population} by a permutation test of mean and signed ranks"
        f"{correction}; an adjusted p below {SIGNIFICANCE} counts as told apart."
    )
    words = [how]
    if evidence.comparison["p_retrained"].notna().any():
        once = f" (but for {_join(standing.once)}, whose trainings were not repeated enough)" if standing.once else ""
        words.append(
            f"Networks were trained repeatedly, and told apart are only {nouns} that differ by more than repeated "
            f"trainings and {population} explain together{once}."
        )
    if evidence.is_too_small and evidence.n_pairs:
        words.append(
            f"With {_counted(evidence)} the adjusted p cannot fall below {evidence.lowest_p:.2g}, "
            f"whatever the {nouns} do."
        )
    against = ", ".join(f"{loss} ({_p(p)})" for loss, p in standing.adjusted.items())
    words.append(f"Adjusted p of {best} against the others: {against}.")
    if some := standing.contradicted:
        neither = "neither is" if len(some) == 1 else "none of these is"
        words.append(
            f"{best} has the better mean, but {_join(some)} did better on most {population}: {neither} called better."
        )
    if some := standing.against_ranks:
        words.append(f"{best} has the clearly better mean, although {_join(some)} did better on most {population}.")
    if some := standing.unrepeatable:
        words.append(
            f"The trained networks of {best} did better than those of {_join(some)}, but repeated trainings vary too "
            "much to expect it of new ones."
        )
    if np.isfinite(evidence.margin) and not evidence.is_too_small:
        words.append(
            f"Practically as good means that the 90 % interval of the difference lies {_within(evidence).strip('()')}."
        )
    return words


def _race(evidence: Evidence) -> list[str]:
    if not evidence.left:
        return []
    on = ", ".join(f"{each.loss} {each.patients}" for each in evidence.left)
    how = (
        f"A loss left the race when it was clearly worse than another one on the same {evidence.population}, by the "
        "same test with an error stated for all looks together. Those that left are not ranked, since they were scored "
        f"on fewer {evidence.population} ({on})."
    )
    return [how]


def why_this_test(evidence: Evidence) -> str:
    """Why the comparison was made by this test, in one sentence."""
    if not evidence.comparison["test"].str.contains("Monte Carlo", regex=False).any():
        how = f"with {_counted(evidence)} every way to swap them could be gone through, so p is exact"
    else:
        how = f"with {_counted(evidence)} there are too many ways to swap them, so {FLIPS:,} were drawn at random"
    singular = evidence.population.removesuffix("s")
    return (
        f"Without a difference, two {plural(evidence.noun)} could be swapped in any {singular}, which needs no "
        f"assumption about the scores' distribution, ties included; {how}; mean and ranks are tested together because "
        "either alone misses differences that the other sees."
    )


def _mean_and_interval(evidence: Evidence) -> tuple[str, str]:
    first = evidence.ranking.iloc[0]
    unit = f" {evidence.unit}" if evidence.unit else ""
    # Ratios next to 1 would all read alike with two decimals.
    digits = 4 if not unit and first["mean"] >= 0.99 else 2
    mean = f"{_number(first['mean'], digits)}{unit}"
    if not np.isfinite(first["lower"]):
        return mean, ""
    return mean, f"95 % interval {_number(first['lower'], digits)}-{_number(first['upper'], digits)}{unit}"


def _number(value: float, digits: int) -> str:
    return f"{value:.2g}" if 0 < abs(value) < 0.1 else f"{value:.{digits}f}"


def _p(p: float) -> str:
    if not np.isfinite(p):
        return "no common scores"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _everyone(evidence: Evidence) -> str:
    return f"{'this' if evidence.n == 1 else 'these'} {_counted(evidence)}"


def _counted(evidence: Evidence) -> str:
    return f"{evidence.n} {evidence.population}" if evidence.n != 1 else f"one {evidence.population.removesuffix('s')}"


def _join(names: Sequence[str], word: str = "and") -> str:
    return " ".join([", ".join(names[:-1]), word, names[-1]]) if len(names) > 1 else "".join(names)
