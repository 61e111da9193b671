"""Distances from points of a grid to the nearest of other points of the same grid, exact on any parallelepiped.

Most points of two similar surfaces have a partner a few voxels away: those are found by looking at the places around
them, the nearest first. The few that are left (islands of false voxels) ask a KD-tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.evaluation.metrics.surface_points import Surface
from liverspleen.evaluation.statistics.samples import Floats

Indices = NDArray[np.intp]

NEAR: Final = 300
"""Places around a point that are looked at before a tree is asked."""

CHUNK: Final = 1 << 15
"""Points that search together."""

CANDIDATES: Final = 1 << 18
"""Offsets among which the nearest are chosen; grids sheared almost flat would ask for billions."""

TREE: Final = 1 << 20
"""Points in one tree; more are searched in several, so that memory stays bounded."""


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Index offsets (n, 3) around a grid point with their lengths, in ascending order; the zero offset is left out.

    No offset that is shorter than the last is missing.
    """

    offsets: Indices
    lengths_mm: Floats
    axes_mm: Floats

    @property
    def reach(self) -> tuple[int, ...]:
        """The largest index offset along each axis."""
        return tuple(int(n) for n in np.abs(self.offsets).max(axis=0, initial=0))


def neighbourhood(axes_mm: Floats) -> Neighbourhood:
    """The offsets next to a point of the grid with these axes (row i: the step along array axis i in mm).

    >>> neighbourhood(np.diag([5.0, 1.0, 1.0])).lengths_mm[:5].tolist()
    [1.0, 1.0, 1.0, 1.0, 1.4142135623730951]
    """
    radius = (NEAR * abs(float(np.linalg.det(axes_mm))) * 3 / (4 * np.pi)) ** (1 / 3)  # a ball of that many voxels
    # a point within the radius has its index along axis i within radius times the length of column i of the inverse
    reach = radius * np.linalg.norm(np.linalg.inv(axes_mm), axis=0) * (1 + 1e-9)
    while np.prod(2 * np.floor(reach) + 1) > CANDIDATES:
        radius, reach = radius / 2, reach / 2
    offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in np.floor(reach)), indexing="ij"), axis=-1)
    offsets = offsets.reshape(-1, 3).astype(np.intp)
    lengths = np.linalg.norm(offsets @ axes_mm, axis=1)
    order = np.argsort(lengths, kind="stable")[1 : NEAR + 1]
    order = order[lengths[order] <= radius]
    return Neighbourhood(offsets[order], lengths[order], axes_mm)


def distances_mm(source: Surface, target: Surface, shape: tuple[int, ...], near: Neighbourhood) -> Floats:
    """Distance of each point of `source` to the nearest point of `target`, in mm; both lie on a flat grid of `shape`.

    No point lies nearer to an end of the grid than `near.reach`. A point that both share is at distance 0.
    """
    found = np.zeros(source.points.size)
    apart = np.flatnonzero(~target.is_point[source.points])
    steps = near.offsets @ np.array([shape[1] * shape[2], shape[2], 1])
    far = []
    for start in range(0, apart.size, CHUNK):
        left = apart[start : start + CHUNK]
        at = source.points[left]
        for step, length in zip(steps.tolist(), near.lengths_mm.tolist(), strict=True):
            if not left.size:
                break
            hit = target.is_point[at + step]
            if hit.any():
                found[left[hit]] = length
                left, at = left[~hit], at[~hit]
        far.append(left)
    if far and (rest := np.concatenate(far)).size:
        found[rest] = _by_tree(source.points[rest], target.points, shape, near.axes_mm)
    return found


def _by_tree(points: Indices, targets: Indices, shape: tuple[int, ...], axes_mm: Floats) -> Floats:
    from scipy.spatial import cKDTree

    nearest = np.full(points.size, np.inf)
    for start in range(0, targets.size, TREE):
        # the tree is asked once, and little: quickly built is better than well built
        positions = _positions(targets[start : start + TREE], shape, axes_mm)
        tree = cKDTree(positions, leafsize=32, balanced_tree=False, compact_nodes=False)
        for first in range(0, points.size, CHUNK):
            part = slice(first, first + CHUNK)
            distances, _ = tree.query(_positions(points[part], shape, axes_mm))
            np.minimum(nearest[part], distances, out=nearest[part])
    return nearest


def _positions(points: Indices, shape: tuple[int, ...], axes_mm: Floats) -> Floats:
    return np.asarray(np.stack(np.unravel_index(points, shape), axis=1) @ axes_mm)
