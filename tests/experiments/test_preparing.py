"""Preparing cases for training and prediction: what cannot be prepared, and where prepared cases are kept."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

SMALL = (
    "--epochs", "1", "--size", "16", "--set", "network.width=2", "--set", "network.depth=1",
    "--set", "training.threads=1", "--set", "training.precision=float32",
)  # fmt: skip
STUDY = ("--losses", "bce", "--folds", "2", "--jobs", "1", "--set", "resamples=200", *SMALL)
Call = Callable[..., tuple[int, str, str]]


def scores(out: Path) -> bytes:
    return (out / "scores.csv").read_bytes()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("[{resample: {spacing_mm: [1, 1]}}, z_score]", "spacing"),
        ("[{resize: {size: [8, 8, 8]}}]", "axes"),
        ("[{crop_foreground: {}}, {pad: {multiple: 4}}]", "after preprocessing"),
    ],
)
def test_cases_that_cannot_be_prepared_are_listed(
    phantom: Path, tmp_path: Path, unifocal: Call, steps: str, said: str
) -> None:
    data = tmp_path / "d"
    shutil.copytree(phantom, data)
    for path in (data / "images").iterdir():
        with Image.open(path) as picture:
            pixels = np.array(picture)
        pixels[: 5 + 3 * (len(path.stem) + ord(path.stem[-1]) % 4)] = 0
        Image.fromarray(pixels).save(path)
    for verb, options in (("compare", STUDY), ("train", ("--loss", "bce", *SMALL))):
        code, _, err = unifocal(
            verb, "--data", data, "--out", tmp_path / "s", *options, "--set", f"preprocessing.steps={steps}"
        )
        assert code == 2
        assert said in err
        assert "Traceback" not in err
        assert not (tmp_path / "s").exists()


def test_wrong_steps_and_a_wrong_limit_are_told_at_once(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    code, _, err = unifocal(
        "compare", "--data", phantom, "--out", tmp_path / "s", *STUDY,
        "--set", "preprocessing.steps=[z_skore, {window: {low: 3}}]", "--set", "cache.limit=much",
    )  # fmt: skip
    assert code == 2
    for words in ("z_skore", "Did you mean z_score", "window.high", "cache.limit"):
        assert words in err


def test_a_model_takes_images_of_many_sizes_when_its_steps_keep_them(
    phantom: Path, tmp_path: Path, unifocal: Call
) -> None:
    steps = "[z_score, {pad: {multiple: 16}}]"
    code, _, err = unifocal(
        "train", "--data", phantom, "--loss", "bce", "--out", tmp_path / "m", *SMALL,
        "--set", f"preprocessing.steps={steps}",
    )  # fmt: skip
    assert code == 0, err
    new = tmp_path / "new"
    new.mkdir()
    sizes = {"a": (33, 70), "b": (48, 48), "c": (48, 48), "d": (20, 90)}
    for name, size in sizes.items():
        Image.fromarray(np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8)).save(new / f"{name}.png")
    code, _, err = unifocal("predict", "--model", tmp_path / "m", "--images", new, "--out", tmp_path / "p")
    assert code == 0, err
    for name, size in sizes.items():
        with Image.open(tmp_path / "p" / "masks" / f"{name}.png") as mask:
            assert mask.size == size[::-1]


def test_the_cache_changes_no_score_whatever_becomes_of_it(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    cache = tmp_path / "cache"
    use = ("compare", "--data", phantom, *STUDY, "--set", f"cache.folder={cache}")
    assert unifocal(*use, "--out", tmp_path / "first")[0] == 0
    files = [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size > 100]
    assert len(files) == len(pd.read_csv(phantom / "cases.csv"))
    for number, path in enumerate(sorted(files)):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        path.write_bytes(content if number % 2 else content[: len(content) // 3])
    assert unifocal(*use, "--out", tmp_path / "damaged")[0] == 0
    assert scores(tmp_path / "damaged") == scores(tmp_path / "first")
    little = ("--set", "cache.limit=1 KB", "--set", f"cache.folder={tmp_path / 'other'}")
    code, _, err = unifocal(*use, *little, "--out", tmp_path / "tiny")
    assert code == 0
    assert "does not hold all prepared cases" in err
    assert scores(tmp_path / "tiny") == scores(tmp_path / "first")


def test_the_study_records_the_steps(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    steps = "[{percentile: {low: 1}}, {crop_foreground: {margin: 1}}]"
    out = tmp_path / "s"
    assert unifocal("compare", "--data", phantom, "--out", out, *STUDY, "--set", f"preprocessing.steps={steps}")[0] == 0
    recorded = yaml.safe_load((out / "study.yaml").read_text())["preprocessing"]
    assert [next(iter(step)) for step in recorded["steps"]] == ["channels", "percentile", "crop_foreground", "resize"]
    assert recorded["hash"][:16] in (out / "report.html").read_text()
    # Cropped to what is not 0 and scored at home: every prediction has its image's own size.
    for path in (out / "runs").rglob("predictions/*.png"):
        with Image.open(path) as mask, Image.open(phantom / "images" / path.name) as image:
            assert mask.size == image.size


def test_folds_with_another_split_than_k_fold_are_refused(phantom: Path, tmp_path: Path, unifocal: Call) -> None:
    code, _, err = unifocal("compare", "--data", phantom, "--out", tmp_path / "s", *STUDY, "--split", "official")
    assert code == 2
    assert "--folds" in err
