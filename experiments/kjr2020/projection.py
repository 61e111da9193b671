"""From a drawn sample to one near it that has the statistics asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import InputError, Issue

Floats = NDArray[np.float64]
Samples = NDArray[np.complex128]
Statistics = Callable[[Samples], Samples]
"""From m samples of n values each, (m, n), to their k statistics, (m, k); analytic in the values."""

_STEP = 1e-30  # of the complex-step derivative, which is exact at any such step: Squire and Trapp, SIAM Rev 1998;40:110
_MARGIN = 0.05
"""The part of an interval's width that is kept free at either side, so that no later rounding takes a value out."""


def project(start: Floats, statistics: Statistics, intervals: Floats) -> Floats:
    """A sample from which each of the k statistics lies in its interval, (k, 2), found by steps from `start`, (n,).

    Least squares of what the statistics lie outside their intervals, as parts of the width of those. An infinite
    interval asks for nothing.

    Raises:
        InputError: LS-EXP-010 the statistics were not met.
    """
    from scipy.optimize import least_squares

    asked = np.flatnonzero(np.isfinite(intervals).all(axis=1))
    width = intervals[asked, 1] - intervals[asked, 0]
    low, high = intervals[asked, 0] + _MARGIN * width, intervals[asked, 1] - _MARGIN * width

    def outside(values: Floats) -> Floats:
        found = statistics(values[None, :].astype(np.complex128))[0].real[asked]
        return np.asarray((found - np.clip(found, low, high)) / width)

    def slopes(values: Floats) -> Floats:
        moved = values + 1j * _STEP * np.eye(values.size)
        inside = outside(values) == 0
        found = statistics(moved).imag.T[asked] / _STEP / width[:, None]
        return np.where(inside[:, None], 0.0, found)

    result = least_squares(outside, start, jac=slopes, method="trf", xtol=1e-12, ftol=1e-12, gtol=1e-14, max_nfev=500)
    if (left := np.flatnonzero(np.abs(result.fun) > _MARGIN / 2)).size:
        message = f"no sample has the statistics asked for; number {', '.join(map(str, asked[left]))} stays outside"
        raise InputError(Issue("LS-EXP-010", message, "ask for less"))
    return np.asarray(result.x)
