"""Where networks segment: on a GPU where there is one, and on the processor everywhere else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from unifocal.cli.app import run
from unifocal.config.resolve import resolve
from unifocal.config.schema import InferenceConfig, TrainConfig
from unifocal.data.phantom import write_phantom
from unifocal.experiments import compare, new_images, segment, single
from unifocal.experiments import run as runs
from unifocal.inference.device import choose_device, device_problems
from volume_files import ball, save_known_model, write_case

SMALL = (
    "--epochs", "1", "--size", "32", "--set", "network.width=4", "--set", "network.depth=2",
    "--set", "training.threads=1", "--set", "training.precision=float32", "--set", "training.augmentation=none",
)  # fmt: skip
POSTPROCESS = ("--set", "inference.postprocess=true")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "data"
    write_phantom(folder, patients=4, seed=3, size=48)
    return folder


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What happens, in order: where networks are brought, `segment` and `save`. The GPU is this processor."""
    happened: list[object] = []
    move, cpu = nn.Module.to, torch.device("cpu")

    class Gpu:
        """Stands for a GPU."""

    gpu = Gpu()

    def to(module: nn.Module, *given: Any, **named: Any) -> nn.Module:
        if given and given[0] is gpu:
            happened.append("gpu")
            return move(module, cpu)
        return move(module, *given, **named)

    def heard(what: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            happened.append(what)
            return original(*given, **named)

        return call

    def choose(asked: str | None) -> Gpu:
        happened.append(asked)
        return gpu

    monkeypatch.setattr(nn.Module, "to", to)
    for module in (runs, single, new_images):
        monkeypatch.setattr(module, "choose_device", choose)
    for module, name in ((runs, "segment"), (segment, "segment"), (new_images, "segment")):
        monkeypatch.setattr(module, name, heard("segment", getattr(module, name)))
    monkeypatch.setattr(new_images, "predict_volume_indices", heard("segment", new_images.predict_volume_indices))
    for module in (runs, single):
        monkeypatch.setattr(module, "save_bundle", heard("save", module.save_bundle))
    return happened


@pytest.mark.parametrize(("there", "asked", "found"), [
    (False, None, "cpu"), (False, "cpu", "cpu"), (True, None, "cuda"), (True, "cpu", "cpu"), (True, "cuda", "cuda"),
])  # fmt: skip
def test_a_gpu_is_chosen_where_there_is_one(
    there: bool, asked: str | None, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device(asked) == torch.device(found)
    assert not device_problems(asked)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no CUDA GPU"):
        choose_device("cuda")
    (problem,) = device_problems("cuda")
    assert problem.where == "inference.device"


def test_auto_leaves_the_choice_to_the_machine_and_is_what_earlier_studies_have() -> None:
    assert InferenceConfig(device="auto") == InferenceConfig()
    assert InferenceConfig().device is None
    asked = resolve(TrainConfig, config=None, settings=["inference.device=auto"], flags={"out": Path("out")})
    assert asked.inference.device is None


def test_a_run_segments_on_the_gpu_after_training(phantom: Path, tmp_path: Path, events: list[object]) -> None:
    arguments = ["compare", "--data", str(phantom), "--losses", "bce", "--folds", "2", "--jobs", "1", *SMALL]
    assert run([*arguments, "--out", str(tmp_path / "s"), *POSTPROCESS, "--set", "inference.device=cpu"]) in (0, 1)
    assert events == ["cpu", "gpu", "segment", "save", "segment"] * 2


def test_a_training_chooses_cleanings_on_the_gpu_and_prediction_uses_it(
    phantom: Path, tmp_path: Path, events: list[object]
) -> None:
    train = ["train", "--data", str(phantom), "--loss", "bce", *SMALL, "--out", str(tmp_path / "t")]
    assert run([*train, *POSTPROCESS]) == 0
    assert events == [None, "gpu", "segment", "save"]
    events.clear()
    predict = ["predict", "--model", str(tmp_path / "t"), "--images", str(phantom / "images")]
    assert run([*predict, "--out", str(tmp_path / "p")]) == 0
    assert events == [None, "gpu", "segment"]


def test_volumes_go_to_the_gpu_whatever_the_model_says(tmp_path: Path, events: list[object]) -> None:
    model = save_known_model(tmp_path / "m", {1: 0.5})
    for name in ("one", "two"):
        write_case(tmp_path / "data", name, ball((10, 12, 14)))
    predict = ["predict", "--model", str(model), "--images", str(tmp_path / "data" / "imagesTr")]
    assert run([*predict, "--out", str(tmp_path / "p")]) == 0
    assert events == [None, "gpu", "segment", "segment"]


def test_the_device_of_a_training_is_not_that_of_its_predictions(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single, "device_problems", lambda _asked: [])
    monkeypatch.setattr(single, "choose_device", lambda _asked: torch.device("cpu"))
    train = ["train", "--data", str(phantom), "--loss", "bce", *SMALL, "--out", str(tmp_path / "t")]
    assert run([*train, "--set", "inference.device=cuda"]) == 0
    # Nor does it make another training.
    assert run(train) == 0
    predict = ["predict", "--model", str(tmp_path / "t"), "--images", str(phantom / "images")]
    assert run([*predict, "--out", str(tmp_path / "p")]) == 0
    assert yaml.safe_load((tmp_path / "p" / "predict.yaml").read_text())["inference"]["device"] is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("verb", ["train", "compare", "predict"])
def test_a_gpu_that_is_not_there_is_told_before_anything_is_done(
    verb: str, phantom: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_known_model(tmp_path / "m", {1: 0.5})
    given = {
        "train": ["--data", str(phantom), *SMALL],
        "compare": ["--data", str(phantom), "--losses", "bce,dice", "--folds", "2", *SMALL],
        "predict": ["--model", str(model), "--images", str(phantom / "images")],
    }[verb]
    assert run([verb, *given, "--out", str(tmp_path / "out"), "--set", "inference.device=cuda"]) == 2
    assert "inference.device" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_study_goes_on_wherever_networks_segment(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = ["compare", "--data", str(phantom), "--losses", "bce", "--folds", "2", *SMALL, "--out", str(tmp_path / "s")]
    assert run(study) == 0
    monkeypatch.setattr(compare, "device_problems", lambda _asked: [])
    assert run([*study, "--set", "inference.device=cuda"]) == 0
    assert "All runs were done before" in capsys.readouterr().err
