"""What a study's report says of nested tuning, of a race, and of runs that failed or met trouble."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_parts import Parsed
from synthetic_study import Study, slug
from tuning_folder import OUT_OF_MEMORY, write_nested, write_race

from unifocal.problems import InputError
from unifocal.reporting.cautions import cautions
from unifocal.reporting.drawings_work import race, tuning_gain
from unifocal.reporting.figure import house_style
from unifocal.reporting.method_work import race_passage, tuning_passage
from unifocal.reporting.race import EarlyExit, spared_by
from unifocal.reporting.sections import table_files, table_sections
from unifocal.reporting.study import read_study
from unifocal.reporting.table import Table

LOSSES = ("bce", "focal", "dice")


def _small(make_study: Callable[..., Study], **wishes: object) -> Study:
    return make_study(**({"losses": LOSSES, "folds": 3, "patients": 6, "images_per_patient": 1, "side": 32} | wishes))


def _without(study: Study, runs: list[tuple[str, int]]) -> Study:
    """The same study without the runs, as if they had never been."""
    scores = study.scores()
    for loss, fold in runs:
        shutil.rmtree(study.folder / "runs" / slug(loss) / f"fold-{fold}-seed-0")
        scores = scores[(scores["loss"] != loss) | (scores["fold"] != fold)]
    return study.rescored(scores)


def _tables(study: Study) -> dict[str, list[Table]]:
    view = read_study(study.folder)
    return table_files(view, study.analysis, table_sections(view, study.analysis))


def test_a_loss_that_left_is_told_and_its_runs_are_not_missing(make_study: Callable[..., Study]) -> None:
    study = _without(_small(make_study), [("bce", 1), ("bce", 2)])
    view = read_study(study.folder)
    assert view.missing_runs == 2
    write_race(study.folder, [("bce", 0, "dice")], rounds=3)
    study.edit_settings(lambda settings: settings["config"].update(race=True, race_error=0.05, seeds=[0]))
    view = read_study(study.folder)
    assert (view.missing_runs, view.spared) == (0, {"bce": 2})
    text = Parsed(study.words_page()).text
    assert "bce left the race early" in text
    assert "2 of 9 runs (22 %) were not needed, about 25 s of training" in text
    assert "at most 5 % of studies" in text
    assert "not scored on the same cases" not in text
    ((row,),) = (table.rows for table in _tables(study)["race"])
    assert row[0] == "bce"
    assert [cell.text for cell in row[1]] == ["dice", "1 of 3", "4", "−0.081", "0.0004", "0.0031", "2"]
    with house_style():
        drawing = race(view)
    assert drawing is not None
    assert "bce left after round 1 (worse than dice" in drawing.alt
    assert "bce left early" in race_passage(view)


def test_a_race_that_is_decided_spares_the_winner_too(make_study: Callable[..., Study]) -> None:
    study = _without(_small(make_study), [("bce", 1), *((loss, 2) for loss in LOSSES)])
    study.edit_settings(lambda settings: settings["config"].update(race=True))
    write_race(study.folder, [("bce", 0, "dice"), ("focal", 1, "dice")], rounds=3)
    view = read_study(study.folder)
    assert view.spared == {"bce": 2, "focal": 1, "dice": 1}
    assert view.missing_runs == 0
    assert "4 of 9 runs" in Parsed(study.words_page()).text


def test_a_race_that_nobody_left_says_so(make_study: Callable[..., Study]) -> None:
    study = _small(make_study)
    study.edit_settings(lambda settings: settings["config"].update(race=True))
    write_race(study.folder, [], rounds=3)
    assert "nobody left and every run was done" in Parsed(study.words_page()).text
    assert "race" not in _tables(study)


@given(
    lasts=st.lists(st.integers(0, 3), min_size=1, max_size=3),
    folds=st.integers(1, 5),
    seeds=st.integers(1, 3),
)
def test_spared_runs_are_those_after_the_last_round(lasts: list[int], folds: int, seeds: int) -> None:
    losses = [f"loss{place}" for place in range(len(lasts) + 1)]
    rounds = folds if folds > 1 else seeds
    exits = tuple(
        EarlyExit(loss, min(last, rounds - 1), rounds, losses[-1], -0.1, 0.001, 0.01, 9)
        for loss, last in zip(losses, lasts, strict=False)
    )
    spared = spared_by(exits, losses, folds, range(seeds))
    cells_per_round = seeds if folds > 1 else 1
    end = max(each.round for each in exits)
    expected = {each.loss: (rounds - 1 - each.round) * cells_per_round for each in exits}
    expected[losses[-1]] = (rounds - 1 - end) * cells_per_round
    assert {loss: sum(key[0] == loss for key in spared) for loss in losses} == expected
    assert spared_by((), losses, folds, range(seeds)) == set()


def test_what_each_fold_chose_and_what_that_changed(make_study: Callable[..., Study]) -> None:
    study = _small(make_study)
    trials = write_nested(study.folder, LOSSES, folds=3)
    tables = _tables(study)
    (chosen,) = tables["tuned"]
    rows = {(loss, cells[0].text): [cell.text for cell in cells[1:]] for loss, cells in chosen.rows}
    assert rows["focal", "gamma"] == ["0.5", "0.7", "0.71", "0.72"]
    assert rows["focal", "augmentation"] == ["none"] * 4
    (gains,) = tables["tuning_gain"]
    for loss, cells in gains.rows:
        mine = trials[trials["loss"] == loss]
        best, base = (mine[mine[name]].set_index("fold")["dice"] for name in ("chosen", "default"))
        expected = [*(best - base), (best - base).mean()]
        assert [cell.numbers[0] for cell in cells] == pytest.approx(expected)
    assert "flattered" in gains.caption
    assert sum(len(table.rows) for table in tables["tuning_trials"]) == len(trials)
    text = Parsed(study.words_page()).text
    assert f"gamma = 0.6, augmentation = none{OUT_OF_MEMORY}" in text.replace("\n", "")
    with house_style():
        drawing = tuning_gain(read_study(study.folder))
    assert drawing is not None
    assert "focal +0.0" in drawing.alt


def test_the_method_says_how_settings_were_tuned(make_study: Callable[..., Study]) -> None:
    study = _small(make_study)
    tuning = {
        "trials": 4, "search": "random", "objective": ["dice"], "inner_folds": 3,
        "over": [{"name": "loss"}, {"name": "epochs", "low": 10.0, "high": 60.0, "choices": []}],
    }  # fmt: skip
    study.edit_settings(lambda settings: settings["config"].update(tuning=tuning))
    assert tuning_passage(read_study(study.folder)) == ""
    write_nested(study.folder, LOSSES, folds=3)
    words = tuning_passage(read_study(study.folder))
    assert "had 4 trials in each fold" in words
    for part in ("test patients took no part", "the loss's own parameters and epochs from 10 to 60", "Dice",
                 "3 inner folds"):  # fmt: skip
        assert part in words


def test_a_fold_without_any_good_trial_is_a_caution(make_study: Callable[..., Study]) -> None:
    study = _small(make_study)
    trials = write_nested(study.folder, ("focal",), folds=2)
    hit = trials["fold"] == 1
    trials.loc[hit, ["status", "dice", "chosen"]] = ["failed", float("nan"), False]
    trials.loc[hit & (trials["trial"] == 0), "chosen"] = True
    trials.to_csv(study.folder / "tuning.csv", index=False)
    said = cautions(read_study(study.folder), study.analysis)
    assert any("Every trial of focal in fold 1 failed" in text for text in said)
    assert "nan" not in Parsed(study.words_page()).text.lower()


def test_a_loss_with_fewer_trials_is_a_caution(make_study: Callable[..., Study]) -> None:
    study = _small(make_study)
    trials = write_nested(study.folder, LOSSES, folds=2)
    assert not any("tuned alike" in text for text in cautions(read_study(study.folder), study.analysis))
    kept = trials[(trials["loss"] != "dice") | (trials["trial"] == 0)]
    kept.to_csv(study.folder / "tuning.csv", index=False)
    (said,) = [text for text in cautions(read_study(study.folder), study.analysis) if "tuned alike" in text]
    assert f"dice had 1 trial, others {trials['trial'].nunique()}" in said


def test_failed_runs_and_those_that_met_trouble_are_told(make_study: Callable[..., Study]) -> None:
    study = _small(make_study)
    reasons = {("focal", 1): f"MemoryError: {OUT_OF_MEMORY}", ("dice", 2): "its process died 3 times"}
    for (loss, fold), reason in reasons.items():
        _edit_record(study.folder, loss, fold, {"status": "failed", "reason": reason})
    _edit_record(study.folder, "bce", 0, {"notes": ["The state file could not be read; training began anew."]})
    scores = study.scores()
    for loss, fold in reasons:
        scores = scores[(scores["loss"] != loss) | (scores["fold"] != fold)]
    study = study.rescored(scores)
    page = Parsed(study.words_page())
    assert "2 runs of 9 failed (" in page.text
    assert {"failed", "table-failed", "table-notes"} <= set(page.values("id"))
    assert "1 run met trouble and went on" in page.text
    tables = _tables(study)
    told = {(loss, int(cells[1].numbers[0])): cells[0].text for loss, cells in tables["failed_runs"][0].rows}
    assert told == reasons
    assert [loss for loss, _ in tables["run_notes"][0].rows] == ["bce"]


def _edit_record(folder: Path, loss: str, fold: int, change: dict[str, object]) -> None:
    path = folder / "runs" / slug(loss) / f"fold-{fold}-seed-0" / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_damaged_tables_are_problems_with_their_file(make_study: Callable[..., Study]) -> None:
    study = _small(make_study)
    write_nested(study.folder, LOSSES, folds=3)
    table = pd.read_csv(study.folder / "tuning.csv", dtype=str)
    table.assign(dice="good").to_csv(study.folder / "tuning.csv", index=False)
    (study.folder / "race.csv").write_text("loss,p\nbce,0.1\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_study(study.folder)
    assert {Path(problem.where).name for problem in caught.value.problems} == {"tuning.csv", "race.csv"}
