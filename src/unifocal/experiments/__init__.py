"""A study: losses x folds x seeds on one data set; and a single training."""

from unifocal.experiments.compare import StudyOutcome, compare
from unifocal.experiments.progress import ConsoleReporter, Reporter
from unifocal.experiments.single import TrainOutcome, train

__all__ = ["ConsoleReporter", "Reporter", "StudyOutcome", "TrainOutcome", "compare", "train"]
