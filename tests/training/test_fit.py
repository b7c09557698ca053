"""Training: it learns, it repeats, it goes on exactly where it was stopped."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from trainings import Killed, fit_volumes, history, run, same

from unifocal.config.schema import TrainingConfig
from unifocal.data.child import Child, Context
from unifocal.losses import create
from unifocal.models import UNet
from unifocal.training import DivergedError, Patches, Samples, fit
from unifocal.training.module import by_tiles, defined_dice
from unifocal.training.records import EpochRecord
from unifocal.training.targets import try_loss


def test_who_reads_and_augments_changes_nothing(samples: Samples, tmp_path: Path) -> None:
    alone = run(samples, tmp_path / "alone", epochs=3, workers=0)
    helped = run(samples, tmp_path / "helped", epochs=3, workers=2)
    assert same(alone, helped)
    with pytest.raises(Killed):
        run(samples, tmp_path / "killed", epochs=3, workers=2, kill_after=1)
    assert same(alone, run(samples, tmp_path / "killed", epochs=3, workers=2))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_loaders_end_with_the_process_that_trains(tmp_path: Path) -> None:
    child = Child(Context(), train_long, tmp_path)
    while not (tmp_path / "history.csv").exists():
        assert not child.is_dead()
        time.sleep(0.05)
    loaders = descendants(child.process.pid)
    assert loaders
    child.kill()
    deadline = time.monotonic() + 60
    while any(map(is_alive, loaders)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_alive, loaders))


def one_square(_case: int) -> tuple[np.ndarray, np.ndarray]:
    classes = np.zeros((32, 32), np.uint8)
    classes[9:20, 9:20] = 1
    return classes[None].astype(np.float32), classes


def train_long(_line: object, folder: Path) -> None:
    run(Samples(one_square, (1, 32, 32), 2), folder, epochs=100_000, workers=1)


def descendants(pid: int | None) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [each for each, parent in parents.items() if parent == one]
    return [each for each in found[1:] if each is not None]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_learns(samples: Samples, tmp_path: Path) -> None:
    result = run(samples, tmp_path, epochs=25, augmentation="none")
    assert result.validation_dice > 0.6
    assert history(tmp_path)["train_loss"].iloc[-1] < history(tmp_path)["train_loss"].iloc[0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_killed_run_goes_on_to_the_same_weights(samples: Samples, tmp_path: Path, precision: str) -> None:
    patient = {"plateau_patience": 1, "stop_patience": 4, "precision": precision}
    undisturbed = run(samples, tmp_path / "a", **patient)
    for epoch in (0, 2, 3):
        with pytest.raises(Killed):
            run(samples, tmp_path / "b", kill_after=epoch, **patient)
    continued = run(samples, tmp_path / "b", **patient)
    assert same(undisturbed, continued)
    pd.testing.assert_frame_equal(history(tmp_path / "a"), history(tmp_path / "b"))


def test_killed_between_the_last_epoch_and_the_end(samples: Samples, tmp_path: Path) -> None:
    undisturbed = run(samples, tmp_path / "a", epochs=2)
    with pytest.raises(Killed):
        run(samples, tmp_path / "b", epochs=2, kill_after=1)
    assert same(undisturbed, run(samples, tmp_path / "b", epochs=2))
    assert len(history(tmp_path / "b")) == 2


def test_an_interruption_stays_one_and_the_next_is_heard_too(samples: Samples, tmp_path: Path) -> None:
    def interrupt(_record: EpochRecord) -> None:
        signal.raise_signal(signal.SIGINT)

    # A shell starts its background jobs with interruptions ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(
                UNet(1, 1, width=4, depth=2), create("bce"), samples, train=range(8), validation=range(8, 12),
                settings=TrainingConfig(epochs=2), seed=0, folder=tmp_path, on_epoch=interrupt,
            )  # fmt: skip
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "state.ckpt").is_file()


def test_a_damaged_state_file_starts_anew(samples: Samples, tmp_path: Path) -> None:
    undisturbed = run(samples, tmp_path / "a", epochs=2)
    with pytest.raises(Killed):
        run(samples, tmp_path / "b", epochs=2, kill_after=0)
    state = tmp_path / "b" / "state.ckpt"
    state.write_bytes(state.read_bytes()[:1000])
    assert same(undisturbed, run(samples, tmp_path / "b", epochs=2))


def test_what_ran_before_does_not_matter(samples: Samples, tmp_path: Path) -> None:
    first = run(samples, tmp_path / "a", epochs=2)
    torch.rand(17)
    np.random.default_rng().random()
    assert same(first, run(samples, tmp_path / "b", epochs=2))


def test_every_loss_sees_the_same_batches(samples: Samples, tmp_path: Path) -> None:
    seen: dict[str, list[torch.Tensor]] = {"bce": [], "dice": []}

    class Spy(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name
            self.inner = create(name)

        def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            if logits.requires_grad:
                seen[self.name].append(target.clone())
            value: torch.Tensor = self.inner(logits, target)
            return value

    for name in seen:
        torch.manual_seed(1)
        settings = TrainingConfig(epochs=2, batch_size=4, precision="float32")
        fit(
            UNet(1, 1, width=4, depth=2), Spy(name), samples, train=range(8), validation=range(8, 12),
            settings=settings, seed=3, folder=tmp_path / name,
        )  # fmt: skip
    assert len(seen["bce"]) == 4
    assert all(torch.equal(a, b.to(a.dtype)) for a, b in zip(seen["bce"], seen["dice"], strict=True))
    assert not torch.equal(seen["bce"][0], seen["bce"][2])


def test_a_polynomial_schedule_lowers_the_rate_after_every_epoch(samples: Samples, tmp_path: Path) -> None:
    settings = {"epochs": 4, "learning_rate": 0.01, "schedule": "polynomial", "stop_patience": 99}
    undisturbed = run(samples, tmp_path / "a", **settings)
    assert history(tmp_path / "a")["learning_rate"].tolist() == pytest.approx(
        [0.01, 0.01 * 0.75**0.9, 0.01 * 0.5**0.9, 0.01 * 0.25**0.9]
    )
    with pytest.raises(Killed):
        run(samples, tmp_path / "b", kill_after=1, **settings)
    assert same(undisturbed, run(samples, tmp_path / "b", **settings))


def test_a_plateau_lowers_the_rate_and_then_stops(samples: Samples, tmp_path: Path) -> None:
    # A rate of almost nothing: only rounding can improve the first epoch.
    result = run(
        samples, tmp_path, epochs=30, learning_rate=1e-30, plateau_patience=2, stop_patience=5, plateau_factor=0.5
    )
    rates = history(tmp_path)["learning_rate"].tolist()
    assert result.epochs == 6
    assert rates == pytest.approx([1e-30, 1e-30, 1e-30, 5e-31, 5e-31, 2.5e-31])


def test_the_best_epoch_is_kept(samples: Samples, tmp_path: Path) -> None:
    for monitor, column, pick in (("loss", "validation_loss", np.argmin), ("dice", "validation_dice", np.argmax)):
        result = run(samples, tmp_path / monitor, monitor=monitor)
        assert result.best_epoch == int(pick(history(tmp_path / monitor)[column]))


class Exploding(nn.Module):
    def forward(self, logits: torch.Tensor, _target: torch.Tensor) -> torch.Tensor:
        return logits.sum() * float("inf")


class Flat(nn.Module):
    def forward(self, logits: torch.Tensor, _target: torch.Tensor) -> torch.Tensor:
        return (logits * 0).sum()


class PerPixel(nn.Module):
    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (logits - target) ** 2


class BadOnce(nn.Module):
    """Not a number in one call, and a loss in all others."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        loss: torch.Tensor = create("bce")(logits, target)
        # Without a gradient of its own, so that the weights stay good.
        return loss + float("nan") if self.calls == self.at else loss


@pytest.mark.parametrize("at", [1, 2, 3], ids=["first step", "last step", "validation"])
def test_one_bad_value_ends_the_run_before_anything_is_kept(samples: Samples, tmp_path: Path, at: int) -> None:
    with pytest.raises(DivergedError, match="nan in epoch 0"):
        fit(
            UNet(1, 1, width=4, depth=2), BadOnce(at), samples, train=range(8), validation=range(8, 12),
            settings=TrainingConfig(epochs=2, batch_size=4), seed=0, folder=tmp_path,
        )  # fmt: skip
    assert not list(tmp_path.glob("*.ckpt"))
    assert not (tmp_path / "history.csv").exists()


def test_a_diverging_loss_is_an_error(samples: Samples, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="epoch 0"):
        fit(
            UNet(1, 1, width=4, depth=2), Exploding(), samples, train=range(8), validation=range(8, 12),
            settings=TrainingConfig(epochs=1), seed=0, folder=tmp_path,
        )  # fmt: skip


class Learning(nn.Module):
    """Binary cross entropy at a temperature that is to be found."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(logits / self.temperature, target)


@pytest.mark.parametrize(
    ("loss", "fault"),
    [
        (lambda: create("focal"), ""),
        (nn.BCEWithLogitsLoss, ""),
        (Exploding, "gave"),
        (Flat, "has no gradient"),
        (PerPixel, "gave torch.Size"),
        (nn.CosineEmbeddingLoss, "failed when it was called"),
        (Learning, "has weights that would have to learn (temperature), but training changes those of the network"),
        (lambda: Learning().requires_grad_(False), ""),
    ],
)
def test_a_loss_is_tried_before_training(loss: Callable[[], nn.Module], fault: str) -> None:
    assert try_loss(loss(), 1).startswith(fault)
    assert bool(try_loss(loss(), 1)) == bool(fault)


def test_validation_dice_is_the_mean_of_defined_values() -> None:
    logits = torch.tensor([[[[1.0, -1.0], [1.0, -1.0]]], [[[-1.0, -1.0], [-1.0, -1.0]]]])
    classes = torch.tensor([[[[1, 1], [0, 0]]], [[[0, 0], [0, 0]]]])
    assert defined_dice(logits, classes) == [0.5]


def test_training_on_patches_learns_and_goes_on_exactly(volumes: Patches, tmp_path: Path) -> None:
    undisturbed = fit_volumes(volumes, tmp_path / "a", lambda _record: None)
    history = pd.read_csv(tmp_path / "a" / "history.csv")
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert history["validation_dice"].notna().all()

    def kill(record: EpochRecord) -> None:
        if record.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        fit_volumes(volumes, tmp_path / "b", kill)
    assert same(undisturbed, fit_volumes(volumes, tmp_path / "b", lambda _record: None))


@pytest.mark.parametrize("size", [(5, 9, 4), (8, 8, 8), (17, 8, 12)])
def test_tiles_put_every_voxel_where_it_was(size: tuple[int, ...]) -> None:
    image = torch.randn(1, 2, *size)
    assert torch.equal(by_tiles(lambda part: 3 * part, image, (8, 8, 8)), 3 * image)


def test_lightning_is_imported_when_a_training_begins() -> None:
    """It takes seconds, which a study's own process and predictions need not wait for."""
    code = (
        "import sys; import unifocal.experiments.compare, unifocal.experiments.new_images, unifocal.training;"
        "assert not {'lightning', 'torch._dynamo'} & set(sys.modules);"
        "import unifocal.training.loop; assert 'lightning' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
