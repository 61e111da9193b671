"""Shapes made of other shapes: blended unions, intersections, wavy surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from liverspleen.phantom.shapes import EVERYWHERE, Field, Grid, Shape


def blended_minimum(a: Field, b: Field, blend_mm: float) -> Field:
    """Return the smaller of two depths, smoothed if they differ by less than `blend_mm` (Quilez's quadratic minimum).

    >>> blended_minimum(np.float32([0, 0]), np.float32([0, 9]), 4.0).tolist()
    [-1.0, 0.0]
    """
    if blend_mm <= 0:
        return np.minimum(a, b)
    near = np.abs(a - b)
    np.subtract(np.float32(blend_mm), near, out=near)
    np.maximum(near, 0, out=near)
    near *= near
    near *= np.float32(0.25 / blend_mm)
    lower: Field = np.minimum(a, b)
    lower -= near
    return lower


@dataclass(frozen=True)
class Union:
    """The union of the parts; seams between parts are smoothed over `blend_mm`."""

    parts: tuple[Shape, ...]
    blend_mm: float = 0.0

    def box(self) -> NDArray[np.float64]:
        boxes = np.stack([part.box() for part in self.parts])
        swell = self.blend_mm / 4 * (len(self.parts) - 1)
        return np.stack([boxes[:, 0].min(axis=0) - swell, boxes[:, 1].max(axis=0) + swell])

    def depth(self, grid: Grid) -> Field:
        depths = (part.depth(grid) for part in self.parts)
        return reduce(lambda a, b: blended_minimum(a, b, self.blend_mm), depths)


@dataclass(frozen=True)
class Intersection:
    """The intersection of the parts; edges are smoothed over `blend_mm`."""

    parts: tuple[Shape, ...]
    blend_mm: float = 0.0

    def box(self) -> NDArray[np.float64]:
        boxes = np.stack([part.box() for part in self.parts])
        return np.stack([boxes[:, 0].max(axis=0), boxes[:, 1].min(axis=0)])

    def depth(self, grid: Grid) -> Field:
        depths = (-part.depth(grid) for part in self.parts)
        return -reduce(lambda a, b: blended_minimum(a, b, self.blend_mm), depths)


@dataclass(frozen=True)
class Outside:
    """The complement of a shape."""

    shape: Shape

    def box(self) -> NDArray[np.float64]:
        return EVERYWHERE

    def depth(self, grid: Grid) -> Field:
        return -self.shape.depth(grid)


@dataclass(frozen=True)
class Waves:
    """A sum of plane waves in mm: `amplitude_mm · cos(k·p + phase)`, each with a vector k in radians per mm."""

    vectors: tuple[tuple[float, float, float], ...]
    phases: tuple[float, ...]
    amplitude_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, *, count: int, wavelength_mm: float, total_mm: float) -> Waves:
        """Sample `count` waves: random directions, wavelengths within ±30 %, SD of the sum `total_mm`."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = wavelength_mm * rng.uniform(0.7, 1.3, size=(count, 1))
        vectors = directions * 2 * np.pi / lengths
        phases = rng.uniform(0, 2 * np.pi, count)
        amplitude = total_mm * np.sqrt(2 / count)
        return cls(tuple((float(a), float(b), float(c)) for a, b, c in vectors), tuple(map(float, phases)), amplitude)

    @property
    def reach_mm(self) -> float:
        """Upper limit of the sum."""
        return self.amplitude_mm * len(self.phases)

    def height(self, grid: Grid) -> Field:
        """Return the sum of the waves in mm, of `grid.shape`."""
        total = np.zeros(grid.shape, np.float32)
        for (kx, ky, kz), phase in zip(self.vectors, self.phases, strict=True):
            # cos(plane + line) from one plane and one line: no cosine is computed on the volume
            plane = np.float32(kx) * grid.x + np.float32(ky) * grid.y + np.float32(phase)
            line = np.float32(kz) * grid.z
            total += np.cos(plane) * np.cos(line)
            total -= np.sin(plane) * np.sin(line)
        total *= np.float32(self.amplitude_mm)
        return total


@dataclass(frozen=True)
class Wavy:
    """A shape with a surface displaced by waves."""

    shape: Shape
    waves: Waves

    def box(self) -> NDArray[np.float64]:
        lower, upper = self.shape.box()
        return np.stack([lower - self.waves.reach_mm, upper + self.waves.reach_mm])

    def depth(self, grid: Grid) -> Field:
        return self.shape.depth(grid) + self.waves.height(grid)


@dataclass(frozen=True)
class Grown:
    """A shape enlarged by `by_mm` in all directions (reduced if negative)."""

    shape: Shape
    by_mm: float

    def box(self) -> NDArray[np.float64]:
        lower, upper = self.shape.box()
        return np.stack([lower - self.by_mm, upper + self.by_mm])

    def depth(self, grid: Grid) -> Field:
        return self.shape.depth(grid) - np.float32(self.by_mm)
