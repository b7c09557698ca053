"""A loss that left a race has means over fewer patients, and tables never let these win."""

import numpy as np
import pandas as pd
import pytest

from unifocal.reporting.tables_results import paper_table, pooled_table, results_table
from unifocal.statistics import Analysis, analyse
from unifocal.statistics.result import Departure

LOSSES = ("gone", "a", "b")


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """`gone` was scored on the first, easy patients alone."""
    random = np.random.default_rng(1)
    base = np.where(np.arange(20) < 8, 0.8, 0.4) + random.normal(0, 0.02, 20)
    values = {"gone": base[:8] - 0.05, "a": base, "b": base + random.normal(0, 0.02, 20)}
    rows = []
    for loss, column in values.items():
        for patient, value in enumerate(column):
            hits = round(100 * value)
            counts = {"dice": value, "true_positives": hits, "false_positives": 100 - hits}
            counts |= {"false_negatives": 100 - hits, "true_negatives": 1000}
            known = {"loss": loss, "fold": 0, "seed": 0, "case": f"c{patient}", "patient": f"p{patient}", "label": 1}
            rows += [known | {"metric": metric, "value": found, "unit": ""} for metric, found in counts.items()]
    left = (Departure("gone", 1, 5, "a", -0.05, 0.001, 0.004, 8, 1),)
    return analyse(pd.DataFrame(rows), resamples=100, order=LOSSES, left=left)


def test_it_is_never_bold_and_says_on_how_many_it_rests(analysis: Analysis) -> None:
    table = results_table(analysis, LOSSES, 1)
    ((_, cells),) = [row for row in table.rows if row[0].startswith("Dice")]
    assert cells[0].numbers[0] == max(cell.numbers[0] for cell in cells)
    assert [cell.strong for cell in cells].count(True) == 1
    assert not cells[0].strong
    assert cells[0].remark == "8 patients"
    assert cells[1].remark == ""
    assert "Mean over 20 patients" in table.caption
    assert "gone left the race: its means are over fewer patients" in table.caption


def test_the_papers_table_and_the_pooled_one_do_the_same(analysis: Analysis) -> None:
    paper = dict(paper_table(analysis, LOSSES, 1).rows)
    assert not paper["gone"][0].strong
    assert paper["a"][0].strong != paper["b"][0].strong
    pooled = pooled_table(analysis, LOSSES, 1)
    for _, cells in pooled.rows:
        assert not cells[0].strong
        assert any(cell.strong for cell in cells[1:])
    assert "gone left the race" in pooled.caption
    assert pooled.caption.endswith(". ") is False


def test_without_a_race_nothing_is_said_of_one() -> None:
    plain = analyse(_scores(), resamples=50)
    for table in (results_table(plain, ("a", "b"), 1), pooled_table(plain, ("a", "b"), 1)):
        assert "race" not in table.caption


def _scores() -> pd.DataFrame:
    known = {"fold": 0, "seed": 0, "label": 1, "metric": "dice", "unit": ""}
    return pd.DataFrame(
        [
            known | {"loss": loss, "case": f"c{n}", "patient": f"p{n}", "value": 0.5 + n / 100}
            for loss in "ab"
            for n in range(8)
        ]
    )
