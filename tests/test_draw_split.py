"""One test part by chance: as large as said, the same again; and the committed files are what it draws."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

RESULTS = Path(__file__).parents[1] / "docs" / "results"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    import draw_split

    return draw_split.drawn


def test_a_share_tests(drawn: Callable[..., dict[str, str]]) -> None:
    names = [f"n{number}" for number in range(57)] * 2
    parts = drawn(names, 0.2, 0)
    assert len(parts) == 57
    assert sum(part == "test" for part in parts.values()) == 11
    assert parts == drawn(names[::-1], 0.2, 0) != drawn(names, 0.2, 1)


@pytest.mark.parametrize(("name", "by"), [("frames", "case"), ("sequences", "patient")])
def test_the_committed_files(drawn: Callable[..., dict[str, str]], name: str, by: str) -> None:
    table = pd.read_csv(RESULTS / "source_b" / f"split_cvc_{name}.csv", dtype=str)
    assert dict(zip(table[by], table["part"], strict=True)) == drawn(list(table[by]), 0.2, 0)
