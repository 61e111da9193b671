"""Means and SDs that values of a known step (whole numbers: 1) cannot make.

GRIM: Brown and Heathers, Soc Psychol Personal Sci 2017;8:363-369. GRIMMER: Anaya, PeerJ Preprints 2016;4:e2400v1,
with the parity of Allard 2018.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from liverspleen.audit.intervals import Interval
from liverspleen.audit.rule import Sample, Violation

_MANY: Final = 1000  # sums: the mean says too little, and some sum of squares will do


def granularity_violations(sample: Sample, n: int, step: Fraction) -> Iterator[Violation]:
    """The mean that no `n` multiples of `step` have; else the SD that none with that mean have.

    Raises:
        ValueError: the step is not above 0.
    """
    if step <= 0:
        raise ValueError("the step is not above 0")
    if sample.centre is None:
        return
    scaled = sample.centre.values.times(Fraction(n) / step)
    if math.isinf(scaled.lower) or math.isinf(scaled.upper):
        return
    first, last = math.ceil(scaled.lower), math.floor(scaled.upper)
    if first > last:
        nearest = Interval.of(Fraction(round(scaled.middle)) * step / n)
        yield Violation(sample.centre.number, nearest, f"no sum of {n} multiples of {float(step):g} gives this mean")
    elif sample.spread is not None and "sd" in sample.numbers and last - first < _MANY and n > 1:
        variances = sample.numbers["sd"].values.square.times(1 / step**2)
        if not any(_has_squares(total, variances, n) for total in range(first, last + 1)):
            why = f"no {n} multiples of {float(step):g} with this mean have this SD"
            yield Violation(sample.spread.number, None, why)


def _has_squares(total: int, variances: Interval, n: int) -> bool:
    """Whether a sum of squares of whole numbers that sum to `total` gives one of the variances (n - 1).

    It is a whole number as odd as the sum, and at least the square of the sum over n.
    """
    if math.isinf(variances.upper):
        return True
    squares = variances.times(n - 1) + Interval.of(Fraction(total**2, n))
    least = math.ceil(squares.lower)
    return least + (least - total) % 2 <= squares.upper
