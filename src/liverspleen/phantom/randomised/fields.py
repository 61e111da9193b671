"""Smooth random fields over the voxels of a scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liverspleen.phantom.shapes import Field

_SD = np.float32(0.33)  # of a cubic B-spline in three dimensions whose coefficients have SD 1


def smooth_field(
    rng: np.random.Generator, axes_mm: tuple[NDArray[np.float64], ...], knots_mm: float, *, flat: float = 1.0
) -> Field:
    """Return a random field (z, y, x) of SD about 1: a cubic B-spline with random coefficients every `knots_mm`.

    `axes_mm` are the positions along z, y and x. Structures are about two knot distances wide; `flat` below 1 makes
    them shorter along z. Only products and sums of single elements are used, so the result does not depend on the
    number of threads.
    """
    taps = [_taps(axis, knots_mm * (flat if turn == 0 else 1), rng) for turn, axis in enumerate(axes_mm)]
    coefficients = rng.standard_normal([int(first.max()) + 4 for first, _ in taps], np.float32)
    coefficients /= _SD
    for axis in (2, 1, 0):
        coefficients = _interpolated(coefficients, axis, *taps[axis])
    return coefficients


def _taps(
    axis: NDArray[np.float64], knots_mm: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return for each position its first knot and the weights (4, n) of the cubic B-spline; the phase is random."""
    place = (axis - axis.min()) / knots_mm + rng.random()
    first = np.floor(place).astype(np.intp)
    t = place - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    return first, weights.astype(np.float32)


def _interpolated(values: Field, axis: int, first: NDArray[np.intp], weights: NDArray[np.float32]) -> Field:
    """Return the values between the knots along one axis."""
    if axis == 0:  # the whole volume: plane by plane, which stays in the processor's cache
        result = np.empty((len(first), *values.shape[1:]), np.float32)
        for plane, start, w in zip(result, first, weights.T, strict=True):
            np.multiply(values[start], w[0], out=plane)
            for tap in (1, 2, 3):
                plane += values[start + tap] * w[tap]
        return result
    along = [1, 1, 1]
    along[axis] = -1
    parts = [values.take(first + tap, axis=axis) * weights[tap].reshape(along) for tap in range(4)]
    total: Field = parts[0] + parts[1] + parts[2] + parts[3]
    return total
