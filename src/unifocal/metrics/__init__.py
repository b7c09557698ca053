"""Per-case scores with their unit, direction and policy for empty masks."""

from unifocal.metrics.case import Score, score_case
from unifocal.metrics.definitions import METRICS, Metric

__all__ = ["METRICS", "Metric", "Score", "score_case"]
