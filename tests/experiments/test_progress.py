"""What is seen while runs go on: a live view in a terminal, plain lines elsewhere."""

import io
import math
import re

import pytest
from rich.console import Console

from unifocal.experiments.progress import ConsoleReporter, describe_pace, describe_seconds
from unifocal.training.records import EpochRecord


def epoch(number: int, dice: float, seconds: float = 3.14) -> EpochRecord:
    return EpochRecord(number, 0.5, 0.4, dice, 0.001, seconds)


def terminal(height: int = 24) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, height=height, record=True)


def seen(reporter: ConsoleReporter) -> list[str]:
    """The live view as it stands."""
    reporter.console.export_text()
    reporter.console.print(reporter.bar.get_renderable())
    return [line.rstrip() for line in reporter.console.export_text().splitlines()]


def test_one_view_shows_every_run_that_goes_on_and_the_best() -> None:
    reporter = ConsoleReporter(terminal())
    reporter.stage("Training (epochs)", 120)
    reporter.run("bce, fold 0, seed 0", epoch(4, 0.71))
    reporter.run("focal[x], fold 0, seed 0", epoch(2, 0.83, 80.0))
    reporter.run("bce, fold 0, seed 0", epoch(5, 0.69))
    reporter.advance(3, "bce, fold 0, seed 0: epoch 6, validation Dice 0.69")
    lines = seen(reporter)
    assert "3/120" in lines[0]
    assert " ".join(lines[1].split()) == "bce, fold 0, seed 0 epoch 6 validation Dice 0.69 3.1 s per epoch"
    assert " ".join(lines[2].split()) == "focal[x], fold 0, seed 0 epoch 3 validation Dice 0.83 1 min per epoch"
    assert lines[3] == "  best so far: focal[x], fold 0, seed 0: validation Dice 0.83, epoch 3"
    assert len(lines) == 4

    reporter.run("focal[x], fold 0, seed 0", None)
    lines = seen(reporter)
    assert len(lines) == 3
    assert lines[2].startswith("  best so far: focal[x]")


def test_an_undefined_dice_is_never_the_best() -> None:
    reporter = ConsoleReporter(terminal())
    reporter.stage("Training (epochs)", 9)
    reporter.run("a", epoch(0, math.nan))
    assert not any("best" in line for line in seen(reporter))
    reporter.run("a", epoch(1, 0.2))
    reporter.run("b", epoch(0, math.nan))
    assert seen(reporter)[-1] == "  best so far: a: validation Dice 0.20, epoch 2"


def test_many_runs_fit_the_terminal() -> None:
    reporter = ConsoleReporter(terminal(height=10))
    reporter.stage("Training (epochs)", 99)
    for number in range(30):
        reporter.run(f"run {number}", epoch(0, 0.5))
    lines = seen(reporter)
    assert len(lines) <= 10
    assert "  and 24 more" in lines


def test_a_new_stage_begins_without_the_runs_of_the_last() -> None:
    reporter = ConsoleReporter(terminal())
    reporter.stage("Tuning (epochs)", 9)
    reporter.run("a", epoch(0, 0.9))
    reporter.stage("Training (epochs)", 9)
    assert len(seen(reporter)) == 1


def test_the_view_is_drawn_while_epochs_come_in() -> None:
    console = terminal()
    with ConsoleReporter(console) as reporter:
        reporter.stage("Training (epochs)", 20)
        for number in range(20):
            reporter.run(f"run {number % 3}", epoch(number, number / 20))
            reporter.advance(1)
            reporter.bar.refresh()
        reporter.say("FAILED run 1: [no markup]")
    text = console.export_text()
    assert "best so far: run 1: validation Dice 0.95, epoch 20" in text
    assert "FAILED run 1: [no markup]" in text


def test_without_a_terminal_there_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConsoleReporter, "_QUIET_SECONDS", -1.0)
    file = io.StringIO()
    with ConsoleReporter(Console(file=file, force_terminal=False, highlight=False)) as reporter:
        reporter.stage("Training (epochs)", 10, 4)
        reporter.run("bce, fold 0, seed 0", epoch(0, 0.5))
        reporter.advance(1, "bce, fold 0, seed 0: epoch 1, validation Dice 0.50")
        reporter.run("bce, fold 0, seed 0", None)
        reporter.say("One more [line].")
    first, second, third = file.getvalue().splitlines()
    assert first == "Training (epochs): 6 to do, 4 done before"
    note = r"\(bce, fold 0, seed 0: epoch 1, validation Dice 0\.50\)"
    assert re.fullmatch(rf"Training \(epochs\): 5 of 10, at most \d+ s left {note}", second)
    assert third == "One more [line]."


@pytest.mark.parametrize("together", [1, 2, 3])
def test_the_time_left_of_runs_at_once(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of a minute each, which all runs end at almost the same moment."""
    monkeypatch.setattr(ConsoleReporter, "_QUIET_SECONDS", -1.0)
    now = [0.0]
    monkeypatch.setattr("unifocal.experiments.progress.time.monotonic", lambda: now[0])
    file = io.StringIO()
    with ConsoleReporter(Console(file=file, force_terminal=False, highlight=False, width=200)) as reporter:
        reporter.stage("Training (epochs)", 121)
        for minute in range(4):
            now[0] = 60.0 * (minute + 1)
            for run in range(together):
                now[0] += 1e-4
                reporter.run(f"run {run}", epoch(minute, 0.5, 60.0))
                reporter.advance(1)
    said = [line.partition(", ")[2] for line in file.getvalue().splitlines()[1:]]
    true = [f"about {describe_seconds((121 - n) / together * 60)} left" for n in range(1, 4 * together + 1)]
    assert said[0] == f"at most {describe_seconds(120 * 60)} left"
    assert said[together - 1] == true[together - 1].replace("about", "at most")
    assert said[together::together] == true[together::together]


@pytest.mark.parametrize(
    ("seconds", "text", "pace"),
    [
        (0.254, "0 s", "0.25 s"), (0.999, "1 s", "1.0 s"), (3.14, "3 s", "3.1 s"), (45, "45 s", "45 s"),
        (90, "2 min", "2 min"), (4800, "1 h 20 min", "1 h 20 min"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds: float, text: str, pace: str) -> None:
    assert describe_seconds(seconds) == text
    assert describe_pace(seconds) == pace


@pytest.mark.parametrize("in_notebook", [False, True])
def test_a_notebook_gets_plain_lines(in_notebook: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    if in_notebook:
        monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert ConsoleReporter().console.is_terminal is not in_notebook
