"""The Dice similarity score (DSS) from summed voxel counts: one definition for training and for reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.structures import ORGANS, Structure


@dataclass(frozen=True)
class Overlap:
    """Voxel counts of one structure in two label maps: in both (tp), in the first only (fp), in the second only (fn).

    Counts of sections, or of ranks, add up to those of the case; scores do not.

    >>> upper, lower = Overlap(tp=3, fp=1, fn=0), Overlap(tp=1, fp=0, fn=3)
    >>> (upper + lower).dss  # 2 * 4 / (2 * 4 + 1 + 3)
    0.6666666666666666
    """

    tp: int
    fp: int
    fn: int

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def dss(self) -> float | None:
        """2 TP / (2 TP + FP + FN): 0 if one of the two is empty, None (undefined) if both are.

        Source: Dice 1945; Ahn et al. 2020, in 3D per case.
        """
        size = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / size if size else None


def overlaps(first: NDArray[Any], second: NDArray[Any]) -> dict[Structure, Overlap]:
    """The overlap of each organ between two label arrays of any one shape.

    `first` is the reader under test, `second` the reference.

    Raises:
        ValueError: the shapes differ.

    >>> overlaps(np.uint8([0, 1, 1, 2]), np.uint8([1, 1, 1, 0]))[Structure.LIVER]
    Overlap(tp=2, fp=0, fn=1)
    """
    if first.shape != second.shape:
        raise ValueError(f"label arrays have shapes {first.shape} and {second.shape}")
    counts = dict.fromkeys(ORGANS, Overlap(0, 0, 0))
    # section by section, so that the masks stay in the cache: several times as fast as masks of the whole
    for one, other in zip(np.atleast_2d(first), np.atleast_2d(second), strict=True):
        for organ in ORGANS:
            counts[organ] += _overlap(one == organ, other == organ)
    return counts


def _overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Overlap:
    tp = int(np.count_nonzero(first & second))
    return Overlap(tp, int(np.count_nonzero(first)) - tp, int(np.count_nonzero(second)) - tp)
