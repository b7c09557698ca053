"""Random transforms of an (image, labels) pair."""

from unifocal.augmentation.standard import Augmentation, standard

__all__ = ["Augmentation", "standard"]
