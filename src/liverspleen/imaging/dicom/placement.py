"""Position of a DICOM frame on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from liverspleen.imaging.dicom.stack import ROUNDING_MM, plane_directions
from liverspleen.imaging.geometry import Geometry, grid_tolerance_mm


@dataclass(frozen=True)
class Plane:
    """Pixels in space: centre of the first pixel, directions and spacing as in DICOM, and the matrix."""

    position: Sequence[float]
    orientation: Sequence[float]
    pixel_spacing: Sequence[float]
    rows: int
    columns: int


@dataclass(frozen=True)
class Placement:
    """A plane as voxels of a grid: native axis and direction of its column and row index, and its first voxel."""

    column_axis: int
    row_axis: int
    column_direction: int
    row_direction: int
    first: tuple[int, int, int]
    rows: int
    columns: int

    @property
    def slice_index(self) -> int:
        """Index of the plane along the third axis."""
        return self.first[3 - self.column_axis - self.row_axis]

    def view(self, native: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a view of the plane in an array of the native shape, in the plane's (row, column) order."""
        slice_axis = 3 - self.column_axis - self.row_axis
        slices = native.transpose(slice_axis, self.row_axis, self.column_axis)
        rows = _run(self.first[self.row_axis], self.row_direction, self.rows)
        columns = _run(self.first[self.column_axis], self.column_direction, self.columns)
        view: NDArray[np.uint8] = slices[self.slice_index][rows, columns]
        return view


def place(plane: Plane, geometry: Geometry) -> Placement | None:
    """Return the placement of a plane whose pixels are voxels of the grid; None if they are not, or are outside it.

    Pixels are voxels if no corner of the plane deviates by more than the tolerance of grids (`GRID_TOLERANCE`), or by
    0.1 mm if that is more.
    """
    directions = plane_directions(plane.orientation)
    if directions is None:
        return None
    across, down = (np.array([-1.0, -1.0, 1.0]) * direction for direction in directions)  # to RAS+
    start = np.array([-1.0, -1.0, 1.0]) * plane.position
    to_index = np.linalg.inv(geometry.affine[:3, :3])
    steps = np.array([to_index @ across * plane.pixel_spacing[1], to_index @ down * plane.pixel_spacing[0]])
    whole_steps = np.rint(steps).astype(np.int64)
    if (abs(whole_steps).sum(axis=1) != 1).any() or (abs(whole_steps).sum(axis=0) > 1).any():
        return None
    origin = to_index @ (start - geometry.affine[:3, 3])
    first = np.rint(origin).astype(np.int64)
    for corner in product((0, plane.columns - 1), (0, plane.rows - 1)):
        off = origin - first + corner @ (steps - whole_steps)
        if np.linalg.norm(geometry.affine[:3, :3] @ off) > max(grid_tolerance_mm(geometry), ROUNDING_MM):
            return None
        voxel = first + corner @ whole_steps
        if (voxel < 0).any() or (voxel >= geometry.shape).any():
            return None
    column_axis, row_axis = (int(np.flatnonzero(step)[0]) for step in whole_steps)
    return Placement(
        column_axis=column_axis,
        row_axis=row_axis,
        column_direction=int(whole_steps[0, column_axis]),
        row_direction=int(whole_steps[1, row_axis]),
        first=(int(first[0]), int(first[1]), int(first[2])),
        rows=plane.rows,
        columns=plane.columns,
    )


def _run(first: int, direction: int, count: int) -> slice:
    stop = first + direction * count
    return slice(first, stop if stop >= 0 else None, direction)
