"""What a reader must know before believing the verdict."""

from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from unifocal.reporting.study import StudyView
from unifocal.reporting.wording import count, enumeration, plural, shortened
from unifocal.statistics.result import Analysis

FEW_PATIENTS = 6
MOST_REASONS, LONGEST_REASON = 3, 120


def cautions(study: StudyView, analysis: Analysis) -> list[str]:
    """Sentences about failed or unfinished runs, undefined scores, and doubts about patients, split and training."""
    return [
        *_of_budget(study),
        *_of_runs(study),
        *_of_race(study),
        *_of_tuning(study),
        *_of_scores(study, analysis),
        *_of_patients(study),
        *_of_predictions(study),
        *(_of_design(study) if study.kind == "study" else ()),
    ]


def _of_runs(study: StudyView) -> Iterator[str]:
    failed, missing = len(study.failed_runs), study.missing_runs
    if failed:
        reasons = [shortened(" ".join(reason.split()), LONGEST_REASON) for reason in _reasons_of(study)]
        more = f"; and {len(reasons) - MOST_REASONS} other reasons" if len(reasons) > MOST_REASONS else ""
        why = f" ({'; '.join(reasons[:MOST_REASONS])}{more})" if reasons else ""
        yield f"{count(failed, 'run')} of {len(study.runs)} failed{why}; see Failed runs below."
    if missing:
        yield f"{count(missing, 'run')} left no record; the comparison is not complete."
    noted = sum(bool(run.notes) for run in study.runs if run.status == "done")
    if noted:
        yield f"{count(noted, 'run')} met trouble and went on; see Training below."
    nothing = ", ".join(f"{loss}: {runs}" for loss, runs in study.found_nothing.items())
    if nothing:
        normalised = study.setting("config", "network", "normalization") != "none"
        remedy = "" if normalised else "normalisation (--set network.normalization=instance), "
        yield (
            f"Some networks found nothing even in validation when training ended ({nothing}): they did not learn, and "
            f"their scores are no measure of the loss. Try {remedy}a lower learning rate, or more epochs."
        )
    early = ", ".join(f"{loss}: {runs}" for loss, runs in study.kept_early.items())
    if early:
        yield (
            "Some runs kept weights with less than half of the best validation Dice that they reached, since those had "
            f"the lowest validation loss ({early}): the loss may look worse than it is. "
            "--set training.monitor=dice keeps the weights of the best Dice."
        )
    improving = ", ".join(f"{loss}: {runs}" for loss, runs in study.still_improving.items())
    if improving:
        yield f"Training was still improving when it ended ({improving}): more epochs may change the ranking."


def _reasons_of(study: StudyView) -> list[str]:
    """Why runs failed, each reason once, the most frequent first."""
    return [reason for reason, _ in Counter(run.reason for run in study.failed_runs if run.reason).most_common()]


def _of_race(study: StudyView) -> Iterator[str]:
    left = [each.loss for each in study.exits]
    if left:
        yield (
            f"{enumeration(left)} left the race early and so {'was' if len(left) == 1 else 'were'} scored on fewer "
            "patients: means stand beside means over other patients, only pairwise comparisons are over the same; see "
            "The race below."
        )


def _of_tuning(study: StudyView) -> Iterator[str]:
    if study.tuning.empty:
        return
    trials = study.tuning.groupby(["loss", "fold"])["trial"].nunique().groupby("loss").max()
    fewer = [f"{loss} had {count(int(number), 'trial')}" for loss, number in trials.items() if number < trials.max()]
    if fewer:
        yield (
            f"Not all losses could be tuned alike: {enumeration(fewer)}, others {trials.max()}, as there is no more to "
            "search of its own. With tuning.over=loss,learning_rate every loss has as many."
        )
    chosen = study.tuning[study.tuning["chosen"] & (study.tuning["status"] != "done")]
    where = [f"{row['loss']} in fold {row['fold']}" for row in chosen.to_dict("records")]
    if where:
        yield f"Every trial of {enumeration(where)} failed, so the settings as given were used there; see All trials."


def _of_scores(study: StudyView, analysis: Analysis) -> Iterator[str]:
    metric, label = analysis.verdict.metric, analysis.verdict.label
    scores = study.scores[(study.scores["metric"] == metric) & (study.scores["label"] == label)]
    without = [loss for loss in study.losses if loss not in set(scores.dropna(subset="value")["loss"])]
    if without and len(without) < len(study.losses):
        yield f"Without any score of the main metric, and so not ranked: {', '.join(without)}."
    left = {each.loss for each in study.exits}
    if len({frozenset(cases) for loss, cases in scores.groupby("loss")["case"] if loss not in left}) > 1:
        yield f"The {plural(study.noun)} were not scored on the same cases."
    due = study.cases
    if "fold" in due and due["fold"].fillna("").ne("").any():
        due = due[due["fold"].fillna("").ne("")]  # the others no fold tests
    unscored = len(set(due["case"]) - set(study.scores["case"]))
    if unscored:
        yield f"{unscored} of {count(len(due), 'case')} have no scores at all."
    undefined = scores[scores["value"].isna()]
    if len(undefined):
        yield (
            f"{count(len(undefined), 'score')} of the main metric could not be defined and count nowhere"
            f"{_reasons(undefined)}."
        )


def _reasons(undefined: pd.DataFrame) -> str:
    if "reason" not in undefined:
        return ""
    counted = undefined["reason"].fillna("").value_counts()
    said = [f"{str(reason).removesuffix(': undefined')} ({number})" for reason, number in counted.items() if reason]
    return f": {enumeration(said)}" if said else ""


def _of_predictions(study: StudyView) -> Iterator[str]:
    """What an evaluation says of the masks that it was given."""
    methods = study.setting("predictions")
    for name, said in methods.items() if isinstance(methods, Mapping) else ():
        missing = said.get("missing") if isinstance(said, Mapping) else None
        if missing:
            number = len(missing) if isinstance(missing, list) else int(missing)
            yield f"{name} lacks {count(number, 'prediction')}, which counted as empty masks."
    warnings = study.setting("warnings")
    if isinstance(warnings, list) and warnings:
        yield f"{count(len(warnings), 'warning')} about the masks: see study.yaml."


def _of_patients(study: StudyView) -> Iterator[str]:
    patients = study.cases["patient"].nunique()
    if patients < FEW_PATIENTS:
        yield f"Only {count(patients, 'patient')}: hardly anything can be told apart."
    if study.setting("data", "patients_known") is False:
        yield "Patients are not known: if some images share a patient, the intervals are too narrow."


def _of_budget(study: StudyView) -> Iterator[str]:
    if study.setting("config", "budget") == "quick":
        yield (
            "A quick try (--budget quick): images, network and training were scaled down, so the ranking says little "
            "about a full study."
        )


def _of_design(study: StudyView) -> Iterator[str]:
    is_official = study.setting("split", "kind") == "official"
    if study.scores["fold"].nunique() == 1 and not is_official:
        yield "Only one fold was scored: the test part is a fraction of the data."
    if is_official:
        yield "Only the official test part was scored: other cases may rank the losses otherwise."
    if study.is_phantom:
        yield "The data are the built-in phantom: what holds for it need not hold for real images."
    if study.setting("split", "by") == "image":
        yield "The split is over images: the same patient may stand in training and test, so scores are flattering."
    if study.scores["seed"].nunique() == 1:
        yield "Every network was trained once (one seed): training again may change a close ranking."
