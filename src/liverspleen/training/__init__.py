"""Training: losses, the Lightning module, per-case validation, checkpoints.

Importing this package loads no torch; its names do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liverspleen.lazy import lazy_exports

if TYPE_CHECKING:
    from liverspleen.training.description import model_description
    from liverspleen.training.losses import CrossEntropy, Dice, SegmentationLoss
    from liverspleen.training.module import SegmentationModule
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "CrossEntropy": "losses",
            "Dice": "losses",
            "SegmentationLoss": "losses",
            "SegmentationModule": "module",
            "model_description": "description",
        },
    )

__all__ = ["CrossEntropy", "Dice", "SegmentationLoss", "SegmentationModule", "model_description"]
