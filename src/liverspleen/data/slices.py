"""2.5D slices: a slice of interest with its neighbours, from the slice cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, get_worker_info

from liverspleen.data.cache import CachedCase
from liverspleen.organs import ORGANS, Structure

AIR_HU = -1024
"""Value of padding outside a CT."""


class SliceStack(NamedTuple):
    """One sample, or a batch of samples."""

    slices: Tensor
    """HU, int16, (..., slices, H, W); the middle slice is the slice of interest"""
    labels: Tensor
    """of the slice of interest, uint8, (..., H, W)"""
    case: Tensor
    """index of the case in its dataset"""
    slice_index: Tensor
    """index of the slice of interest in its case"""
    labelled: Tensor
    """whether each of `ORGANS` is labelled in its case, bool, (..., 2)"""
    matrix: Tensor
    """rows and columns of the slices before padding, (..., 2)"""


def neighbours(slice_index: int, count: int, slices: int, step: int = 1) -> list[int]:
    """Return the indices of `slices` slices around `slice_index`, `step` apart; at the ends the end slice is repeated.

    >>> neighbours(0, 10, 3), neighbours(9, 10, 5), neighbours(0, 1, 3)
    ([0, 0, 1], [7, 8, 9, 9, 9], [0, 0, 0])
    >>> neighbours(4, 10, 3, step=3)
    [1, 4, 7]
    """
    half = slices // 2
    return [min(max(slice_index + step * offset, 0), count - 1) for offset in range(-half, half + 1)]


def slice_step(distance_mm: float | None, spacing_mm: float) -> int:
    """Return the step between neighbours that are about `distance_mm` apart, at least 1; None: adjacent slices.

    It is the closest multiple of the spacing, the even one if two are equally close; no slices are interpolated.

    Raises:
        ValueError: the distance, or the spacing if a distance is given, is not a positive number.

    >>> slice_step(5.0, 1.25), slice_step(5.0, 5.0), slice_step(5.0, 8.0), slice_step(None, 1.25)
    (4, 1, 1, 1)
    """
    if distance_mm is None:
        return 1
    if not (0 < distance_mm < math.inf and 0 < spacing_mm < math.inf):
        raise ValueError(f"distance is {distance_mm} mm and spacing {spacing_mm} mm, expected positive numbers")
    return max(1, round(distance_mm / spacing_mm))


def padded(stack: Tensor, size: tuple[int, int], *, value: int) -> Tensor:
    """Return a stack with the last two axes padded to `size` at the bottom and the right."""
    rows, columns = stack.shape[-2:]
    if (rows, columns) == size:
        return stack
    return functional.pad(stack, (0, size[1] - columns, 0, size[0] - rows), value=value)


def stride_multiple(length: int, stride: int) -> int:
    """Return the smallest multiple of `stride` that is at least `length`.

    >>> stride_multiple(512, 16), stride_multiple(101, 16)
    (512, 112)
    """
    return -(-length // stride) * stride


def native_classes(logits: Tensor, matrix: Sequence[int], native: Sequence[int]) -> Tensor:
    """Return uint8 label values on the CT's own matrix `native` from (B, classes, H, W) logits of padded slices.

    `matrix` has the rows and columns of the slices before padding. If they differ from those of the CT, logits and not
    labels are interpolated (bilinear, with the same image borders). The first of equal logits counts.

    >>> native_classes(torch.tensor([[[[0.0, 1.0, 1.0]], [[2.0, 1.0, 0.0]], [[2.0, 0.0, 3.0]]]]), (1, 3), (1, 3))
    tensor([[[1, 0, 2]]], dtype=torch.uint8)
    """
    return highest_classes(native_logits(logits, matrix, native))


def native_logits(logits: Tensor, matrix: Sequence[int], native: Sequence[int]) -> Tensor:
    """Return the logits of `native_classes` on the CT's own matrix; float32 if they are interpolated."""
    inner = logits[..., : matrix[0], : matrix[1]]
    if tuple(matrix) == tuple(native):
        return inner
    return functional.interpolate(inner.float(), tuple(native), mode="bilinear", align_corners=False, antialias=True)


def highest_classes(scores: Tensor) -> Tensor:
    """Return the class with the highest score, uint8, from (B, classes, H, W); the first of equal scores counts."""
    # comparisons in place of argmax, which is a hundred times as slow on a CPU for three classes
    highest = scores[:, 0]
    labels = torch.zeros(highest.shape, dtype=torch.uint8, device=highest.device)
    for value, logit in enumerate(scores[:, 1:].unbind(1), start=1):
        higher = (logit > highest).view(torch.uint8)  # of 0 and 1
        labels = torch.maximum(labels, higher.mul_(value) if value > 1 else higher)
        highest = torch.maximum(highest, logit)
    return labels


class SliceDataset(Dataset[SliceStack]):
    """Every slice of the cases, in order, with neighbours from the same case.

    Args:
        cases: cases of the slice cache.
        slices: number of neighbouring slices in a sample, odd.
        distance_mm: approximate distance of neighbouring slices; None: adjacent slices.
        native: True: labels on the CT's own grid, for validation; False: on the grid of the slices, for training.
    """

    def __init__(
        self,
        cases: Sequence[CachedCase],
        *,
        slices: int,
        distance_mm: float | None = None,
        native: bool = False,
    ) -> None:
        self.cases = tuple(cases)
        self.slices, self.native = slices, native
        self.matrices = torch.tensor([case.shape[1:] for case in cases])
        self.steps = [slice_step(distance_mm, case.slice_spacing_mm) for case in cases]
        self.labelled = torch.tensor([[organ in case.labelled for organ in ORGANS] for case in cases])
        self.offsets = np.cumsum([0, *(case.shape[0] for case in cases)])

    def largest_bytes(self, stride: int) -> int:
        """Return the size of the largest sample, with slices padded to multiples of `stride`; 0 without cases."""
        rows, columns = self.matrices.amax(0).tolist() if self.cases else (0, 0)
        pixels = stride_multiple(rows, stride) * stride_multiple(columns, stride)
        native = [math.prod(case.native_labels.shape[1:]) for case in self.cases if self.native and case.resampled]
        return 2 * self.slices * pixels + max([pixels, *native])

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __getitem__(self, index: int) -> SliceStack:
        case = int(np.searchsorted(self.offsets, index, side="right")) - 1
        slice_index = index - int(self.offsets[case])
        cached = self.cases[case]
        step = self.steps[case]
        indices = neighbours(slice_index, cached.shape[0], self.slices, step)
        cached.announce(indices[0], indices[-1])
        regular = range(indices[0], indices[-1] + 1, step)
        # except at the ends this is a view of the memory map, so the batch is the only copy
        stack = cached.slices[regular.start : regular.stop : step] if indices == [*regular] else cached.slices[indices]
        labels = cached.native_labels if self.native else cached.labels
        return SliceStack(
            torch.from_numpy(np.require(stack, requirements="W")),
            torch.from_numpy(np.require(labels[slice_index], requirements="W")),
            torch.tensor(case),
            torch.tensor(slice_index),
            self.labelled[case],
            self.matrices[case],
        )


class Collate:
    """Collation of samples: slices are padded with air to the size of the largest, rounded up to the output stride.

    Labels are padded in the same way, except with `pad_labels=False`: then they are on the CT's own grid, and all
    slices are from one case. A loader process puts the batch into shared memory here, where a lack of space is an
    error; in the thread that sends it to the training, the batch would be lost and the training would wait forever.
    """

    def __init__(self, stride: int, *, pad_labels: bool = True) -> None:
        self.stride, self.pad_labels = stride, pad_labels

    def __call__(self, samples: Sequence[SliceStack]) -> SliceStack:
        """Return a batch (B, slices, H, W) and (B, H, W) with H and W multiples of the stride."""
        size = (
            stride_multiple(max(sample.slices.shape[-2] for sample in samples), self.stride),
            stride_multiple(max(sample.slices.shape[-1] for sample in samples), self.stride),
        )
        labels = [
            padded(sample.labels, size, value=Structure.BACKGROUND) if self.pad_labels else sample.labels
            for sample in samples
        ]
        batch = SliceStack(
            torch.stack([padded(sample.slices, size, value=AIR_HU) for sample in samples]),
            torch.stack(labels),
            torch.stack([sample.case for sample in samples]),
            torch.stack([sample.slice_index for sample in samples]),
            torch.stack([sample.labelled for sample in samples]),
            torch.stack([sample.matrix for sample in samples]),
        )
        return batch if get_worker_info() is None else SliceStack(*(part.share_memory_() for part in batch))  # type: ignore[no-untyped-call]
