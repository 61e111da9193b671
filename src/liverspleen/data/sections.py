"""2.5D slices: a section of interest with its neighbours, out of the slice store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, Sampler

from liverspleen.data.store import StoredCase
from liverspleen.structures import Structure

AIR_HU = -1024
"""What lies outside a CT when it is padded."""


class SliceStack(NamedTuple):
    """One sample or a batch of them."""

    sections: Tensor
    """HU, int16, (..., sections, H, W); the middle one is the section of interest"""
    labels: Tensor
    """of the section of interest, uint8, (..., H, W)"""
    case: Tensor
    """index of the case in its data set"""
    section: Tensor
    """index of the section of interest in its case"""


def neighbours(section: int, count: int, sections: int) -> list[int]:
    """Indices of `sections` neighbouring sections around `section`; beyond an end the end section stands in.

    >>> neighbours(0, 10, 3), neighbours(9, 10, 5), neighbours(0, 1, 3)
    ([0, 0, 1], [7, 8, 9, 9, 9], [0, 0, 0])
    """
    half = sections // 2
    return [min(max(section + step, 0), count - 1) for step in range(-half, half + 1)]


def padded(stack: Tensor, size: tuple[int, int], *, value: int) -> Tensor:
    """The last two axes grown to `size` at the bottom and the right."""
    rows, columns = stack.shape[-2:]
    if (rows, columns) == size:
        return stack
    return functional.pad(stack, (0, size[1] - columns, 0, size[0] - rows), value=value)


def stride_multiple(length: int, stride: int) -> int:
    """The next multiple of `stride` from `length` up.

    >>> stride_multiple(512, 16), stride_multiple(101, 16)
    (512, 112)
    """
    return -(-length // stride) * stride


class SectionDataset(Dataset[SliceStack]):
    """Every section of the cases, in order; neighbours never come from another case.

    Args:
        cases: cases of the slice store.
        sections: neighbouring sections in a sample, an odd number.
    """

    def __init__(self, cases: Sequence[StoredCase], *, sections: int) -> None:
        self.cases = tuple(cases)
        self.sections = sections
        self.offsets = np.cumsum([0, *(case.shape[0] for case in cases)])

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __getitem__(self, index: int) -> SliceStack:
        case = int(np.searchsorted(self.offsets, index, side="right")) - 1
        section = index - int(self.offsets[case])
        stored = self.cases[case]
        chosen = neighbours(section, stored.shape[0], self.sections)
        return SliceStack(
            torch.from_numpy(stored.sections[chosen]),
            torch.from_numpy(np.array(stored.labels[section])),
            torch.tensor(case),
            torch.tensor(section),
        )


class Collate:
    """Samples to a batch; smaller sections are padded with air to the largest one, and that to the output stride."""

    def __init__(self, stride: int) -> None:
        self.stride = stride

    def __call__(self, samples: Sequence[SliceStack]) -> SliceStack:
        """(B, sections, H, W) and (B, H, W) with H and W multiples of the stride."""
        size = (
            stride_multiple(max(sample.labels.shape[-2] for sample in samples), self.stride),
            stride_multiple(max(sample.labels.shape[-1] for sample in samples), self.stride),
        )
        return SliceStack(
            torch.stack([padded(sample.sections, size, value=AIR_HU) for sample in samples]),
            torch.stack([padded(sample.labels, size, value=Structure.BACKGROUND) for sample in samples]),
            torch.stack([sample.case for sample in samples]),
            torch.stack([sample.section for sample in samples]),
        )


class StepSampler(Sampler[int]):
    """`steps * batch_size` indices: seeded shuffles of all sections, one after the other.

    Sample k is the same whatever the number of loader processes and wherever a training was interrupted: one that goes
    on after `start` steps sees exactly the rest.
    """

    def __init__(self, sections: int, *, steps: int, batch_size: int, seed: int, start: int = 0) -> None:
        self.sections, self.total, self.seed = sections, steps * batch_size, seed
        self.start = start * batch_size

    def __len__(self) -> int:
        return self.total - self.start

    def __iter__(self) -> Iterator[int]:
        for epoch in range(self.start // self.sections, -(-self.total // self.sections)):
            order = np.random.default_rng([self.seed, epoch]).permutation(self.sections)
            first = max(self.start - epoch * self.sections, 0)
            last = min(self.total - epoch * self.sections, self.sections)
            yield from order[first:last].tolist()
