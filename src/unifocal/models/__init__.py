"""Networks: plain arguments in, an `nn.Module` out that maps images to logits."""

from unifocal.models.bundle import load_bundle, read_description, save_bundle
from unifocal.models.networks import PRESETS, NetworkSpec, Preset, try_network
from unifocal.models.unet import UNet, strides_for

__all__ = [
    "PRESETS", "NetworkSpec", "Preset", "UNet", "load_bundle", "read_description", "save_bundle",
    "strides_for", "try_network",
]  # fmt: skip
