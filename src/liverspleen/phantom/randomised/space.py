"""Positions of voxels in the coordinates of a reference body."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverspleen.phantom.randomised.fields import smooth_field
from liverspleen.phantom.shapes import Field, Grid, rotation

Window = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Pose:
    """Size, position and deformation of a body; reference mm are mm of a body with a cavity of 260 x 184 mm."""

    scale: tuple[float, float, float]  # mm per reference mm along x, y and z
    tilt_deg: tuple[float, float, float]
    bend_mm: tuple[float, float]  # SD of the displacements, wide and narrow
    seed: tuple[int, ...]  # of the displacements

    @classmethod
    def draw(cls, rng: np.random.Generator, seed: tuple[int, ...]) -> Pose:
        """Sample a pose."""
        size, round_ = rng.uniform(0.9, 1.16), rng.uniform(0.83, 1.12)
        wide = size / round_**0.3
        scale = (float(wide), float(wide * round_), float(size * rng.uniform(0.88, 1.12)))
        much = 3.0 if rng.random() < 0.1 else 1.0
        tilt = rng.normal(0, (2.5 * much, 2.0 * much, 2.5 * much))
        x, y, z = (float(t) for t in tilt)
        return cls(scale, (x, y, z), (float(rng.uniform(3, 9)), float(rng.uniform(0.8, 3))), seed)


@dataclass(frozen=True)
class Space:
    """Voxel centres as (z, y, x) arrays of reference mm: +x patient right, +y anterior, +z superior; z = 0 at the dome.

    `edge` is the size of a pixel in reference mm, `overlap` the slice thickness divided by the distance of slices.
    """

    x: Field
    y: Field
    z: Field
    edge: float
    overlap: float
    axes_mm: tuple[NDArray[np.float64], ...]
    wide: tuple[Field, Field, Field]  # smooth fields of SD 1, about 140 mm
    _spans: list[tuple[Field, Field]] = field(default_factory=list)

    @classmethod
    def of(cls, pose: Pose, axes_mm: tuple[NDArray[np.float64], ...], pixel_mm: float, overlap: float) -> Space:
        """Return the reference positions of voxels at `axes_mm` (z, y, x)."""
        rng = np.random.default_rng(pose.seed)
        z, y, x = (
            axis.astype(np.float32).reshape(shape)
            for axis, shape in zip(axes_mm, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
        )
        turn = rotation(pose.tilt_deg).T.astype(np.float32)
        scale = np.asarray(pose.scale, np.float32)
        placed, wide = [], []
        for row, by in zip(turn, scale, strict=True):
            moved = smooth_field(rng, axes_mm, 120.0)
            moved *= np.float32(pose.bend_mm[0])
            wide.append(smooth_field(rng, axes_mm, 70.0))
            moved += np.float32(pose.bend_mm[1]) * wide[-1]
            moved += row[0] * x + row[1] * y
            moved += row[2] * z
            moved *= 1 / by
            placed.append(moved)
        edge = pixel_mm / float(np.sqrt(scale[0] * scale[1]))
        spans = [
            (np.min(a, axis=across), np.max(a, axis=across))
            for a, across in zip(placed, ((0, 1), (0, 2), (1, 2)), strict=True)
        ]
        return cls(*placed, edge, overlap, axes_mm, (wide[0], wide[1], wide[2]), spans)

    def window(self, lower: NDArray[np.floating], upper: NDArray[np.floating]) -> Window | None:
        """Return the part of the scan that a box in reference mm may reach; None if there is none."""
        parts = []
        for (least, most), low, high in zip(self._spans, lower, upper, strict=True):
            inside = np.flatnonzero((most >= low) & (least <= high))
            if not inside.size:
                return None
            parts.append(slice(int(inside[0]), int(inside[-1]) + 1))
        return parts[2], parts[1], parts[0]

    def grid(self, window: Window) -> Grid:
        """Return the positions of a part of the scan."""
        return Grid(self.x[window], self.y[window], self.z[window])

    def field(self, rng: np.random.Generator, knots_mm: float, *, flat: float = 1.0) -> Field:
        """Return a smooth random field over the scan, of SD about 1."""
        return smooth_field(rng, self.axes_mm, knots_mm, flat=flat)
