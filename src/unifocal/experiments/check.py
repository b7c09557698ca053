"""`data check`: every problem of a data set, and a mended copy of it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unifocal.config.verbs import CheckConfig
from unifocal.data.case import DataSet
from unifocal.data.check import CheckResult, check_data
from unifocal.data.check.mend import refuse_target, write_mended
from unifocal.data.check.together import split_file_problems
from unifocal.data.datasets import open_dataset
from unifocal.data.layouts.listing import printable
from unifocal.experiments.progress import Reporter
from unifocal.experiments.request import request_of
from unifocal.problems import InputError, Problem, bad_input


@dataclass(frozen=True)
class CheckReport:
    """What `data check` found.

    Attributes:
        data: The folder that was named.
        result: Problems and facts; its texts can be printed anywhere.
        mended: How many cases of the copy were mended, copied and left out; None where no copy was asked for.
    """

    data: Path
    result: CheckResult
    mended: dict[str, int] | None = None

    def content(self) -> dict[str, Any]:
        """All of it for JSON."""
        result = self.result

        def listed(problems: tuple[Problem, ...]) -> list[dict[str, str]]:
            return [
                {"kind": each.kind, "where": each.where, "what": each.what, "remedy": each.remedy} for each in problems
            ]

        return {
            "data": printable(str(self.data)),
            "layout": result.dataset.declared.layout,
            "cases": len(result.dataset.cases),
            "patients": result.patients,
            "errors": listed(result.errors),
            "warnings": listed(result.warnings),
        } | ({} if self.mended is None else {"mended": self.mended})


def run_check(config: CheckConfig, *, reporter: Reporter) -> CheckReport:
    """Check a data set: names, pairs, tables and the content of every file; write a mended copy where asked.

    Raises:
        InputError: If no data are named.
    """
    data = config.data
    if data.is_phantom:
        raise bad_input("DATA", "no data set was named", "Give its folder: unifocal data check FOLDER.")
    named = data.folder or data.images
    assert named is not None
    try:
        if config.fix is not None and data.folder is not None:
            refuse_target(config.fix, [data.folder])
        reading = open_dataset(request_of(data))
    except InputError as error:
        problems = (*error.problems, *split_file_problems(config.split))
        return CheckReport(named, _printable(CheckResult(problems, None, DataSet((), patients_known=False), 0)))
    reporter.stage("Reading cases", len(reading.dataset.cases))
    result = check_data(
        reading, threshold=data.mask_threshold, split=config.split, workers=config.workers, advance=reporter.advance
    )
    mended = None
    if config.fix is not None:
        originals = [folder for folder in (data.folder, *_folders(result)) if folder is not None]
        reporter.stage("Writing the mended copy", len(reading.dataset.cases))
        try:
            mended = write_mended(result, config.fix, originals, workers=config.workers, advance=reporter.advance)
        except InputError as error:
            result = replace(result, problems=(*result.problems, *error.problems))
    return CheckReport(named, _printable(result), mended)


def _folders(result: CheckResult) -> set[Path]:
    return {
        path.parent
        for case in result.dataset.cases
        for source in (case.image, case.mask)
        if source is not None
        for path in source.paths
    }


def _printable(result: CheckResult) -> CheckResult:
    problems = tuple(
        replace(each, where=printable(each.where), what=printable(each.what), remedy=printable(each.remedy))
        for each in result.problems
    )
    return replace(result, problems=problems)
