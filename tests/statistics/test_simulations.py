"""The simulations behind docs/results/verdict_simulations.md run, and what they draw is what they say."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def models() -> ModuleType:
    path = ROOT / "benchmarks" / "verdict_models.py"
    spec = importlib.util.spec_from_file_location("verdict_models", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("family", ["MEANS", "DIFFERENCES"])
def test_every_shape_has_the_mean_it_claims(models: ModuleType, family: str) -> None:
    for name, (draw, mean) in getattr(models, family).items():
        values = draw(np.random.default_rng(0), (100_000,))
        assert abs(values.mean() - mean) < 5 * values.std() / np.sqrt(len(values)), name


def test_no_loss_is_better_in_the_model(models: ModuleType) -> None:
    rng = np.random.default_rng(1)
    means = np.array([models.dice_like(rng, 30, 4, between_trainings=0.01).mean(axis=(0, 1)) for _ in range(500)])
    spread = means - means.mean(axis=1, keepdims=True)
    assert np.abs(spread.mean(axis=0)).max() < 4 * spread.std() / np.sqrt(500)
    dice = models.dice_like(rng, 2000, 2)
    assert 0 <= dice.min() < dice.max() <= 1
    assert np.corrcoef(dice[:, 0].T)[0, 1] > 0.6
    assert 0.01 < (dice == 0).mean() < 0.1


def test_a_quick_run_and_its_continuation(tmp_path: Path) -> None:
    page, kept = tmp_path / "page.md", tmp_path / "kept.jsonl"
    command = [sys.executable, ROOT / "benchmarks" / "verdict_simulations.py", "--quick", "--kept", kept]
    first = subprocess.run(
        [*command, "--write", page], capture_output=True, text=True, cwd=ROOT, timeout=300, check=False
    )
    assert first.returncode == 0, first.stderr
    text = page.read_text(encoding="utf-8")
    assert "| 100 | 300 |" not in text
    assert text.count("\n## ") == 7
    rows = kept.read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(first.stdout.splitlines()) > 40
    kept.write_text("\n".join(rows[:-1]) + "\n", encoding="utf-8")
    again = subprocess.run([*command], capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert again.stdout.splitlines()[0].split(": [")[0] in rows[-1]
    assert again.stdout.split("\n", 1)[1].strip() == text.strip()


def test_the_bootstrap_benchmark(tmp_path: Path) -> None:
    options = ["--patients", "12", "--losses", "3", "--metrics", "2", "--resamples", "50", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "bootstrap.py", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "12 means and differences, each with its intervals" in done.stdout
