"""From prepared images back to label masks at each image's own size, and to files."""

from unifocal.inference.predict import decide, predict_probabilities
from unifocal.inference.writers import draw_overlay, write_mask, write_overlay

__all__ = ["decide", "draw_overlay", "predict_probabilities", "write_mask", "write_overlay"]
