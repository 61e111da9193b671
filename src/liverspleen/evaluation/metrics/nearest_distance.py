"""Exact distances from points of a grid to the nearest of other points of this grid; the grid may be sheared.

Most points of two similar surfaces have a partner a few voxels away. It is found by a search of the positions around
the point, the nearest first. A KD-tree finds the partners of the few remaining points (islands of false voxels).
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
"""Positions around a point that are searched before the tree."""

CHUNK: Final = 1 << 15
"""Points searched at a time."""

CANDIDATES: Final = 1 << 18
"""Limit of the offsets from which the nearest are selected; almost flat grids would need billions."""

TREE: Final = 1 << 20
"""Points in one tree; more points are divided over several trees to limit memory."""


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Index offsets (n, 3) around a grid point with their lengths, in ascending order, without the zero offset.

    It contains every offset that is shorter than the last one.
    """

    offsets: Indices
    lengths_mm: Floats
    axes_mm: Floats

    @property
    def reach(self) -> tuple[int, ...]:
        """The largest index offset along each axis."""
        return tuple(int(n) for n in np.abs(self.offsets).max(axis=0, initial=0))


def neighbourhood(axes_mm: Floats) -> Neighbourhood:
    """Return the nearest offsets in the grid with these axes (row i: the step along array axis i in mm).

    >>> neighbourhood(np.diag([5.0, 1.0, 1.0])).lengths_mm[:5].tolist()
    [1.0, 1.0, 1.0, 1.0, 1.4142135623730951]
    """
    radius = (NEAR * abs(float(np.linalg.det(axes_mm))) * 3 / (4 * np.pi)) ** (
        1 / 3
    )  # a ball with the volume of `NEAR` voxels
    # within the radius, the index along axis i is at most the radius times the length of column i of the inverse
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
    """Return the distance of each point of `source` to the nearest point of `target`, in mm.

    Both are on a flat grid of `shape`, and no point is closer to an end of the grid than `near.reach`. A point of both
    surfaces has distance 0.
    """
    found = np.zeros(source.points.size)
    apart = np.flatnonzero(~target.is_point[source.points])
    steps = near.offsets @ np.array([shape[1] * shape[2], shape[2], 1])
    far = []
    for start in range(0, apart.size, CHUNK):
        pending = apart[start : start + CHUNK]
        at = source.points[pending]
        for step, length in zip(steps.tolist(), near.lengths_mm.tolist(), strict=True):
            if not pending.size:
                break
            hit = target.is_point[at + step]
            if hit.any():
                found[pending[hit]] = length
                pending, at = pending[~hit], at[~hit]
        far.append(pending)
    if far and (rest := np.concatenate(far)).size:
        found[rest] = _by_tree(source.points[rest], target.points, shape, near.axes_mm)
    return found


def _by_tree(points: Indices, targets: Indices, shape: tuple[int, ...], axes_mm: Floats) -> Floats:
    from scipy.spatial import cKDTree

    nearest = np.full(points.size, np.inf)
    for start in range(0, targets.size, TREE):
        # the tree has few queries: a fast construction saves more time than a balanced tree
        positions = _positions(targets[start : start + TREE], shape, axes_mm)
        tree = cKDTree(positions, leafsize=32, balanced_tree=False, compact_nodes=False)
        for first in range(0, points.size, CHUNK):
            part = slice(first, first + CHUNK)
            distances, _ = tree.query(_positions(points[part], shape, axes_mm))
            np.minimum(nearest[part], distances, out=nearest[part])
    return nearest


def _positions(points: Indices, shape: tuple[int, ...], axes_mm: Floats) -> Floats:
    return np.asarray(np.stack(np.unravel_index(points, shape), axis=1) @ axes_mm)
