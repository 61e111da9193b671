"""Exponential moving average of the weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AveragedWeights:
    """A copy of a network with the exponential moving average of its weights and statistics.

    The decay after step t is min(`decay`, (1 + t) / (10 + t)), so that the random initial weights lose influence early.
    Source: TensorFlow's `ExponentialMovingAverage` with `num_updates`, as used to train DeepLab.

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
        """Update the average with the network after `step` steps."""
        update_means = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        means, values = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        update_means(means, values, None)  # in one call: a network has hundreds, and each call launches a kernel
        for mean, value in (pair for pair in pairs if not pair[0].is_floating_point()):
            mean.copy_(value)

    def state_dict(self, prefix: str) -> dict[str, Tensor]:
        """Return weights and statistics by name, with `prefix` before each name."""
        return {f"{prefix}{name}": value for name, value in self.network.state_dict().items()}
