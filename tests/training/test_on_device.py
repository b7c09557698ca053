"""Cases that stay on the device, and batches that are augmented there: the same training, continued exactly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import Killed, fit_volumes, history, run, same

from unifocal.config.schema import TrainingConfig
from unifocal.training import Patches, Samples
from unifocal.training.batches import batch_on
from unifocal.training.resident import _room_on, kept_on

CPU = torch.device("cpu")


def test_without_augmentation_nothing_changes(samples: Samples, tmp_path: Path) -> None:
    plain = run(samples, tmp_path / "plain", epochs=3, augmentation="none")
    on_device = run(samples, tmp_path / "device", epochs=3, augmentation="none", on_device=True)
    assert same(plain, on_device)
    assert history(tmp_path / "plain").equals(history(tmp_path / "device"))


def test_patches_cut_on_the_device_are_the_same(volumes: Patches, tmp_path: Path) -> None:
    plain = fit_volumes(volumes, tmp_path / "plain", lambda _record: None, augmentation="none")
    on_device = fit_volumes(volumes, tmp_path / "device", lambda _record: None, augmentation="none", on_device=True)
    assert same(plain, on_device)


def test_augmented_there_it_learns_repeats_and_goes_on(samples: Samples, tmp_path: Path) -> None:
    whole = run(samples, tmp_path / "whole", epochs=6, on_device=True)
    losses = history(tmp_path / "whole")["train_loss"]
    assert losses.iloc[-1] < losses.iloc[0]
    with pytest.raises(Killed):
        run(samples, tmp_path / "killed", epochs=6, on_device=True, kill_after=2)
    assert same(whole, run(samples, tmp_path / "killed", epochs=6, on_device=True))
    assert not same(whole, run(samples, tmp_path / "bare", epochs=6, on_device=True, augmentation="none"))


class Counting:
    """Hands cases out as read-only arrays, as the cache does, and counts how often."""

    def __init__(self, cases: int) -> None:
        random = np.random.default_rng(0)
        self.images = random.normal(size=(cases, 1, 6, 7, 8)).astype(np.float32)
        self.classes = random.integers(0, 2, (cases, 6, 7, 8)).astype(np.uint8)
        self.images.flags.writeable = self.classes.flags.writeable = False
        self.asked = [0] * cases

    def __call__(self, case: int) -> tuple[Any, Any]:
        self.asked[case] += 1
        return self.images[case], self.classes[case]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("room", [0, 2 * 5 * 6 * 7 * 8 + 3, 1 << 40])
def test_what_fits_is_read_once(room: int) -> None:
    fetch = Counting(4)
    for samples_of in (Patches(fetch, (4, 4, 4), 1, 2), Samples(fetch, (1, 6, 7, 8), 2)):
        fetch.asked = [0] * 4
        with kept_on(CPU, samples_of, lambda kept, size: kept + size <= room) as kept:
            for _ in range(3):
                for case in range(4):
                    found, wanted = kept.draw(case, 5), samples_of.draw(case, 5)
                    assert torch.equal(found[0], wanted[0])
                    assert torch.equal(found[1], wanted[1])
                    assert torch.equal(kept[case][0], samples_of[case][0])
        assert not kept.fetch.cases, "nothing is kept after the training"  # type: ignore[attr-defined]
        ours = [asked - 6 for asked in fetch.asked]
        fit_in = min(4, room // (5 * 6 * 7 * 8))
        assert sum(each == 1 for each in ours) == fit_in
        assert sum(each > 1 for each in ours) == 4 - fit_in


def test_batches_are_copies() -> None:
    fetch = Counting(2)
    with kept_on(CPU, Samples(fetch, (1, 6, 7, 8), 2)) as kept:
        images, classes = batch_on(CPU, [kept[0], kept[1]])
        images.zero_()
        classes.zero_()
        assert torch.equal(kept[0][0], torch.from_numpy(fetch.images[0].copy()))
        assert kept[1][1].any()


def test_room_is_a_part_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _room_on(CPU)(0, 1000)
    assert not _room_on(CPU)(1 << 50, 1000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (30, 100))
    gpu = _room_on(torch.device("cuda"))
    assert gpu(1 << 50, 5)
    assert not gpu(0, 6), "a quarter stays free"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """How each graph was asked for; it runs as it is, as the compiler proper takes a minute."""
    asked: list[dict[str, Any]] = []
    plain = torch.compile

    def traced(call: Callable[[torch.Tensor], Any], *, dynamic: bool, **how: Any) -> Any:
        def backend(graph: torch.fx.GraphModule, _inputs: Any) -> Any:
            asked.append(how)
            return graph.forward

        return plain(call, backend=backend, dynamic=dynamic)

    monkeypatch.setattr(torch, "compile", traced)
    return asked


def test_compiled_it_trains_repeats_and_goes_on(
    samples: Samples, tmp_path: Path, compilations: list[dict[str, Any]]
) -> None:
    options = {"epochs": 2, "augmentation": "none", "compile": True, "batch_size": 3}
    compiled = run(samples, tmp_path / "compiled", **options)  # type: ignore[arg-type]
    # Batches of 3 and 2 to train, of 3 and 1 to validate.
    assert compilations == [{"mode": "default"}] * 4
    with pytest.raises(Killed):
        run(samples, tmp_path / "killed", kill_after=0, **options)  # type: ignore[arg-type]
    assert same(compiled, run(samples, tmp_path / "killed", **options))  # type: ignore[arg-type]
    assert set(compiled.weights) == set(run(samples, tmp_path / "plain", epochs=1).weights)


def test_volumes_of_all_sizes_are_compiled_for_once(
    volumes: Patches, tmp_path: Path, compilations: list[dict[str, Any]]
) -> None:
    for name in ("one", "other"):
        del compilations[:]
        fit_volumes(volumes, tmp_path / name, lambda _record: None, compile=True, epochs=1)
        # A batch of patches, and a tile: two volumes differ in size, and no run is in another's way.
        assert len(compilations) == 2


def test_trainings_from_before_these_settings_are_the_same() -> None:
    plain = TrainingConfig().deciding()
    assert not {"on_device", "compile", "workers"} & set(plain)
    assert TrainingConfig(on_device=True, workers=3).deciding() == plain | {"on_device": True}
