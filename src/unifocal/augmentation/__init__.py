"""Random transforms of an (image, labels) pair, or of a batch of them."""

from unifocal.augmentation.batches import BatchAugmentation
from unifocal.augmentation.standard import Augmentation, standard

__all__ = ["Augmentation", "BatchAugmentation", "standard"]
