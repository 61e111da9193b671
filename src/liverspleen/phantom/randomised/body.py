"""What the parts of the body share: position, densities, fields of texture, and the abdominal cavity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverspleen.phantom.randomised.canvas import Canvas
from liverspleen.phantom.randomised.densities import Tissues
from liverspleen.phantom.randomised.space import Space, Window
from liverspleen.phantom.shapes import Ellipsoid, Field, Grid, Triple
from liverspleen.phantom.traits import Condition

HALF_WIDTH_MM = 130.0
HALF_DEPTH_MM = 92.0


@dataclass
class Body:
    """One patient in one scan; `shape_rng` draws the anatomy, `scan_rng` what differs between two scans."""

    condition: Condition
    canvas: Canvas
    tissues: Tissues
    shape_rng: np.random.Generator
    scan_rng: np.random.Generator
    slim: float  # linear size of the organs relative to the cavity; small: much visceral fat
    middle: tuple[Field, Field]  # smooth fields of SD 1, about 60 mm
    narrow: tuple[Field, Field]  # about 25 mm
    cavity: Field  # depth of the inner wall of chest and abdomen
    abdomen: Field  # depth of the part below the diaphragm

    @property
    def space(self) -> Space:
        """Return the positions of the voxels."""
        return self.canvas.space

    @property
    def within(self) -> Field:
        """Return the depth of the abdominal cavity."""
        return self.abdomen

    def bent(self, mm: float) -> object:
        """Return a warp that displaces positions by smooth fields of SD `mm` along each axis."""

        def warp(grid: Grid, window: Window) -> Grid:
            by = np.float32(mm)
            c, a, b = self.space.wide
            return Grid(grid.x + by * a[window], grid.y + by * b[window], grid.z + by * c[window])

        return warp

    def near(self, centre: Triple, sd_mm: float) -> Triple:
        """Return a random point near `centre`."""
        x, y, z = np.asarray(centre) + self.shape_rng.normal(0, sd_mm, 3).clip(-2 * sd_mm, 2 * sd_mm)
        return float(x), float(y), float(z)

    def ellipsoid(self, centre: Triple, axes: Triple, tilt: Triple = (0.0, 0.0, 0.0), spread: float = 4.0) -> Ellipsoid:
        """Return an ellipsoid near a place, its axes and tilt varied by 8 % and 6°."""
        rng = self.shape_rng
        a, b, c = np.asarray(axes) * rng.normal(1, 0.08, 3).clip(0.8, 1.2)
        u, v, w = np.asarray(tilt) + rng.normal(0, 6, 3)
        return Ellipsoid(self.near(centre, spread), (float(a), float(b), float(c)), (float(u), float(v), float(w)))

    def tubes(self) -> Field:
        """Return the distance from a random network of thin tubes, in units of about 12 mm."""
        a, b = self.narrow
        squared: Field = a * a
        squared += b * b
        return np.sqrt(squared, out=squared)


def profile(space: Space, levels: list[float], values: NDArray[np.floating] | list[float]) -> Field:
    """Return a quantity (z, 1, 1) that changes along the body axis; constant beyond the first and last level."""
    return np.interp(space.z.mean(axis=(1, 2)), levels, values).astype(np.float32)[:, None, None]
