"""One reading of every file, before any work starts: what the data set holds, and what is wrong with it."""

from unifocal.data.check.result import CaseFacts, CheckedData, CheckResult
from unifocal.data.check.whole import check_cases, check_data, load_and_check, sound

__all__ = ["CaseFacts", "CheckResult", "CheckedData", "check_cases", "check_data", "load_and_check", "sound"]
