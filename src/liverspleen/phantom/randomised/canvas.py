"""Painting of shapes on a scan, with the partial volume of voxels at their surfaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.organs import Structure
from liverspleen.phantom.composites import Union
from liverspleen.phantom.randomised.fields import doubled
from liverspleen.phantom.randomised.space import Space, Window
from liverspleen.phantom.shapes import Capsule, Ellipsoid, Field, Grid, Shape

WHOLE: Final = (slice(None), slice(None), slice(None))


class Canvas:
    """Density in HU and label of each voxel of a scan; later paint covers earlier paint."""

    def __init__(self, space: Space, background: Field) -> None:
        """Start with a slice (row, column) in HU that is the same at all heights."""
        self.space = space
        self.hu: NDArray[np.float32] = np.broadcast_to(background, space.x.shape).copy()
        self.labels: NDArray[np.uint8] = np.zeros(space.x.shape, np.uint8)

    def paint(
        self,
        depth: Field,
        hu: float | Field,
        window: Window = WHOLE,
        *,
        label: Structure | None = Structure.BACKGROUND,
        upright: bool = False,
    ) -> None:
        """Paint a body whose surface is at depth 0 (negative inside); `label` None keeps the labels.

        A voxel that the surface crosses gets a fraction of the density. The fraction follows from the depth at the
        centre of the voxel, and from its change over a pixel and over the slice thickness; surfaces that are `upright`
        hardly change over the slice thickness.
        """
        covered = self._coverage(depth, upright)
        part = self.hu[window]
        covered *= hu - part
        part += covered
        if label is not None:
            np.copyto(self.labels[window], np.uint8(label), where=depth < 0)

    def _coverage(self, depth: Field, upright: bool) -> Field:
        """Return the fraction of each voxel inside a surface, exact for planes through a narrow beam."""
        if upright or depth.shape[0] < 2:
            covered: Field = depth * np.float32(-1 / self.space.edge)
        else:
            rise = np.empty_like(depth)
            np.subtract(depth[1:], depth[:-1], out=rise[:-1])
            rise[-1] = rise[-2]
            rise *= rise
            rise *= np.float32(self.space.overlap**2)
            rise += np.float32(self.space.edge**2)
            np.sqrt(rise, out=rise)
            covered = np.divide(depth, rise, out=rise)
            np.negative(covered, out=covered)
        covered += np.float32(0.5)
        np.clip(covered, 0, 1, out=covered)
        return covered

    def paint_at(self, voxels: NDArray[np.intp], depth: Field, hu: Field) -> None:
        """Paint an upright body on some voxels, given by their flat indices, that have no label."""
        covered = self._coverage(depth, upright=True)
        flat = self.hu.reshape(-1)
        before = flat[voxels]
        covered *= hu - before
        before += covered
        flat[voxels] = before

    def shape(
        self,
        shape: Shape,
        *layers: tuple[float, float],
        within: Field | None = None,
        label: Structure | None = Structure.BACKGROUND,
        warp: Callable[[Grid, Window], Grid] | None = None,
    ) -> tuple[Field, Window] | None:
        """Paint a shape in layers (outset in mm, HU); return its depth and its part of the scan, None if outside it.

        `within` is the depth of a body that the layers do not leave.
        """
        found = self.depth(shape, max(outset for outset, _ in layers), warp=warp) if layers else self.depth(shape)
        if found is None:
            return None
        depth, window = found
        for outset, hu in layers:
            limited = depth - np.float32(outset) if outset else depth
            if within is not None:
                limited = np.maximum(limited, within[window])
            self.paint(limited, hu, window, label=label)
        return depth, window

    def depth(
        self, shape: Shape, halo: float = 0.0, *, warp: Callable[[Grid, Window], Grid] | None = None
    ) -> tuple[Field, Window] | None:
        """Return the depth of a shape and the part of the scan that it may reach; None if it is outside."""
        lower, upper = shape.box()
        margin = max(halo, 0.0) + (22.0 if warp else 0.0) + self.space.edge
        window = self.space.window(lower - margin, upper + margin)
        if window is None:
            return None
        if _radius_mm(shape) < 5 * self.space.edge:
            grid = self.space.grid(window)
            return shape.depth(warp(grid, window) if warp else grid), window
        # the surface bends little between every second row and column: less than a tenth of a pixel
        z, y, x = window
        coarse = z, slice(y.start, y.stop, 2), slice(x.start, x.stop, 2)
        grid = self.space.grid(coarse)
        depth = shape.depth(warp(grid, coarse) if warp else grid)
        return doubled(depth, (y.stop - y.start, x.stop - x.start)), window


def _radius_mm(shape: Shape) -> float:
    """Return the radius of the thinnest part; 0 if unknown."""
    if isinstance(shape, Ellipsoid):
        return min(shape.semi_axes_mm)
    if isinstance(shape, Capsule):
        return min(shape.start_radius_mm, shape.end_radius_mm)
    return min(map(_radius_mm, shape.parts)) if isinstance(shape, Union) else 0.0
