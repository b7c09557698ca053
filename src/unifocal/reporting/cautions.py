"""What a reader must know before believing the verdict."""

from unifocal.reporting.study import StudyView
from unifocal.reporting.wording import count
from unifocal.statistics.result import Analysis

FEW_PATIENTS = 6


def cautions(study: StudyView, analysis: Analysis) -> list[str]:
    """Sentences about failed or unfinished runs, undefined scores, and doubts about patients and split."""
    patients = study.cases["patient"].nunique()
    failed, missing = len(study.failed_runs), study.missing_runs
    metric, label = analysis.verdict.metric, analysis.verdict.label
    main = analysis.summary[(analysis.summary["metric"] == metric) & (analysis.summary["label"] == label)]
    undefined = int(main["n_undefined"].sum()) if len(main) else 0
    scores = study.scores[(study.scores["metric"] == metric) & (study.scores["label"] == label)]
    unequal = len({frozenset(cases) for _, cases in scores.groupby("loss")["case"]}) > 1
    improving = ", ".join(f"{loss}: {runs}" for loss, runs in study.still_improving.items())
    folds, is_official = study.scores["fold"].nunique(), study.setting("split", "kind") == "official"
    return [
        words
        for words, applies in (
            (f"{count(failed, 'run')} of {len(study.runs)} failed; see Failed runs below.", failed > 0),
            (f"{count(missing, 'run')} left no record; the comparison is not complete.", missing > 0),
            (
                f"Training was still improving when it ended ({improving}): more epochs may change the ranking.",
                improving != "",
            ),
            ("The losses were not scored on the same cases.", unequal),
            (f"{count(undefined, 'score')} of the main metric could not be defined and count nowhere.", undefined > 0),
            (f"Only {count(patients, 'patient')}: hardly anything can be told apart.", patients < FEW_PATIENTS),
            ("Only one fold was scored: the test part is a fraction of the data.", folds == 1 and not is_official),
            ("Only the official test part was scored: other cases may rank the losses otherwise.", is_official),
            ("The data are the built-in phantom: what holds for it need not hold for real images.", study.is_phantom),
            (
                "The split is over images: the same patient may stand in training and test, so scores are flattering.",
                study.setting("split", "by") == "image",
            ),
            (
                "Patients are not known: if some images share a patient, the intervals are too narrow.",
                study.setting("data", "patients_known") is False,
            ),
        )
        if applies
    ]
