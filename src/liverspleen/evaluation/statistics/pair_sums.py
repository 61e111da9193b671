"""Order statistics of all sums of two samples, without the sums in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.evaluation.statistics.samples import Floats

SORTED_UP_TO: Final = 1 << 20
"""Number of sums up to which all of them are sorted; above it a bisection counts them. Both give the same numbers."""


def smallest_sums(first: Floats, second: Floats, ranks: Sequence[int]) -> list[float]:
    """Return the sums x + y, x of `first` and y of `second`, with these ranks; the smallest sum has rank 1.

    >>> smallest_sums(np.array([0.0, 10.0]), np.array([1.0, 2.0]), [1, 4])
    [1.0, 12.0]
    """
    if first.size * second.size <= SORTED_UP_TO:
        sums = np.sort(np.add.outer(first, second), axis=None)
        return [float(sums[rank - 1]) for rank in ranks]
    counts = _Counts(np.sort(first), np.sort(second), triangle=False)
    return [counts.smallest(rank) for rank in ranks]


def smallest_own_sums(sample: Floats, ranks: Sequence[int]) -> list[float]:
    """Return the sums d_i + d_j, i ≤ j, with these ranks; the smallest sum has rank 1.

    >>> smallest_own_sums(np.array([1.0, 2.0, 6.0]), [1, 6])
    [2.0, 12.0]
    """
    if sample.size**2 <= SORTED_UP_TO:
        first, second = np.triu_indices(sample.size)
        sums = np.sort(sample[first] + sample[second])
        return [float(sums[rank - 1]) for rank in ranks]
    ordered = np.sort(sample)
    counts = _Counts(ordered, ordered, triangle=True)
    return [counts.smallest(rank) for rank in ranks]


def middle_ranks(n: int) -> tuple[int, ...]:
    """Return the ranks whose values have the median of `n` values as their mean.

    >>> middle_ranks(5), middle_ranks(6)
    ((3,), (3, 4))
    """
    return (n // 2 + 1,) if n % 2 else (n // 2, n // 2 + 1)


class _Counts:
    """Counts the sums of two sorted samples up to a bound; with `triangle` those with i ≤ j of one sample."""

    def __init__(self, first: Floats, second: Floats, *, triangle: bool) -> None:
        self.first, self.second, self.triangle = first, second, triangle

    def smallest(self, rank: int) -> float:
        """Return the smallest float64 that at least `rank` sums do not exceed, by bisection of the float64 numbers."""
        low, high = _order(self.first[0] + self.second[0]), _order(self.first[-1] + self.second[-1])
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.up_to(_number(middle)) >= rank else (middle + 1, high)
        return _number(low) + 0.0  # no negative zero

    def up_to(self, bound: float) -> int:
        """Return the number of sums that do not exceed `bound`."""
        number = int(self._in_each_row(bound).sum())
        return (number + int((2 * self.first <= bound).sum())) // 2 if self.triangle else number

    def _in_each_row(self, bound: float) -> NDArray[np.intp]:
        """Return for each x the number of y with x + y ≤ bound; the sums are rounded as in float64."""
        low = np.zeros(self.first.size, dtype=np.intp)
        high = np.full(self.first.size, self.second.size, dtype=np.intp)
        for _ in range(self.second.size.bit_length()):
            middle = (low + high) // 2
            inside = (middle < high) & (self.first + self.second.take(middle, mode="clip") <= bound)
            low, high = np.where(inside, middle + 1, low), np.where(inside, high, np.minimum(middle, high))
        return low


def _order(number: float) -> int:
    """Return an integer with the order of the float64 numbers."""
    bits = int(np.float64(number).view(np.int64))
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def _number(order: int) -> float:
    """Return the number of an integer of `_order`."""
    number = float(np.int64(abs(order)).view(np.float64))
    return number if order >= 0 else -number
