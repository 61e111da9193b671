"""Samplers of training slices: sample k depends only on the seed and k.

The order is the same for any number of loader processes and after any interruption: a training that is resumed after
`start` steps gets exactly the remaining samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from liverspleen.data.cache import CachedCase
from liverspleen.data.slices import stride_multiple

_SIZE_CLASS = 16
"""Edge lengths up to the same multiple of this are equal; it is the usual output stride."""


class StepSampler(Sampler[int]):
    """`steps * batch_size` indices: consecutive seeded shuffles of all slices."""

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


class BySizeSampler(Sampler[int]):
    """`steps * batch_size` indices: the order of `StepSampler`, in which batches have slices of about the same size.

    Slices of different sizes are padded to the largest of their batch. So the slices of every `WINDOW` batches are
    sorted by size, in a stable order, and the resulting batches are shuffled. Each slice is still used equally often.

    Args:
        sizes: size of each slice; slices of equal size need no padding beside each other.
        steps: number of steps of the complete training.
        batch_size: number of slices in a step.
        seed: of the order.
        start: number of finished steps.

    >>> indices = list(BySizeSampler([128, 160] * 8, steps=4, batch_size=4, seed=0))
    >>> all(len({index % 2 for index in indices[i : i + 4]}) == 1 for i in range(0, 16, 4))
    True
    """

    WINDOW = 32

    def __init__(self, sizes: Sequence[int], *, steps: int, batch_size: int, seed: int, start: int = 0) -> None:
        self.sizes, self.batch_size, self.seed = np.asarray(sizes), batch_size, seed
        self.start, self.steps = start, steps

    def __len__(self) -> int:
        return (self.steps - self.start) * self.batch_size

    def __iter__(self) -> Iterator[int]:
        first, last = self.start // self.WINDOW, -(-self.steps // self.WINDOW)
        order = iter(
            StepSampler(
                len(self.sizes),
                steps=last * self.WINDOW,
                batch_size=self.batch_size,
                seed=self.seed,
                start=first * self.WINDOW,
            )
        )
        for window in range(first, last):
            drawn = np.fromiter(order, np.intp, self.WINDOW * self.batch_size)
            batches = drawn[np.argsort(self.sizes[drawn], kind="stable")].reshape(self.WINDOW, self.batch_size)
            np.random.default_rng([self.seed, window, 1]).shuffle(batches)
            done = max(self.start - window * self.WINDOW, 0)
            yield from batches[done : self.steps - window * self.WINDOW].ravel().tolist()


class BalancedSampler(Sampler[int]):
    """`steps * batch_size` indices in rounds: each round has one slice of every class, in seeded order.

    The slices of a class are in consecutive seeded shuffles, so none is repeated before all of its class were used.
    With four classes and batches of four, every batch has one slice of each class.

    Args:
        classes: class of each slice, any integers; the classes that occur are balanced.
        steps: number of steps of the complete training.
        batch_size: number of slices in a step.
        seed: of the order.
        start: number of finished steps.

    >>> indices = list(BalancedSampler([0, 0, 0, 0, 0, 1], steps=2, batch_size=4, seed=0))
    >>> sum(index == 5 for index in indices)
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
            selected = int(order[place])
            members = self.members[selected]
            epoch, position = divmod(turn, len(members))
            if selected not in shuffles or shuffles[selected][0] != epoch:
                # + 1, because a trailing 0 in a seed has no effect
                rng = np.random.default_rng([self.seed, epoch, selected + 1])
                shuffles[selected] = epoch, rng.permutation(members)
            yield int(shuffles[selected][1][position])


def slice_classes(cases: Sequence[CachedCase]) -> list[int]:
    """Return the class of each slice, in the order of the cases: bit k is 1 if organ k of `ORGANS` is present.

    An organ that is not labelled in a case counts as absent there. The class determines how often a slice is sampled,
    not its loss.
    """
    present = np.concatenate([case.present for case in cases])
    classes: list[int] = (present @ (1 << np.arange(present.shape[1]))).tolist()
    return classes


def natural(cases: Sequence[CachedCase], *, steps: int, batch_size: int, seed: int, start: int = 0) -> Sampler[int]:
    """Return a sampler with equal frequencies of all slices."""
    slices = sum(case.shape[0] for case in cases)
    return StepSampler(slices, steps=steps, batch_size=batch_size, seed=seed, start=start)


def by_size(cases: Sequence[CachedCase], *, steps: int, batch_size: int, seed: int, start: int = 0) -> Sampler[int]:
    """Return a sampler with equal frequencies of all slices, whose batches have slices of about the same size."""
    sizes = [stride_multiple(max(case.shape[1:]), _SIZE_CLASS) for case in cases for _ in range(case.shape[0])]
    return BySizeSampler(sizes, steps=steps, batch_size=batch_size, seed=seed, start=start)


def balanced(cases: Sequence[CachedCase], *, steps: int, batch_size: int, seed: int, start: int = 0) -> Sampler[int]:
    """Return a sampler with equal frequencies of all occurring combinations of organs (none, liver, spleen, both).

    Not in the paper: balanced classes are in the authors' code, the rounds are our assumption.
    """
    return BalancedSampler(slice_classes(cases), steps=steps, batch_size=batch_size, seed=seed, start=start)
