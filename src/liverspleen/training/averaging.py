"""Exponential moving average of the weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn


class AveragedWeights:
    """A copy of a network whose weights and statistics follow those of the trained one slowly.

    After step t the copy keeps min(`decay`, (1 + t) / (10 + t)) of itself: the first steps do not cling to the random
    start. Source: TensorFlow's `ExponentialMovingAverage` with `num_updates`, as used to train DeepLab.

    >>> trained = nn.Linear(1, 1, bias=False)
    >>> averaged = AveragedWeights(trained, decay=0.5)
    >>> _ = trained.weight.data.fill_(1.0), averaged.network.weight.data.fill_(0.0)
    >>> averaged.update(trained, step=17)  # (1 + 17) / (10 + 17) is above 0.5
    >>> averaged.network.weight.item()
    0.5
    """

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.network = deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, *, step: int) -> None:
        """Follow the network after `step` steps."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for mean, now in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, share)
            else:
                mean.copy_(now)

    def state_dict(self, prefix: str) -> dict[str, Tensor]:
        """Weights and statistics by name, each behind `prefix`."""
        return {f"{prefix}{name}": value for name, value in self.network.state_dict().items()}
