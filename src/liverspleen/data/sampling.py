"""Which slice is sample k of a training: functions of the seed and k, and of nothing else.

So the order is the same whatever the number of loader processes and wherever a training was interrupted: one that goes
on after `start` steps sees exactly the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from liverspleen.data.cache import CachedCase


class StepSampler(Sampler[int]):
    """`steps * batch_size` indices: seeded shuffles of all slices, one after the other."""

    def __init__(self, slices: int, *, steps: int, batch_size: int, seed: int, start: int = 0) -> None:
        self.slices, self.total, self.seed = slices, steps * batch_size, seed
        self.start = start * batch_size

    def __len__(self) -> int:
        return self.total - self.start

    def __iter__(self) -> Iterator[int]:
        for epoch in range(self.start // self.slices, -(-self.total // self.slices)):
            order = np.random.default_rng([self.seed, epoch]).permutation(self.slices)
            first = max(self.start - epoch * self.slices, 0)
            last = min(self.total - epoch * self.slices, self.slices)
            yield from order[first:last].tolist()


class BalancedSampler(Sampler[int]):
    """`steps * batch_size` indices in rounds: each round holds one slice of every class, in seeded order.

    A class gives its slices in seeded shuffles, one after the other, so that none comes again before all of its class
    have come. With four classes and batches of four, every batch holds one slice of each.

    Args:
        classes: class of each slice, any whole numbers; the classes that occur are balanced.
        steps: of the whole training.
        batch_size: slices a step.
        seed: of the order.
        start: steps already done.

    >>> drawn = list(BalancedSampler([0, 0, 0, 0, 0, 1], steps=2, batch_size=4, seed=0))
    >>> sum(index == 5 for index in drawn)
    4
    """

    def __init__(self, classes: Sequence[int], *, steps: int, batch_size: int, seed: int, start: int = 0) -> None:
        found = np.asarray(classes)
        self.members = [np.flatnonzero(found == value) for value in np.unique(found)]
        self.start, self.total, self.seed = start * batch_size, steps * batch_size, seed

    def __len__(self) -> int:
        return self.total - self.start

    def __iter__(self) -> Iterator[int]:
        count = len(self.members)
        shuffles: dict[int, tuple[int, NDArray[np.intp]]] = {}
        for sample in range(self.start, self.total):
            turn, place = divmod(sample, count)
            if place == 0 or sample == self.start:
                order = np.random.default_rng([self.seed, turn]).permutation(count)
            chosen = int(order[place])
            members = self.members[chosen]
            epoch, position = divmod(turn, len(members))
            if chosen not in shuffles or shuffles[chosen][0] != epoch:
                rng = np.random.default_rng([self.seed, epoch, chosen + 1])  # a last 0 would be no other stream
                shuffles[chosen] = epoch, rng.permutation(members)
            yield int(shuffles[chosen][1][position])


def slice_classes(cases: Sequence[CachedCase]) -> list[int]:
    """Of each slice, in the order of the cases: which organs it shows, bit k for organ k of `ORGANS`; 0 none of them.

    As drawn: an organ that is not labelled in a case counts as absent there. This decides how often a slice is drawn,
    not what is learnt from it.
    """
    present = np.concatenate([case.present for case in cases])
    classes: list[int] = (present @ (1 << np.arange(present.shape[1]))).tolist()
    return classes


def natural(cases: Sequence[CachedCase], *, steps: int, batch_size: int, seed: int, start: int = 0) -> Sampler[int]:
    """Every slice as often as every other."""
    slices = sum(case.shape[0] for case in cases)
    return StepSampler(slices, steps=steps, batch_size=batch_size, seed=seed, start=start)


def balanced(cases: Sequence[CachedCase], *, steps: int, batch_size: int, seed: int, start: int = 0) -> Sampler[int]:
    """Slices of each combination of organs (none, liver only, spleen only, both) equally often, if it occurs.

    Not in the paper; balanced classes are a fact of the authors' code, the rounds are our assumption.
    """
    return BalancedSampler(slice_classes(cases), steps=steps, batch_size=batch_size, seed=seed, start=start)
