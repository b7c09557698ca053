"""One image in, one image out: skull stripping, intensity, size."""

from unifocal.preprocessing.image import prepare_image, prepare_labels
from unifocal.preprocessing.intensity import unit_range, z_score
from unifocal.preprocessing.skull import strip_skull

__all__ = ["prepare_image", "prepare_labels", "strip_skull", "unit_range", "z_score"]
