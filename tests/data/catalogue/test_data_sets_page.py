"""What the catalogue says is complete, and the page says the same."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from unifocal.data.catalogue import entries, entry, recognise
from unifocal.data.datasets import layout_names

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def make_data_sets() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        import make_data_sets

        yield make_data_sets


def test_the_page_says_what_the_catalogue_says(make_data_sets: ModuleType) -> None:
    page = make_data_sets.PAGE.read_text(encoding="utf-8")
    assert make_data_sets.filled(page, make_data_sets.PARTS) == page, "run: python docs/make_data_sets.py"
    assert len(re.findall("<!-- generated: ", page)) == len(make_data_sets.PARTS)
    assert all(f"`{name}`" in page for name in layout_names())
    assert re.findall("^### (.*)$", page, re.MULTILINE) == [each.name for each in entries()]


def test_a_doi_becomes_a_link(make_data_sets: ModuleType) -> None:
    text = "See doi:10.1109/TMI.2004.825627. And (doi:10.6084/m9.figshare.1512427), too."
    assert make_data_sets.linked(text) == (
        "See [doi:10.1109/TMI.2004.825627](https://doi.org/10.1109/TMI.2004.825627). And "
        "([doi:10.6084/m9.figshare.1512427](https://doi.org/10.6084/m9.figshare.1512427)), too."
    )


def test_every_data_set_is_described_in_full() -> None:
    for each in entries():
        assert all((each.title, each.task, each.modality, each.size, each.obtain, each.licence, each.split, each.files))
        assert re.search(r"doi:10\.\d{4,}/\S+", each.citation), each.name
        assert entry(each.name) is each
    names = [each.name for each in entries()]
    assert names == sorted(names)
    assert set(names).isdisjoint({"auto", "folders", "nnunet", "decathlon", "bids", "case_folders"})


def test_what_is_no_folder_is_recognised_as_nothing(tmp_path: Path) -> None:
    assert recognise(tmp_path) == ()
    assert recognise(tmp_path / "gone") == ()
