"""Losses for class-imbalanced segmentation: one formula, many names.

The nine classes below work alone in any training loop; `create`, `names` and `describe` serve those
who choose by name.
"""

from unifocal.losses.base import SegmentationLoss
from unifocal.losses.catalogue import SHARED_PARAMETERS, Member, Parameter
from unifocal.losses.deep_supervision import DeepSupervisionLoss
from unifocal.losses.members import (
    ComboLoss,
    CrossEntropyLoss,
    DiceCrossEntropyLoss,
    DiceLoss,
    FocalLoss,
    FocalTverskyLoss,
    HybridFocalLoss,
    TverskyLoss,
    UnifiedFocalLoss,
)
from unifocal.losses.papers import Paper
from unifocal.losses.registry import UnknownLossError, create, describe, names

__all__ = [
    "SHARED_PARAMETERS",
    "ComboLoss",
    "CrossEntropyLoss",
    "DeepSupervisionLoss",
    "DiceCrossEntropyLoss",
    "DiceLoss",
    "FocalLoss",
    "FocalTverskyLoss",
    "HybridFocalLoss",
    "Member",
    "Paper",
    "Parameter",
    "SegmentationLoss",
    "TverskyLoss",
    "UnifiedFocalLoss",
    "UnknownLossError",
    "create",
    "describe",
    "names",
]
