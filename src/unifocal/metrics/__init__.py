"""Per-case scores with their unit, direction and policy for empty masks."""

from unifocal.metrics.case import Score, score_case
from unifocal.metrics.definitions import METRICS, Metric
from unifocal.metrics.lesions import LesionCounts, lesion_counts
from unifocal.metrics.surface import SurfaceDistances, surface_distances

__all__ = [
    "METRICS",
    "LesionCounts",
    "Metric",
    "Score",
    "SurfaceDistances",
    "lesion_counts",
    "score_case",
    "surface_distances",
]
