"""Optimizer, and learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, PolynomialLR, StepLR


def optimizer(
    name: str, *, lr: float, weight_decay: float, momentum: float | None, fused: bool
) -> Callable[[Any], Optimizer]:
    """Return a function from parameters to their optimizer: `adam`, `adamw`, or `sgd` with Nesterov momentum."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]
    options = {} if momentum is None else {"momentum": momentum, "nesterov": True}
    return partial(kind, lr=lr, weight_decay=weight_decay, fused=fused, **options)


@dataclass(frozen=True)
class Schedule:
    """Fraction of the learning rate at each step, from 0.

    It rises linearly in the first `warmup` steps and is 1 at step `warmup` (gradual warm-up: Goyal et al. 2017,
    section 2.2). The schedule `name` covers the remaining steps, and the rate changes once per `every` steps:

    - `constant`: 1.
    - `polynomial`: (1 - progress)^`power`, as for DeepLab (Chen et al. 2018, section 4).
    - `cosine`: (1 + cos(pi progress)) / 2 (Loshchilov and Hutter 2017, equation 5, without restarts and to 0).
    - `staircase`: `factor`^n after n intervals of `every` steps.

    `progress` is the fraction of the steps after the warm-up that are done at the start of the interval. After `steps`
    it is 1.

    >>> rate = Schedule("cosine", steps=8, warmup=4)
    >>> [round(rate(step), 3) for step in range(9)]
    [0.2, 0.4, 0.6, 0.8, 1.0, 0.854, 0.5, 0.146, 0.0]
    """

    name: str
    steps: int
    warmup: int = 0
    every: int = 1
    power: float = 1.0
    factor: float = 1.0

    def __call__(self, step: int) -> float:
        """Return the fraction at this step."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        intervals = (step - self.warmup) // self.every
        if self.name == "staircase":
            return float(self.factor**intervals)
        progress = min(intervals * self.every / max(self.steps - self.warmup, 1), 1.0)
        if self.name == "polynomial":
            return float((1 - progress) ** self.power)
        return (1 + math.cos(math.pi * progress)) / 2 if self.name == "cosine" else 1.0


class ScheduledRate(LambdaLR):
    """Multiplies the learning rate by a `Schedule`; updated after every step.

    A checkpoint holds the number of steps only. A resumed training has the rate that the present schedule gives at that
    step, so one that is planned for more steps follows the new plan.
    """

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps that are done."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after that number of steps; the optimizer must already be loaded."""
        self.last_epoch = state_dict["last_epoch"]
        schedules = zip(self.optimizer.param_groups, self.lr_lambdas, self.base_lrs, strict=True)
        self._last_lr = [base * schedule(self.last_epoch) for _, schedule, base in schedules]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate


def scheduler(schedule: Schedule) -> Callable[[Optimizer], LRScheduler] | None:
    """Return a function from an optimizer to a scheduler that steps after every step; None for a constant rate.

    The rates of `PolynomialLR` and `StepLR` have other last digits than those of `ScheduledRate`. They are used where
    they suffice, so that trainings of earlier versions are resumed with equal rates.
    """
    name, every = schedule.name, schedule.every
    if schedule.warmup or name == "cosine" or (name == "polynomial" and every > 1):
        return partial(ScheduledRate, lr_lambda=schedule)
    if name == "polynomial":
        return partial(PolynomialLR, total_iters=schedule.steps, power=schedule.power)
    return partial(StepLR, step_size=every, gamma=schedule.factor) if name == "staircase" else None
