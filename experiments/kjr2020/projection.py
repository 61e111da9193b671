"""Change a random sample such that it has the target statistics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError, Issue

Floats = NDArray[np.float64]
Samples = NDArray[np.complex128]
Statistics = Callable[[Samples], Samples]
"""Computes k statistics, (m, k), of m samples of n values, (m, n); analytic in the values."""

_STEP = 1e-30  # complex-step derivative, exact at such a small step: Squire and Trapp, SIAM Rev 1998;40:110
_MARGIN = 0.05
"""Fraction of the width of an interval that is kept free at both ends, so that later rounding has no effect."""


def project(start: Floats, statistics: Statistics, intervals: Floats) -> Floats:
    """Return a sample near `start`, (n,), whose k statistics are in their intervals, (k, 2).

    It minimizes the sum of squares of the distances from the intervals, in units of their widths. An infinite interval
    is no condition.

    Raises:
        InputError: LS-EXP-010, no such sample was found.
    """
    from scipy.optimize import least_squares

    finite = np.flatnonzero(np.isfinite(intervals).all(axis=1))
    width = intervals[finite, 1] - intervals[finite, 0]
    low, high = intervals[finite, 0] + _MARGIN * width, intervals[finite, 1] - _MARGIN * width

    def outside(values: Floats) -> Floats:
        found = statistics(values[None, :].astype(np.complex128))[0].real[finite]
        return np.asarray((found - np.clip(found, low, high)) / width)

    def slopes(values: Floats) -> Floats:
        moved = values + 1j * _STEP * np.eye(values.size)
        inside = outside(values) == 0
        found = statistics(moved).imag.T[finite] / _STEP / width[:, None]
        return np.where(inside[:, None], 0.0, found)

    result = least_squares(outside, start, jac=slopes, method="trf", xtol=1e-12, ftol=1e-12, gtol=1e-14, max_nfev=500)
    if (unmet := np.flatnonzero(np.abs(result.fun) > _MARGIN / 2)).size:
        message = f"no sample found with the target statistics; not met: index {', '.join(map(str, finite[unmet]))}"
        raise InputError(Issue("LS-EXP-010", message, "use fewer or wider intervals"))
    return np.asarray(result.x)
