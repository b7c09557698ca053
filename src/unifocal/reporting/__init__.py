"""Tables, figures and one HTML page from a study folder and its analysis."""

from unifocal.reporting.report import write_report

__all__ = ["write_report"]
