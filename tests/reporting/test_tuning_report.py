"""The report of a search: every number where it belongs, failures told, nothing that a name could break."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from page_parts import Parsed
from tuning_folder import OUT_OF_MEMORY, SPACE, SWEEP, Search, write_search

from unifocal.problems import InputError
from unifocal.reporting import write_tuning_report
from unifocal.reporting.drawings_response import sweep
from unifocal.reporting.figure import house_style
from unifocal.reporting.plots_tuning import trend_of
from unifocal.reporting.search import read_search
from unifocal.reporting.search_page import render_search
from unifocal.reporting.search_words import cautions, headline

EVIL = "<script>alert(1)</script> & co"


def _words_page(folder: Path) -> Parsed:
    """The page without its figures, which take most of the time."""
    return Parsed(render_search(read_search(folder), {}))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search by two objectives, with its report."""
    folder = tmp_path_factory.mktemp("two")
    write_search(folder, Search(objectives=("dice", "hd95")))
    write_tuning_report(folder)
    return folder


def test_every_file_is_there_and_holds_the_trials_unrounded(two: Path) -> None:
    figures = {f"{name}.{kind}" for name in ("progress", "response", "importance", "pareto") for kind in ("svg", "png")}
    assert {path.name for path in (two / "figures").iterdir()} == figures
    tables = {f"{name}.{kind}" for name in ("chosen", "trials", "importance") for kind in ("csv", "md", "tex")}
    assert {path.name for path in (two / "tables").iterdir()} == tables
    given, told = pd.read_csv(two / "trials.csv"), pd.read_csv(two / "tables" / "trials.csv")
    assert len(told) == len(given)
    for title, column in (("Dice", "dice"), ("95 % Hausdorff distance", "hd95"), ("Time", "seconds")):
        (name,) = [each for each in told.columns if each.startswith(title)]
        np.testing.assert_array_equal(told[name], given[column])
    assert [("*" in name) for name in told["Trial"]] == given["pareto"].tolist()
    assert given["pareto"].sum() >= 2


def test_the_page_is_whole_and_loads_nothing(two: Path) -> None:
    page = Parsed((two / "report.html").read_text(encoding="utf-8"))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = [value[1:] for value in page.values("href") if value.startswith("#")]
    assert set(links) <= set(ids)
    assert all(value.startswith(("#", "data:")) for value in page.values("href") + page.values("src"))
    pictures = [attributes for tag, attributes in page.tags if attributes.get("role") == "img"]
    assert len(pictures) == 4
    assert all(attributes["aria-label"] for attributes in pictures)
    best = pd.read_csv(two / "trials.csv").set_index("trial")
    chosen = best[best["best"]].iloc[0]
    for words in (f"Dice {chosen['dice']:.3f}", f"{chosen['hd95']:.2f}", f"against Dice {best['dice'][0]:.3f}"):
        assert words in page.text


def test_writing_again_gives_the_same_bytes_and_removes_what_is_no_longer_so(two: Path) -> None:
    before = (two / "report.html").read_bytes()
    stale = two / "figures" / "sweep.svg"
    stale.write_text("<svg/>")
    write_tuning_report(two)
    assert (two / "report.html").read_bytes() == before
    assert not stale.exists()


def test_failed_and_stopped_trials_are_told(two: Path) -> None:
    page = _words_page(two)
    assert f"failed: {OUT_OF_MEMORY}" in page.text
    assert f"1 trial failed ({OUT_OF_MEMORY})" in page.text
    assert "14 trials (11 done, 2 stopped, 1 failed)" in page.text
    assert "ASHA" in page.text


def test_where_nothing_went_through_nothing_is_chosen(tmp_path: Path) -> None:
    write_search(tmp_path, Search(trials=2, failed=(0, 1), stopped=()))
    page = _words_page(tmp_path)
    assert "nothing could be chosen" in page.text
    assert "best.yaml):" not in page.text
    assert "nan" not in page.text.lower()
    assert "2 trials failed" in page.text


def test_settings_as_given_that_stay_the_best_are_called_that(tmp_path: Path) -> None:
    table = write_search(tmp_path, Search(trials=3, failed=(), stopped=()))
    table.assign(dice=[0.9, 0.5, 0.6], best=[True, False, False]).to_csv(tmp_path / "trials.csv", index=False)
    view = read_search(tmp_path)
    assert headline(view).startswith("No trial was better than unified_focal with the settings as given: Dice 0.9")
    assert not any("flattered" in caution for caution in cautions(view))


@pytest.mark.parametrize(("value", "is_edge"), [(0.1, True), (0.11, True), (0.5, False), (0.9, True)])
def test_a_choice_at_the_end_of_its_range_is_a_caution(tmp_path: Path, value: float, is_edge: bool) -> None:
    table = write_search(tmp_path, Search(failed=(), stopped=()))
    table.loc[table["best"], "gamma"] = value
    table.loc[table["best"], "learning_rate"] = 1e-3
    table.to_csv(tmp_path / "trials.csv", index=False)
    assert any("chosen gamma lies at an end" in text for text in cautions(read_search(tmp_path))) == is_edge
    assert not any("learning_rate" in text for text in cautions(read_search(tmp_path)))


def test_a_sweep_has_intervals_over_patients_of_inner_folds(tmp_path: Path) -> None:
    table = write_search(tmp_path, SWEEP)
    view = read_search(tmp_path)
    assert view.is_sweep
    patients = view.patients.set_index(["trial", "patient"])["value"]
    assert len(patients) == len(table) * SWEEP.patients
    for trial, value in zip(table["trial"], table["dice"], strict=True):
        assert patients[trial].mean() == pytest.approx(value)
    with house_style():
        drawing = sweep(view)
    assert drawing is not None
    assert "95 % intervals over patients" in drawing.caption
    said = re.findall(r"(0\.\d): (0\.\d+)", drawing.alt)
    expected = {f"{row['gamma']:g}": f"{row['dice']:.3f}" for row in table.to_dict("records")}
    assert dict(said) == expected


def test_an_interval_of_another_mean_is_not_drawn(tmp_path: Path) -> None:
    """The objective may be of one label alone; the interval must not be of another."""
    table = write_search(tmp_path, SWEEP)
    table.assign(dice=table["dice"] + 0.05).to_csv(tmp_path / "trials.csv", index=False)
    with house_style():
        moved = sweep(read_search(tmp_path))
    assert moved is not None
    assert "interval" not in moved.caption


def test_a_search_of_choices_and_of_nothing_at_all_has_a_page(tmp_path: Path) -> None:
    write_search(tmp_path / "choice", Search(trials=4, failed=(), stopped=(), space=(SPACE[2],), search="grid"))
    assert "augmentation" in _words_page(tmp_path / "choice").text
    write_search(tmp_path / "nothing", Search(trials=1, failed=(), stopped=(), space=()))
    assert "settings as given" in Parsed(write_tuning_report(tmp_path / "nothing").read_text(encoding="utf-8")).text


def test_names_and_reasons_are_text_and_nothing_else(tmp_path: Path) -> None:
    table = write_search(tmp_path, Search(name=EVIL))
    table.assign(reason=f"ValueError: {EVIL}").to_csv(tmp_path / "trials.csv", index=False)
    (tmp_path / "best.yaml").write_text(f"loss: '{EVIL}'\n", encoding="utf-8")
    page = _words_page(tmp_path)
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    for words in (EVIL, f"ValueError: {EVIL}", f"loss: '{EVIL}'"):
        assert words in page.text


def test_a_damaged_folder_gets_every_problem_at_once(tmp_path: Path) -> None:
    write_search(tmp_path)
    (tmp_path / "trials.csv").write_text("trial,status\n0,done\n", encoding="utf-8")
    (tmp_path / "importance.csv").write_text("dimension,importance,method\ngamma,much,fANOVA\n", encoding="utf-8")
    settings = yaml.safe_load((tmp_path / "study.yaml").read_text())
    del settings["config"]["tuning"]["objective"]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(InputError) as caught:
        write_tuning_report(tmp_path)
    problems = {Path(problem.where).name: problem.what for problem in caught.value.problems}
    assert "by which objective" in problems["study.yaml"]
    assert "lacks the columns" in problems["trials.csv"]
    assert "gamma" in problems["trials.csv"]
    assert "a number cannot be read" in problems["importance.csv"]
    assert not (tmp_path / "report.html").exists()
    with pytest.raises(InputError, match="missing"):
        write_tuning_report(tmp_path / "elsewhere")


def test_a_trend_is_the_parabola_that_made_the_points() -> None:
    x = np.geomspace(1e-4, 1e-2, 9)
    y = 0.7 - 0.05 * (np.log10(x) + 3) ** 2
    trend = trend_of(x, y, log=True)
    assert trend is not None
    along, values = trend
    np.testing.assert_allclose(values, 0.7 - 0.05 * (np.log10(along) + 3) ** 2, atol=1e-9)
    assert trend_of(x[:4], y[:4], log=True) is None
    assert trend_of(np.repeat(x[:3], 4), np.repeat(y[:3], 4), log=True) is None


def test_of_equal_searches_only_the_sweep_reads_inner_scores(tmp_path: Path) -> None:
    write_search(tmp_path, replace(SWEEP, search="random"))
    assert read_search(tmp_path).patients.empty
