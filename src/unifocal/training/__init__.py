"""One training run: Lightning module, callbacks, and what makes it the same when it is done again."""

from unifocal.training.fit import fit
from unifocal.training.patches import Patches
from unifocal.training.records import DivergedError, FitResult
from unifocal.training.samples import Samples
from unifocal.training.seeds import derive_seed

__all__ = ["DivergedError", "FitResult", "Patches", "Samples", "derive_seed", "fit"]
