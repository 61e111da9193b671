"""Losses on logits, from MONAI."""

from __future__ import annotations

from monai.losses.dice import DiceCELoss
from torch import Tensor, nn


class DiceCrossEntropy(nn.Module):
    """Soft Dice over liver and spleen, taken over the whole batch, plus cross-entropy over all classes.

    Dice over the batch and not per section: most sections lack an organ, and a section's Dice of an absent organ would
    punish every faint trace of it. Finite on a batch without any organ.

    >>> import torch
    >>> loss = DiceCrossEntropy(dice_weight=1.0, ce_weight=1.0)
    >>> empty = torch.zeros(2, 8, 8, dtype=torch.uint8)
    >>> bool(torch.isfinite(loss(torch.zeros(2, 3, 8, 8), empty)))
    True
    """

    def __init__(self, *, dice_weight: float, ce_weight: float) -> None:
        super().__init__()
        self.loss = DiceCELoss(
            include_background=False,
            to_onehot_y=True,
            softmax=True,
            batch=True,
            lambda_dice=dice_weight,
            lambda_ce=ce_weight,
        )

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar loss of logits (B, 3, H, W) against label values (B, H, W)."""
        value: Tensor = self.loss(logits, labels[:, None].long())
        return value
