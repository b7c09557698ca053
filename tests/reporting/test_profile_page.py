"""The profile's page: escaped, offline, with words for every picture."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unifocal.data.case import Case, DataSet, Source
from unifocal.data.coding import MaskCoding
from unifocal.data.profile.case import Plan, Target, profile_case
from unifocal.data.profile.result import Advice, LossCall
from unifocal.data.profile.summary import Collected, summarise
from unifocal.reporting.profile_examples import choose, examples
from unifocal.reporting.profile_page import ProfileView, as_csv, render_profile, write_profile

EVIL = "<script>alert(1)</script>"
ADVICE = Advice("t", f"title {EVIL}", "says", "why", "arithmetic", "source", (LossCall("focal", {"gamma": 2.0}),))
VOID = {"meta", "link", "img", "br", "path", "use", "rect"}


def half(labels: np.ndarray[Any, Any], /, *, size: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return labels[::2, ::2][: size[0], : size[1]]


def make(folder: Path, *, labels: int = 2, name: str = EVIL, colour: bool = False) -> ProfileView:
    rng = np.random.default_rng(0)
    collected, cases = Collected(), []
    targets = tuple(Target(f"{name}{value}", (value,)) for value in range(1, labels + 1))
    plan = Plan(MaskCoding(), targets, not colour, (16, 16), half)
    for index in range(8):
        size = (32, 32 + 4 * (index % 3))
        image = rng.integers(0, 200, (*size, 3) if colour else size, dtype=np.uint8)
        mask = np.zeros(size, np.uint8)
        for value in range(1, labels + 1):
            mask[6 * value : 6 * value + index, 4 : 5 + index] = value
        mask[31, 31] = 1 if index == 5 else 0
        for kind, pixels in (("i", image), ("m", mask)):
            Image.fromarray(pixels).save(folder / f"{kind}{index}.png")
        sources = [Source.of(folder / f"{kind}{index}.png") for kind in "im"]
        attributes = {f"class{name}": f"{name}{index % 2}"}
        cases.append(
            Case(f"{name}{index}", sources[0], sources[1], f"p{index}", None, attributes, "test" * (index % 2))
        )
        collected.add(profile_case(cases[-1], plan))
    data = DataSet(tuple(cases), patients_known=True)
    profile = summarise(collected, name=f"data {name}", dataset=data, targets=targets, training_size=(16, 16))
    command = ("unifocal", "compare", "--data", f"my {name}")
    return ProfileView(profile, collected, plan, (ADVICE,), ADVICE.losses, command)


class Reader(HTMLParser):
    """Collects tags, and checks that they close."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> ProfileView:
    return make(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def page(view: ProfileView) -> str:
    return render_profile(view)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_names_are_escaped_everywhere(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert all(not name.startswith("on") for _, attributes in read(page).tags for name in attributes)


def test_it_loads_nothing(page: str) -> None:
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"data:[^\"']*", "", without_names))
    for tag, attributes in read(page).tags:
        assert tag not in {"script", "iframe", "object"}
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))


def test_every_picture_has_words(page: str) -> None:
    tags = read(page).tags
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert images
    assert all(attributes.get("alt") for attributes in images)
    drawings = [attributes for _, attributes in tags if attributes.get("role") == "img"]
    assert len(drawings) == sum(tag == "svg" for tag, _ in tags)
    assert all(attributes.get("aria-label") for attributes in drawings)


def test_links_within_the_page_lead_somewhere_and_ids_are_unique(page: str) -> None:
    tags = read(page).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(attributes["href"])[1:] for tag, attributes in tags if tag == "a"]
    assert {"examples", "imbalance", "lesions", "intensity", "grids", "groups", "advice", "method"} <= set(links)
    assert set(links) <= set(ids)


def test_it_says_the_numbers(page: str, view: ProfileView) -> None:
    share = view.profile.foreground.share
    assert share is not None
    assert f"{100 * share.mean:.3g} %" in page
    assert "focal(gamma=2.0)" in page
    assert "--losses" in page


def test_colours_follow_the_reader_s_choice_of_light_or_dark(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "var(--ink)" in page


def test_the_same_data_give_the_same_page(view: ProfileView, page: str) -> None:
    assert render_profile(view) == page


def test_colour_pictures_and_one_label(tmp_path: Path) -> None:
    view = make(tmp_path, labels=1, name="plain", colour=True)
    page = render_profile(view)
    assert "green" in page
    read(page)


def test_examples_are_the_extremes_and_the_middle(view: ProfileView) -> None:
    chosen = choose(view.collected.cases)
    reasons = {reason: case.case.name for case, reason in chosen}
    assert reasons["smallest foreground"] == f"{EVIL}1"
    assert reasons["largest foreground"] == f"{EVIL}7"
    assert reasons["an empty mask"] == f"{EVIL}0"
    assert f"{EVIL}5" in reasons.values()  # most lesions, if no quartile had taken it before
    assert len({id(case) for case, _ in chosen}) == len(chosen) <= 8


def test_outlines_are_drawn_in_the_targets_colours(view: ProfileView) -> None:
    largest = next(each for each in examples(view.collected.cases, view.plan) if each.reason == "largest foreground")
    found = {tuple(int(value) for value in pixel) for pixel in largest.truth.reshape(-1, 3)}
    assert {(255, 214, 10), (0, 200, 255)} <= found


def test_files_that_have_gone_leave_no_example(tmp_path: Path) -> None:
    view = make(tmp_path)
    for path in tmp_path.glob("i*.png"):
        path.unlink()
    assert examples(view.collected.cases, view.plan) == []
    assert 'id="examples"' not in render_profile(view)


def test_files_are_written_whole(tmp_path: Path, view: ProfileView) -> None:
    rows = [{"case": "a,b", "share": 0.5, "brain": None}]
    write_profile(tmp_path / "out", view, {"schema": 1, "case_rows": rows})
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"profile.html", "profile.json", "cases.csv"}
    assert (tmp_path / "out" / "cases.csv").read_text() == 'case,share,brain\n"a,b",0.5,\n'
    assert as_csv([]) == "\n"
