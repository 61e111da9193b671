"""Number of steps of a training that may take a given time, planned once from measured times."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

from liverspleen.display import duration
from liverspleen.errors import InputError, Issue, counted

MOST_STEPS: Final = 10**9


@dataclass(frozen=True)
class Costs:
    """Measured times of a training in seconds.

    Attributes:
        startup_s: from the plan to the first step.
        step_s: one step.
        validation_s: one validation; 0 without validation cases.
        checkpoint_s: writing of one checkpoint.
    """

    startup_s: float
    step_s: float
    validation_s: float
    checkpoint_s: float

    @classmethod
    def slowest(cls, ranks: Iterable[Costs]) -> Costs:
        """Return the longest of each time over the ranks, which wait for each other.

        >>> Costs.slowest([Costs(1.0, 0.2, 3.0, 0.0), Costs(2.0, 0.1, 0.0, 0.5)])
        Costs(startup_s=2.0, step_s=0.2, validation_s=3.0, checkpoint_s=0.5)
        """
        return cls(*map(max, zip(*(asdict(one).values() for one in ranks), strict=True)))

    def seconds(self, steps: int, *, every: int, start: int = 0) -> float:
        """Return the time of a training from the plan to its end, in seconds.

        Args:
            steps: number of steps of the complete training.
            every: number of steps between two validations; a shorter training is validated at its end.
            start: number of steps that are already done.

        >>> costs = Costs(startup_s=5.0, step_s=0.5, validation_s=10.0, checkpoint_s=1.0)
        >>> costs.seconds(99, every=50), costs.seconds(100, every=50), costs.seconds(100, every=50, start=50)
        (67.5, 79.0, 42.0)
        """
        validations = validations_to(steps, every=every, start=start)  # each with a `best.ckpt`
        saves = validations + math.ceil(steps / every) - start // every  # and a `last.ckpt` after each interval
        work = (steps - start) * self.step_s + validations * self.validation_s
        return self.startup_s + work + saves * self.checkpoint_s


def validations_to(steps: int, *, every: int, start: int = 0) -> int:
    """Return the number of validations up to the end of a training of `steps`; a short one has one at its end.

    >>> validations_to(49, every=50), validations_to(149, every=50), validations_to(149, every=50, start=60)
    (1, 2, 1)
    """
    return steps // min(every, steps) - start // every


def planned_steps(seconds: float, costs: Costs, *, every: int, start: int = 0) -> int:
    """Return the largest number of steps of a training that ends within `seconds` from now; `start` if there is none.

    >>> planned_steps(67.5, Costs(5.0, 0.5, 10.0, 1.0), every=50)
    99
    >>> planned_steps(7.0, Costs(5.0, 0.5, 10.0, 1.0), every=50)
    0
    """
    more = range(start + 1, MOST_STEPS + 1)
    return start + bisect_right(more, seconds, key=lambda steps: costs.seconds(steps, every=every, start=start))


def plan_line(minutes: float, costs: Costs, steps: int, *, every: int, used_s: float, start: int = 0) -> str:
    """Return the plan as a line for the screen."""
    validations = validations_to(steps, every=every, start=start)
    parts = [
        f"{duration(used_s)} used so far",
        f"{costs.step_s:.3g} s per step",
        f"{counted(validations, 'validation')} of {costs.validation_s:.3g} s",
        f"{costs.checkpoint_s:.2g} s per checkpoint",
    ]
    return f"trainer.minutes={minutes:g}: {counted(steps, 'step')} planned ({', '.join(parts)})"


def too_short(minutes: float, costs: Costs, *, every: int, used_s: float) -> InputError:
    """Return LS-TRN-043, the time does not suffice for one step."""
    needed_s = costs.seconds(1, every=every)
    message = f"trainer.minutes={minutes:g} does not suffice for one step: {duration(used_s)} are used before it, and "
    message += f"it takes {needed_s:.3g} s with its validation and checkpoints"
    hint = f"use trainer.minutes={math.ceil((used_s + needed_s) / 30)} or more"  # twice this time
    return InputError(Issue("LS-TRN-043", message, hint))
