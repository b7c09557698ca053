"""`evaluate`: masks from any tool against true masks, one case at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from tempfile import TemporaryFile
from typing import IO

from unifocal.config.verbs import EvaluateConfig
from unifocal.data.case import Case
from unifocal.data.check.limits import cases_at_once, describe_failure, heavy_modules, memory_for, seconds_for
from unifocal.data.workers import Failed, map_isolated
from unifocal.experiments.conclude import Question, StudyOutcome, read_scores, write_conclusions
from unifocal.experiments.evaluation_case import Pair, Scored, Scoring, Seen, examine, score
from unifocal.experiments.evaluation_inputs import find_inputs
from unifocal.experiments.evaluation_record import Evaluated, cases_table, describe, predictions_table, write_settings
from unifocal.experiments.evaluation_values import decide_scoring
from unifocal.experiments.folder import SCORE_COLUMNS, lock_study, write_pieces, write_table
from unifocal.experiments.probabilities import PROBABILITIES, csv_text, pieces_of, write_probabilities
from unifocal.experiments.progress import Reporter
from unifocal.problems import Problem, raise_if_any

_PATIENCE_S = 3600.0
_MEMORY = 1 << 45


def evaluate_masks(config: EvaluateConfig, *, command: str, reporter: Reporter) -> StudyOutcome:
    """Score every prediction of every case, compare the methods, and write an evaluation folder.

    Masks are read twice, once to check all of them before anything is scored, and never held: memory does not grow
    with the number of cases. What goes into the folder does so at the end, each file in one step; the same command
    writes the same bytes.

    Raises:
        InputError: With every missing, unreadable or ill-sized mask and every bad setting; nothing is written then.
    """
    problems: list[Problem] = []
    inputs = find_inputs(config, problems)
    cases = inputs.dataset.cases
    pairs = [
        Pair(case, {method: files[case.name] for method, files in inputs.probabilities.items() if case.name in files})
        for case in cases
    ]
    reporter.stage("Checking masks", len(cases))
    seen = list(_examine_all(pairs, config.workers, reporter))
    problems += [problem for each in seen for problem in each.problems]
    scoring = decide_scoring(config, pairs, seen, problems)
    raise_if_any(problems)
    for warning in problems:
        reporter.say(f"Warning: {warning}")
    for method, absent in inputs.missing.items():
        if absent:
            reporter.say(
                f"Warning: {method} lacks {len(absent)} of {len(cases)} predictions: they count as empty masks"
            )
    with _temporary() as scores, _temporary() as bins:
        scores.write(csv_text([SCORE_COLUMNS]))
        reporter.stage("Scoring", len(cases))
        for scored in _score_all(pairs, scoring, config.workers, reporter):
            scores.write(scored.scores)
            bins.write(scored.probabilities)
        reporter.say("Analysing and writing the report")
        scores.seek(0)
        analysis = _question(config).answer(read_scores(scores))
        with lock_study(config.out):
            _write(Evaluated(config, inputs, seen, scoring, tuple(problems)), scores, bins, command)
            return write_conclusions(config.out, analysis, "method")


def _question(config: EvaluateConfig) -> Question:
    return Question(
        metric=config.metric,
        label=config.label,
        resamples=config.resamples,
        order=tuple(config.predictions),
        margin=config.margin,
        noun="method",
    )


def _temporary() -> IO[str]:
    """A file that is gone with its process, whatever ends it."""
    return TemporaryFile("w+", encoding="utf-8", newline="")


def _write(evaluated: Evaluated, scores: IO[str], bins: IO[str], command: str) -> None:
    config, out = evaluated.config, evaluated.config.out
    # A report of earlier masks must not stand beside scores of these, should this be the end.
    (out / "report.html").unlink(missing_ok=True)
    write_settings(out, describe(evaluated, command))
    write_table(out / "cases.csv", cases_table(evaluated))
    write_table(out / "predictions.csv", predictions_table(evaluated))
    for file in (scores, bins):
        file.seek(0)
    if config.probabilities:
        write_probabilities(out / PROBABILITIES, pieces_of(bins))
    else:
        (out / PROBABILITIES).unlink(missing_ok=True)
    write_pieces(out / "scores.csv", pieces_of(scores))


def _examine_all(pairs: Sequence[Pair], workers: int, reporter: Reporter) -> Iterator[Seen]:
    cases = [pair.case for pair in pairs]
    outcomes = map_isolated(
        examine,
        pairs,
        workers=workers,
        timeout_s=lambda pair: seconds_for(pair.case),
        memory_bytes=lambda pair: memory_for(pair.case),
        advance=reporter.advance,
        preload=(examine.__module__, *heavy_modules(cases)),
        together=cases_at_once(cases),
    )
    for case, outcome in zip(cases, outcomes, strict=True):
        yield Seen(problems=[_why(case, outcome)]) if isinstance(outcome, Failed) else outcome


def _score_all(pairs: Sequence[Pair], scoring: Scoring, workers: int, reporter: Reporter) -> Iterator[Scored]:
    cases = [pair.case for pair in pairs]
    outcomes = map_isolated(
        score,
        [(pair, scoring) for pair in pairs],
        workers=workers,
        timeout_s=_PATIENCE_S,
        memory_bytes=_MEMORY,
        advance=reporter.advance,
        preload=(score.__module__, *heavy_modules(cases)),
        together=cases_at_once(cases),
    )
    problems: list[Problem] = []
    for case, outcome in zip(cases, outcomes, strict=True):
        if isinstance(outcome, Failed):
            problems.append(_why(case, outcome))
        else:
            problems += outcome.problems
            yield outcome
    raise_if_any(problems)


def _why(case: Case, failed: Failed) -> Problem:
    """Which of a case's files is to blame is not known where its process ended."""
    problem = describe_failure(case, failed)
    return replace(problem, what=f"or one of its predictions, {problem.what}")
