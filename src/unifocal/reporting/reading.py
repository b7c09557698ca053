"""The files of a folder as a report reads them: every problem is noted, none stops the reading of the others."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from unifocal.problems import Problem

AGAIN = "Run the study's command again; it continues where it stopped"


def read_settings(path: Path, problems: list[Problem], remedy: str) -> Mapping[str, Any]:
    """A `study.yaml`; empty, with a problem noted, where there is none to read."""
    if not path.is_file():
        problems.append(Problem(str(path), "the file is missing", remedy))
        return {}
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problems.append(Problem(str(path), f"not readable as YAML: {error}", remedy))
        return {}
    if not isinstance(settings, Mapping):
        problems.append(Problem(str(path), "holds no mapping of settings", remedy))
        return {}
    return settings


def read_table(path: Path, columns: Iterable[str], problems: list[Problem], remedy: str = AGAIN) -> pd.DataFrame:
    """A CSV table, all of it as text; empty, with a problem noted, where it cannot be read or lacks columns."""
    if not path.is_file():
        problems.append(Problem(str(path), "the file is missing", remedy))
        return pd.DataFrame()
    try:
        # Text first: a case named 0009 or NA keeps its name.
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        problems.append(Problem(str(path), f"not readable as a CSV table: {error}", remedy))
        return pd.DataFrame()
    missing = sorted(set(columns) - set(table.columns))
    if missing:
        problems.append(Problem(str(path), f"lacks the columns {', '.join(missing)}", remedy))
        return pd.DataFrame()
    return table


def as_numbers(
    path: Path, table: pd.DataFrame, problems: list[Problem], *, whole: Iterable[str] = (), real: Iterable[str] = ()
) -> pd.DataFrame:
    """Columns of text as numbers; an empty text is NaN in a real column.

    Args:
        path: Where the table comes from.
        table: Left as it is, with a problem noted, where a number cannot be read.
        problems: Hears of it.
        whole: Columns of whole numbers, none missing.
        real: Columns of any numbers.
    """
    try:
        integers = {name: pd.to_numeric(table[name]).astype(int) for name in whole}
        return table.assign(
            **integers, **{name: pd.to_numeric(table[name].replace("", None)).astype(float) for name in real}
        )
    except (ValueError, TypeError) as error:
        problems.append(Problem(str(path), f"a number cannot be read: {error}", "Run the command that wrote it again"))
        return table


def as_truth(column: pd.Series) -> pd.Series:
    """Which texts say yes: `True`, `true`, `yes` or `1`."""
    return column.str.strip().str.lower().isin(["true", "yes", "1"])
