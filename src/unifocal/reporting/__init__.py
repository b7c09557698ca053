"""Tables, figures and one HTML page from a study folder and its analysis, or from a tuning folder."""

from unifocal.reporting.report import write_report
from unifocal.reporting.search_page import write_tuning_report

__all__ = ["write_report", "write_tuning_report"]
