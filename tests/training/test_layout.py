"""How weights lie in memory while a network trains changes its speed and nothing else."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import Killed, history, run

from unifocal.models import UNet
from unifocal.training import FitResult, Samples
from unifocal.training.module import SegmentationModule
from unifocal.training.settings import choose_layout

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("capability", "spatial", "device", "layout"),
    [
        ("AVX2", (256, 256), CPU, torch.contiguous_format),
        ("AVX2", (512, 800), CPU, torch.contiguous_format),
        ("AVX2", (255, 256), CPU, torch.channels_last),
        ("AVX512", (512, 800), CPU, torch.channels_last),
        ("AVX2", (512, 800), GPU, torch.channels_last),
        ("AVX2", (96, 96, 96), CPU, torch.channels_last_3d),
    ],
)
def test_large_images_lie_otherwise_where_it_is_faster(
    capability: str, spatial: tuple[int, ...], device: torch.device, layout: torch.memory_format, monkeypatch: Any
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert choose_layout(spatial, device) == layout


def lay_as(monkeypatch: pytest.MonkeyPatch, layout: torch.memory_format) -> None:
    monkeypatch.setattr("unifocal.training.loop.choose_layout", lambda _spatial, _device: layout)


@pytest.fixture
def trained_with(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each step's images and weights lay with their channels last."""
    seen: list[bool] = []
    step = SegmentationModule.training_step

    def watched(self: SegmentationModule, batch: Any, index: int) -> Any:
        def look(module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
            if isinstance(module, torch.nn.Conv2d) and module.in_channels > 1 and module.kernel_size == (3, 3):
                lie = [each.is_contiguous(memory_format=torch.channels_last) for each in (*inputs, module.weight)]
                assert len(set(lie)) == 1
                seen.append(lie[0])

        hooks = [module.register_forward_pre_hook(look) for module in self.network.modules()]
        result = step(self, batch, index)
        for hook in hooks:
            hook.remove()
        return result

    monkeypatch.setattr(SegmentationModule, "training_step", watched)
    return seen


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_layout_changes_rounding_only_also_of_a_training_that_goes_on(
    samples: Samples, tmp_path: Path, optimizer: str, trained_with: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What dropout draws, it draws in the order of memory.
    monkeypatch.setattr("trainings.UNet", partial(UNet, dropout=()))
    found: dict[str, FitResult] = {}
    for name, layout in (("last", torch.channels_last), ("first", torch.contiguous_format)):
        lay_as(monkeypatch, layout)
        trained_with.clear()
        found[name] = run(samples, tmp_path / name, epochs=4, optimizer=optimizer)
        assert set(trained_with) == {name == "last"}
    lay_as(monkeypatch, torch.channels_last)
    with pytest.raises(Killed):
        run(samples, tmp_path / "moved", epochs=4, optimizer=optimizer, kill_after=0)
    lay_as(monkeypatch, torch.contiguous_format)
    found["moved"] = run(samples, tmp_path / "moved", epochs=4, optimizer=optimizer)
    for name in ("first", "moved"):
        pairs = zip(found["last"].weights.values(), found[name].weights.values(), strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
        assert history(tmp_path / name).to_numpy() == pytest.approx(history(tmp_path / "last").to_numpy(), rel=1e-3)
