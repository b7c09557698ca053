"""Cleaning that validation cases chose: off unless asked for, kept with the model, applied to all predictions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from unifocal.inference.postprocess import Cleaning
from unifocal.models import read_description

Call = Callable[..., tuple[int, str, str]]
SMALL = (
    "--epochs", "1", "--size", "32", "--set", "network.width=4", "--set", "network.depth=2",
    "--set", "training.threads=1", "--set", "training.precision=float32",
)  # fmt: skip


@pytest.mark.usefixtures("no_report")
def test_cleaning_is_chosen_on_validation_cases_and_goes_with_the_model(
    phantom: Path, tmp_path: Path, unifocal: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def choose(pairs: object, labels: tuple[int, ...]) -> dict[int, Cleaning]:
        seen.extend(truth.size for truth, _ in pairs)  # type: ignore[attr-defined]
        return dict.fromkeys(labels, Cleaning(largest_only=True))

    monkeypatch.setattr("unifocal.experiments.segment.choose_cleanings", choose)
    arguments = ("compare", "--data", phantom, "--losses", "bce", "--folds", "3", "--jobs", "1", *SMALL)
    assert unifocal(*arguments, "--out", tmp_path / "plain")[0] == 0
    assert not seen
    assert unifocal(*arguments, "--out", tmp_path / "clean", "--set", "inference.postprocess=true")[0] == 0
    assert seen
    for run in (tmp_path / "clean" / "runs" / "bce").iterdir():
        details = read_description(run / "model.safetensors")["details"]
        assert details["cleanings"] == {"1": Cleaning(largest_only=True).to_plain()}
        for path in (run / "predictions").glob("*.png"):
            with Image.open(path) as picture:
                mask = np.array(picture) > 0
            assert ndimage.label(mask, np.ones((3, 3)))[1] <= 1
    model = tmp_path / "clean" / "runs" / "bce" / "fold-0-seed-0"
    assert unifocal("predict", "--model", model, "--images", phantom / "images", "--out", tmp_path / "p")[0] == 0
    for path in (tmp_path / "p" / "masks").glob("*.png"):
        with Image.open(path) as picture:
            assert ndimage.label(np.array(picture) > 0, np.ones((3, 3)))[1] <= 1
    # Another cleaning is another study.
    assert unifocal(*arguments, "--out", tmp_path / "plain", "--set", "inference.postprocess=true")[0] == 2
