"""Where the time went: what is read, in which order, with which words; a damaged file gives no table."""

from pathlib import Path

import pytest
from sample_scores import Sample, write_sample

from unifocal.cli.show import show_times
from unifocal.reporting.sections import table_sections
from unifocal.reporting.tables_time import time_table
from unifocal.reporting.time_spent import by_time, known_runs, read_time_spent, wall_seconds, work_seconds

PROFILE = """\
stage,where,runs,calls,seconds,cpu_seconds,share_percent,seconds_per_run
preparing,study,,1,30.0,3.0,15.0,
waiting for runs,study,,1,95.0,0.1,,
starting processes and idle,processes,,1,9.0,0.0,4.5,
other,study,,0,1.0,1.0,0.5,
training steps,tuning,6,600,60.0,58.0,30.0,10.0
training steps,runs,3,300,99.0,90.0,49.5,33.0
metrics: surface,runs,2,40,1.0,1.0,0.5,0.5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "profile.csv").write_text(PROFILE, encoding="utf-8")
    return tmp_path


def test_sums_and_order(folder: Path) -> None:
    stages = read_time_spent(folder / "profile.csv")
    assert (wall_seconds(stages), work_seconds(stages), known_runs(stages)) == (126.0, 200.0, 3)
    assert [each.seconds for each in by_time(stages)] == [99.0, 60.0, 30.0, 9.0, 1.0, 1.0, 95.0]
    assert sum(each.share or 0.0 for each in stages) == 100


def test_the_table_has_every_stage_and_says_what_is_measured(folder: Path) -> None:
    study, analysis = write_sample(folder, Sample(("bce",), patients=6))
    table = time_table(study)
    assert table is not None
    for words in ("took 2 min", "95 s of it waiting", "the 3 min that all processes took", "3 of 0 runs"):
        assert words in table.caption
    rows = [(name, *(cell.text for cell in cells)) for name, cells in table.rows]
    assert rows[0] == ("training steps", "runs", "49.5", "99.0", "3", "33.00", "300", "90.0")
    assert rows[1][:3] == ("training steps", "runs of trials", "30.0")
    assert rows[3] == ("starting processes and idle", "between runs", "4.5", "9.0", "–", "–", "1", "0.0")
    assert rows[-1] == ("waiting for runs", "study", "–", "95.0", "–", "–", "1", "0.1")
    assert "time" in [section.id for section in table_sections(study, analysis)]


def test_the_console_leaves_small_stages_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_times(folder)
    out = capsys.readouterr().out
    assert "2 others" in out
    assert "between runs" in out
    assert "waiting for runs" not in out
    assert "profile.csv" in out


@pytest.mark.parametrize(
    "text", ["", "stage,where\na,b\n", PROFILE.replace("99.0", "x"), PROFILE.replace(",runs,calls", ",ran,calls")]
)
def test_a_damaged_file_gives_no_table(tmp_path: Path, text: str) -> None:
    study, _ = write_sample(tmp_path, Sample(("bce",), patients=6))
    assert time_table(study) is None
    (tmp_path / "profile.csv").write_text(text, encoding="utf-8")
    assert time_table(study) is None
