"""What the values in masks mean over a whole evaluation, and what speaks against scoring them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unifocal.config.verbs import EvaluateConfig
from unifocal.data.check.examine import size_text
from unifocal.data.coding import MaskCoding, decide_coding
from unifocal.experiments.evaluation_case import Pair, Scoring, Seen, channel_problem
from unifocal.problems import Problem


def decide_scoring(
    config: EvaluateConfig, pairs: Sequence[Pair], seen: Sequence[Seen], problems: list[Problem]
) -> Scoring:
    """Decide what values mean and which labels are scored.

    Truth and each method are decided on their own: a tool may write 0 and 1 where the truth has 0 and 255. Labels are
    those that were asked for, else those that any mask holds.

    Args:
        config: The settings.
        pairs: All cases.
        seen: What their files hold, in the same order.
        problems: Gets what is wrong, and what is odd as warnings.
    """
    truths = {
        pair.case.image.path: each.truth for pair, each in zip(pairs, seen, strict=True) if each.truth is not None
    }
    coding = _decide(config, truths, problems)
    known = _labels(coding, truths.values())
    codings, found = {}, set(known)
    for method in config.predictions:
        values = {
            pair.case.other_masks[method].path: each.predictions[method]
            for pair, each in zip(pairs, seen, strict=True)
            if method in each.predictions
        }
        faults = len(problems)
        codings[method] = _decide(config, values, problems)
        if len(problems) > faults:
            continue
        labels = _labels(codings[method], values.values())
        problems += _strange(config, method, labels - known, known)
        found |= labels
    chosen = tuple(sorted(config.labels or found))
    problems += _about_labels(config, known, found)
    problems += _about_channels(pairs, seen, chosen)
    problems += _unlike(pairs, seen)
    return Scoring(tuple(config.predictions), chosen, coding, codings, config.tolerance)


def _decide(config: EvaluateConfig, values: Mapping[Path, Mapping[int, int]], problems: list[Problem]) -> MaskCoding:
    counts = {path: tuple(found) for path, found in values.items()}
    coding, faults = decide_coding(counts, threshold=config.mask_threshold, keep=config.labels)
    problems += faults
    return coding


def _labels(coding: MaskCoding, masks: Iterable[Mapping[int, int]]) -> set[int]:
    return {coding.label(value) for values in masks for value in values} - {0}


def _strange(config: EvaluateConfig, method: str, labels: set[int], known: set[int]) -> list[Problem]:
    """A label that no true mask holds may be a tool's numbering gone wrong; it is scored all the same."""
    if not labels or config.labels is not None:
        return []
    what = f"holds the labels {_listed(labels)}, which no true mask holds (they hold {_listed(known)})"
    remedy = "They count as false positives of labels of their own; --labels says which labels to score."
    return [Problem(f"--pred {config.predictions[method]}", what, remedy, "label-unknown", is_warning=True)]


def _about_labels(config: EvaluateConfig, known: set[int], found: set[int]) -> list[Problem]:
    problems = []
    if not found:
        what = "hold background alone, and so do the predictions"
        problems.append(Problem("the true masks", what, "Check the folders, or --labels.", "no-labels"))
    elif config.label is not None and config.label not in (config.labels or found):
        what, remedy = "is no label that is scored", f"Scored are {_listed(set(config.labels or found))}."
        problems.append(Problem(f"--label {config.label}", what, remedy))
    absent = set(config.labels or ()) - known
    if absent and found:
        what, remedy = f"names {_listed(absent)}, which no true mask holds", f"True masks hold {_listed(known)}."
        problems.append(Problem("--labels", what, remedy, "label-absent", is_warning=True))
    return problems


def _about_channels(pairs: Sequence[Pair], seen: Sequence[Seen], labels: Sequence[int]) -> list[Problem]:
    remedy = "Name the labels in the order of the channels with --labels, or leave --probabilities away."
    return [
        Problem(str(pair.probabilities[method]), what, remedy, "channels")
        for pair, each in zip(pairs, seen, strict=True)
        for method, channels in each.channels.items()
        if labels and (what := channel_problem(channels, labels))
    ]


def _unlike(pairs: Sequence[Pair], seen: Sequence[Seen]) -> list[Problem]:
    """2D among 3D, and millimetres among pixels, have no common mean."""
    read = [(pair.case, each) for pair, each in zip(pairs, seen, strict=True) if each.shape is not None]
    if not read:
        return []
    axes = Counter(len(each.shape or ()) for _, each in read).most_common(1)[0][0]
    known = Counter(each.spacing_mm is not None for _, each in read).most_common(1)[0][0]
    problems = []
    for case, each in read:
        shape = each.shape or ()
        if len(shape) != axes:
            what = f"has {size_text(shape)} elements, but most true masks have {axes} axes"
            problems.append(Problem(str(case.image), what, "Evaluate 2D and 3D masks apart.", "axes-differ"))
        elif (each.spacing_mm is not None) != known:
            what = f"has {'no' if known else 'a'} spacing, and most others have {'one' if known else 'none'}"
            remedy = "Give it with --spacing or in the table of cases."
            problems.append(Problem(str(case.image), what, remedy, "spacing-missing"))
    return problems


def _listed(labels: set[int]) -> str:
    shown = [str(label) for label in sorted(labels)]
    return ", ".join(shown if len(shown) <= 20 else [*shown[:18], "...", shown[-1]]) or "none"
