"""One image in, one image out: a declared list of steps, each changing intensity, grid or what counts."""

from unifocal.preprocessing.intensity import unit_range, z_score
from unifocal.preprocessing.pipeline import ParameterFacts, Pipeline, StepFacts, steps
from unifocal.preprocessing.resampling import restore
from unifocal.preprocessing.sample import GeometryRecord, Sample
from unifocal.preprocessing.skull import brain_mask, strip_skull

__all__ = [
    "GeometryRecord",
    "ParameterFacts",
    "Pipeline",
    "Sample",
    "StepFacts",
    "brain_mask",
    "restore",
    "steps",
    "strip_skull",
    "unit_range",
    "z_score",
]
