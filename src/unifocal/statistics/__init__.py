"""Intervals, paired tests, ranking and the verdict."""

from unifocal.statistics.analyse import analyse
from unifocal.statistics.result import Analysis, Verdict

__all__ = ["Analysis", "Verdict", "analyse"]
