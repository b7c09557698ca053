"""From prepared images back to label masks at each image's own size, and to files."""

from unifocal.inference.predict import predict_indices
from unifocal.inference.writers import draw_overlay, write_mask, write_overlay

__all__ = ["draw_overlay", "predict_indices", "write_mask", "write_overlay"]
