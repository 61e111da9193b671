"""Exponential moving average of the weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


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
        follow = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        means, now = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        follow(means, now, None)  # all in one call: a network has hundreds, and a GPU's host launches each
        for count, counted in (pair for pair in pairs if not pair[0].is_floating_point()):
            count.copy_(counted)

    def state_dict(self, prefix: str) -> dict[str, Tensor]:
        """Weights and statistics by name, each behind `prefix`."""
        return {f"{prefix}{name}": value for name, value in self.network.state_dict().items()}
