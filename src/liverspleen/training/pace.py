"""Time that a training still needs, from measured steps and validations."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import fmean

WARMUP_STEPS, WARMUP_S = 2, 20.0
MEASURED_STEPS, MEASURED_S = 8, 60.0
_RECENT = 500  # steps; the mean follows the load of the machine

# A step computes forward and backward passes, and a backward pass costs about two forward passes.
_PASSES = 3


@dataclass
class Pace:
    """Mean time of recent steps and validations.

    The first two steps are the warm-up (compilation, memory, loaders), or only the first one if it takes 20 seconds.

    Args:
        steps: number of steps of the training.
        every: number of steps between two validations; None: no validation.
        validation_steps: slices of a validation, as a multiple of the slices of a step.

    >>> pace = Pace(steps=100, every=50, validation_steps=6)
    >>> for seconds in (9.0, 4.0, 1.0, 3.0):
    ...     pace.add_step(seconds)
    >>> pace.step_s, pace.left_s(40)  # 60 steps, and two validations of 6 / 3 steps each
    (2.0, 128.0)
    >>> pace.validations_s.append(7.0); pace.left_s(50)
    107.0
    """

    steps: int
    every: int | None
    validation_steps: float
    validations_s: deque[float] = field(default_factory=lambda: deque(maxlen=3))
    _recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _warmup_s: list[float] = field(default_factory=list)

    def add_step(self, seconds: float) -> None:
        """Add the time of a step, without validation."""
        if self.warm:
            self._recent_s.append(seconds)
        else:
            self._warmup_s.append(seconds)

    @property
    def warm(self) -> bool:
        """Whether the warm-up has ended."""
        return len(self._warmup_s) == WARMUP_STEPS or sum(self._warmup_s) >= WARMUP_S

    @property
    def measured(self) -> bool:
        """Whether the steps so far are enough for an estimate: eight steps, or a minute."""
        return len(self._recent_s) >= MEASURED_STEPS or sum(self._recent_s) >= MEASURED_S

    @property
    def at_edge(self) -> bool:
        """Whether the current step is the last one before the measurement, or the last measured one."""
        return not self.warm or len(self._recent_s) == MEASURED_STEPS - 1

    @property
    def window(self) -> tuple[int, int]:
        """First and last measured step of this run, counted from 1."""
        return len(self._warmup_s) + 1, len(self._warmup_s) + len(self._recent_s)

    @property
    def step_s(self) -> float | None:
        """Mean time of the recent steps in seconds; None before the end of the warm-up."""
        return fmean(self._recent_s) if self._recent_s else None

    def validations_left(self, done: int) -> int:
        """Return the number of validations after `done` steps."""
        return 0 if self.every is None else self.steps // self.every - done // self.every

    def left_s(self, done: int) -> float | None:
        """Return the time of the remaining steps and validations in seconds; None before the end of the warm-up.

        Before the first validation its time is estimated from that of a step.
        """
        if (step_s := self.step_s) is None:
            return None
        validation_s = fmean(self.validations_s) if self.validations_s else self.validation_steps * step_s / _PASSES
        return (self.steps - done) * step_s + self.validations_left(done) * validation_s
