"""`report`: built again from a folder, which someone may have damaged."""

import io
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small masks of two labels against two methods, evaluated."""
    from unifocal.cli.app import run

    home = tmp_path_factory.mktemp("sound")
    random = np.random.default_rng(0)
    for folder in ("truth", "a", "b"):
        (home / folder).mkdir()
        for number in range(3):
            mask = random.choice([0, 1, 2], (12, 12)).astype(np.uint8)
            Image.fromarray(mask).save(home / folder / f"c{number}.png")
    given = ("--truth", home / "truth", "--pred", home / "a", "--pred", home / "b", "--out", home / "o")
    with redirect_stdout(io.StringIO()) as shown:
        assert run(["evaluate", *map(str, given), "--resamples", "100", "--label", "2"]) == 0
    assert "dice of label 2, mean" in shown.getvalue()
    return home


@pytest.fixture
def evaluation(sound: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "home")) / "o"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "No columns"),
        (b"\xff\xfe\x00", "decode"),
        (b"x,y\n1,2\n", "columns are missing"),
        (b'loss,"case\n', "damaged"),
        (None, "labels are no integers"),
    ],
)
def test_damaged_scores_are_named_and_nothing_changes(
    evaluation: Path, unifocal: Call, content: bytes | None, words: str
) -> None:
    page, scores = (evaluation / "report.html").read_bytes(), evaluation / "scores.csv"
    damaged = scores.read_bytes().replace(b",1,dice,", b",one,dice,") if content is None else content
    scores.write_bytes(damaged)
    code, _, err = unifocal("report", evaluation)
    assert code == 2
    assert str(scores) in err
    assert words in err
    assert (evaluation / "report.html").read_bytes() == page


def test_the_page_tells_the_resamples_it_was_built_with(evaluation: Path, unifocal: Call) -> None:
    assert unifocal("report", evaluation, "--resamples", 300)[0] == 0
    page = (evaluation / "report.html").read_text(encoding="utf-8")
    assert "300 resamples" in page
    assert "100 resamples" not in page


def test_predictions_counted_as_empty_are_said_at_once(evaluation: Path, unifocal: Call) -> None:
    home = evaluation.parent
    (home / "a" / "c1.png").unlink()
    given = ("--truth", home / "truth", "--pred", home / "a", "--out", home / "p", "--resamples", 100)
    assert unifocal("evaluate", *given)[0] == 2
    code, _, err = unifocal("evaluate", *given, "--allow-missing")
    assert code == 0
    assert "a lacks 1 of 3 predictions: they count as empty masks" in err


def test_what_is_missing_goes_by_its_flag(unifocal: Call, tmp_path: Path) -> None:
    code, _, err = unifocal("evaluate", "--truth", tmp_path)
    assert code == 2
    assert "Give --pred." in err
