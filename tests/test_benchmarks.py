"""The benchmarks run; how fast anything is, they say and no test does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from unifocal.losses import names

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "benchmarks" / "losses.py"


def run(*options: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, PROGRAM, *options, "--threads", "1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows that begin with a name in code."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]


def test_speed_of_every_member(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    run("--repeats", "1", "--shapes", "1,2,16,16", "--write", str(page))
    text = page.read_text(encoding="utf-8")
    assert "`python benchmarks/losses.py --repeats 1 --shapes 1,2,16,16" in text
    found = {row[0].strip("`"): row[1:] for row in rows(text)}
    assert set(found) == {*names(), "unified_focal(gamma=0.3)"}
    for name, cells in found.items():
        milliseconds, ratio, to_peer, peer, *rest = cells
        assert float(milliseconds) > 0
        assert float(ratio) > 0
        assert all(rest)
        assert bool(to_peer) == bool(peer) == (name != "cross_entropy")


def test_quartiles_surround_the_median() -> None:
    text = run("--repeats", "5", "--shapes", "2,3,4,6,5", "--losses", "cross_entropy")
    ((_, milliseconds, *_),) = rows(text)
    median, low, high = map(float, re.fullmatch(r"(\S+) \((\S+)-(\S+)\)", milliseconds).groups())
    assert 0 < low <= median <= high


def test_memory_counts_the_gradient() -> None:
    text = run("--memory", "--shapes", "1,3,64,64,32", "--losses", "cross_entropy")
    found = {row[0].strip("`"): float(row[1]) for row in rows(text)}
    assert set(found) == {"torch:cross_entropy", "ours:cross_entropy"}
    assert all(1 <= allocated < 20 for allocated in found.values())


def test_scaling() -> None:
    text = run("--scaling", "--sides", "4", "8", "--repeats", "1")
    cubes = re.findall(r"^\| (\d+)³ \| (\S+) \| (\S+) \| (\S+) \|$", text, re.MULTILINE)
    assert [side for side, *_ in cubes] == ["4", "8"] * 2
    assert all(float(nanoseconds) > 0 for _, *times in cubes for nanoseconds in times)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--losses", "dise"], "no such loss: dise"),
        (["--shapes", "2,1,8,8"], "2 classes or more"),
        (["--repeats", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(options: list[str], message: str) -> None:
    assert message in run(*options, code=2)
