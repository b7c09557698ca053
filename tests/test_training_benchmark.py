"""The benchmark of training runs, and its arithmetic is right; how fast anything is, no test says."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
Module = Callable[[str], ModuleType]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    """Modules of the benchmarks by name, which are gone after the test."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == BENCHMARKS:
            del sys.modules[name]


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of all table rows that begin like this."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {first}")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_ratios_are_those_of_medians_with_the_spread_of_rounds(module: Module) -> None:
    tables = module("training_tables")
    assert tables.ratios([2.0, 4.0, 6.0], [1.0, 2.0, 2.0]) == (2.0, "2.00 (2.00-2.50)")
    assert tables.ratios([3.0], [2.0]) == (1.5, "1.50")
    assert tables.spread([0.1, 0.2, 0.3], 1e3) == "200 (150-250)"


def test_aims(module: Module) -> None:
    verdict = module("training_tables").verdict
    assert verdict(2.0, 2.0) == "at least 2: met"
    assert verdict(1.99, 2.0) == "at least 2: missed"
    assert verdict(1.1, 1.1, is_limit=True) == "at most 1.1: met"
    assert verdict(1.2, 1.1, is_limit=True) == "at most 1.1: missed"
    assert verdict(9.0, None) == ""


def test_an_epoch_stands_beside_its_steps_and_its_peer(module: Module) -> None:
    tables, shape = module("training_tables"), module("training_data").Shape.parse("8x8:2:5")
    found = tables.Found(shape)
    ours = tables.Who("unifocal", "dice_cross_entropy", "bfloat16", "epoch")
    peer = tables.Who("monai", "DiceCELoss", "bfloat16", "epoch")
    found.turns = {
        ours: [{"seconds": [3.6], "whole": [4.0]}] * 3,
        peer: [{"seconds": [7.2]}] * 3,
        tables.Who("device", "dice_cross_entropy", "bfloat16", "epoch"): [{"seconds": [3.0], "whole": [4.0]}] * 3,
        tables.bare_of(ours): [{"seconds": [0.5, 1.0, 1.5]}] * 3,
    }
    _, on_device = rows(tables.share_table([found]), "8x8, 2")
    assert on_device[1] == "`unifocal`, on_device, Dice + cross entropy, bfloat16"
    assert on_device[5:7] == ["1.00 (1.00-1.00)", "at most 1.1: met"], "beside the same bare steps"
    found.turns.pop(tables.Who("device", "dice_cross_entropy", "bfloat16", "epoch"))
    ((*_, steps, bare, training, ratio, aim, rest, whole),) = rows(tables.share_table([found]), "8x8, 2")
    assert (steps, bare, training) == ("3", "3 (3-3)", "3.6 (3.6-3.6)"), "five cases are three batches"
    assert (ratio, aim) == ("1.20 (1.20-1.20)", "at most 1.1: missed")
    assert (rest, whole) == ("0.4 (0.4-0.4)", "4 (4-4)")
    ((*_, times, aim),) = rows(tables.ratios_table([found], module("training").comparisons("epoch")), "8x8, 2")
    assert (times, aim) == ("2.00 (2.00-2.00)", "at least 1.5: met")
    assert len(rows(tables.times_table([found], "s"), "8x8, 2")) == 2, "bare steps are no contender"


@pytest.mark.parametrize("text", ["128:2", "8x8", "8x8:0", "8x8:2:4:1", "8x8x8x8:1", "8xa:2"])
def test_what_is_no_shape_is_refused(module: Module, text: str) -> None:
    with pytest.raises(ValueError, match=r"shape|literal|unpack"):
        module("training_data").Shape.parse(text)


def test_the_recorded_command_names_no_path_of_this_machine(module: Module) -> None:
    recorded = module("training").recorded(["--quick", "--keras-python", "/opt/keras/bin/python", "--rounds", "3"])
    assert recorded == "python benchmarks/training.py --quick --rounds 3"


def test_a_quick_epoch_of_ours_and_monai(module: Module, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    options = ["--quick", "--only", "epoch", "--shapes", "32x32:2:4", "--precisions", "float32", "--threads", "1"]
    module("training").main([*options, "--contenders", "unifocal", "monai", "--write", str(page)])
    text = page.read_text(encoding="utf-8")
    assert "`unifocal` 2D 1,941,105" in text
    times, ratio, share = rows(text, "32x32, 2 | `unifocal`")
    assert float(times[-1]) > 0
    assert float(ratio[-2]) > 0
    training, rest, whole = float(share[4]), float(share[-2]), float(share[-1])
    assert 0 < training < whole
    assert rest == pytest.approx(whole - training, rel=0.05)


def test_a_quick_training_beside_its_floor(module: Module, capfd: pytest.CaptureFixture[str]) -> None:
    module("device_training").main(["--quick", "--epochs", "1", "--threads", "1", "--precision", "float32"])
    plain, on_device = rows(capfd.readouterr().out, "32x32, 2")
    assert "on the device" in on_device[1]
    for _, _, floor, taken, share, _ in (plain, on_device):
        assert float(share.rstrip("%")) == pytest.approx(100 * float(floor.split()[0]) / float(taken), abs=2)


def test_a_quick_prediction_of_keras(module: Module, capfd: pytest.CaptureFixture[str]) -> None:
    environment = module("keras_environment")
    if not environment.has_tensorflow(environment.PYTHON):
        pytest.skip("the environment with TensorFlow is not set up")
    options = ["--quick", "--only", "predict", "--shapes", "32x32:2:4", "--precisions", "float32", "--threads", "1"]
    module("training").main([*options, "--contenders", "keras"])
    ((_, who, milliseconds),) = rows(capfd.readouterr().out, "32x32, 2")
    assert who == "Keras, float32"
    assert float(milliseconds) > 0


def test_the_floor_of_prediction_counts_each_convolution(module: Module) -> None:
    floor = module("prediction_floor")
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.ConvTranspose2d(4, 2, 2, stride=2)
    ).eval()
    images = torch.randn(5, 3, 6, 8)
    calls = floor.convolutions(network, images)
    first, last = (torch.ops.aten.convolution.default(*call) for call in calls)
    torch.testing.assert_close(first, network[0](images))
    torch.testing.assert_close(last, network(images))
    multiplications = 5 * 6 * 8 * (3 * 4 * 3 * 3 + 4 * 2 * 2 * 2)
    assert floor.operations(network, images) == 2 * multiplications


def test_the_floor_of_prediction_is_written(module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    floor = module("prediction_floor")
    monkeypatch.setattr(floor, "MATRIX", 64)
    monkeypatch.setattr(floor, "prepare_process", torch.set_num_threads)
    page = tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["floor", "--shapes", "16x16:2", "--rounds=1", "--threads=1", f"--write={page}"])
    floor.main()
    ((first, *numbers),) = rows(page.read_text(), "16x16, 2")
    assert first == "16x16, 2, float32"
    operations, network, alone, least, *shares = (float(number.removesuffix(" %")) for number in numbers)
    assert operations == pytest.approx(1.516240896 / 64, abs=0.006)
    assert min(network, alone, least) >= 0
    assert len(shares) == 2


def test_layouts_are_compared(module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts = module("layouts")
    monkeypatch.setattr(layouts, "prepare_process", torch.set_num_threads)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr("unifocal.training.settings._LARGE", 32 * 32)
    page = tmp_path / "page.md"
    cases = ["source_a:16x16:2", "source_a:32x32:1", "volumes:32x32x32:1"]
    monkeypatch.setattr(sys, "argv", ["layouts", "--cases", *cases, "--rounds=1", "--threads=1", f"--write={page}"])
    layouts.main()
    found = [rows(page.read_text(), f"`{case.split(':')[0]}`, {case.split(':')[1]}")[0] for case in cases]
    assert [each[-1] for each in found] == ["last", "first", "last"]
    for _, first, last, ratio, *_ in found:
        assert float(ratio) == pytest.approx(float(last) / float(first), rel=0.5)
