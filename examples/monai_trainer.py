"""The Unified Focal loss in MONAI's `SupervisedTrainer`, in place of `DiceCELoss`.

Dictionary data as MONAI's loaders give it: volumes and labels are `MetaTensor`s (N, 1, H, W, D) of float32. MONAI's
engines need pytorch-ignite (`pip install monai pytorch-ignite`). Run with `python examples/monai_trainer.py`.
"""

import numpy as np
import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from monai.handlers import from_engine
from monai.inferers import SimpleInferer
from monai.metrics import DiceMetric
from monai.networks.nets import UNet
from monai.transforms import AsDiscrete, Compose, EnsureChannelFirstd, EnsureTyped, RandFlipd
from monai.utils import set_determinism

from unifocal.losses import UnifiedFocalLoss


def volumes(count: int, seed: int, size: int = 24) -> list[dict[str, np.ndarray]]:
    """Noisy volumes of one small ball each, and their labels."""
    random = np.random.default_rng(seed)
    grid = np.indices((size, size, size))
    cases = []
    for _ in range(count):
        centre = random.integers(6, size - 6, size=(3, 1, 1, 1))
        label = ((grid - centre) ** 2).sum(0) <= random.integers(3, 6) ** 2
        cases.append({"image": label + random.normal(scale=0.5, size=label.shape), "label": label})
    return cases


def main(epochs: int = 6) -> tuple[list[float], float]:
    """Train; returns the loss of every step, and the Dice coefficient on unseen volumes."""
    set_determinism(0)
    keys = ["image", "label"]
    loading = [EnsureChannelFirstd(keys, channel_dim="no_channel"), EnsureTyped(keys, dtype=torch.float32)]
    training = Dataset(volumes(24, seed=1), Compose([*loading, RandFlipd(keys, prob=0.5, spatial_axis=0)]))
    network = UNet(spatial_dims=3, in_channels=1, out_channels=2, channels=(8, 16, 32), strides=(2, 2), norm="batch")
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(training, batch_size=4, shuffle=True),
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), lr=1e-2),
        loss_function=UnifiedFocalLoss(delta=0.6, gamma=0.5),  # was DiceCELoss(to_onehot_y=True, softmax=True)
        inferer=SimpleInferer(),
    )
    history: list[float] = []
    last_loss = from_engine("loss", first=True)
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: history.append(float(last_loss(engine.state.output)))
    )
    trainer.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: print(f"epoch {engine.state.epoch}  loss {history[-1]:.4f}")
    )
    trainer.run()

    dice = DiceMetric(include_background=False)
    network.eval()
    for case in Dataset(volumes(8, seed=2), Compose(loading)):
        with torch.no_grad():
            logits = network(case["image"].unsqueeze(0))
        found = AsDiscrete(argmax=True, to_onehot=2)(logits[0])
        dice(y_pred=[found], y=[AsDiscrete(to_onehot=2)(case["label"])])
    print(f"Dice on unseen volumes {dice.aggregate().item():.3f}")
    return history, dice.aggregate().item()


if __name__ == "__main__":
    main()
