"""Positions of voxels in the coordinates of a reference body."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from liverspleen.phantom.randomised.fields import Axes, doubled, smooth_field
from liverspleen.phantom.shapes import Field, Grid, rotation

Window = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Pose:
    """Size, position and deformation of a body; reference mm are mm of a body with a cavity of 260 x 184 mm."""

    scale: tuple[float, float, float]  # mm per reference mm along x, y and z
    tilt_deg: tuple[float, float, float]
    bend_mm: tuple[float, float]  # SD of the displacements, wide and narrow
    muscle_mm: float  # thickness of the muscles of the wall
    fat_mm: float  # thickness of the fat below the skin
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
        bend = (float(rng.uniform(3, 9)), float(rng.uniform(0.8, 3)))
        fat = float(rng.choice([rng.uniform(2, 14), rng.uniform(8, 28), rng.uniform(22, 60)], p=[0.42, 0.42, 0.16]))
        return cls(scale, (x, y, z), bend, float(rng.uniform(5, 15)), fat, seed)


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
    axes_mm: Axes
    wide: tuple[Field, Field, Field]  # smooth fields of SD 1, about 140 mm
    _spans: list[tuple[Field, Field]] = field(default_factory=list)

    @classmethod
    def of(cls, pose: Pose, axes_mm: Axes, pixel_mm: float, overlap: float) -> Space:
        """Return the reference positions of voxels at `axes_mm` (z, y, x), found on every second row and column."""
        shape = len(axes_mm[1]), len(axes_mm[2])
        placed, wide = _displaced(pose, (axes_mm[0], axes_mm[1][::2], axes_mm[2][::2]))
        x, y, z = (doubled(values, shape) for values in placed)
        spans = [
            (np.min(a, axis=across), np.max(a, axis=across))
            for a, across in zip((x, y, z), ((0, 1), (0, 2), (1, 2)), strict=True)
        ]
        edge = pixel_mm / float(np.sqrt(pose.scale[0] * pose.scale[1]))
        a, b, c = (doubled(values, shape) for values in wide)
        return cls(x, y, z, edge, overlap, axes_mm, (a, b, c), spans)

    def window(self, lower: NDArray[np.floating], upper: NDArray[np.floating]) -> Window | None:
        """Return the part of the scan that a box in reference mm may reach; None if there is none."""
        parts = []
        for (least, most), low, high in zip(self._spans, lower, upper, strict=True):
            inside = np.flatnonzero((most >= low) & (least <= high))
            if not inside.size:
                return None
            parts.append(slice(int(inside[0]), int(inside[-1]) + 1))
        return parts[2], parts[1], parts[0]

    @cached_property
    def halved(self) -> Space:
        """Return every second row and column, for quantities that are smooth."""
        z, y, x = self.axes_mm
        a, b, c = self.wide
        return Space(
            _every_second(self.x),
            _every_second(self.y),
            _every_second(self.z),
            self.edge,
            self.overlap,
            (z, y[::2], x[::2]),
            (_every_second(a), _every_second(b), _every_second(c)),
        )

    def grid(self, window: Window) -> Grid:
        """Return the positions of a part of the scan."""
        return Grid(self.x[window], self.y[window], self.z[window])

    def field(self, seed: tuple[int, ...], knots_mm: float) -> Field:
        """Return a smooth random field over the scan, of SD about 1."""
        return smooth_field(seed, self.axes_mm, knots_mm)


def _displaced(pose: Pose, axes_mm: Axes) -> tuple[list[Field], list[Field]]:
    """Return the reference positions x, y, z at `axes_mm`, and the smooth fields on which they depend."""
    z, y, x = (
        axis.astype(np.float32).reshape(shape)
        for axis, shape in zip(axes_mm, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
    )
    turn = rotation(pose.tilt_deg).T.astype(np.float32)
    placed, wide = [], []
    for number, (row, by) in enumerate(zip(turn, np.asarray(pose.scale, np.float32), strict=True)):
        moved = smooth_field((*pose.seed, number), axes_mm, 120.0)
        moved *= np.float32(pose.bend_mm[0])
        wide.append(smooth_field((*pose.seed, 3 + number), axes_mm, 70.0))
        moved += np.float32(pose.bend_mm[1]) * wide[-1]
        moved += row[0] * x + row[1] * y
        moved += row[2] * z
        moved *= 1 / by
        placed.append(moved)
    return placed, wide


def _every_second(values: Field) -> Field:
    """Return every second row and column."""
    return np.ascontiguousarray(values[:, ::2, ::2])
