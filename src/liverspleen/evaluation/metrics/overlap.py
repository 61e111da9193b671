"""Dice similarity score (DSS) from summed voxel counts: one definition for training and reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.evaluation.metrics.masks import boolean_mask, same_shape, unmasked
from liverspleen.organs import ORGANS, Structure

BLOCK: Final = 1 << 16
"""Voxels compared at a time: two label blocks and their masks fit into the cache of a core."""


@dataclass(frozen=True)
class Overlap:
    """Voxel counts of one structure in two label maps: in both (tp), in the first only (fp), in the second only (fn).

    Counts of slices, or of ranks, add up to those of the case; scores do not add up.

    >>> upper, lower = Overlap(tp=3, fp=1, fn=0), Overlap(tp=1, fp=0, fn=3)
    >>> case = upper + lower
    >>> case.dss, case.iou  # 2 * 4 / (2 * 4 + 1 + 3), 4 / (4 + 1 + 3)
    (0.6666666666666666, 0.5)
    """

    tp: int
    fp: int
    fn: int

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def first_voxels(self) -> int:
        """Voxels of the structure in the first label map."""
        return self.tp + self.fp

    @property
    def second_voxels(self) -> int:
        """Voxels of the structure in the second label map."""
        return self.tp + self.fn

    @property
    def dss(self) -> float | None:
        """2 TP / (2 TP + FP + FN): 0 if one of the two is empty, None (undefined) if both are.

        Source: Dice 1945; Ahn et al. 2020, in 3D per case.
        """
        size = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / size if size else None

    @property
    def iou(self) -> float | None:
        """TP / (TP + FP + FN), intersection over union: 0 if one of the two is empty, None (undefined) if both are.

        Source: Jaccard 1901.
        """
        union = self.tp + self.fp + self.fn
        return self.tp / union if union else None


def dss(test: ArrayLike, reference: ArrayLike) -> float | None:
    """Return the Dice similarity score of two masks of the same shape, equal to the DSC of other papers.

    2 TP / (2 TP + FP + FN): 0 if one of the two is empty, None (undefined) if both are. A mask is a boolean array, or
    numbers that are 0 and 1. The order of the axes does not matter.

    Raises:
        ValueError: the shapes differ, or a value is neither 0 nor 1.

    >>> dss([1, 1, 1, 0], [0, 1, 1, 1])  # 2 * 2 / (3 + 3)
    0.6666666666666666
    >>> dss(np.zeros((2, 2)), np.zeros((2, 2))) is None
    True
    """
    one, other = boolean_mask(test, "test"), boolean_mask(reference, "reference")
    same_shape(one, other)
    return _count_overlaps(one, other, [True])[0].dss


def overlaps(first: NDArray[Any], second: NDArray[Any]) -> dict[Structure, Overlap]:
    """Return the overlap of each organ in two label arrays of the same shape.

    `first` is the reader under test, `second` the reference.

    Raises:
        ValueError: the shapes differ, or a masked array has masked elements.

    >>> overlaps(np.uint8([0, 1, 1, 2]), np.uint8([1, 1, 1, 0]))[Structure.LIVER]
    Overlap(tp=2, fp=0, fn=1)
    """
    first, second = unmasked(first, "first"), unmasked(second, "second")
    if first.shape != second.shape:
        raise ValueError(f"label arrays have shapes {first.shape} and {second.shape}, expected the same shape")
    # a plain int keeps the comparison in the dtype of the labels
    return dict(zip(ORGANS, _count_overlaps(first, second, [int(organ) for organ in ORGANS]), strict=True))


def _count_overlaps(first: NDArray[Any], second: NDArray[Any], values: Sequence[int]) -> list[Overlap]:
    """Return the overlap of each value in two arrays of the same shape without negative numbers."""
    # counts need the same order for both arrays; if their memory order is the same, no copy is made
    order: Literal["K", "C"] = "K" if first.strides == second.strides else "C"
    one, other = first.ravel(order=order), second.ravel(order=order)
    counts = [[0, 0, 0] for _ in values]
    for start in range(0, one.size, BLOCK):
        ours, theirs = one[start : start + BLOCK], other[start : start + BLOCK]
        if not (ours.max() or theirs.max()):  # most of a CT is background: two maxima instead of four comparisons
            continue
        for value, sums in zip(values, counts, strict=True):
            mine, its = ours == value, theirs == value
            for index, mask in enumerate((mine & its, mine, its)):
                sums[index] += int(np.count_nonzero(mask))
    return [Overlap(both, mine - both, its - both) for both, mine, its in counts]
