"""Solid shapes in world mm, as fields that are negative inside and grow by about 1 per mm outwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Field = NDArray[Any]  # float32, (z, y, x) or broadcastable to it
Triple = tuple[float, float, float]

EVERYWHERE = np.array([[-np.inf] * 3, [np.inf] * 3])
"""The box of a shape without bounds."""


@dataclass(frozen=True)
class Grid:
    """Sample positions in mm: three axes that broadcast to (z, y, x); +x patient right, +y anterior, +z superior."""

    x: Field  # (1, 1, nx)
    y: Field  # (1, ny, 1)
    z: Field  # (nz, 1, 1)

    @classmethod
    def of(
        cls,
        x: Sequence[float] | NDArray[np.floating],
        y: Sequence[float] | NDArray[np.floating],
        z: Sequence[float] | NDArray[np.floating],
    ) -> Grid:
        """Return the grid over three one-dimensional axes.

        >>> Grid.of([0.0, 1.0], [0.0], [5.0, 6.0, 7.0]).shape
        (3, 1, 2)
        """
        axes = [np.asarray(axis, np.float32) for axis in (x, y, z)]
        return cls(axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of samples along (z, y, x)."""
        return self.z.size, self.y.size, self.x.size

    def window(self, lower: NDArray[np.floating], upper: NDArray[np.floating]) -> tuple[slice, slice, slice]:
        """Return the part of this grid inside a box as slices along (z, y, x); the axes ascend."""
        spans = [
            slice(int(np.searchsorted(axis.ravel(), low)), int(np.searchsorted(axis.ravel(), high, side="right")))
            for axis, low, high in zip((self.x, self.y, self.z), lower, upper, strict=True)
        ]
        return spans[2], spans[1], spans[0]

    def part(self, window: tuple[slice, slice, slice]) -> Grid:
        """Return the grid of a window."""
        return Grid(self.x[:, :, window[2]], self.y[:, window[1]], self.z[window[0]])


class Shape(Protocol):
    """A shape that can be painted: a box around it, and a depth that is negative inside."""

    def box(self) -> NDArray[np.float64]:
        """Return the corners [[x, y, z] lowest, [x, y, z] highest] in mm of a box around the shape."""

    def depth(self, grid: Grid) -> Field:
        """Return the approximate signed distance to the surface in mm, broadcastable to `grid.shape` (inside < 0)."""


def as_triple(values: Iterable[float]) -> Triple:
    """Return three numbers as Python floats.

    >>> as_triple(np.array([1, 2, 3]))
    (1.0, 2.0, 3.0)
    """
    x, y, z = map(float, values)
    return x, y, z


def rotation(tilt_deg: Triple) -> NDArray[np.float64]:
    """Return the rotation matrix (3, 3) for angles about x, then y, then z.

    >>> rotation((0, 0, 90)).round().astype(int).tolist()
    [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    """
    (ca, cb, cc), (sa, sb, sc) = np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))
    about_x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    rotated: NDArray[np.float64] = about_z @ about_y @ about_x
    return rotated


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with centre, semi-axes and tilt; its volume is 4/3 π abc.

    >>> ball = Ellipsoid((0.0, 0.0, 0.0), (10.0, 10.0, 10.0))
    >>> ball.depth(Grid.of([0.0, 10.0, 12.0], [0.0], [0.0])).ravel().round(3).tolist()
    [-10.0, -0.0, 2.0]
    """

    centre: Triple
    semi_axes_mm: Triple
    tilt_deg: Triple = (0.0, 0.0, 0.0)

    def box(self) -> NDArray[np.float64]:
        half = np.sqrt(((rotation(self.tilt_deg) * np.asarray(self.semi_axes_mm)) ** 2).sum(axis=1))
        return np.stack([np.asarray(self.centre) - half, np.asarray(self.centre) + half])

    def depth(self, grid: Grid) -> Field:
        # (p-c)' M (p-c) as a quadratic in z whose coefficients are planes: three passes over the volume, not eight
        scaled = rotation(self.tilt_deg) / np.asarray(self.semi_axes_mm)
        m = (scaled @ scaled.T).astype(np.float32)
        x, y, z = (axis - np.float32(c) for axis, c in zip((grid.x, grid.y, grid.z), self.centre, strict=True))
        plane = m[0, 0] * x * x + m[1, 1] * y * y + 2 * m[0, 1] * x * y
        squared: Field = z * (2 * m[0, 2] * x + 2 * m[1, 2] * y)
        squared += plane
        squared += m[2, 2] * z * z
        np.maximum(squared, 0, out=squared)
        np.sqrt(squared, out=squared)
        squared -= 1
        squared *= np.float32(np.prod(self.semi_axes_mm) ** (1 / 3))
        return squared


@dataclass(frozen=True)
class Capsule:
    """A straight tube with round ends, whose radius changes from `start_radius_mm` to `end_radius_mm`.

    >>> Capsule((0, 0, 0), (0, 0, 10), 4.0, 4.0).depth(Grid.of([6.0], [0.0], [5.0])).item()
    2.0
    """

    start: Triple
    end: Triple
    start_radius_mm: float
    end_radius_mm: float

    def box(self) -> NDArray[np.float64]:
        reach = max(self.start_radius_mm, self.end_radius_mm)
        ends = np.array([self.start, self.end], float)
        return np.stack([ends.min(axis=0) - reach, ends.max(axis=0) + reach])

    def depth(self, grid: Grid) -> Field:
        axis = np.subtract(self.end, self.start).astype(np.float32)
        x, y, z = (a - np.float32(c) for a, c in zip((grid.x, grid.y, grid.z), self.start, strict=True))
        along = (x * axis[0] + y * axis[1] + z * axis[2]) / np.float32(max(float(axis @ axis), 1e-6))
        np.clip(along, 0, 1, out=along)
        squared = (x - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (z - along * axis[2]) ** 2
        slope = np.float32(self.end_radius_mm - self.start_radius_mm)
        distance: Field = np.sqrt(squared)
        distance -= np.float32(self.start_radius_mm) + slope * along
        return distance


@dataclass(frozen=True)
class HalfSpace:
    """The space behind the plane through `point`; the unit `normal` points outwards.

    >>> HalfSpace((0, 0, 2.0), (0, 0, 1.0)).depth(Grid.of([0.0], [0.0], [5.0])).item()
    3.0
    """

    point: Triple
    normal: Triple

    def box(self) -> NDArray[np.float64]:
        return EVERYWHERE

    def depth(self, grid: Grid) -> Field:
        x, y, z = (
            np.float32(n) * (a - np.float32(c))
            for a, c, n in zip((grid.x, grid.y, grid.z), self.point, self.normal, strict=True)
        )
        depth: Field = x + y + z
        return depth
