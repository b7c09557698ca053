"""Whatever stands in a declaration or a table, the end is a list of problems or a reading, never a traceback."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_files import NNUNET_2, decathlon_json, opened, write_bids, write_decathlon, write_nnunet

from unifocal.problems import InputError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ODD = SCALARS | st.sampled_from(["../x", "/etc/passwd", "a\0", "C:\\x", "imagesTr/hippo_1.nii.gz", "." * 300])
NONSENSE = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
KEYS = sorted({*NNUNET_2, *decathlon_json([]), "dataset", "test", "regions_class_order"})


def ends_well(folder: Path) -> None:
    for with_masks in (True, False):
        try:
            problems = opened(folder, with_masks=with_masks).problems
        except InputError as error:
            problems = error.problems
            assert problems
        for problem in problems:
            assert problem.kind
            str(problem).encode()


@settings(max_examples=150)
@given(
    st.sampled_from([write_nnunet, write_decathlon]),
    st.dictionaries(st.sampled_from(KEYS), NONSENSE, max_size=4),
    st.booleans(),
)
def test_declarations(write: Callable[[Path], Path], content: dict[str, Any], alone: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write(Path(name))
        kept = {} if alone else json.loads((folder / "dataset.json").read_text())
        (folder / "dataset.json").write_text(json.dumps({**kept, **content}))
        ends_well(folder)


@settings(max_examples=100)
@given(
    st.sampled_from([(write_bids, "participants.tsv"), (write_decathlon, "dataset.json"), (write_nnunet, "cases.csv")]),
    st.binary(max_size=60),
    st.integers(0, 60),
)
def test_bytes_in_the_middle(written: tuple[Callable[[Path], Path], str], junk: bytes, place: int) -> None:
    write, file = written
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name)) / file
        content = path.read_bytes() if path.exists() else b"case,patient,site\na_1,p,x\nb_2,q,y\n"
        path.write_bytes(content[:place] + junk + content[place + len(junk) // 2 :])
        ends_well(path.parent)


@pytest.mark.parametrize(
    "name", ["dataset.json", "participants.tsv", "cases.csv", "imagesTr", "labelsTr", "derivatives"]
)
def test_folders_for_files_and_files_for_folders(tmp_path: Path, name: str) -> None:
    for write in (write_nnunet, write_decathlon, write_bids):
        folder = write(tmp_path / write.__name__)
        path = folder / name
        if path.exists():
            path.rename(folder / "moved")
        path.touch() if "." not in name else path.mkdir()
        ends_well(folder)
