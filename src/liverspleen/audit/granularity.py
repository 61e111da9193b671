"""Means and SDs that values with a known step (1 for whole numbers) cannot have.

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

_MANY: Final = 1000  # possible sums; with more, some sum of squares always fits


def granularity_violations(sample: Sample, n: int, step: Fraction) -> Iterator[Violation]:
    """Find a mean that no `n` multiples of `step` have, or an SD that none with this mean have.

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
    """Whether `n` whole numbers with the sum `total` can have one of the variances (n - 1).

    Their sum of squares is a whole number, odd exactly if `total` is odd, and at least total² / n.
    """
    if math.isinf(variances.upper):
        return True
    squares = variances.times(n - 1) + Interval.of(Fraction(total**2, n))
    least = math.ceil(squares.lower)
    return least + (least - total) % 2 <= squares.upper
