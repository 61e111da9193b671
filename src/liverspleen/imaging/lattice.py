"""Label maps whose grid is a box within that of their CT, or around it: moved to its grid without resampling.

3D Slicer, ITK-SNAP and MITK write a label map on the smallest box around its segments.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from liverspleen.imaging.geometry import Geometry, affine_displacement_mm, grid_tolerance_mm
from liverspleen.imaging.volume import LabelMap

Offset = tuple[int, int, int]


class Placed(NamedTuple):
    """A label map on another grid, and the number of its labelled voxels outside of that grid, which are cut off."""

    label_map: LabelMap
    lost_voxels: int


def offset_on(grid: Geometry, other: Geometry) -> Offset | None:
    """Return the (slice, row, column) index on `grid` of the first voxel of `other`.

    None unless the voxels of both are the same: spacing and directions are equal, and the first voxel is a whole number
    of voxels away, so that no corner is further away than the tolerance of `same_grid`.

    >>> ct = Geometry((4, 4, 4), np.diag([-1.0, -1.0, 5.0, 1.0]))
    >>> box = ct.affine.copy(); box[:3, 3] = -2, -1, 5
    >>> larger = box * [[1.01], [1.01], [1.01], [1.0]]
    >>> offset_on(ct, Geometry((2, 2, 2), box)), offset_on(ct, Geometry((2, 2, 2), larger))
    ((1, 1, 2), None)
    """
    first, second = grid.canonical_affine, other.canonical_affine
    place = np.rint(np.linalg.solve(first, second[:, 3])[:3])
    if not (abs(place) < 1 << 20).all():
        return None
    moved = first.copy()
    moved[:, 3] = first @ [*place, 1]
    if affine_displacement_mm(other.canonical_shape, moved, second) > grid_tolerance_mm(grid):
        return None
    slices, rows, columns = (int(index) for index in place)
    return slices, rows, columns


def placed_on(grid: Geometry, label_map: LabelMap) -> Placed | None:
    """Return a label map on `grid`, with background outside of its own box; None unless the boxes share voxels."""
    offset = offset_on(grid, label_map.geometry)
    if offset is None:
        return None
    ends = [*zip(offset, label_map.labels.shape, grid.canonical_shape, strict=True)]
    target = tuple(slice(max(start, 0), max(min(start + size, whole), 0)) for start, size, whole in ends)
    source = tuple(slice(box.start - start, box.stop - start) for box, (start, _, _) in zip(target, ends, strict=True))
    if any(box.start >= box.stop for box in target):
        return None
    labels = np.zeros(grid.canonical_shape, np.uint8)
    labels[target] = label_map.labels[source]
    lost = int(np.count_nonzero(label_map.labels)) - int(np.count_nonzero(labels))
    return Placed(replace(label_map, labels=labels, geometry=grid), lost)


def common_grid(first: Geometry, second: Geometry) -> Geometry | None:
    """Return the smallest grid that holds both; None unless their voxels are the same.

    >>> ct = Geometry((4, 4, 4), np.diag([1.0, 1.0, 5.0, 1.0]))
    >>> above = ct.affine.copy(); above[2, 3] = 10
    >>> common_grid(ct, Geometry((4, 4, 4), above)).canonical_shape
    (6, 4, 4)
    """
    offset = offset_on(first, second)
    if offset is None:
        return None
    lower = np.minimum(offset, 0)
    upper = np.maximum(np.add(offset, second.canonical_shape), first.canonical_shape)
    affine = first.canonical_affine
    affine[:, 3] = affine @ [*lower, 1]
    slices, rows, columns = (int(size) for size in upper - lower)
    return Geometry((slices, rows, columns), affine)
