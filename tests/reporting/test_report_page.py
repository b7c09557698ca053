"""The page as a whole: complete, self-contained, well formed, honest about what is missing."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from synthetic_study import Study

from unifocal.metrics import METRICS
from unifocal.problems import InputError
from unifocal.reporting import write_report
from unifocal.reporting.drawings import FIGURE_NAMES, case_panels
from unifocal.reporting.files import write_whole
from unifocal.reporting.page import render
from unifocal.reporting.sections import TABLE_NAMES
from unifocal.reporting.study import read_study

VOID = {"meta", "link", "br", "img", "wbr", "hr", "input"}


class Reader(HTMLParser):
    """Collects text, tags, addresses and scripts; fails on tags that do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] == "script":
            self.scripts.append(data)
        elif not self.stack or self.stack[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def test_the_page_nests_and_its_ids_are_unique(page: str) -> None:
    ids = [attributes["id"] for _, attributes in Reader(page).tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 20


def test_every_reference_inside_the_page_has_its_target(page: str) -> None:
    tags = Reader(page).tags
    ids = {attributes.get("id") for _, attributes in tags}
    local = [
        value[1:]
        for _, attributes in tags
        for name, value in attributes.items()
        if name in ("href", "xlink:href") and value and value.startswith("#")
    ]
    clips = re.findall(r"url\(#([^)]+)\)", page)
    assert len(local) > 10
    assert clips
    assert set(local) | set(clips) <= ids


def test_the_page_loads_nothing(page: str) -> None:
    addresses = [
        value or ""
        for _, attributes in Reader(page).tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "action", "poster")
    ]
    assert all(address.startswith(("#", "data:", "https://doi.org/")) for address in addresses)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_the_sections_stand_in_order(page: str) -> None:
    sections = [attributes["id"] for tag, attributes in Reader(page).tags if tag == "section"]
    order = ["verdict", "ranking", "metrics", "comparison", "agreement", "groups", "training", "cases", "examples"]
    assert sections == [*order, "definitions", "method", "record", "cite"]
    links = [attributes.get("href") for tag, attributes in Reader(page).tags if tag == "a"]
    assert [name for name in sections if f"#{name}" not in links] == []


def test_only_the_pages_own_script_may_run(page: str) -> None:
    reader = Reader(page)
    kinds = [attributes.get("type") for tag, attributes in reader.tags if tag == "script"]
    assert kinds[0] is None
    assert set(kinds[1:]) == {"application/json"}
    (policy,) = [str(a["content"]) for _, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(reader.scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src")


def test_every_metric_that_is_named_is_defined(page: str, shared_study: Study) -> None:
    tags = Reader(page).tags
    defined = {str(a.get("id")).removeprefix("metric-") for _, a in tags if str(a.get("id")).startswith("metric-")}
    assert set(shared_study.analysis.summary["metric"]) <= defined
    linked = {str(a["href"]).removeprefix("#metric-") for _, a in tags if a.get("class") == "metric"}
    judged = {name for name in set(shared_study.analysis.summary["metric"]) if METRICS[name].direction}
    assert judged <= linked <= defined


def test_verdict_and_explanation_are_said_word_for_word(page: str, shared_study: Study) -> None:
    text = Reader(page).text
    verdict = shared_study.analysis.verdict
    assert verdict.sentence in text
    assert verdict.explanation in text


def test_all_files_are_there_and_none_is_left_over(shared_study: Study) -> None:
    folder = shared_study.folder
    for part, kinds, least, known in (
        ("figures", ("svg", "png"), {"distribution", "precision_recall", "training_curves", "cases"}, FIGURE_NAMES),
        ("tables", ("md", "tex", "csv"), {"results", "comparison", "pooled"}, TABLE_NAMES),
    ):
        found = {path.name for path in (folder / part).iterdir()}
        names = {name.partition(".")[0] for name in found}
        assert found == {f"{name}.{kind}" for name in names for kind in kinds}
        assert least <= names <= set(known)
    assert [path for path in folder.rglob(".*") if path.is_file()] == []


def _written(folder: Path) -> dict[str, bytes]:
    paths = [folder / "report.html", *(folder / "figures").iterdir(), *(folder / "tables").iterdir()]
    return {path.name: path.read_bytes() for path in paths}


def test_writing_twice_gives_the_same_bytes(make_study: Callable[..., Study]) -> None:
    study = make_study(patients=3, images_per_patient=1, losses=("bce", "focal"))
    study.report()
    first = _written(study.folder)
    study.report()
    assert _written(study.folder) == first


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "report.html"
    write_whole(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert [(file.name, file.read_bytes()) for file in path.parent.iterdir()] == [("report.html", b"old")]


def test_hostile_names_stay_text(make_study: Callable[..., Study]) -> None:
    evil = "<script>alert(1)</script>"
    names = tuple(f"<img src=x onerror=alert({index})>" for index in range(6))
    loss = 'focal" onload="alert(2)'
    study = make_study(
        patients=4, folds=2, images_per_patient=1, losses=("bce", loss), names=names, classes=(evil, "b&b")
    )
    study.edit_settings(lambda settings: settings["data"].update(name=f"{evil} & co"))
    study.edit_settings(lambda settings: settings.update(command=f"unifocal </pre>{evil}"))
    reader = Reader(study.report())
    assert sum(tag == "script" and "type" not in attributes for tag, attributes in reader.tags) == 1
    assert not any("<" in text for text in reader.scripts[1:])
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert all((attributes.get("src") or "").startswith("data:") for tag, attributes in reader.tags if tag == "img")
    for words in (f"{evil} & co", names[0], evil, loss, "b&b"):
        assert words in reader.text


def test_failed_and_missing_runs_are_named(make_study: Callable[..., Study]) -> None:
    study = make_study()
    record = study.folder / "runs" / "focal" / "fold-1-seed-0" / "record.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"status": "failed", "reason": "the loss became NaN in epoch 3"}))
    shutil.rmtree(study.folder / "runs" / "bce" / "fold-2-seed-0")
    scores = study.scores()
    lost = ((scores["loss"] == "focal") & (scores["fold"] == 1)) | ((scores["loss"] == "bce") & (scores["fold"] == 2))
    text = Reader(study.rescored(scores[~lost]).words_page()).text
    assert "the loss became NaN in epoch 3" in text
    assert "1 run of 8 failed" in text
    assert "1 run left no record" in text
    # Sixteen cases each, but not the same ones: equal numbers must not hide it.
    assert "not scored on the same cases" in text


def test_undefined_values_are_counted(make_study: Callable[..., Study]) -> None:
    study = make_study()
    scores = study.scores()
    hit = (scores["metric"] == "dice") & (scores["case"] == "0003") & (scores["loss"] == "bce")
    scores.loc[hit, "value"] = np.nan
    text = Reader(study.rescored(scores).words_page()).text
    assert "1 undefined" in text
    assert "1 score of the main metric could not be defined" in text


@pytest.mark.parametrize(
    ("wishes", "limits"),
    [
        ({"losses": ("focal",), "folds": 1, "patients": 7}, ["There is only one loss", "Only one fold was scored"]),
        ({"losses": ("bce", "focal"), "patients": 2, "folds": 2}, ["Only 2 patients"]),
        ({"losses": ("bce",), "patients": 1, "folds": 1, "images_per_patient": 1}, ["Only 1 patient"]),
    ],
    ids=["one loss and fold", "two patients", "one image"],
)
def test_small_studies_are_reported_with_their_limits(
    make_study: Callable[..., Study], wishes: dict[str, object], limits: list[str]
) -> None:
    text = Reader(make_study(**wishes).report()).text
    assert all(limit in text for limit in limits)
    assert "nan" not in text.lower()


def test_missing_images_and_masks_leave_notes(make_study: Callable[..., Study]) -> None:
    study = make_study(patients=4, images_per_patient=1, losses=("bce", "focal"))
    for part, words in (("images", "is no longer there"), ("masks", "Not drawn without the truth")):
        shutil.rmtree(study.folder / "data" / part)
        view = read_study(study.folder)
        assert words in Reader(render(view, study.analysis, {}, case_panels(view, study.analysis))).text


def test_without_runs_their_figures_are_left_out_and_old_ones_removed(make_study: Callable[..., Study]) -> None:
    study = make_study(patients=4, images_per_patient=1, losses=("bce", "focal"))
    old = study.folder / "figures" / "training_curves.svg"
    write_whole(old, b"<svg/>")
    shutil.rmtree(study.folder / "runs")
    reader = Reader(study.report())
    assert "No prediction of this case was kept" in reader.text
    assert not any(attributes.get("id") == "training" for _, attributes in reader.tags)
    assert not old.exists()


def test_a_folder_that_is_no_study_gets_every_problem_at_once(tmp_path: Path, shared_study: Study) -> None:
    (tmp_path / "study.yaml").write_text("[unclosed", encoding="utf-8")
    (tmp_path / "scores.csv").write_text("loss,value\nbce,0.5\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        write_report(tmp_path, shared_study.analysis)
    problems = {Path(problem.where).name: problem.what for problem in caught.value.problems}
    assert set(problems) == {"study.yaml", "cases.csv", "scores.csv"}
    assert "missing" in problems["cases.csv"]
    assert "lacks the columns case, fold" in problems["scores.csv"]
    assert not (tmp_path / "report.html").exists()
