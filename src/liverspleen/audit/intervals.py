"""Closed intervals with exact rational ends, so that statements about rounded numbers are proven and not estimated.

Sums, products and squares are exact. Roots and distributions need floating point; `outward` and `root` widen their
result by more than its error, so an interval is never too small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

Bound = Fraction | float
"""A rational number; a float only if it is infinite."""

# Relative errors: roots 1e-16, the distributions of scipy about 1e-12.
_SLACK: Final = 1e-9


@dataclass(frozen=True)
class Interval:
    """All numbers from `lower` to `upper`, both included; empty if `lower` is above `upper`.

    >>> Interval.of(1, 2) + Interval.of(-1, 3)
    Interval(lower=Fraction(0, 1), upper=Fraction(5, 1))
    """

    lower: Bound
    upper: Bound

    @classmethod
    def of(cls, lower: int | Fraction, upper: int | Fraction | None = None) -> Interval:
        """Return the interval between two rational numbers, or that of a single number."""
        return cls(Fraction(lower), Fraction(lower if upper is None else upper))

    @property
    def is_empty(self) -> bool:
        """Whether no number is inside."""
        return self.lower > self.upper

    @property
    def middle(self) -> Fraction:
        """The number in the middle; the finite end if only one end is finite, 0 if none is."""
        if math.isinf(self.lower) or math.isinf(self.upper):
            return Fraction(0 if math.isinf(self.lower) and math.isinf(self.upper) else self._finite_end())
        return (Fraction(self.lower) + Fraction(self.upper)) / 2

    def _finite_end(self) -> Bound:
        return self.upper if math.isinf(self.lower) else self.lower

    def meets(self, other: Interval) -> bool:
        """Whether some number is inside both."""
        return not self.common(other).is_empty

    def common(self, other: Interval) -> Interval:
        """Return the intersection."""
        return Interval(max(self.lower, other.lower), min(self.upper, other.upper))

    def nearest(self, value: Bound) -> Bound:
        """Return the number of the interval that is nearest to `value`."""
        return min(max(value, self.lower), self.upper)

    def __neg__(self) -> Interval:
        return Interval(-self.upper, -self.lower)

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.lower + other.lower, self.upper + other.upper)

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def __mul__(self, other: Interval) -> Interval:
        ends = [_product(a, b) for a in (self.lower, self.upper) for b in (other.lower, other.upper)]
        return Interval(min(ends), max(ends))

    def times(self, factor: int | Fraction) -> Interval:
        """Return the interval multiplied by `factor`."""
        return self * Interval.of(factor)

    @property
    def reciprocal(self) -> Interval:
        """1 divided by each number of an interval above 0; unbounded if the interval starts at 0."""
        low = 1 / self.upper if self.upper else math.inf
        return Interval(Fraction(low) if low < math.inf else low, 1 / self.lower if self.lower > 0 else math.inf)

    @property
    def magnitude(self) -> Interval:
        """The absolute values."""
        if self.lower >= 0:
            return self
        return -self if self.upper <= 0 else Interval(Fraction(0), max(-self.lower, self.upper))

    @property
    def square(self) -> Interval:
        """The squares."""
        size = self.magnitude
        return Interval(_product(size.lower, size.lower), _product(size.upper, size.upper))

    @property
    def root(self) -> Interval:
        """The square roots of the numbers that are not negative, widened by more than the error.

        >>> Interval.of(4, 9).root.meets(Interval.of(2))
        True
        """
        return outward(*(math.sqrt(max(bound, 0)) for bound in (self.lower, self.upper)))


def outward(lower: float, upper: float) -> Interval:
    """Return the interval between two computed numbers, each moved outward by more than its floating-point error."""
    low, high = (
        bound + sign * _SLACK * abs(bound) if math.isfinite(bound) else bound
        for bound, sign in ((lower, -1), (upper, 1))
    )
    return Interval(*(Fraction(bound) if math.isfinite(bound) else bound for bound in (low, high)))


def total(intervals: Iterable[Interval]) -> Interval:
    """Return the sum of the intervals."""
    return sum(intervals, Interval.of(0))


def _product(a: Bound, b: Bound) -> Bound:
    """Return the product; 0 times infinity is 0, because an infinite end is not part of the interval."""
    return Fraction(0) if a == 0 or b == 0 else a * b
