"""Smooth random fields over the voxels of a scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liverspleen.phantom.shapes import Field

Axes = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

_SPANS_MM = ((-700.0, 450.0), (-420.0, 420.0), (-420.0, 420.0))  # along z, y and x; constant beyond
_COARSE = 8  # pixels per distance of knots, above which every second pixel is enough: errors of about 0.04
_SD = np.float32(0.33)  # of a cubic B-spline in three dimensions whose coefficients have SD 1


def smooth_field(seed: tuple[int, ...], axes_mm: Axes, knots_mm: float) -> Field:
    """Return a random field (z, y, x) of SD about 1: a cubic B-spline with random coefficients every `knots_mm`.

    `axes_mm` are the positions along z, y and x. Structures are about two knot distances wide. The field is a function
    of the position: any axes give the same values at the same place. Only products and sums of single elements are
    used, so the result does not depend on the number of threads. Wide structures are interpolated from every second
    row and column.
    """
    z, y, x = axes_mm
    if knots_mm > _COARSE * abs(float(x[-1] - x[0])) / max(len(x) - 1, 1) and min(len(x), len(y)) > 2:
        rows, columns = _every_second(y), _every_second(x)
        coarse = smooth_field(seed, (z, rows, columns), knots_mm)
        return doubled(coarse, (2 * len(rows) - 1, 2 * len(columns) - 1))[:, : len(y), : len(x)]
    rng = np.random.default_rng(seed)
    counts = [int((high - low) / knots_mm) + 6 for low, high in _SPANS_MM]
    taps = [
        _taps((axis - low) / knots_mm + phase, count)
        for axis, (low, _), phase, count in zip(axes_mm, _SPANS_MM, rng.random(3), counts, strict=True)
    ]
    field: Field = rng.standard_normal(counts, np.float32)
    field = field[tuple(slice(int(first.min()), int(first.max()) + 4) for first, _ in taps)] / _SD
    for axis in (2, 1, 0):
        first, weights = taps[axis]
        field = _interpolated(field, axis, first - first.min(), weights)
    return field


def _every_second(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return every second position, so that the others lie between two of them."""
    kept: NDArray[np.float64] = axis[::2] if len(axis) % 2 else np.append(axis[::2], 2 * axis[-1] - axis[-2])
    return kept


def doubled(values: Field, size: tuple[int, int]) -> Field:
    """Return a field of `size` rows and columns of which `values` are every second row and column."""
    rows, columns = size
    across = np.empty((*values.shape[:2], columns), np.float32)
    across[..., ::2] = values
    _fill(across[..., 1::2], values[..., :-1], values[..., 1:])
    full = np.empty((values.shape[0], rows, columns), np.float32)
    full[:, ::2] = across
    _fill(full[:, 1::2].swapaxes(1, 2), across[:, :-1].swapaxes(1, 2), across[:, 1:].swapaxes(1, 2))
    return full


def _fill(between: Field, before: Field, after: Field) -> None:
    """Set means of neighbours along the last axis; the place after the last neighbour continues the line."""
    pairs = before.shape[-1]
    np.add(before, after, out=between[..., :pairs])
    between[..., :pairs] *= np.float32(0.5)
    if between.shape[-1] > pairs > 0:
        between[..., pairs] = 1.5 * after[..., -1] - 0.5 * before[..., -1]


def _taps(place: NDArray[np.float64], count: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return for each position its first knot and the weights (4, n) of the cubic B-spline."""
    place = place.clip(0, count - 4 - 1e-6)
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
    parts = (values.take(first + tap, axis=axis) * weights[tap].reshape(along) for tap in range(4))
    total: Field = next(parts)
    for part in parts:
        total += part
    return total
