"""Networks: plain arguments in, an `nn.Module` out that maps images to logits."""

from unifocal.models.bundle import load_bundle, save_bundle
from unifocal.models.unet import UNet

__all__ = ["UNet", "load_bundle", "save_bundle"]
