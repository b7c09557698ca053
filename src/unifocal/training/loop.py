"""The training loop, which is Lightning's. It takes seconds to import, so only `fit` does, when it begins."""

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Trainer
from torch import Tensor

from unifocal.config.schema import TrainingConfig
from unifocal.training.batches import training_batches, validation_batches
from unifocal.training.bfloat16 import thin_volumes_in_float32
from unifocal.training.callbacks import Keeper, StepSeed
from unifocal.training.module import SegmentationModule
from unifocal.training.resident import kept_on
from unifocal.training.samples import Cases, ShuffledCases
from unifocal.training.settings import choose_layout, choose_precision
from unifocal.training.stage_clock import StageClock


def train(
    module: SegmentationModule,
    keeper: Keeper,
    samples: Cases,
    cases: Sequence[int],
    validation: Sequence[int],
    settings: TrainingConfig,
    seed: int,
    *,
    resume: bool,
) -> None:
    """Train to the last epoch, or until the keeper stops it.

    Args:
        module: Network, loss and optimiser.
        keeper: Hears of every epoch, and keeps the state.
        samples: All prepared cases.
        cases: Indices of the training cases.
        validation: Indices of the validation cases.
        settings: Epochs, batches, precision.
        seed: Decides order, augmentation and dropout.
        resume: Whether to go on from the keeper's state file.
    """
    order = ShuffledCases(cases, seed, samples.per_case)
    # Lightning says so itself, but only after the processes of a loader have begun to read ahead.
    order.set_epoch(len(keeper.history))
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Hints about loader workers and log intervals: the samples are in memory and small.
        warnings.filterwarnings("ignore", module="lightning.*")
        trainer = Trainer(
            accelerator="auto",
            devices=1,
            precision="bf16-mixed" if choose_precision(settings.precision) == "bfloat16" else "32-true",
            max_epochs=settings.epochs,
            callbacks=[StepSeed(seed), keeper, StageClock()],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            deterministic="warn",
            default_root_dir=keeper.folder,
            plugins=[_StraightToDisk()],
        )
        device = trainer.strategy.root_device
        module.lay_out(choose_layout(samples.shape[1:], device))
        handler = signal.getsignal(signal.SIGINT)
        try:
            with ExitStack() as stack:
                stack.enter_context(thin_volumes_in_float32(module.network))
                if settings.on_device:
                    samples = stack.enter_context(kept_on(device, samples))
                if settings.compile:
                    stack.enter_context(_compiled(module, device))
                batches = training_batches(samples, order, settings, seed, device)
                validated = validation_batches(samples, validation, settings, device)
                trainer.fit(module, batches, validated, ckpt_path=keeper.state_file if resume else None)
        except SystemExit:
            # Lightning turns an interruption into an exit with code 1 and leaves further ones ignored.
            if not trainer.interrupted:
                raise
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None


@contextmanager
def _compiled(module: SegmentationModule, device: torch.device) -> Iterator[None]:
    """Meanwhile, the network is called compiled; on a GPU as CUDA graphs, where starting kernels takes longest."""

    def call(image: Tensor) -> Any:
        return module.network(image)

    # The compiler remembers a few shapes of input for all runs of a process, and gives up on more.
    torch.compiler.reset()
    # A function and not a module: the network itself stays as it is, for whoever predicts with it afterwards.
    module.compiled = torch.compile(call, mode="reduce-overhead" if device.type == "cuda" else "default", dynamic=False)
    try:
        yield
    finally:
        module.compiled = None
        torch.compiler.reset()


class _StraightToDisk(TorchCheckpointIO):
    """Lightning's own way makes two copies in memory first, to replace the file at once, which the keeper does."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        torch.save(checkpoint, path)
